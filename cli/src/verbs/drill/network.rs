//! Drills in which the network loses packets: in both directions, and in one.

use super::cluster::ClusterPlan;
use super::failover::{AFTERWARDS, expect_fenced};
use super::stage::Stage;
use crate::error::CliError;
use std::time::Instant;

/// Cuts the primary off from the other nodes; clients reach everybody.
pub(crate) fn partition(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let cut = |cluster: &super::cluster::Cluster<'_>| cluster.isolate(0);
    let said = "three nodes under load: all packets between the primary and the others lost";
    cut_off(stage, said, "partition, three nodes", &cut)
}

/// Cuts one direction: first what the primary says, then what is said to it.
pub(crate) fn one_way_partition(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let mute = |cluster: &super::cluster::Cluster<'_>| {
        cluster.drop_silently(0, 1);
        cluster.drop_silently(0, 2);
    };
    let said = "three nodes under load: all packets from the primary to the others lost";
    cut_off(stage, said, "primary mute, three nodes", &mute)?;
    let deaf = |cluster: &super::cluster::Cluster<'_>| {
        cluster.drop_silently(1, 0);
        cluster.drop_silently(2, 0);
    };
    let said = "three nodes under load: all packets from the others to the primary lost";
    cut_off(stage, said, "primary deaf, three nodes", &deaf)
}

fn cut_off(
    stage: &mut Stage<'_>,
    said: &str,
    what: &'static str,
    cut: &dyn Fn(&super::cluster::Cluster<'_>),
) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), |stage, cluster| {
        let load = stage.load(cluster)?;
        let cut_at = Instant::now();
        cut(cluster);
        stage.did(said)?;
        let noticed_at = cluster.await_notice(1)?;
        let before = cluster.status(0)?;
        let promoted = cluster.promote(1, false)?;
        stage.did("promote of node 1, which node 2 grants; clients still reach the old primary")?;
        stage.note_failover(cluster, &load, what, cut_at, noticed_at, &promoted)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        let after = cluster.status_soon(0)?;
        stage.expect(
            "the old primary, which knows nothing of it or was fenced, commits nothing more",
            after.commit == before.commit || after.role != "primary",
            format!(
                "node 0 is {} in epoch {}, commit {} before and {} after the promotion",
                after.role, after.epoch, before.commit, after.commit
            ),
        )?;
        cluster.heal();
        stage.did("the network is whole again")?;
        cluster.await_in_sync(1, &[0, 2])?;
        expect_fenced(stage, cluster, 0, promoted.epoch)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[0, 2])
    })
}
