//! `mizan inspect`: shows what is in a node's files, readable for people, on a stopped or a running node.
//!
//! Invariants: nothing is locked and nothing is written; damage is told where it is found, and makes the exit code 5.
//!
//! What is absent: judgement. Whether the entries make sense, `mizan verify` knows.

use crate::Context;
use crate::args::{InspectArgs, InspectWhat};
use crate::error::CliError;
use crate::exit;
use crate::files::{count_text, hex, node_error, size_text};
use crate::names::id_text;
use crate::output::{Output, Table};
use crate::units::timestamp_text;
use crate::verbs::files_status;
use crate::verbs::format::trading;
use mizan_journal::{
    CopyState, FileStorage, Frame, JournalError, ScanEvent, ScanSummary, Superblock, VisitorError,
    scan, segment_name,
};
use mizan_node::{NodeError, for_each_entry, read_genesis};
use mizan_wire::{Genesis, Operation, RequestHeader};
use serde_json::{Value, json};
use std::path::Path;

/// Runs the verb.
///
/// # Errors
/// Files that cannot be read at all.
pub fn run(context: &mut Context, args: &InspectArgs) -> Result<u8, CliError> {
    let data = context.settings.data(args.data.data.as_deref())?;
    match args.what {
        InspectWhat::Superblock => inspect_superblock(&mut context.output, &data),
        InspectWhat::Segments => inspect_segments(&mut context.output, &data),
        InspectWhat::Frames => inspect_frames(&mut context.output, &data, args),
    }
}

/// The state of the files of a node, running or not: superblock and last entry.
///
/// # Errors
/// Files that cannot be read at all.
pub fn status(context: &mut Context, directory: &Path) -> Result<u8, CliError> {
    files_status::show(&mut context.output, directory)
}

fn inspect_superblock(output: &mut Output, data: &Path) -> Result<u8, CliError> {
    let superblock = mizan_node::offline::superblock(data).map_err(|error| node_error(&error))?;
    let genesis = read_genesis(&data.display().to_string(), &superblock.genesis)
        .map_err(|error| node_error(&error))?;
    let copies = copies(data)?;
    if output.is_json() {
        let mut value = superblock_json(&superblock, &genesis);
        value["copies"] = json!(copies);
        output.json(&value)?;
    } else {
        let mut table = Table::new(&["superblock", "value"], 2);
        for (copy, state) in copies.iter().enumerate() {
            table.row([format!("copy {copy}"), state.clone()]);
        }
        superblock_rows(&superblock, &genesis, &mut table);
        output.table(&table)?;
    }
    let is_intact = copies.iter().all(|copy| copy == "intact");
    Ok(if is_intact { exit::OK } else { exit::CORRUPT })
}

/// What each copy of the superblock is like.
fn copies(data: &Path) -> Result<Vec<String>, CliError> {
    let mut copies = Vec::new();
    let scanned = scan(&FileStorage::new(data), true, &mut |event| match event {
        ScanEvent::Superblock { state, .. } => {
            copies.push(match state {
                CopyState::Intact(_) => "intact".to_owned(),
                CopyState::Missing => "missing".to_owned(),
                CopyState::Damaged(reason) => format!("damaged: {reason}"),
                CopyState::Version(version) => format!("of version {version}"),
            });
            Ok(())
        }
        _ => Err(Enough.into()),
    });
    finish(scanned)?;
    Ok(copies)
}

/// Ends a scan early: everything that was asked for has been seen.
#[derive(Debug, thiserror::Error)]
#[error("seen enough")]
struct Enough;

fn finish(scanned: Result<ScanSummary, JournalError>) -> Result<(), CliError> {
    match scanned {
        Ok(_) => Ok(()),
        Err(JournalError::Visitor { source, .. }) if source.is::<Enough>() => Ok(()),
        Err(error) => Err(node_error(&NodeError::from(error))),
    }
}

