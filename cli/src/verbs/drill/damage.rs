//! Drills in which a disk is torn, rots, is full, fails, or dawdles.

use super::cluster::{Cluster, ClusterPlan, PATIENCE};
use super::failover::AFTERWARDS;
use super::load::{Load, LoadPlan};
use super::stage::Stage;
use crate::error::CliError;
use crate::fault::Fault;
use crate::files::node_error;
use mizan_client::{Client, ClientConfig};
use mizan_journal::constants::{FRAME_HEADER_SIZE, SEGMENT_SIZE_MIN};
use mizan_journal::{FileStorage, Position, ScanEvent, ScanSummary, scan, segment_name};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// A torn frame is cut at every so many bytes.
const CUT_STEP: u64 = 16;
/// A full disk: no file may grow beyond this, so that no further segment can be made.
const FULL_SIZE: u64 = 1 << 20;
/// How long a slow disk takes for a sync.
const SLOW_SYNC: Duration = Duration::from_millis(300);
/// Without an acknowledgement for so long, a load stands still.
const STANDSTILL: Duration = Duration::from_millis(700);

/// A frame in the files.
#[derive(Clone, Copy, Debug)]
struct Found {
    sequence: u64,
    position: Position,
    size: u64,
}

/// What a scan of the files comes to: frames, and whether anything is damaged.
struct Scanned {
    frames: Vec<Found>,
    damage: Vec<String>,
    summary: ScanSummary,
}

fn scanned(data: &Path) -> Result<Scanned, CliError> {
    let (mut frames, mut damage) = (Vec::new(), Vec::new());
    let summary = scan(&FileStorage::new(data), false, &mut |event| {
        match event {
            ScanEvent::Frame(frame) => frames.push(Found {
                sequence: frame.sequence,
                position: frame.position,
                size: FRAME_HEADER_SIZE as u64 + frame.payload.len() as u64,
            }),
            ScanEvent::Damage(found) => damage.push(found.to_string()),
            ScanEvent::Problem(found) => damage.push(found.to_string()),
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| node_error(&error.into()))?;
    Ok(Scanned { frames, damage, summary })
}

fn change(
    data: &Path,
    position: Position,
    offset: u64,
    change: impl FnOnce(&mut Vec<u8>),
    size: u64,
) -> Result<(), CliError> {
    let path = data.join(segment_name(position.segment));
    let file =
        |source| CliError::File { what: format!("cannot change {}", path.display()), source };
    let mut options = std::fs::OpenOptions::new();
    let mut segment = options.read(true).write(true).open(&path).map_err(file)?;
    let at = SeekFrom::Start(position.offset + offset);
    let mut bytes = vec![0; size as usize];
    segment.seek(at).and_then(|_| segment.read_exact(&mut bytes)).map_err(file)?;
    change(&mut bytes);
    segment.seek(at).and_then(|_| segment.write_all(&bytes)).map_err(file)?;
    segment.sync_all().map_err(file)
}

/// Zeros the end of a frame from `keep` bytes on, as a write that was cut leaves it.
fn tear(data: &Path, frame: Found, keep: u64) -> Result<(), CliError> {
    change(data, frame.position, keep, |bytes| bytes.fill(0), frame.size - keep)
}

/// Tears the last frame of a killed primary at many offsets, and lets it come back so.
pub(crate) fn torn_tail(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(2), torn_tail_on)
}

fn torn_tail_on(stage: &mut Stage<'_>, cluster: &mut Cluster<'_>) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    let killed_at = Instant::now();
    cluster.node_mut(0).kill9()?;
    let noticed_at = cluster.await_notice(1)?;
    let promoted = cluster.promote(1, true)?;
    stage.did("two nodes under load: kill -9 of the primary, promote --solo of the other")?;
    let what = "kill, two nodes";
    stage.note_failover(cluster, &load, what, killed_at, noticed_at, &promoted)?;
    let copy = cluster.path().join("torn");
    copy_files(&cluster.data(0), &copy)?;
    let whole = scanned(&copy)?;
    let Some(last) = whole.frames.last().copied() else {
        return Err(CliError::Problem("the killed primary has no frames".to_owned()));
    };
    let mut wrong = Vec::new();
    let cuts: Vec<u64> = (0..last.size).step_by(CUT_STEP as usize).collect();
    for keep in cuts.iter().rev() {
        tear(&copy, last, *keep)?;
        let torn = scanned(&copy)?;
        let end = torn.frames.last().map_or(0, |frame| frame.sequence);
        if !torn.damage.is_empty()
            || end >= last.sequence
            || torn.frames.len() + 1 != whole.frames.len()
        {
            wrong.push(format!("cut to {keep} bytes: ends with {end}, {:?}", torn.damage));
        }
    }
    stage.did(format!(
        "a copy of its files with the last frame ({} bytes, at {} of {} entries) torn at {} offsets",
        last.size,
        last.sequence,
        whole.summary.entries,
        cuts.len()
    ))?;
    stage.expect(
        "a torn frame ends the log before it, and is no damage",
        wrong.is_empty(),
        if wrong.is_empty() { "so at every offset".to_owned() } else { wrong.join("; ") },
    )?;
    tear(&cluster.data(0), last, last.size / 2)?;
    cluster.start_node(0)?;
    cluster.await_in_sync(1, &[0])?;
    stage.did(
        "the killed node's own last frame torn in the middle, and the node started: it follows",
    )?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.finish(cluster, load, 1, &[0])
}

