//! `mizan status --data`: what a node's files say of it, whether or not it runs.
//!
//! Of a node that has the directory now, its file of counters says everything at once; where none has it, the journal
//! is read, too. Invariants: nothing is written; a lock that another process holds is only looked at.
//!
//! What is absent: balances and counts of accounts, which take a replay (`mizan verify`).

use crate::error::CliError;
use crate::exit;
use crate::files::{JournalProgress, count_text, node_error, size_text};
use crate::output::{Output, Table};
use crate::verbs::node_status::{self, Seen};
use mizan_journal::{FileStorage, ScanEvent, ScanSummary, Superblock, scan};
use mizan_node::{NodeError, offline};
use mizan_wire::Genesis;
use rustix::fs::FlockOperation;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The file whose lock a running node holds; it names the last holder's process.
const LOCK_FILE: &str = "LOCK";
/// Characters of a process's number at the most.
const HOLDER_SIZE_MAX: u64 = 32;

struct FilesStatus {
    superblock: Superblock,
    genesis: Genesis,
    journal: ScanSummary,
    holder: Option<String>,
    problems: Vec<String>,
    tail_bytes: u64,
    disk_bytes: u64,
}

/// Shows the state of the files in `data`.
///
/// # Errors
/// Files that cannot be read at all. Cost: a few pages if a node has the directory, else the whole journal once.
pub(super) fn show(output: &mut Output, data: &Path) -> Result<u8, CliError> {
    let superblock = offline::superblock(data).map_err(|error| node_error(&error))?;
    let holder = holder_id(data).map_err(|source| CliError::File {
        what: format!("failed to look at the lock of {}", data.display()),
        source,
    })?;
    // A holder whose number cannot be read is nobody's process.
    let process = holder.as_ref().map(|id| id.parse().unwrap_or(0));
    let seen = match node_status::read(data, process) {
        Ok(seen) => Some(seen),
        Err(error) => {
            output.note(error.to_string())?;
            None
        }
    };
    match seen {
        Some(seen) if seen.is_alive() => show_alive(output, data, &superblock, &seen),
        seen => show_files(output, data, seen.as_ref()),
    }
}

/// Shows a node that has the directory now.
fn show_alive(
    output: &mut Output,
    data: &Path,
    superblock: &Superblock,
    seen: &Seen,
) -> Result<u8, CliError> {
    if output.is_json() {
        output.json(&json!({
            "data": data.display().to_string(),
            "held_by": holder(data).unwrap_or_default(),
            "cluster": format!("{:#x}", superblock.cluster),
            "node": superblock.node,
            "clean": superblock.clean,
            "segment_size": superblock.segment_size,
            "journal_io": superblock.journal_io.name(),
            "counters": seen.json(),
        }))?;
    } else {
        seen.show(output)?;
    }
    Ok(seen.exit_code())
}

/// Shows the files, and what the last node said of itself.
fn show_files(output: &mut Output, data: &Path, seen: Option<&Seen>) -> Result<u8, CliError> {
    let status = read(output, data).map_err(|error| node_error(&error))?;
    if output.is_json() {
        output.json(&as_json(&status, data, seen))?;
    } else {
        if let Some(seen) = seen {
            seen.show(output)?;
            output.line("")?;
        }
        output.table(&table(&status, data))?;
        status
            .problems
            .iter()
            .try_for_each(|problem| output.note(format!("problem: {problem}")))?;
    }
    Ok(if status.problems.is_empty() {
        seen.map_or(exit::OK, Seen::exit_code)
    } else {
        exit::CORRUPT
    })
}