fn superblock_rows(superblock: &Superblock, genesis: &Genesis, table: &mut Table) {
    let session_idle_s = genesis.session_idle_ns / mizan_wire::limits::NS_PER_S;
    for (name, value) in [
        ("cluster", format!("{:#x}", superblock.cluster)),
        ("node", superblock.node.to_string()),
        ("incarnation", superblock.incarnation.to_string()),
        ("highest epoch", superblock.highest_epoch.to_string()),
        ("updates", superblock.version.to_string()),
        ("closed in order", if superblock.clean { "yes" } else { "no" }.to_owned()),
        ("durable at least up to", superblock.durable_hint.to_string()),
        ("segment size", size_text(superblock.segment_size)),
        ("journal written by", superblock.journal_io.name().to_owned()),
        ("oldest segment", superblock.first_segment.to_string()),
        ("accounts at most", count_text(genesis.account_count_max)),
        ("transfers at most", count_text(genesis.transfer_count_max)),
        ("open holds at most", count_text(genesis.hold_count_max)),
        ("ledgers at most", count_text(genesis.ledger_count_max.into())),
        ("codes at most", count_text(genesis.code_count_max.into())),
        ("sessions at most", count_text(genesis.session_count_max.into())),
        ("stored replies per session", count_text(genesis.window_requests.into())),
        ("bytes of them per session", size_text(genesis.window_bytes.into())),
        ("session may be evicted after", format!("{session_idle_s} s idle")),
        ("log entries between digests", count_text(genesis.digest_interval.into())),
        ("semantics version", genesis.semantics_version.to_string()),
    ] {
        table.row([name.to_owned(), value]);
    }
    for (name, value) in trading::rows(trading::of_genesis(genesis).as_ref()) {
        table.row([name.to_owned(), value]);
    }
}

fn superblock_json(superblock: &Superblock, genesis: &Genesis) -> Value {
    json!({
        "cluster": format!("{:#x}", superblock.cluster),
        "node": superblock.node,
        "incarnation": superblock.incarnation,
        "highest_epoch": superblock.highest_epoch,
        "updates": superblock.version,
        "clean": superblock.clean,
        "durable_hint": superblock.durable_hint,
        "segment_size": superblock.segment_size,
        "journal_io": superblock.journal_io.name(),
        "first_segment": superblock.first_segment,
        "accounts": genesis.account_count_max,
        "transfers": genesis.transfer_count_max,
        "holds": genesis.hold_count_max,
        "ledgers": genesis.ledger_count_max,
        "codes": genesis.code_count_max,
        "sessions": genesis.session_count_max,
        "window_requests": genesis.window_requests,
        "window_bytes": genesis.window_bytes,
        "session_idle_ns": genesis.session_idle_ns.to_string(),
        "digest_interval": genesis.digest_interval,
        "trading": trading::as_json(trading::of_genesis(genesis).as_ref()),
        "semantics_version": genesis.semantics_version,
    })
}

/// One row of `inspect segments`.
#[derive(Default)]
struct SegmentRow {
    segment: u64,
    state: &'static str,
    seal: String,
    first_sequence: u64,
    epoch: u64,
    frames: u64,
    entries: u64,
    payload_bytes: u64,
}

