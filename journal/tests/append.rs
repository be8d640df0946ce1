//! Appending and reopening, on the simulated disk and on real files, however they are written.

mod common;

use common::place::{Place, names, on_every_backend};
use common::{SEGMENT_SIZE, Written, append, format_options, inline, open, payload, try_open};
use mizan_journal::constants::{PAYLOAD_SIZE_MAX, SEGMENT_END_RESERVE};
use mizan_journal::sim::SimRandom;
use mizan_journal::{
    FileStorage, FormatOptions, Frame, Journal, JournalError, OpenOptions, RecoveryVisitor, Space,
    VisitorError, segment_name,
};
use tempfile::TempDir;

on_every_backend!(
    entries_come_back_byte_for_byte_and_in_order,
    a_journal_that_was_not_closed_is_not_clean_and_goes_on,
    segments_roll_for_every_payload_size,
    the_helper_prepares_segments_while_frames_are_appended,
    a_frame_that_was_begun_and_dropped_leaves_no_trace,
    what_does_not_continue_the_log_or_exceeds_a_limit_is_refused_and_changes_nothing,
    epoch_and_config_outlive_the_process,
    released_segments_are_gone_and_the_rest_is_recovered,
    recovery_reports_progress_and_stops_when_the_visitor_refuses,
    options_outside_their_limits_are_refused_at_format,
);

fn formatted() -> (TempDir, FileStorage) {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = FileStorage::create(directory.path().join("journal")).expect("made");
    Journal::format(&storage, &format_options()).expect("formatted");
    (directory, storage)
}

fn entries_come_back_byte_for_byte_and_in_order(place: &impl Place) {
    let storage = place.formatted();
    let mut random = SimRandom::new(3);
    let mut written = Vec::new();
    let mut journal = open(storage.clone()).journal;
    for group in 0..40 {
        for _ in 0..group % 4 {
            let size = random.below(5000) as usize;
            let bytes = payload(&mut random, size);
            let count = 1 + random.below(9) as u32;
            written.push(append(&mut journal, count, &bytes).expect("appended"));
        }
        let durable = journal.sync().expect("synced");
        assert_eq!(durable, written.last().map_or(0, Written::last_sequence));
    }
    let entries = written.last().map_or(0, Written::last_sequence);
    assert_eq!(journal.counters().entries, entries);
    assert_eq!(journal.counters().syncs, 30, "a sync without frames costs nothing");
    journal.close().expect("closed");
    let again = open(storage);
    assert_eq!(again.frames, written);
    assert!(again.report.was_clean);
    assert_eq!(again.report.next_sequence, entries + 1);
    assert_eq!(again.journal.durable(), entries);
}

fn a_journal_that_was_not_closed_is_not_clean_and_goes_on<P: Place>(place: &P) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    append(&mut journal, 5, b"never synced, but the process lived").expect("appended");
    drop(journal);
    let mut again = open(P::restart(&storage));
    assert!(!again.report.was_clean);
    assert_eq!(again.report.next_sequence, if P::KEEPS_UNSYNCED { 6 } else { 1 });
    append(&mut again.journal, 1, b"on").expect("appended");
    again.journal.sync().expect("synced");
    drop(again);
    let again = open(P::restart(&storage));
    assert_eq!(again.frames.len(), 1 + usize::from(P::KEEPS_UNSYNCED));
    assert_eq!(again.frames.last().map(|frame| &frame.payload[..]), Some(&b"on"[..]));
}

