//! What only files that are written directly, or two ways of writing together, can get wrong.
//!
//! Power loss is not tried on real files: the bytes and the order of what is made durable are those of the format,
//! which `power_loss` tries on the simulated disk. A direct sync may leave any subset of a group's pages when it is
//! interrupted, as every other sync may.
#![cfg(not(feature = "unsafe-no-sync"))]

mod common;

use std::fs::File;
use std::process::Command;
use std::sync::Arc;

use common::place::{Place, contents, direct, direct_with_io_uring, mmap};
use common::{Written, append, filled, format_options, open, payload};
use mizan_journal::constants::{PAYLOAD_SIZE_MAX, SEGMENT_SIZE_MIN};
use mizan_journal::sim::{SimRandom, SimStorage};
use mizan_journal::{
    FileStorage, FormatOptions, Journal, JournalError, JournalIo, LogReader, ScanEvent, Segment,
    Storage, Superblock, scan, segment_name,
};
use proptest::prelude::*;

/// The same directory, written in another way.
fn other(storage: &FileStorage) -> FileStorage {
    let journal_io = match storage.journal_io() {
        JournalIo::Mmap => JournalIo::Direct,
        JournalIo::Direct => JournalIo::Mmap,
    };
    FileStorage::new(storage.directory()).with_journal_io(journal_io)
}

#[test]
fn both_ways_and_the_simulated_disk_leave_the_same_bytes() {
    let simulated = SimStorage::new();
    let written = filled(&simulated, 9, 2, 300_000);
    let without_ring = direct().map(|place| filled_files(&place));
    let with_ring = direct_with_io_uring().map(|place| filled_files(&place));
    let mapped = mmap().map(|place| filled_files(&place));
    for (frames, segments) in [with_ring, without_ring, mapped].into_iter().flatten() {
        assert!(frames == written);
        for (index, bytes) in segments.iter().enumerate() {
            let name = segment_name(index as u64);
            assert!(*bytes == contents(&simulated, &name), "{name} differs");
        }
        assert_eq!(segments.len(), 4);
    }
}

fn filled_files(place: &impl Place) -> (Vec<Written>, Vec<Vec<u8>>) {
    let storage = place.empty();
    let frames = filled(&storage, 9, 2, 300_000);
    (frames, (0..4).map(|index| contents(&storage, &segment_name(index))).collect())
}

#[test]
fn a_reader_finds_all_that_is_readable_while_the_journal_is_written() {
    direct().iter().for_each(read_while_written);
    direct_with_io_uring().iter().for_each(read_while_written);
    mmap().iter().for_each(read_while_written);
}

fn read_while_written(place: &impl Place<Storage = FileStorage>) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    let superblock = Superblock::read(&storage).unwrap();
    let (cluster, size) = (superblock.cluster, superblock.segment_size);
    let mut reader = LogReader::new(Arc::new(storage), cluster, size);
    let (mut random, mut after, mut bytes) = (SimRandom::new(3), 0, Vec::new());
    for number in 1..=200 {
        let size = random.below(60_000) as usize;
        append(&mut journal, 1, &payload(&mut random, size)).unwrap();
        if number % 3 == 0 {
            journal.sync().unwrap();
            assert_eq!(journal.readable(), journal.next_sequence() - 1);
        }
        let readable = journal.readable();
        assert!(journal.durable() <= readable && readable < journal.next_sequence());
        while after < readable {
            bytes.clear();
            after = reader.read_after(after, readable, 100_000, &mut bytes).unwrap();
        }
    }
    assert!(journal.counters().segments > 0);
}

#[test]
fn a_journal_that_changes_its_way_of_writing_at_every_open_loses_nothing() {
    let Some(place) = direct() else { return };
    let mut storage = place.formatted();
    let mut random = SimRandom::new(11);
    let mut written: Vec<Written> = Vec::new();
    for round in 0..12 {
        let mut opened = open(storage.clone());
        assert!(opened.frames == written, "round {round}");
        for _ in 0..3 {
            let size = random.below(200_000) as usize;
            let bytes = payload(&mut random, size);
            written.push(append(&mut opened.journal, 1, &bytes).expect("appended"));
        }
        opened.journal.sync().expect("synced");
        drop(opened);
        storage = other(&storage);
    }
    let mut frames = 0;
    let summary = scan(&storage, false, &mut |event| {
        frames += usize::from(matches!(event, ScanEvent::Frame(_)));
        Ok(())
    })
    .expect("the scan runs");
    assert_eq!((frames, summary.problems), (written.len(), 0));
}

