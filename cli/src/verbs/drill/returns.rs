//! Drills in which a node comes back: behind, with too much, with nothing, or to a cluster that went on without it.

use super::cluster::{Cluster, ClusterPlan};
use super::failover::{AFTERWARDS, expect_fenced};
use super::history::History;
use super::load::{Load, LoadPlan};
use super::stage::{Stage, WARM_UP, ms};
use crate::error::CliError;
use crate::fault::Fault;
use mizan_journal::QUARANTINE_DIRECTORY;
use mizan_node::cluster::{AdminReply, AdminRequest};
use std::time::{Duration, Instant};

/// Transfers that a standby is behind, and how many are sent in one request meanwhile.
const BEHIND: u64 = 400_000;
const BEHIND_BATCH: u64 = 1_000;
/// Bytes of a transfer in the journal.
const TRANSFER_SIZE: f64 = 128.0;
/// How long each sync of the standby takes that is to hear of something and not to keep it.
const SLOW_SYNC: Duration = Duration::from_millis(1_500);

/// Leaves a standby far behind, kills it once more while it catches up, and waits until it has all.
pub(crate) fn standby_behind(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan =
        ClusterPlan { transfer_count_max: 2_000_000, segment_size: 16 << 20, ..ClusterPlan::of(3) };
    stage.on_cluster(plan, standby_behind_on)
}

fn standby_behind_on(stage: &mut Stage<'_>, cluster: &mut Cluster<'_>) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    cluster.node_mut(2).kill9()?;
    let at = cluster.status(0)?.commit;
    let mut history = load.stop();
    let full = LoadPlan { batch: BEHIND_BATCH, is_full: true, ..stage.load_plan(cluster, 1) };
    let load = Load::resume(&full)?;
    stage.await_more(cluster, &load, BEHIND)?;
    let behind = load.acknowledged();
    history.absorb(load.stop());
    stage.did(format!(
        "three nodes: one standby killed, {behind} transfers ({:.0} MB) without it",
        behind as f64 * TRANSFER_SIZE / 1e6
    ))?;
    let load = Load::resume(&stage.load_plan(cluster, 2))?;
    let begin = Instant::now();
    cluster.start_node(2)?;
    cluster.wait_until("the standby has a part of what it lacks", || {
        Ok(cluster.status(2).is_ok_and(|status| status.end > at))
    })?;
    let reached = cluster.status(2)?.end;
    cluster.node_mut(2).kill9()?;
    stage.did(format!(
        "started it and killed it again at sequence {reached}, {:.0} ms later",
        ms(begin.elapsed())
    ))?;
    let begin = Instant::now();
    cluster.start_node(2)?;
    cluster.await_in_sync(0, &[1, 2])?;
    let took = begin.elapsed();
    let rate = behind as f64 * TRANSFER_SIZE / 1e6 / took.as_secs_f64();
    stage.did(format!(
        "started it once more: in sync after {:.2} s, its own recovery included; at least {rate:.0} MB/s while the load went on",
        took.as_secs_f64()
    ))?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    history.absorb(load.stop());
    stage.finish_history(cluster, &history, 0, &[1, 2])
}

/// Lets an old primary come back with entries that nobody acknowledged: they are cut off and kept aside.
pub(crate) fn old_primary_returns(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(2), old_primary_returns_on)
}

fn old_primary_returns_on(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    cluster.isolate(0);
    cluster.wait_until("the primary has entries that the other node has not", || {
        Ok(cluster.status(0)?.durable > cluster.status(1)?.end)
    })?;
    let old = cluster.status(0)?;
    let killed_at = Instant::now();
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, true)?;
    // Not before: what was underway would arrive, and the other node would take it over.
    cluster.heal();
    stage.did(format!(
        "two nodes under load: the primary cut off, killed with entries up to {} of which {} are committed; promote --solo of the other",
        old.end, old.commit
    ))?;
    let what = "kill after a partition, two nodes";
    stage.note_failover(cluster, &load, what, killed_at, noticed_at, &promoted)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    cluster.start_node(0)?;
    cluster.await_in_sync(1, &[0])?;
    stage.did("started the old primary")?;
    expect_fenced(stage, cluster, 0, promoted.epoch)?;
    let kept = std::fs::read_dir(cluster.data(0).join(QUARANTINE_DIRECTORY))
        .map_or(0, |entries| entries.flatten().count());
    stage.expect(
        "what nobody acknowledged is cut off and kept in quarantine",
        kept > 0,
        format!("{kept} files in quarantine"),
    )?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.finish(cluster, load, 1, &[0])
}

