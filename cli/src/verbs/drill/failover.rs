//! Drills in which a primary goes and another node takes over.

use super::cluster::{Cluster, ClusterPlan};
use super::history::Seen;
use super::proxy::Direction;
use super::stage::Stage;
use crate::error::CliError;
use mizan_client::{Client, ClientConfig};
use mizan_node::cluster::Policy;
use mizan_wire::{CREATED, CreateTransferStatus, Status, Transfer};
use std::time::Instant;

/// Acknowledged transfers that are sent once more.
const REPEATED: usize = 400;
/// Transfers that must be acknowledged after a repair.
pub(crate) const AFTERWARDS: u64 = 500;

/// Kills the primary: of two nodes, of three, and of three whose packets are lost instead of refused.
pub(crate) fn kill_primary(stage: &mut Stage<'_>) -> Result<(), CliError> {
    kill_of_two(stage)?;
    kill_of_three(stage)?;
    lose_of_three(stage)
}

/// Of two nodes: the other one goes on alone until the killed one is back.
pub(crate) fn kill_of_two(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(2), |stage, cluster| {
        let load = stage.load(cluster)?;
        let killed_at = Instant::now();
        cluster.node_mut(0).kill9()?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, true)?;
        stage.did("two nodes under load: kill -9 of the primary, promote --solo of the other")?;
        stage.note_failover(cluster, &load, "kill, two nodes", killed_at, noticed_at, &promoted)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.start_node(0)?;
        cluster.await_in_sync(1, &[0])?;
        stage
            .did("started the killed node again: it follows, and two copies are asked for again")?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[0])
    })
}

fn kill_of_three(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), |stage, cluster| {
        let load = stage.load(cluster)?;
        let killed_at = Instant::now();
        cluster.node_mut(0).kill9()?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, false)?;
        stage.did("three nodes under load: kill -9 of the primary, promote of another")?;
        stage.note_failover(
            cluster,
            &load,
            "kill, three nodes",
            killed_at,
            noticed_at,
            &promoted,
        )?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[2])
    })
}

/// The machine of the primary is gone: no packet of it arrives, and nobody refuses a connection to it.
fn lose_of_three(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_client_cables: true, ..ClusterPlan::of(3) };
    stage.on_cluster(plan, |stage, cluster| {
        let load = stage.load(cluster)?;
        let lost_at = Instant::now();
        cluster.isolate(0);
        cluster.isolate_from_clients(0);
        cluster.node_mut(0).kill9()?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, false)?;
        stage
            .did("three nodes under load: every packet of the primary lost, promote of another")?;
        let what = "packets lost, three nodes";
        stage.note_failover(cluster, &load, what, lost_at, noticed_at, &promoted)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[2])
    })
}

/// Suspends the primary, promotes the other, and lets the old one go on: it must not answer anything.
pub(crate) fn pause_primary(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(2), |stage, cluster| {
        let load = stage.load(cluster)?;
        let paused_at = Instant::now();
        cluster.node(0).pause();
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, true)?;
        stage.did("two nodes under load: SIGSTOP of the primary, promote --solo of the other")?;
        let what = "SIGSTOP, two nodes";
        stage.note_failover(cluster, &load, what, paused_at, noticed_at, &promoted)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.node(0).resume();
        stage.did("SIGCONT of the old primary")?;
        cluster.await_in_sync(1, &[0])?;
        expect_fenced(stage, cluster, 0, promoted.epoch)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[0])
    })
}

/// An old primary must know the new epoch, and follow.
pub(crate) fn expect_fenced(
    stage: &mut Stage<'_>,
    cluster: &Cluster<'_>,
    old: u8,
    epoch: u64,
) -> Result<(), CliError> {
    let status = cluster.status_soon(old)?;
    let held = status.role == "live" && status.epoch >= epoch;
    stage.expect(
        format!("node {old}, primary before, is fenced and follows in epoch {epoch}"),
        held,
        format!("node {old} is {} in epoch {}", status.role, status.epoch),
    )
}

/// Alone a node may lack what only the primary's disk held: a promotion says so first.
pub(crate) fn policy_disk(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(
        ClusterPlan { policy: Policy::Disk, ..ClusterPlan::of(2) },
        |stage, cluster| {
            let load = stage.load(cluster)?;
            cluster.node_mut(0).kill9()?;
            cluster.await_notice(1)?;
            stage.did("two nodes, policy disk, under load: kill -9 of the primary")?;
            expect_word_of_loss(stage, cluster, 1)?;
            cluster.start_node(0)?;
            await_meeting(cluster, 1)?;
            cluster.promote(1, false)?;
            stage
                .did("the killed node started again, and the other one promoted with its grant")?;
            cluster.await_in_sync(1, &[0])?;
            stage.await_more(cluster, &load, AFTERWARDS)?;
            stage.finish(cluster, load, 1, &[0])
        },
    )
}

fn expect_word_of_loss(
    stage: &mut Stage<'_>,
    cluster: &Cluster<'_>,
    number: u8,
) -> Result<(), CliError> {
    let refusal = cluster.refusal(number, false);
    stage.expect(
        "the other one is not promoted without a word about what may be lost",
        refusal.as_ref().is_some_and(|text| text.contains("--accept-loss-after")),
        refusal.unwrap_or_else(|| "it was promoted".to_owned()),
    )
}