#[test]
fn a_torn_tail_of_a_direct_group_is_cut_off_whoever_opens_it() {
    let Some(place) = direct() else { return };
    let original = place.empty();
    let written = filled(&original, 3, 1, 1500);
    let bytes = contents(&original, &segment_name(0));
    // Three groups of one frame, each on a page of its own.
    let (start, end) = (3 * 4096, 3 * 4096 + 256 + 1500);
    for cut in (start..end).step_by(131) {
        let mut storage = place.empty();
        for name in common::place::names(&original) {
            let bytes = contents(&original, &name);
            storage.create(&name, bytes.len() as u64).expect("made");
            storage.write(&name, 0, &bytes).expect("copied");
        }
        let zeros = vec![0; end - cut];
        storage.write(&segment_name(0), cut as u64, &zeros).expect("torn");
        if cut % 2 == 0 {
            storage = other(&storage);
        }
        let mut opened = open(storage.clone());
        assert!(opened.frames == written[..2], "cut at {cut}");
        let is_torn = bytes[start..cut].iter().any(|&byte| byte != 0);
        assert_eq!(opened.report.quarantined.is_some(), is_torn, "cut at {cut}");
        append(&mut opened.journal, 1, b"on").expect("goes on");
        opened.journal.sync().expect("synced");
        drop(opened);
        assert_eq!(open(other(&storage)).report.frames, 3, "cut at {cut}");
    }
}

#[test]
fn a_group_larger_than_what_is_in_flight_at_once_is_durable_as_a_whole() {
    for place in [direct(), direct_with_io_uring()].into_iter().flatten() {
        let storage = place.empty();
        let options = FormatOptions { segment_size: 32 << 20, ..format_options() };
        Journal::format(&storage, &options).expect("formatted");
        let mut journal = open(storage.clone()).journal;
        let mut random = SimRandom::new(13);
        let mut written = Vec::new();
        for _ in 0..7 {
            let bytes = payload(&mut random, PAYLOAD_SIZE_MAX);
            written.push(append(&mut journal, 1, &bytes).expect("appended"));
        }
        assert_eq!(journal.sync().expect("synced"), 7);
        assert_eq!(journal.counters().syncs, 1);
        drop(journal);
        assert!(open(storage).frames == written);
    }
}

/// Descriptors until there are no more: io_uring needs one, so its probe fails as it does where it is blocked.
fn all_descriptors() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

/// Run by itself as a process of its own, which may open few files.
#[test]
fn a_probe_that_fails_leaves_one_write_for_a_group() {
    const DIRECTORY: &str = "MIZAN_PROBE_DIRECTORY";
    if let Ok(directory) = std::env::var(DIRECTORY) {
        let storage = FileStorage::create(&directory).expect("made");
        let storage = storage.with_journal_io(JournalIo::Direct).with_io_uring();
        let taken = all_descriptors();
        assert!(!storage.uses_io_uring(), "it cannot have got a descriptor");
        drop(taken);
        let written = filled(&storage, 3, 2, 700_000);
        assert!(!storage.uses_io_uring(), "the probe is made once");
        assert!(open(storage).frames == written);
        return;
    }
    let Some(place) = direct() else { return };
    assert!(!place.formatted().uses_io_uring(), "nobody asked for it");
    assert!(
        !mmap().expect("files").empty().with_io_uring().uses_io_uring(),
        "a mapping has no use"
    );
    let name = "a_probe_that_fails_leaves_one_write_for_a_group";
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().expect("this test"))
        .arg(name)
        .env(DIRECTORY, place.empty().directory())
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn the_way_of_writing_is_kept_in_the_superblock_and_outlives_updates() {
    let Some(place) = direct() else { return };
    for journal_io in JournalIo::ALL {
        let storage = place.empty();
        let options = FormatOptions { journal_io, ..format_options() };
        Journal::format(&storage, &options).expect("formatted");
        let mut journal = open(storage.clone()).journal;
        journal.set_epoch(5).expect("set");
        journal.close().expect("closed");
        let superblock = Superblock::read(&storage).expect("read");
        assert_eq!((superblock.journal_io, superblock.highest_epoch), (journal_io, 5));
    }
}