fn segments_roll_for_every_payload_size<P: Place>(place: &P) {
    let mut random = SimRandom::new(5);
    let room = (SEGMENT_SIZE - SEGMENT_END_RESERVE - 4096) as usize;
    let around: Vec<usize> = [2, 3, 5].iter().flat_map(|n| near(room / n - 256)).collect();
    let sizes = [near(PAYLOAD_SIZE_MAX), near(4096 - 256), near(100_000), around].concat();
    for size in sizes.into_iter().step_by(P::EVERY) {
        let size = size.min(PAYLOAD_SIZE_MAX);
        let storage = place.formatted();
        let mut journal = open(storage.clone()).journal;
        let mut written = Vec::new();
        while journal.counters().segments < 2 {
            let bytes = payload(&mut random, size);
            written.push(append(&mut journal, 1, &bytes).expect("appended"));
            if written.len() % 3 == 0 {
                journal.sync().expect("synced");
            }
        }
        journal.sync().expect("synced");
        drop(journal);
        let again = open(storage);
        assert!(again.frames == written, "size {size}");
        assert_eq!(again.report.segments, 3, "size {size}");
        assert!(again.report.quarantined.is_none(), "size {size}");
    }
}

fn near(size: usize) -> Vec<usize> {
    [-129, -128, -1, 0, 1, 127].iter().filter_map(|delta| size.checked_add_signed(*delta)).collect()
}

fn the_helper_prepares_segments_while_frames_are_appended(place: &impl Place) {
    let storage = place.formatted();
    let options = OpenOptions { segments_ahead: 2, ..OpenOptions::default() };
    let mut ignore = |_: &Frame<'_>| Ok(());
    let (mut journal, _) = Journal::open(storage.clone(), &options, &mut ignore).expect("opens");
    let bytes = vec![7; 700_000];
    for _ in 0..20 {
        append(&mut journal, 1, &bytes).expect("appended");
        journal.sync().expect("synced");
    }
    assert_eq!(journal.space(), Space::Ok);
    assert!(journal.counters().segments >= 6);
    journal.close().expect("closed");
    assert_eq!(open(storage).report.entries, 20);
}

fn a_frame_that_was_begun_and_dropped_leaves_no_trace(place: &impl Place) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    append(&mut journal, 1, b"kept").expect("appended");
    let mut frame = journal.begin(2, 9000).expect("begun");
    frame.put(&[0xff; 9000]).expect("put");
    drop(frame);
    assert_eq!(journal.next_sequence(), 2);
    append(&mut journal, 1, b"short").expect("appended");
    journal.sync().expect("synced");
    drop(journal);
    let again = open(storage);
    assert!(again.report.quarantined.is_none());
    assert_eq!(again.frames.len(), 2);
    assert_eq!(again.frames[1].payload, b"short");
}

fn what_does_not_continue_the_log_or_exceeds_a_limit_is_refused_and_changes_nothing(
    place: &impl Place,
) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    let outcome = journal.begin(2, 10).err();
    assert!(matches!(outcome, Some(JournalError::OutOfOrder { expected: 1, given: 2 })));
    let outcome = journal.begin(1, PAYLOAD_SIZE_MAX + 1).err();
    assert!(matches!(outcome, Some(JournalError::InvalidFrame { .. })));
    let mut frame = journal.begin(1, 10).expect("begun");
    assert!(matches!(frame.put(&[0; 11]), Err(JournalError::InvalidFrame { .. })));
    assert!(matches!(frame.finish(0, 0), Err(JournalError::InvalidFrame { .. })));
    assert!(matches!(journal.set_epoch(0), Err(JournalError::InvalidOptions { .. })));
    let outcome = journal.set_config(&[1; 257]);
    assert!(matches!(outcome, Err(JournalError::InvalidOptions { .. })));
    assert_eq!(journal.sync().expect("still works"), 0);
    drop(journal);
    assert_eq!(open(storage).report.frames, 0);
}

#[test]
fn a_second_open_is_refused_and_names_the_holder() {
    let (_directory, storage) = formatted();
    let first = open(storage.clone());
    let holder = match try_open(storage.clone()) {
        Err(JournalError::Locked { holder, .. }) => holder,
        other => panic!("not refused: {:?}", other.err()),
    };
    assert_eq!(holder, format!("process {}", std::process::id()));
    drop(first);
    open(storage);
}