fn copy_files(from: &Path, to: &Path) -> Result<(), CliError> {
    let copied = || -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copied()
        .map_err(|source| CliError::File { what: "cannot copy a node's files".to_owned(), source })
}

/// Flips a bit in the middle of a standby's log, then of the primary's: both refuse to start, and get a new disk.
pub(crate) fn bit_flip(stage: &mut Stage<'_>) -> Result<(), CliError> {
    stage.on_cluster(ClusterPlan::of(3), |stage, cluster| {
        let load = stage.load(cluster)?;
        cluster.node_mut(2).kill9()?;
        stage.did("three nodes under load: a standby killed, one bit of its log flipped")?;
        flip_and_replace(stage, cluster, 2, 0)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        let killed_at = Instant::now();
        cluster.node_mut(0).kill9()?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, false)?;
        stage.did(
            "kill -9 of the primary, promote of another, one bit of the old primary's log flipped",
        )?;
        let what = "kill, three nodes";
        stage.note_failover(cluster, &load, what, killed_at, noticed_at, &promoted)?;
        flip_and_replace(stage, cluster, 0, 1)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.finish(cluster, load, 1, &[0, 2])
    })
}

fn flip_and_replace(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
    number: u8,
    primary: u8,
) -> Result<(), CliError> {
    let data = cluster.data(number);
    let frames = scanned(&data)?.frames;
    let middle = frames[frames.len() / 2];
    change(&data, middle.position, middle.size / 2, |bytes| bytes[0] ^= 1, 1)?;
    let refused = cluster.start_node(number).err().map(|error| error.to_string());
    let place = format!("offset {}", middle.position.offset);
    stage.expect(
        format!("node {number} refuses to start, as damaged, and says where"),
        refused
            .as_ref()
            .is_some_and(|text| text.contains("exit status: 5") && text.contains(&place)),
        refused.unwrap_or_else(|| "it started".to_owned()),
    )?;
    cluster.wipe(number)?;
    cluster.wait_until("the primary has noticed that the node is gone", || {
        let is_gone =
            |peer: &mizan_node::cluster::PeerView| peer.node == number && !peer.is_connected;
        Ok(cluster.status(primary)?.peers.iter().any(is_gone))
    })?;
    cluster.format_from(primary, number)?;
    cluster.start_node(number)?;
    let others = cluster.all_but(&[primary]);
    let others: Vec<u8> =
        others.into_iter().filter(|other| cluster.status(*other).is_ok()).collect();
    cluster.await_in_sync(primary, &others)?;
    stage.did(format!("node {number} got a new disk from node {primary}, and is in sync"))
}

/// Fills the standby's disk, then the primary's: nothing is acknowledged that is not kept, and it goes on with room.
pub(crate) fn disk_full(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { segment_size: SEGMENT_SIZE_MIN, ..ClusterPlan::of(2) };
    stage.on_cluster(plan, disk_full_on)
}

fn disk_full_on(stage: &mut Stage<'_>, cluster: &mut Cluster<'_>) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    let mut history = load.stop();
    let full = LoadPlan { batch: 64, is_full: true, ..stage.load_plan(cluster, 1) };
    let load = Load::resume(&full)?;
    cluster.node(1).limit_file_size(Some(FULL_SIZE))?;
    cluster.wait_until("the standby has no room", || {
        let status = cluster.status(1)?;
        Ok(status.not_ready.is_some_and(|text| text.contains("no room")))
    })?;
    await_standstill(cluster, &load)?;
    stage.did("two nodes under load: the standby's disk full (a limit on its files), until nothing is acknowledged")?;
    let roles = [cluster.status(0)?.role, cluster.status(1)?.role];
    stage.expect(
        "both nodes run, and say what is wrong",
        roles == ["primary", "live"],
        format!("node 0 is {}, node 1 is {}: no room for the primary's frames", roles[0], roles[1]),
    )?;
    cluster.node(1).limit_file_size(None)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.did("room again: it goes on by itself")?;
    cluster.node(0).limit_file_size(Some(FULL_SIZE))?;
    await_standstill(cluster, &load)?;
    stage.did("the primary's disk full, until nothing is acknowledged")?;
    let config = ClientConfig { read_only: true, ..ClientConfig::at(cluster.node(0).address()) };
    let read = Client::connect(config)?.lookup_accounts(&[1]);
    stage.expect(
        "reads go on",
        read.as_ref().is_ok_and(|accounts| accounts.len() == 1),
        read.map_or_else(|error| error.to_string(), |_| "an account was read".to_owned()),
    )?;
    cluster.node(0).limit_file_size(None)?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    stage.did("room again: it goes on by itself")?;
    history.absorb(load.stop());
    stage.finish_history(cluster, &history, 0, &[1])
}