fn inspect_segments(output: &mut Output, data: &Path) -> Result<u8, CliError> {
    let mut rows: Vec<SegmentRow> = Vec::new();
    let mut problems = Vec::new();
    scan(&FileStorage::new(data), false, &mut |event| {
        match event {
            ScanEvent::Segment(header) => rows.push(SegmentRow {
                segment: header.index,
                state: "used",
                seal: hex(&header.seal),
                first_sequence: header.first_sequence,
                epoch: header.epoch,
                ..SegmentRow::default()
            }),
            ScanEvent::Ready { segment } => {
                rows.push(SegmentRow { segment, state: "ready", ..SegmentRow::default() });
            }
            ScanEvent::Frame(frame) => count_frame(&mut rows, frame),
            ScanEvent::Damage(damage) => problems.push(damage.to_string()),
            ScanEvent::Problem(problem) => problems.push(problem.to_string()),
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| node_error(&NodeError::from(error)))?;
    rows.sort_by_key(|row| row.segment);
    if output.is_json() {
        let rows: Vec<Value> = rows.iter().map(segment_json).collect();
        output.json(&json!({ "segments": rows, "problems": problems }))?;
    } else {
        let headings =
            ["file", "state", "seal", "first sequence", "epoch", "frames", "entries", "payload"];
        let mut table = Table::new(&headings, 3);
        rows.iter().for_each(|row| table.row(segment_cells(row)));
        output.table(&table)?;
    }
    tell_problems(output, &problems)
}

fn count_frame(rows: &mut [SegmentRow], frame: &Frame<'_>) {
    let of_frame = |row: &&mut SegmentRow| row.segment == frame.position.segment;
    if let Some(row) = rows.iter_mut().rev().find(of_frame) {
        row.frames += 1;
        row.entries += u64::from(frame.count);
        row.payload_bytes += frame.payload.len() as u64;
    }
}

fn segment_cells(row: &SegmentRow) -> [String; 8] {
    let is_used = row.state == "used";
    let only_if_used = |text: String| if is_used { text } else { String::new() };
    [
        segment_name(row.segment),
        row.state.to_owned(),
        row.seal.clone(),
        only_if_used(row.first_sequence.to_string()),
        only_if_used(row.epoch.to_string()),
        only_if_used(count_text(row.frames)),
        only_if_used(count_text(row.entries)),
        only_if_used(size_text(row.payload_bytes)),
    ]
}

fn segment_json(row: &SegmentRow) -> Value {
    json!({
        "segment": row.segment,
        "file": segment_name(row.segment),
        "state": row.state,
        "seal": row.seal,
        "first_sequence": row.first_sequence,
        "epoch": row.epoch,
        "frames": row.frames,
        "entries": row.entries,
        "payload_bytes": row.payload_bytes,
    })
}

fn tell_problems(output: &mut Output, problems: &[String]) -> Result<u8, CliError> {
    problems.iter().try_for_each(|problem| output.note(format!("problem: {problem}")))?;
    Ok(if problems.is_empty() { exit::OK } else { exit::CORRUPT })
}

/// Rows are written while the scan goes on, so the widths of the columns are fixed.
const FRAME_HEADING: &str =
    "    sequence  entries    payload  segment      offset  epoch  durable to  hash";

fn inspect_frames(output: &mut Output, data: &Path, args: &InspectArgs) -> Result<u8, CliError> {
    let mut problems = Vec::new();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut failed = None;
    if !output.is_json() {
        output.line(FRAME_HEADING)?;
    }
    let scanned = scan(&FileStorage::new(data), false, &mut |event| {
        match event {
            _ if left == 0 => return Err(Enough.into()),
            ScanEvent::Frame(frame) if frame.last_sequence() >= args.from => {
                left -= 1;
                if let Err(error) = show_frame(output, frame, args.entries) {
                    failed = Some(error);
                    return Err(Enough.into());
                }
            }
            ScanEvent::Damage(damage) => problems.push(damage.to_string()),
            ScanEvent::Problem(problem) => problems.push(problem.to_string()),
            _ => {}
        }
        Ok(())
    });
    finish(scanned)?;
    failed.map_or(Ok(()), Err)?;
    tell_problems(output, &problems)
}

fn show_frame(output: &mut Output, frame: &Frame<'_>, with_entries: bool) -> Result<(), CliError> {
    let entries = if with_entries { entries(frame)? } else { Vec::new() };
    if output.is_json() {
        let mut value = frame_json(frame);
        if with_entries {
            value["entries"] = entries.iter().map(|(at, header)| entry_json(*at, header)).collect();
        }
        return output.json(&value);
    }
    output.line(format!(
        "{:>12}  {:>7}  {:>9}  {:>7}  {:>10}  {:>5}  {:>10}  {}",
        frame.sequence,
        frame.count,
        frame.payload.len(),
        frame.position.segment,
        frame.position.offset,
        frame.epoch,
        frame.durable_up_to,
        hex(&frame.hash),
    ))?;
    entries.iter().try_for_each(|(sequence, header)| output.line(entry_text(*sequence, header)))
}

fn entries(frame: &Frame<'_>) -> Result<Vec<(u64, RequestHeader)>, CliError> {
    let mut entries = Vec::new();
    for_each_entry(frame, |sequence, header, _| {
        entries.push((sequence, *header));
        Ok::<(), VisitorError>(())
    })
    .map_err(|error| CliError::failed(exit::CORRUPT, error.to_string()))?;
    Ok(entries)
}

/// The operation's name, or its number if this build does not know it.
fn operation_text(number: u16) -> String {
    Operation::from_number(number)
        .map_or_else(|| format!("operation {number}"), |operation| operation.name().to_owned())
}

fn entry_text(sequence: u64, header: &RequestHeader) -> String {
    let who = match header.client {
        0 => "the node itself".to_owned(),
        client => format!(
            "client {} session {} request {}",
            id_text(client),
            header.session,
            header.request
        ),
    };
    let events = match header.event_count {
        0 => String::new(),
        count => format!(" of {}", count_text(count.into())),
    };
    format!(
        "{sequence:>12}    {}{events} by {who} at {}",
        operation_text(header.operation),
        timestamp_text(header.clock_reading),
    )
}

fn frame_json(frame: &Frame<'_>) -> Value {
    json!({
        "sequence": frame.sequence,
        "count": frame.count,
        "payload_bytes": frame.payload.len(),
        "segment": frame.position.segment,
        "offset": frame.position.offset,
        "epoch": frame.epoch,
        "commit": frame.commit,
        "durable_up_to": frame.durable_up_to,
        "semantics_version": frame.semantics_version,
        "hash": hex(&frame.hash),
    })
}

fn entry_json(sequence: u64, header: &RequestHeader) -> Value {
    json!({
        "sequence": sequence,
        "operation": operation_text(header.operation),
        "events": header.event_count,
        "body_bytes": header.body_size,
        "client": id_text(header.client),
        "session": header.session,
        "request": header.request,
        "clock_reading_ns": header.clock_reading.to_string(),
        "checksum": format!("{:032x}", header.request_checksum),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_node::FormatOptions;
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Sink(Rc<RefCell<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn small_node() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let options = FormatOptions {
            cluster: Some(0xC0FFEE),
            account_count_max: 10,
            transfer_count_max: 10,
            hold_count_max: 10,
            segment_size: 2 << 20,
            ..FormatOptions::new(directory.path())
        };
        mizan_node::format(&options).expect("a node");
        directory
    }

    /// The exit code, and what was written to standard output.
    fn inspect(arguments: &[&str]) -> (u8, String) {
        let data = Sink::default();
        let mut output = Output::new(Box::new(data.clone()), Box::new(io::sink()));
        let words = ["mizan", "inspect"].iter().chain(arguments).map(Into::into);
        let code = crate::run_with(words, Rc::new(|_| None), &mut output);
        let text = String::from_utf8(data.0.borrow().clone()).expect("text");
        (code, text)
    }

    #[test]
    fn a_formatted_directory_has_one_frame_with_the_genesis_entry() {
        let directory = small_node();
        let path = directory.path().to_str().expect("a path");
        let (code, text) = inspect(&["superblock", "--data", path]);
        assert_eq!(code, exit::OK, "{text}");
        assert!(text.contains("0xc0ffee") && text.contains("intact"), "{text}");
        let (code, text) = inspect(&["frames", "--data", path, "--entries"]);
        assert_eq!(code, exit::OK, "{text}");
        assert!(text.contains("genesis by the node itself"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        let (code, text) = inspect(&["frames", "--data", path, "--from", "2"]);
        assert_eq!((code, text.lines().count()), (exit::OK, 1), "{text}");
        let (code, text) = inspect(&["segments", "--data", path, "--json"]);
        let value: Value = serde_json::from_str(&text).expect("json");
        assert_eq!(code, exit::OK);
        assert_eq!(value["segments"][0]["entries"], 1, "{text}");
    }

    #[test]
    fn a_damaged_copy_of_the_superblock_is_shown_and_makes_the_exit_code_5() {
        let directory = small_node();
        let file = directory.path().join("superblock-1");
        let mut bytes = std::fs::read(&file).expect("a copy");
        bytes[100] ^= 1;
        std::fs::write(&file, bytes).expect("a write");
        let (code, text) =
            inspect(&["superblock", "--data", directory.path().to_str().expect("a path")]);
        assert_eq!(code, exit::CORRUPT);
        assert!(text.contains("damaged"), "{text}");
    }

    #[test]
    fn a_directory_without_a_journal_is_the_wrong_state() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_str().expect("a path");
        for what in ["superblock", "segments", "frames"] {
            assert_eq!(inspect(&[what, "--data", path]).0, exit::STATE, "{what}");
        }
    }
}