fn await_meeting(cluster: &Cluster<'_>, number: u8) -> Result<(), CliError> {
    cluster
        .wait_until("the two nodes reach each other", || {
            Ok(cluster.status(number)?.peers.iter().any(|peer| peer.is_connected))
        })
        .map(drop)
}

/// Promotes both standbys at once: one wins, or one after the other, each in an epoch of its own.
pub(crate) fn double_promotion(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), |stage, cluster| {
        let load = stage.load(cluster)?;
        cluster.node_mut(0).kill9()?;
        cluster.await_notice(1)?;
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| cluster.promote(2, false));
            (cluster.promote(1, false), other.join())
        });
        let other = other.unwrap_or_else(|_| {
            Err(CliError::Problem("the second operator's thread panicked".to_owned()))
        });
        stage.did(
            "three nodes under load: kill -9 of the primary, promote of both others at once",
        )?;
        let word = |outcome: &Result<_, CliError>| match outcome {
            Ok(_) => "promoted".to_owned(),
            Err(error) => error.to_string(),
        };
        let epochs = [&one, &other].map(|outcome| outcome.as_ref().ok().map(|won| won.epoch));
        let held = epochs[0].is_none() || epochs[0] != epochs[1];
        let seen = format!("node 1: {}; node 2: {}", word(&one), word(&other));
        stage.expect("never two are promoted in one epoch", held, seen)?;
        let (primary, repeated) = await_leader(cluster, [1, 2])?;
        if repeated > 0 {
            stage.did("each of the two stood in the other's way: promote of node 2 once more")?;
        }
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.start_node(0)?;
        let standbys = cluster.all_but(&[primary]);
        cluster.await_in_sync(primary, &standbys)?;
        stage.did(format!("node {primary} leads; the killed one was started again and follows"))?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, primary, &standbys)
    })
}

/// Waits until one of two nodes leads and the other follows. If both promotions came to nothing, it asks again, as
/// operators do who are refused; says who leads, and how often that took.
fn await_leader(cluster: &Cluster<'_>, nodes: [u8; 2]) -> Result<(u8, u32), CliError> {
    let (mut primary, mut repeated) = (nodes[0], 0);
    cluster.wait_until("one of the two leads and the other follows", || {
        // A node that was fenced does not answer while it starts again.
        let roles = nodes.map(|number| cluster.status(number).ok().map(|status| status.role));
        let [Some(one), Some(other)] = roles else { return Ok(false) };
        if one == "waiting" && other == "waiting" {
            repeated += u32::from(cluster.promote(nodes[1], false).is_ok());
            return Ok(false);
        }
        primary = if one == "primary" { nodes[0] } else { nodes[1] };
        Ok(matches!((&*one, &*other), ("primary", "live") | ("live", "primary")))
    })?;
    Ok((primary, repeated))
}

/// Loses the replies, then the primary: clients send everything unanswered again, to another node.
pub(crate) fn client_retry(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_client_cables: true, ..ClusterPlan::of(3) };
    stage.on_cluster(plan, client_retry_on)
}

fn client_retry_on(stage: &mut Stage<'_>, cluster: &mut Cluster<'_>) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    if let Some(cable) = cluster.client_cable(0) {
        cable.drop_silently(Direction::Down);
    }
    // What is committed from here on is answered to nobody.
    let before = cluster.status(0)?.end;
    cluster.wait_until("requests are committed whose replies are lost", || {
        let status = cluster.status(0)?;
        Ok(status.commit > before && status.commit == status.end)
    })?;
    let lost_at = Instant::now();
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, false)?;
    stage.did("three nodes under load: all replies lost, then kill -9 of the primary, promote")?;
    let what = "kill after lost replies, three nodes";
    stage.note_failover(cluster, &load, what, lost_at, noticed_at, &promoted)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    let history = load.stop();
    stage.expect(
        "requests that were executed before the kill are answered from the stored replies",
        history.replayed > 0,
        format!("{} replies were stored ones", history.replayed),
    )?;
    let created: Vec<(Transfer, u64)> = history
        .attempts
        .iter()
        .filter_map(|attempt| match attempt.seen {
            Seen::Acknowledged(result) if result.status == CREATED => {
                Some((attempt.transfer, result.timestamp))
            }
            _ => None,
        })
        .take(REPEATED)
        .collect();
    let same = repeat(cluster, &created)?;
    stage.expect(
        "transfers that were acknowledged by the old primary, sent to the new one as new requests, get their original result",
        same == created.len(),
        format!("{same} of {}", created.len()),
    )?;
    stage.finish_history(cluster, &history, 1, &[2])
}

/// Sends transfers once more, as another client; counts those that are answered with their first timestamp.
fn repeat(cluster: &Cluster<'_>, created: &[(Transfer, u64)]) -> Result<usize, CliError> {
    let config = ClientConfig { addresses: cluster.client_addresses(), ..ClientConfig::default() };
    let mut client = Client::connect(config)?;
    let transfers: Vec<Transfer> = created.iter().map(|(transfer, _)| *transfer).collect();
    let results = client.create_transfers(&transfers)?;
    client.close()?;
    let is_same = |((_, timestamp), result): &(&(Transfer, u64), &mizan_wire::CreateResult)| {
        result.status == CreateTransferStatus::Exists.number() && result.timestamp == *timestamp
    };
    Ok(created.iter().zip(&results).filter(is_same).count())
}