#[test]
fn a_file_system_in_memory_is_refused_with_a_remedy_and_left_as_it_was() {
    let shared = std::path::Path::new("/dev/shm");
    let is_tmpfs = rustix::fs::statfs(shared).is_ok_and(|found| found.f_type == 0x0102_1994);
    if !is_tmpfs {
        println!("skipped: /dev/shm is no tmpfs here");
        return;
    }
    let directory = tempfile::tempdir_in(shared).expect("a directory");
    let mapped = FileStorage::new(directory.path());
    let storage = mapped.clone().with_journal_io(JournalIo::Direct);
    let refused = Journal::format(&storage, &format_options()).expect_err("refused");
    let text = refused.to_string();
    assert!(matches!(refused, JournalError::DirectIoUnsupported { .. }), "{text}");
    assert!(text.contains("ext4") && text.contains("mmap"), "{text}");
    assert!(common::place::names(&storage).is_empty());
    // A journal that was copied there is refused as well, and can still be opened through a mapping.
    Journal::format(&mapped, &format_options()).expect("formatted");
    let outcome = common::try_open(storage.clone()).err();
    assert!(matches!(outcome, Some(JournalError::DirectIoUnsupported { .. })));
    assert!(open(mapped).report.quarantined.is_none());
}

/// One step on a segment: bytes at a place within the pages that were not yet synced, or a sync.
#[derive(Debug, Clone)]
enum Step {
    Write { ahead: usize, length: usize, seed: u64 },
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![0..300_usize, 4000..4200_usize, 200_000..600_000_usize];
    let write = (0..9000_usize, length, any::<u64>())
        .prop_map(|(ahead, length, seed)| Step::Write { ahead, length, seed });
    prop::collection::vec(prop_oneof![3 => write, 1 => Just(Step::Sync)], 1..20)
}

/// Runs the steps, in whatever order of places they come, and compares the file with an array.
fn run_steps(storage: &FileStorage, steps: &[Step]) {
    let name = segment_name(0);
    storage.create(&name, SEGMENT_SIZE_MIN).expect("made");
    let mut segment = storage.open_segment(&name, SEGMENT_SIZE_MIN).expect("opened");
    let mut expected = vec![0; SEGMENT_SIZE_MIN as usize];
    let (mut fresh, mut end) = (0_usize, 0_usize);
    let sync = |segment: &mut <FileStorage as Storage>::Segment, from: usize, to: usize| {
        segment.sync(from as u64, (to - from) as u64).expect("synced");
    };
    for step in steps {
        match *step {
            Step::Write { ahead, length, seed } => {
                let at = fresh + ahead;
                if at + length > expected.len() {
                    continue;
                }
                let bytes = payload(&mut SimRandom::new(seed), length);
                segment.write(at as u64, &bytes).expect("put");
                assert!(segment.view(at as u64, length) == bytes);
                expected[at..at + length].copy_from_slice(&bytes);
                end = end.max(at + length);
            }
            Step::Sync => {
                end = end.max(fresh).next_multiple_of(4096);
                sync(&mut segment, fresh, end);
                fresh = end;
                assert!(contents(storage, &name)[..fresh] == expected[..fresh]);
            }
        }
    }
    sync(&mut segment, fresh, end.max(fresh).next_multiple_of(4096));
    assert!(contents(storage, &name) == expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The kernel refuses a direct write whose place, length or memory is not aligned.
    #[test]
    fn any_writes_between_syncs_reach_the_file_and_only_as_whole_pages(steps in steps()) {
        for place in [direct(), direct_with_io_uring()].into_iter().flatten() {
            run_steps(&place.empty(), &steps);
        }
    }
}