/// Waits until nothing was acknowledged for a while.
fn await_standstill(cluster: &Cluster<'_>, load: &Load) -> Result<(), CliError> {
    let (mut last, mut since) = (load.acknowledged(), Instant::now());
    cluster
        .wait_until("nothing is acknowledged any more", || {
            let now = load.acknowledged();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            Ok(since.elapsed() >= STANDSTILL)
        })
        .map(drop)
}

/// Lets a sync fail, on the primary and on a standby: the process ends, and nothing is lost by that.
pub(crate) fn failing_sync(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_faults: true, ..ClusterPlan::of(3) };
    stage.on_cluster(plan, |stage, cluster| {
        let load = stage.load(cluster)?;
        let failed_at = Instant::now();
        cluster.set_fault(0, Some(Fault::Fail))?;
        let noticed_at = cluster.await_notice(1)?;
        let promoted = cluster.promote(1, false)?;
        stage.did("three nodes under load: the primary's next sync fails; promote of another")?;
        let what = "failing sync, three nodes";
        stage.note_failover(cluster, &load, what, failed_at, noticed_at, &promoted)?;
        expect_end(stage, cluster, 0)?;
        cluster.set_fault(0, None)?;
        cluster.start_node(0)?;
        cluster.await_in_sync(1, &[0, 2])?;
        stage.did("started it again on a sound disk: it follows")?;
        cluster.set_fault(2, Some(Fault::Fail))?;
        expect_end(stage, cluster, 2)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.set_fault(2, None)?;
        cluster.start_node(2)?;
        cluster.await_in_sync(1, &[0, 2])?;
        stage.did(
            "a standby's sync fails: the load goes on without it; started again, it follows",
        )?;
        stage.finish(cluster, load, 1, &[0, 2])
    })
}

fn expect_end(
    stage: &mut Stage<'_>,
    cluster: &mut Cluster<'_>,
    number: u8,
) -> Result<(), CliError> {
    let (status, said) = cluster.node_mut(number).wait_for_end(PATIENCE)?;
    let last = said.lines().last().unwrap_or_default().to_owned();
    stage.expect(
        format!("node {number} ends by itself and says why, and tries nothing again"),
        !status.success() && said.contains("sync"),
        format!("{status}: {last}"),
    )
}

/// Slows a standby's disk, then the primary's: the first is not noticed, the second is no reason to fail over.
pub(crate) fn slow_disk(stage: &mut Stage<'_>) -> Result<(), CliError> {
    let plan = ClusterPlan { has_faults: true, ..ClusterPlan::of(3) };
    stage.on_cluster(plan, |stage, cluster| {
        let load = stage.load(cluster)?;
        let epoch = cluster.status(0)?.epoch;
        cluster.set_fault(2, Some(Fault::Slow(SLOW_SYNC)))?;
        stage.await_more(cluster, &load, 4 * AFTERWARDS)?;
        stage.did(format!(
            "three nodes under load: each sync of a standby takes {} ms longer",
            SLOW_SYNC.as_millis()
        ))?;
        cluster.set_fault(2, None)?;
        cluster.set_fault(0, Some(Fault::Slow(SLOW_SYNC)))?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        stage.did("each sync of the primary takes as much longer")?;
        let silent: Vec<u8> = [1, 2]
            .into_iter()
            .filter(|number| {
                cluster.status(*number).is_ok_and(|status| {
                    status.alarms.iter().any(|alarm| alarm.name == "primary-silent")
                })
            })
            .collect();
        let status = cluster.status(0)?;
        stage.expect(
            "nobody takes a slow primary for a dead one",
            silent.is_empty() && status.role == "primary" && status.epoch == epoch,
            format!("node 0 is {} in epoch {}, alarms at {silent:?}", status.role, status.epoch),
        )?;
        cluster.set_fault(0, None)?;
        stage.await_more(cluster, &load, AFTERWARDS)?;
        cluster.await_in_sync(0, &[1, 2])?;
        stage.finish(cluster, load, 0, &[1, 2])
    })
}
