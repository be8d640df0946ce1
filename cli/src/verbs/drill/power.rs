//! Drills of real power loss: file systems of their own that forget what was not flushed.
//!
//! A `kill -9` leaves the page cache intact, so a node that never syncs passes any number of kills. Here each node has an
//! ext4 on a loop device. Its shutdown without a flush of the log is what a cut of the power is to it: what was not
//! synced is gone, whatever the node believed. Then the file system is mounted again, which replays its log.
//!
//! Needs root, loop devices and `mkfs.ext4`; where they are missing, the drill is skipped and says why.

use super::cluster::{Cluster, ClusterPlan, wait_until};
use super::failover::AFTERWARDS;
use super::load::{Load, LoadPlan};
use super::stage::{Stage, WARM_UP};
use crate::error::CliError;
use crate::scratch::{ScratchNode, ScratchOptions};
use mizan_journal::JournalIo;
use mizan_node::FormatOptions;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Size of a disk; its file is sparse.
const DISK_SIZE: u64 = 512 << 20;
/// Cuts of the power for each way of writing.
const CUTS: usize = 3;
/// `FS_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH` (linux/fs.h, fs/ext4/ext4.h): no library has a call for it that
/// is safe, so an interpreter of the system makes it.
const SHUTDOWN: [(&str, &str); 2] = [
    (
        "perl",
        r#"open(my $d, "<", $ARGV[0]) or die "$!"; ioctl($d, 0x8004587d, pack("L", 2)) or die "$!""#,
    ),
    (
        "python3",
        "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))",
    ),
];

/// A file system of its own.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
}

/// Runs a command; the error has what it said.
fn run(program: &str, arguments: &[&OsStr]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.trim().lines().next().unwrap_or("no word")))
}

impl Disk {
    /// Makes a file system in a file `NAME.img`, mounted at `NAME`.
    ///
    /// # Errors
    /// Why this machine cannot.
    pub(crate) fn make(directory: &Path, name: &str) -> Result<Self, String> {
        let image = directory.join(format!("{name}.img"));
        let mount_point = directory.join(name);
        let io = |error: std::io::Error| format!("cannot make {}: {error}", image.display());
        std::fs::File::create(&image).and_then(|file| file.set_len(DISK_SIZE)).map_err(io)?;
        std::fs::create_dir_all(&mount_point).map_err(io)?;
        let disk = Self { image, mount_point };
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image.as_os_str()])?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let (image, mount_point) = (self.image.as_os_str(), self.mount_point.as_os_str());
        run(
            "mount",
            &["-t".as_ref(), "ext4".as_ref(), "-o".as_ref(), "loop".as_ref(), image, mount_point],
        )
    }

    /// Where a node's files go.
    pub(crate) fn data(&self) -> PathBuf {
        self.mount_point.join("data")
    }

    /// Cuts the power: nothing that is not on the disk now will ever be.
    ///
    /// # Errors
    /// Nobody on this machine can ask the file system for it.
    pub(crate) fn cut_power(&self) -> Result<(), String> {
        let mut reasons = Vec::new();
        for (program, text) in SHUTDOWN {
            let flag = if program == "perl" { "-e" } else { "-c" };
            match run(program, &[flag.as_ref(), text.as_ref(), self.mount_point.as_os_str()]) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    /// Mounts the file system again, as a machine does that starts. Nobody may use it meanwhile.
    ///
    /// # Errors
    /// It cannot be mounted.
    pub(crate) fn power_on(&self) -> Result<(), String> {
        run("umount", &[self.mount_point.as_os_str()])?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still uses it loses it: the process that did is gone or going.
        let _ = run("umount", &["-l".as_ref(), self.mount_point.as_os_str()]);
    }
}

fn failed(reason: String) -> CliError {
    CliError::Problem(reason)
}

/// Tries all that the drills need, so that they are skipped for its lack and for nothing else.
fn probe(stage: &mut Stage<'_>) -> Result<bool, CliError> {
    let attempt = || -> Result<(), String> {
        let directory = TempDir::new().map_err(|error| error.to_string())?;
        let disk = Disk::make(directory.path(), "probe")?;
        disk.cut_power()?;
        disk.power_on()
    };
    match attempt() {
        Ok(()) => Ok(true),
        Err(reason) => {
            stage.skip(format!("no file system of its own can be had: {reason}")).map(|()| false)
        }
    }
}

const fn name_of(io: JournalIo) -> &'static str {
    match io {
        JournalIo::Mmap => "mmap",
        JournalIo::Direct => "direct",
    }
}