fn read(output: &Output, data: &Path) -> Result<FilesStatus, NodeError> {
    let superblock = offline::superblock(data)?;
    let genesis = offline::genesis(data)?;
    let failed =
        |source| NodeError::Io { what: format!("failed to read {}", data.display()), source };
    let holder = holder(data).map_err(failed)?;
    let disk_bytes = disk_bytes(data).map_err(failed)?;
    let (mut problems, mut tail_bytes) = (Vec::new(), 0);
    let bar = JournalProgress::new(output, "reading");
    let journal = scan(&FileStorage::new(data), false, &mut |event| {
        match event {
            ScanEvent::Damage(damage) => problems.push(damage.to_string()),
            ScanEvent::Problem(problem) => problems.push(problem.to_string()),
            ScanEvent::Tail(tail) => tail_bytes = tail.bytes,
            ScanEvent::Progress { bytes_done, bytes_total } => {
                bar.show(mizan_node::RecoveryProgress {
                    bytes_done,
                    bytes_total,
                    ..Default::default()
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(FilesStatus { superblock, genesis, journal, holder, problems, tail_bytes, disk_bytes })
}

/// The process that holds the directory, in words.
pub(crate) fn holder(data: &Path) -> std::io::Result<Option<String>> {
    Ok(holder_id(data)?.map(|id| format!("process {id}")))
}

/// Its number, as it wrote it. A shared lock, taken for a moment, tells: a node's is exclusive.
fn holder_id(data: &Path) -> std::io::Result<Option<String>> {
    let mut file = match File::open(data.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            (&mut file).take(HOLDER_SIZE_MAX).read_to_string(&mut text)?;
            Ok(Some(text.trim().to_owned()))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes that the directory's files take on disk.
fn disk_bytes(data: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in std::fs::read_dir(data)? {
        let metadata = entry?.metadata()?;
        // st_blocks counts 512 bytes each, whatever the file system's own blocks are.
        sum += if metadata.is_file() { metadata.blocks() * 512 } else { 0 };
    }
    Ok(sum)
}

fn table(status: &FilesStatus, data: &Path) -> Table {
    let FilesStatus { superblock, genesis, journal, .. } = status;
    let mut table = Table::new(&["files", "value"], 2);
    for (name, value) in [
        ("directory", data.display().to_string()),
        ("held by", status.holder.clone().unwrap_or_else(|| "nobody".to_owned())),
        ("cluster", format!("{:#x}", superblock.cluster)),
        ("node", superblock.node.to_string()),
        ("epoch", superblock.highest_epoch.to_string()),
        ("closed in order", if superblock.clean { "yes" } else { "no" }.to_owned()),
        ("last sequence", last_sequence(journal).to_string()),
        ("log entries", count_text(journal.entries)),
        ("frames", count_text(journal.frames)),
        ("payload", size_text(journal.payload_bytes)),
        (
            "segments in use",
            format!("{} of {}", journal.segments, size_text(superblock.segment_size)),
        ),
        ("journal written by", superblock.journal_io.name().to_owned()),
        ("on disk", size_text(status.disk_bytes)),
        ("unacknowledged tail", size_text(status.tail_bytes)),
        ("accounts at most", count_text(genesis.account_count_max)),
        ("transfers at most", count_text(genesis.transfer_count_max)),
    ] {
        table.row([name.to_owned(), value]);
    }
    table
}

const fn last_sequence(journal: &ScanSummary) -> u64 {
    journal.next_sequence.saturating_sub(1)
}

fn as_json(status: &FilesStatus, data: &Path, seen: Option<&Seen>) -> Value {
    let FilesStatus { superblock, genesis, journal, .. } = status;
    json!({
        "data": data.display().to_string(),
        "held_by": status.holder,
        "cluster": format!("{:#x}", superblock.cluster),
        "node": superblock.node,
        "counters": seen.map(Seen::json),
        "epoch": superblock.highest_epoch,
        "clean": superblock.clean,
        "sequence": last_sequence(journal),
        "entries": journal.entries,
        "frames": journal.frames,
        "payload_bytes": journal.payload_bytes,
        "segments": journal.segments,
        "segment_size": superblock.segment_size,
        "journal_io": superblock.journal_io.name(),
        "disk_bytes": status.disk_bytes,
        "tail_bytes": status.tail_bytes,
        "accounts_max": genesis.account_count_max,
        "transfers_max": genesis.transfer_count_max,
        "problems": status.problems,
    })
}
