//! What can be said of a data directory from its files alone, without a node and without changing anything.

use crate::error::NodeError;
use crate::recover::{EntryError, RecoveryProgress, Replay, for_each_entry, read_genesis};
use mizan_engine::Engine;
use mizan_journal::{FileStorage, Frame, ScanEvent, ScanSummary, Superblock, VisitorError, scan};
use mizan_wire::{EngineStatus, Genesis, RequestHeader, TrialBalanceRow};
use std::path::Path;

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// What the scan of the files counted.
    pub journal: ScanSummary,
    /// Everything that is wrong, with its place; empty when all is well.
    pub problems: Vec<String>,
    /// Whether some of the problems are damage to durable entries.
    pub is_damaged: bool,
    /// Bytes behind the end of the log that a crash left; the next start puts them into quarantine.
    pub unsynced_tail: Option<String>,
    /// The state after the last entry.
    pub engine: EngineStatus,
    /// Sums per ledger, recomputed from every account.
    pub trial_balance: Vec<TrialBalanceRow>,
    /// Digest records in the log that the replay confirmed.
    pub digests_confirmed: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.trial_balance.iter().all(TrialBalanceRow::is_balanced)
    }
}

/// The superblock of a data directory.
///
/// # Errors
/// A directory that is not formatted, or whose superblock is damaged.
pub fn superblock(data: &Path) -> Result<Superblock, NodeError> {
    Ok(Superblock::read(&FileStorage::new(data))?)
}

/// The limits fixed at format.
///
/// # Errors
/// As [`superblock`]; a genesis record of another version.
pub fn genesis(data: &Path) -> Result<Genesis, NodeError> {
    read_genesis(&data.display().to_string(), &superblock(data)?.genesis)
}

/// Reads every frame, checks the chain, replays every entry, compares every digest, and audits the final state.
///
/// Damage is part of the report; the replay covers what stands before it.
///
/// # Errors
/// What keeps the files from being read at all.
pub fn verify(
    data: &Path,
    progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<VerifyReport, NodeError> {
    Ok(replay(data, progress)?.0)
}

/// As [`verify`]; gives the state after the last sound entry, too.
///
/// # Errors
/// As [`verify`].
pub fn replay(
    data: &Path,
    progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<(VerifyReport, Engine), NodeError> {
    let genesis = genesis(data)?;
    let mut report = VerifyReport::default();
    let mut ignore = |_: RecoveryProgress| ();
    let mut replay = Replay::new(&genesis, &mut ignore)?;
    let mut replay_failed = false;
    let summary = scan(&FileStorage::new(data), false, &mut |event| {
        match event {
            ScanEvent::Frame(frame) if !replay_failed => {
                replay_failed = !replay_frame(&mut replay, frame, &mut report);
            }
            ScanEvent::Damage(damage) => {
                report.is_damaged = true;
                report.problems.push(damage.to_string());
                // What comes behind does not continue what stands before.
                replay_failed = true;
            }
            ScanEvent::Problem(problem) => report.problems.push(problem.to_string()),
            ScanEvent::Tail(tail) => {
                report.unsynced_tail = Some(format!(
                    "{} bytes behind sequence {} in segment {} at offset {} ({})",
                    tail.bytes,
                    tail.sequence - 1,
                    tail.position.segment,
                    tail.position.offset,
                    tail.reason
                ));
            }
            ScanEvent::Progress { bytes_done, bytes_total } => progress(RecoveryProgress {
                bytes_done,
                bytes_total,
                entries: replay.engine.sequence(),
                transfers: replay.engine.status().transfer_count,
            }),
            _ => {}
        }
        Ok(())
    })?;
    report.journal = summary;
    if let Err(error) = replay.engine.check_invariants() {
        report.problems.push(format!("the replayed state breaks an invariant: {error}"));
    }
    report.engine = replay.engine.status();
    report.trial_balance = replay.engine.trial_balance();
    Ok((report, replay.engine))
}

/// Whether the frame could be applied.
fn replay_frame(replay: &mut Replay<'_>, frame: &Frame<'_>, report: &mut VerifyReport) -> bool {
    let digests = for_each_entry(frame, |_, header, _| {
        if header.operation == mizan_wire::Operation::Digest.number() {
            report.digests_confirmed += 1;
        }
        Ok::<(), EntryError>(())
    });
    let applied = digests.map_err(Into::into).and_then(|()| replay.apply(frame));
    if let Err(error) = &applied {
        report.is_damaged = true;
        report.problems.push(format!(
            "{error} (frame in segment {} at offset {})",
            frame.position.segment, frame.position.offset
        ));
    }
    applied.is_ok()
}

/// What is done with each log entry: its sequence, header and body.
pub type EntryVisitor<'v> = dyn FnMut(u64, &RequestHeader, &[u8]) -> Result<(), VisitorError> + 'v;

/// Hands every log entry in the files to `visit`.
///
/// # Errors
/// The first damage or problem, or what `visit` says.
pub fn for_each_log_entry(
    data: &Path,
    visit: &mut EntryVisitor<'_>,
    progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<ScanSummary, NodeError> {
    let summary = scan(&FileStorage::new(data), true, &mut |event| match event {
        ScanEvent::Frame(frame) => {
            for_each_entry(frame, |sequence, header, body| visit(sequence, header, body))
        }
        ScanEvent::Damage(damage) => Err(damage.to_string().into()),
        ScanEvent::Problem(problem) => Err(problem.to_string().into()),
        ScanEvent::Progress { bytes_done, bytes_total } => {
            progress(RecoveryProgress { bytes_done, bytes_total, ..RecoveryProgress::default() });
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(summary)
}