/// Lets a node come back with an empty disk: it counts only after it was admitted, and then it does.
pub(crate) fn wiped_disk_returns(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), |stage, cluster| {
        let load = stage.load(cluster)?;
        cluster.node_mut(2).kill9()?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.wipe(2)?;
        cluster.wait_until("the primary has noticed that node 2 is gone", || {
            Ok(cluster.status(0)?.peers.iter().any(|peer| peer.node == 2 && !peer.is_connected))
        })?;
        cluster.format_from(0, 2)?;
        cluster.unplug(2);
        cluster.start_node(2)?;
        stage.did(
            "three nodes under load: a standby killed, its disk wiped, format --join, started",
        )?;
        let refusal = cluster.refusal(2, false);
        stage.expect(
            "the new disk cannot be promoted before it was admitted",
            refusal.as_ref().is_some_and(|text| text.contains("(not-admitted)")),
            refusal.unwrap_or_else(|| "it was promoted".to_owned()),
        )?;
        cluster.heal();
        let took = cluster.await_in_sync(0, &[1, 2])?;
        stage.did(format!("it caught up and was admitted in {:.0} ms", ms(took)))?;
        let killed_at = Instant::now();
        cluster.node_mut(0).kill9()?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, false)?;
        stage.did("kill -9 of the primary, promote of node 1 with the grant of the new disk")?;
        let what = "kill after a new disk, three nodes";
        stage.note_failover(cluster, &load, what, killed_at, noticed_at, &promoted)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[2])
    })
}

/// Promotes the node that lacks the most: alone it must refuse, with another it must take over that one's log.
pub(crate) fn stale_node_promotion(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), stale_node_promotion_on)
}

fn stale_node_promotion_on(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    cluster.node_mut(2).kill9()?;
    stage.await_more(cluster, &load, WARM_UP)?;
    cluster.node_mut(0).kill9()?;
    cluster.unplug(2);
    cluster.start_node(2)?;
    stage.did(
        "three nodes under load: a standby killed, then the primary; the stale one started, alone",
    )?;
    let refusal = cluster.refusal(2, false);
    stage.expect(
        "a node that lacks entries and reaches nobody is not promoted",
        refusal.as_ref().is_some_and(|text| text.contains("(grants)")),
        refusal.unwrap_or_else(|| "it was promoted".to_owned()),
    )?;
    cluster.heal();
    cluster.wait_until("the two nodes reach each other", || {
        Ok(cluster.status(2)?.peers.iter().any(|peer| peer.node == 1 && peer.is_connected))
    })?;
    let (stale, whole) = (cluster.status(2)?.end, cluster.status(1)?.end);
    let asked_at = Instant::now();
    let promoted = cluster.promote(2, false)?;
    stage.did(format!(
        "promote of the stale node, which ends at {stale}, beside one that ends at {whole}"
    ))?;
    stage.expect(
        "it takes over the longer log before it leads",
        cluster.status(2)?.end > whole,
        format!("its log goes on to {}", cluster.status(2)?.end),
    )?;
    let what = "promote of a stale node";
    stage.note_failover(cluster, &load, what, asked_at, asked_at, &promoted)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.finish(cluster, load, 2, &[1])
}

/// Two single copies: refused where the other one was heard of, loud where it was not.
pub(crate) fn rival_solo(stage: &mut Stage<'_>) -> Result<(), CliError> {
    rival_that_was_heard(stage)?;
    rival_that_was_not_heard(stage)
}

