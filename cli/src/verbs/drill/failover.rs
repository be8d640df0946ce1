//! Drills in which a primary goes and another node takes over.

use super::cluster::ClusterPlan;
use super::stage::{Stage, ms};
use crate::error::CliError;
use std::time::{Duration, Instant};

/// What a failover may take from the loss to the first acknowledgement.
const RTO_MAX: Duration = Duration::from_millis(500);

/// Kills the primary: of two nodes, of three, and of three whose packets are lost instead of refused.
pub(crate) fn kill_primary(stage: &mut Stage<'_>) -> Result<(), CliError> {
    kill_of_two(stage)?;
    kill_of_three(stage)?;
    lose_of_three(stage)
}

fn kill_of_two(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let mut cluster = stage.cluster(ClusterPlan::of(2))?;
    let load = stage.load(&cluster)?;
    let killed_at = Instant::now();
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, true)?;
    stage.did("two nodes under load: kill -9 of the primary, promote --solo of the other")?;
    stage.note_failover(&cluster, &load, "kill, two nodes", killed_at, noticed_at, &promoted)?;
    stage.await_more(&cluster, &load, 500)?;
    cluster.start_node(0)?;
    cluster.await_in_sync(1, &[0])?;
    stage.did("started the killed node again: it follows, and two copies are asked for again")?;
    stage.await_more(&cluster, &load, 500)?;
    stage.finish(cluster, load, 1, &[0])
}

fn kill_of_three(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let mut cluster = stage.cluster(ClusterPlan::of(3))?;
    let load = stage.load(&cluster)?;
    let killed_at = Instant::now();
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, false)?;
    stage.did("three nodes under load: kill -9 of the primary, promote of another")?;
    stage.note_failover(&cluster, &load, "kill, three nodes", killed_at, noticed_at, &promoted)?;
    stage.await_more(&cluster, &load, 500)?;
    stage.finish(cluster, load, 1, &[2])
}

/// The machine of the primary is gone: no packet of it arrives, and nobody refuses a connection to it.
fn lose_of_three(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_client_cables: true, ..ClusterPlan::of(3) };
    let mut cluster = stage.cluster(plan)?;
    let load = stage.load(&cluster)?;
    let lost_at = Instant::now();
    cluster.isolate(0);
    cluster.isolate_from_clients(0);
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, false)?;
    stage.did("three nodes under load: every packet of the primary lost, promote of another")?;
    stage.note_failover(&cluster, &load, "packets lost, three nodes", lost_at, noticed_at, &promoted)?;
    stage.await_more(&cluster, &load, 500)?;
    stage.finish(cluster, load, 1, &[2])
}