/// Cuts a single node's power several times under load, for both ways of writing.
pub(crate) fn power_loss(stage: &mut Stage<'_>) -> Result<(), CliError> {
    if !probe(stage)? {
        return Ok(());
    }
    for io in [JournalIo::Mmap, JournalIo::Direct] {
        one_node(stage, io)?;
    }
    Ok(())
}

fn one_node(stage: &mut Stage<'_>, io: JournalIo) -> Result<(), CliError> {
    let signals = stage.signals;
    let directory = TempDir::new().map_err(|error| failed(error.to_string()))?;
    let disk = Disk::make(directory.path(), "node").map_err(failed)?;
    let limits = FormatOptions {
        account_count_max: 10_000,
        transfer_count_max: 600_000,
        hold_count_max: 1_000,
        session_count_max: 64,
        digest_interval: 64,
        segment_size: 4 << 20,
        journal_io: io,
        ..FormatOptions::new(disk.data())
    };
    let options = ScratchOptions { limits, data: Some(disk.data()), keep: false, layout: None };
    let mut node = ScratchNode::format(options)?;
    node.start(signals)?;
    let plan = LoadPlan {
        nodes: vec![(0, node.address())],
        seed: stage.seed.wrapping_add((io as u64) << 40),
        batch: 16,
        is_full: true,
    };
    let load = Load::start(&plan)?;
    let more = |load: &Load, more: u64| {
        let target = load.acknowledged() + more;
        wait_until(signals, &format!("{more} more transfers are acknowledged"), || {
            Ok(load.acknowledged() >= target)
        })
    };
    let mut cuts = || {
        for cut in 0..CUTS {
            more(&load, WARM_UP + 1_111 * cut as u64)?;
            disk.cut_power().map_err(failed)?;
            node.kill9()?;
            disk.power_on().map_err(failed)?;
            node.start(signals)?;
        }
        more(&load, AFTERWARDS)
    };
    let outcome = cuts();
    if outcome.is_ok() {
        stage.did(format!(
            "a single node ({}) under load: the power cut {CUTS} times, the file system mounted and the node started again",
            name_of(io)
        ))?;
    }
    // Clients whose session was lost with what it had written go on no more; what else was lost, the oracle says.
    let history = load.stop();
    let judged = node.terminate().and_then(|_| stage.judge_files(&history, &disk.data(), &[]));
    outcome.and(judged)
}

/// Cuts the power of the primary, then of all nodes at once, for both ways of writing.
pub(crate) fn power_loss_cluster(stage: &mut Stage<'_>) -> Result<(), CliError> {
    if !probe(stage)? {
        return Ok(());
    }
    for journal_io in [JournalIo::Mmap, JournalIo::Direct] {
        let plan = ClusterPlan { has_disks: true, journal_io, ..ClusterPlan::of(3) };
        stage.on_cluster(plan, cluster_without_power)?;
    }
    Ok(())
}

fn cluster_without_power(stage: &mut Stage<'_>, cluster: &mut Cluster<'_>) -> Result<(), CliError> {
    let load = stage.load(cluster)?;
    cluster.cut_power(&[0])?;
    cluster.await_notice(1)?;
    let promoted = cluster.promote(1, false)?;
    cluster.wait_until("the new primary acknowledges", || {
        Ok(load.first_reply_above(promoted.epoch - 1).is_some())
    })?;
    cluster.power_on(&[0])?;
    cluster.await_in_sync(1, &[0, 2])?;
    stage.did("three nodes under load: the primary's power cut, promote of another; the first one is back and follows")?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    let mut history = load.stop();
    let full = LoadPlan { is_full: true, ..stage.load_plan(cluster, 1) };
    let load = Load::resume(&full)?;
    stage.await_more(cluster, &load, WARM_UP)?;
    cluster.cut_power(&[0, 1, 2])?;
    cluster.power_on(&[0, 1, 2])?;
    let promoted = cluster.promote_soon(2)?;
    cluster.await_in_sync(2, &[0, 1])?;
    stage.did(format!(
        "the power of all three cut at once under full load; all back, node 2 promoted in epoch {}",
        promoted.epoch
    ))?;
    stage.await_more(cluster, &load, AFTERWARDS)?;
    history.absorb(load.stop());
    stage.finish_history(cluster, &history, 2, &[0, 1])
}