fn detach(cluster: &Cluster<'_>, primary: u8, gone: u8) -> Result<(), CliError> {
    cluster.wait_until("the primary has noticed that the other node is gone", || {
        let gone = |peer: &mizan_node::cluster::PeerView| peer.node == gone && !peer.is_connected;
        Ok(cluster.status(primary)?.peers.iter().any(gone))
    })?;
    match cluster.ask(primary, &AdminRequest::Detach { node: gone })? {
        AdminReply::Detached => Ok(()),
        reply => Err(CliError::Problem(format!("detach was answered with {reply:?}"))),
    }
}

fn rival_that_was_heard(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_faults: true, ..ClusterPlan::of(2) };
    stage.on_cluster(plan, rival_that_was_heard_on)
}

fn rival_that_was_heard_on(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    cluster.node_mut(1).kill9()?;
    detach(cluster, 0, 1)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.did(
        "two nodes under load: the standby killed, detach: the primary goes on as the only copy",
    )?;
    // So slow a disk hears of it long before it has caught up, which would ask for two copies again.
    cluster.set_fault(1, Some(Fault::Slow(SLOW_SYNC)))?;
    cluster.start_node(1)?;
    cluster.wait_until("the standby has heard of the single copy", || {
        Ok(cluster.status(1)?.min_sync == 1)
    })?;
    cluster.node_mut(0).kill9()?;
    cluster.set_fault(1, None)?;
    stage.did(
        "the standby started; it hears of that, and the primary is killed before it has caught up",
    )?;
    let refusal = cluster.refusal(1, true);
    stage.expect(
        "who heard of the single copy does not become a second one",
        refusal
            .as_ref()
            .is_some_and(|text| text.contains("(grants)") && text.contains("--accept-loss-after")),
        refusal.unwrap_or_else(|| "it was promoted".to_owned()),
    )?;
    cluster.start_node(0)?;
    cluster.wait_until("the two nodes reach each other", || {
        Ok(cluster.status(0)?.peers.iter().any(|peer| peer.is_connected))
    })?;
    cluster.promote_soon(0)?;
    cluster.await_in_sync(0, &[1])?;
    stage.did("the other one started again and promoted, with the grant of the standby")?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.finish(cluster, load, 0, &[1])
}

fn rival_that_was_not_heard(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(2), rival_that_was_not_heard_on)
}

fn rival_that_was_not_heard_on(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    let shared = load.stop();
    cluster.node_mut(1).kill9()?;
    detach(cluster, 0, 1)?;
    let alone = load_of(stage, cluster, 0, 1)?;
    let mut first = shared.clone();
    first.absorb(alone.clone());
    cluster.unplug(0);
    cluster.start_node(1)?;
    cluster.promote(1, true)?;
    let rival = load_of(stage, cluster, 1, 2)?;
    let mut second = shared;
    second.absorb(rival);
    stage.did("two nodes: detach on one, and, cut off from it, promote --solo of the other; a load on each")?;
    cluster.heal();
    let (status, said) = cluster.node_mut(0).wait_for_end(super::cluster::PATIENCE)?;
    let is_loud = !status.success() && said.contains("acknowledged");
    let last = said.lines().last().unwrap_or_default().to_owned();
    stage.expect(
        "when they meet, the older one stops with an alarm instead of losing anything",
        is_loud,
        format!("node 0 ended ({status}): {last}"),
    )?;
    cluster.terminate(&[1])?;
    stage.did(format!(
        "{} transfers are in one node's files alone; both sides are judged by what they acknowledged",
        alone.acknowledged()
    ))?;
    stage.judge(cluster, &first, 0, &[])?;
    stage.judge(cluster, &second, 1, &[])
}

/// A load on one node alone.
fn load_of(
    stage: &mut Stage<'_>,
    cluster: &Cluster<'_>,
    number: u8,
    part: u64,
) -> Result<History, CliError> {
    let nodes = vec![(number, cluster.node(number).address())];
    let load = Load::resume(&LoadPlan { nodes, ..stage.load_plan(cluster, part) })?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    Ok(load.stop())
}
