//! Scans of a journal's files: complete, exact, and without a trace.

mod common;

use common::{SEGMENT_SIZE, append, filled, format_options, open};
use mizan_journal::sim::SimStorage;
use mizan_journal::{
    BreakReason, Damage, FileStorage, Frame, Journal, JournalError, OpenOptions, ScanEvent,
    ScanSummary, ScanTail, Storage, scan, segment_name,
};

#[derive(Default)]
struct Seen {
    segments: Vec<u64>,
    ready: Vec<u64>,
    damage: Vec<Damage>,
    problems: Vec<JournalError>,
    tails: Vec<ScanTail>,
    sequences: Vec<u64>,
}

fn look<S: Storage>(storage: &S, stop_at_first_problem: bool) -> (ScanSummary, Seen) {
    let mut seen = Seen::default();
    let summary = scan(storage, stop_at_first_problem, &mut |event| {
        match event {
            ScanEvent::Segment(header) => seen.segments.push(header.index),
            ScanEvent::Ready { segment } => seen.ready.push(segment),
            ScanEvent::Frame(frame) => seen.sequences.push(frame.sequence),
            ScanEvent::Damage(damage) => seen.damage.push(damage.clone()),
            ScanEvent::Problem(problem) => seen.problems.push(problem.clone()),
            ScanEvent::Tail(tail) => seen.tails.push(*tail),
            _ => {}
        }
        Ok(())
    })
    .expect("the scan runs");
    (summary, seen)
}

fn long_journal() -> SimStorage {
    let storage = SimStorage::new();
    // Six frames to a segment; frame n holds the entries 3n+1 and, in a second frame, 3n+2 and 3n+3.
    filled(&storage, 9, 2, 300_000);
    storage
}

fn flip(storage: &SimStorage, segment: u64, place: u64) {
    let name = segment_name(segment);
    let mut byte = [0];
    storage.read(&name, place, &mut byte).expect("read");
    storage.write(&name, place, &[byte[0] ^ 1]).expect("written");
}

#[test]
fn a_sound_journal_has_no_problems_and_its_sums_are_right() {
    let storage = long_journal();
    let operations = storage.operations();
    let (summary, seen) = look(&storage, false);
    assert_eq!((summary.frames, summary.entries, summary.problems), (18, 27, 0));
    assert_eq!((summary.first_sequence, summary.next_sequence), (1, 28));
    assert_eq!(summary.commit, 24);
    assert_eq!((seen.segments, seen.ready), (vec![0, 1, 2], vec![3]));
    assert!(seen.tails.is_empty());
    assert_eq!(storage.operations(), operations, "a scan writes nothing");
}

#[test]
fn every_damage_is_reported_with_its_place_and_the_rest_is_still_read() {
    let storage = long_journal();
    let (_, sound) = look(&storage, false);
    flip(&storage, 0, 4096 + 20);
    flip(&storage, 1, 4096 + 100_000);
    flip(&storage, 2, 70);
    let (summary, seen) = look(&storage, false);
    let places: Vec<(u64, u64, BreakReason)> =
        seen.damage.iter().map(|damage| (damage.segment, damage.offset, damage.reason)).collect();
    let expected = [
        // A flipped magic is no header at all.
        (0, 4096, BreakReason::NotAFrame),
        (1, 4096, BreakReason::PayloadHash),
        (2, 0, BreakReason::SegmentChecksum),
    ];
    assert_eq!(places, expected);
    assert_eq!(summary.problems, 3);
    assert_eq!(summary.frames, 16, "only the two damaged frames are missing");
    assert!(seen.sequences.iter().all(|sequence| sound.sequences.contains(sequence)));
    assert!(seen.sequences.is_sorted());
    let (summary, seen) = look(&storage, true);
    assert_eq!((summary.problems, seen.damage.len(), summary.frames), (1, 1, 0));
}

#[test]
fn a_torn_tail_is_told_apart_from_damage() {
    let storage = SimStorage::new();
    filled(&storage, 3, 1, 5000);
    let start = 4096 + 2 * 8192;
    flip(&storage, 0, start + 300);
    let (summary, seen) = look(&storage, false);
    assert_eq!(summary.problems, 0);
    let tail = seen.tails[0];
    assert_eq!((tail.position.segment, tail.position.offset, tail.sequence), (0, start, 3));
    assert_eq!((tail.reason, tail.frames), (BreakReason::PayloadHash, 1));
    assert!((5000..5300).contains(&tail.bytes));
}

#[test]
fn files_that_are_missing_foreign_or_of_another_size_are_all_reported() {
    let storage = long_journal();
    storage.create("notes.txt", 3).expect("made");
    storage.remove(&segment_name(1)).expect("removed");
    storage.remove(&segment_name(3)).expect("removed");
    storage.create(&segment_name(3), SEGMENT_SIZE / 2).expect("made");
    storage.write("superblock-1", 30, &[1, 2, 3]).expect("torn");
    let (summary, seen) = look(&storage, false);
    let has = |found: fn(&JournalError) -> bool| seen.problems.iter().any(found);
    assert!(has(|problem| matches!(problem, JournalError::ForeignFile { .. })));
    assert!(has(|problem| matches!(problem, JournalError::MissingSegment { .. })));
    assert!(has(|problem| matches!(problem, JournalError::SegmentSize { .. })));
    assert!(has(|problem| matches!(problem, JournalError::SuperblockCopyDamaged { .. })));
    assert!(seen.sequences.contains(&1) && seen.sequences.contains(&26));
    assert_eq!(summary.problems, seen.problems.len() as u64 + seen.damage.len() as u64);
}

#[test]
fn a_scan_beside_a_writer_finds_no_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = FileStorage::new(directory.path());
    Journal::format(&storage, &format_options()).expect("formatted");
    let mut ignore = |_: &Frame<'_>| Ok(());
    let opened = Journal::open(storage.clone(), &OpenOptions::default(), &mut ignore);
    let (mut journal, _) = opened.expect("opens");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let entries = std::thread::scope(|scope| {
        let stop = &stop;
        let writer = scope.spawn(move || {
            let mut entries = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && entries < 400 {
                append(&mut journal, 1, &vec![5; 20_000]).expect("appended");
                entries = journal.sync().expect("synced");
            }
            entries
        });
        let mut last = 0;
        for _ in 0..30 {
            let (summary, seen) = look(&storage, false);
            assert!(seen.damage.is_empty() && seen.problems.is_empty(), "{:?}", seen.damage);
            assert!(summary.frames >= last, "the log only grows");
            last = summary.frames;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().expect("the writer ends")
    });
    assert_eq!(look(&storage, false).0.entries, entries);
    assert_eq!(open(storage).report.entries, entries);
}