#[test]
fn what_is_no_journal_or_another_ones_is_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let absent = FileStorage::new(directory.path().join("absent"));
    assert!(matches!(try_open(absent), Err(JournalError::NotFormatted { .. })));
    let empty = FileStorage::new(directory.path());
    assert!(matches!(try_open(empty), Err(JournalError::NotFormatted { .. })));
    let (_directory, storage) = formatted();
    let outcome = Journal::format(&storage, &format_options());
    assert!(matches!(outcome, Err(JournalError::AlreadyFormatted { .. })));
    let options = OpenOptions { cluster: Some(99), ..inline() };
    let outcome = Journal::open(storage, &options, &mut |_: &Frame<'_>| Ok(())).err();
    assert!(matches!(outcome, Some(JournalError::WrongCluster { expected: 99, .. })));
}

fn options_outside_their_limits_are_refused_at_format(place: &impl Place) {
    let wrong = [
        FormatOptions { segment_size: SEGMENT_SIZE - 4096, ..format_options() },
        FormatOptions { segment_size: SEGMENT_SIZE + 1, ..format_options() },
        FormatOptions { config: vec![0; 257], ..format_options() },
        FormatOptions { genesis: vec![0; 1025], ..format_options() },
        FormatOptions { first_sequence: 0, ..format_options() },
    ];
    for options in wrong {
        let storage = place.empty();
        let outcome = Journal::format(&storage, &options);
        assert!(matches!(outcome, Err(JournalError::InvalidOptions { .. })), "{options:?}");
        assert!(names(&storage).is_empty());
    }
}

fn epoch_and_config_outlive_the_process(place: &impl Place) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    journal.set_epoch(12).expect("set");
    journal.set_config(b"two nodes").expect("set");
    drop(journal);
    let again = open(storage);
    assert_eq!(again.journal.epoch(), 12);
    assert_eq!(again.journal.superblock().config, b"two nodes");
}

fn released_segments_are_gone_and_the_rest_is_recovered(place: &impl Place) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    for _ in 0..9 {
        append(&mut journal, 10, &vec![1; 900_000]).expect("appended");
        journal.sync().expect("synced");
    }
    // Two frames to a segment: 1-20, 21-40, 41-60, 61-80, 81-90.
    assert_eq!(journal.release_before(20).expect("released"), 0, "20 is still needed");
    assert_eq!(journal.release_before(45).expect("released"), 2);
    assert_eq!(journal.release_before(45).expect("released"), 0);
    assert!(!names(&storage).contains(&segment_name(1)));
    drop(journal);
    let mut again = open(storage.clone());
    assert_eq!((again.report.first_sequence, again.report.next_sequence), (41, 91));
    assert_eq!(again.journal.release_before(u64::MAX).expect("released"), 2, "the last stays");
    drop(again);
    assert_eq!(open(storage).report.first_sequence, 81);
}

struct Watching {
    progress: Vec<(u64, u64)>,
    refuse_at: u64,
}

impl RecoveryVisitor for Watching {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), VisitorError> {
        if frame.sequence >= self.refuse_at { Err("refused".into()) } else { Ok(()) }
    }

    fn progress(&mut self, bytes_done: u64, bytes_total: u64) {
        self.progress.push((bytes_done, bytes_total));
    }
}

fn recovery_reports_progress_and_stops_when_the_visitor_refuses(place: &impl Place) {
    let storage = place.empty();
    common::filled(&storage, 10, 1, 600_000);
    let mut watching = Watching { progress: Vec::new(), refuse_at: u64::MAX };
    let opened = Journal::open(storage.clone(), &inline(), &mut watching);
    drop(opened.expect("opens"));
    let last = *watching.progress.last().expect("progress was told");
    assert_eq!(last.0, last.1);
    assert!(watching.progress.len() > 4);
    assert!(watching.progress.is_sorted());
    watching.refuse_at = 4;
    let outcome = Journal::open(storage.clone(), &inline(), &mut watching).err();
    assert!(matches!(outcome, Some(JournalError::Visitor { sequence: 4, .. })));
    assert_eq!(open(storage).report.frames, 10, "the refusal changed nothing");
}
