//! Failing calls, full disks, interrupted formats.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use common::place::{Place, contents, names, on_every_backend};
use common::{append, filled, format_options, inline, open, try_open};
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_journal::sim::{SimRandom, SimStorage};
use mizan_journal::{
    FileStorage, Frame, Journal, JournalError, OpenOptions, Prepare, Space, segment_name,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EFBIG: i32 = 27;
const EDQUOT: i32 = 122;

/// Fails calls of one operation while it is armed.
struct Failing {
    operation: Operation,
    verdict: Verdict,
    /// Calls of that operation to let pass; then fails for as long as it is 0 or below.
    pass: AtomicI64,
    calls: AtomicU64,
}

const NEVER: i64 = i64::MAX;

impl Failing {
    fn new(operation: Operation, verdict: Verdict) -> Arc<Self> {
        let pass = AtomicI64::new(NEVER);
        Arc::new(Failing { operation, verdict, pass, calls: AtomicU64::new(0) })
    }

    fn arm(&self, pass: i64) {
        self.pass.store(pass, Ordering::SeqCst);
    }
}

impl Faults for Failing {
    fn before(&self, call: &Call<'_>) -> Verdict {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if call.operation != self.operation || self.pass.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Verdict::Proceed;
        }
        self.verdict
    }
}

on_every_backend!(
    a_failed_sync_or_write_is_the_error_of_every_later_call,
    a_write_cut_anywhere_and_a_killed_process_lose_only_what_was_not_synced,
    a_full_disk_is_low_space_then_no_space_and_then_goes_on,
    room_that_runs_out_while_a_segment_is_filled_leaves_no_partial_file,
    an_io_error_while_a_segment_is_prepared_is_fatal_when_it_is_needed,
    a_tail_that_cannot_be_kept_is_not_cut_off,
    the_helper_tries_again_by_itself_when_there_is_room,
);

fn a_failed_sync_or_write_is_the_error_of_every_later_call(place: &impl Place) {
    let cut = Verdict::Cut { length: 20, errno: EIO };
    let cases = [
        (Operation::SegmentSync, Verdict::Fail(EIO)),
        (Operation::SegmentWrite, Verdict::Fail(EIO)),
        (Operation::SegmentWrite, cut),
    ];
    for (operation, verdict) in cases {
        if cfg!(feature = "unsafe-no-sync") && operation == Operation::SegmentSync {
            continue;
        }
        let storage = place.empty();
        let written = filled(&storage, 2, 1, 100);
        let faults = Failing::new(operation, verdict);
        let mut journal = open(FaultStorage::new(storage.clone(), Arc::clone(&faults))).journal;
        faults.arm(1);
        let first = append(&mut journal, 1, b"abcdefgh")
            .err()
            .or_else(|| journal.sync().err())
            .or_else(|| append(&mut journal, 1, b"abcdefgh").err())
            .or_else(|| journal.sync().err())
            .expect("the fault is met");
        assert!(first.is_fatal(), "{first}");
        faults.arm(NEVER);
        let calls = faults.calls.load(Ordering::SeqCst);
        let later = [
            journal.sync().err(),
            journal.begin(journal.next_sequence(), 1).err(),
            journal.set_epoch(99).err(),
            journal.release_before(1).err(),
            journal.close().err(),
        ];
        for error in later {
            assert_eq!(error.map(|error| error.to_string()), Some(first.to_string()));
        }
        assert_eq!(faults.calls.load(Ordering::SeqCst), calls, "nothing is tried again");
        let frames = open(storage).frames;
        assert_eq!(frames[..2], written);
    }
}

fn a_write_cut_anywhere_and_a_killed_process_lose_only_what_was_not_synced<P: Place>(place: &P) {
    for pass in 0..12 {
        // The last bytes of a header are zeros: a cut there would miss nothing.
        for length in [0, 1, 16, 31, 40].into_iter().step_by(P::EVERY) {
            let storage = place.empty();
            let written = filled(&storage, 2, 1, 100);
            let verdict = Verdict::Cut { length, errno: EIO };
            let faults = Failing::new(Operation::SegmentWrite, verdict);
            let mut journal = open(FaultStorage::new(storage.clone(), Arc::clone(&faults))).journal;
            faults.arm(pass);
            while append(&mut journal, 1, &[0xab; 300]).is_ok() {}
            drop(journal);
            let opened = open(P::restart(&storage));
            assert_eq!(opened.frames[..2], written);
            let unsynced = if P::KEEPS_UNSYNCED { pass / 4 } else { 0 };
            assert_eq!(opened.frames.len() as i64, 2 + unsynced, "pass {pass}, length {length}");
        }
    }
}

fn a_full_disk_is_low_space_then_no_space_and_then_goes_on(place: &impl Place) {
    for errno in [ENOSPC, EDQUOT, EFBIG] {
        let storage = place.formatted();
        let faults = Failing::new(Operation::Create, Verdict::Fail(errno));
        let mut journal = open(FaultStorage::new(storage.clone(), Arc::clone(&faults))).journal;
        assert_eq!(journal.space(), Space::Ok);
        faults.arm(0);
        let bytes = vec![3; 900_000];
        let mut frames = 0;
        while journal.space() == Space::Ok {
            append(&mut journal, 1, &bytes).expect("the segment in use has room");
            frames += 1;
        }
        assert_eq!(frames, 3, "low as soon as the segment ahead is taken into use");
        append(&mut journal, 1, &bytes).expect("the segment in use still has room");
        let position = journal.position();
        for _ in 0..3 {
            let error = append(&mut journal, 1, &bytes).expect_err("refused");
            assert!(matches!(error, JournalError::NoSpace { .. }) && !error.is_fatal(), "{error}");
        }
        assert_eq!(journal.position(), position, "nothing was written");
        assert_eq!(journal.sync().expect("what is there can be synced"), 4);
        faults.arm(NEVER);
        journal.prepare();
        assert_eq!(journal.space(), Space::Ok);
        append(&mut journal, 1, &bytes).expect("goes on");
        journal.sync().expect("synced");
        drop(journal);
        assert_eq!(open(storage).report.frames, 5);
    }
}

fn room_that_runs_out_while_a_segment_is_filled_leaves_no_partial_file(place: &impl Place) {
    let storage = place.formatted();
    let faults = Failing::new(Operation::Write, Verdict::Fail(ENOSPC));
    let mut journal = open(FaultStorage::new(storage.clone(), Arc::clone(&faults))).journal;
    faults.arm(1);
    let before = names(&storage);
    for _ in 0..3 {
        append(&mut journal, 1, &vec![3; 900_000]).expect("appended");
    }
    assert_eq!(journal.space(), Space::Low);
    assert_eq!(names(&storage), before);
}

fn the_helper_tries_again_by_itself_when_there_is_room(place: &impl Place) {
    let storage = place.formatted();
    let faults = Failing::new(Operation::Create, Verdict::Fail(ENOSPC));
    faults.arm(0);
    let retry_interval = std::time::Duration::from_millis(2);
    let options =
        OpenOptions { prepare: Prepare::Helper { retry_interval }, ..OpenOptions::default() };
    let faulty = FaultStorage::new(storage, Arc::clone(&faults));
    let mut ignore = |_: &Frame<'_>| Ok(());
    let (mut journal, _) = Journal::open(faulty, &options, &mut ignore).expect("opens");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let wait_for = |journal: &Journal<_>, space: Space| {
        while journal.space() != space {
            assert!(std::time::Instant::now() < deadline, "never {space:?}");
            std::thread::yield_now();
        }
    };
    wait_for(&journal, Space::Low);
    faults.arm(NEVER);
    wait_for(&journal, Space::Ok);
    for _ in 0..5 {
        append(&mut journal, 1, &vec![3; 900_000]).expect("appended");
    }
    journal.close().expect("closed");
}

fn an_io_error_while_a_segment_is_prepared_is_fatal_when_it_is_needed(place: &impl Place) {
    let storage = place.formatted();
    let faults = Failing::new(Operation::SyncFile, Verdict::Fail(EIO));
    let mut journal = open(FaultStorage::new(storage.clone(), Arc::clone(&faults))).journal;
    faults.arm(0);
    for _ in 0..4 {
        append(&mut journal, 1, &vec![3; 900_000]).expect("appended");
    }
    let error = append(&mut journal, 1, &vec![3; 900_000]).expect_err("refused");
    assert!(error.is_fatal());
    assert!(journal.sync().is_err());
}

fn a_tail_that_cannot_be_kept_is_not_cut_off(place: &impl Place) {
    let storage = place.empty();
    let written = filled(&storage, 2, 1, 3000);
    mizan_journal::Storage::write(&storage, &segment_name(0), 8192 + 500, &[9]).expect("torn");
    let faults = Failing::new(Operation::Create, Verdict::Fail(ENOSPC));
    faults.arm(0);
    let before = contents(&storage, &segment_name(0));
    let error = try_open(FaultStorage::new(storage.clone(), faults)).err().expect("refused");
    assert!(matches!(error, JournalError::NoSpace { .. }));
    assert!(before == contents(&storage, &segment_name(0)));
    assert_eq!(open(storage).frames, written[..1]);
}

#[test]
fn a_format_that_was_interrupted_anywhere_can_be_done_again() {
    let complete = SimStorage::new();
    Journal::format(&complete, &format_options()).expect("formatted");
    for operations in 0..complete.operations() {
        let storage = SimStorage::new();
        storage.lose_power_after(operations);
        Journal::format(&storage, &format_options()).expect_err("the power is off");
        let mut random = SimRandom::new(operations);
        let storage = storage.power_cycle(&mut random);
        if try_open(storage.clone()).is_err() {
            let again = Journal::format(&storage, &format_options());
            // With one copy of the superblock in place it is a journal, and it opens.
            again.unwrap_or_else(|error| panic!("after {operations} operations: {error}"));
        }
        let mut opened = open(storage);
        append(&mut opened.journal, 1, b"works").expect("appended");
    }
}

/// Run by itself as a process of its own, which ignores SIGXFSZ and may not make large files. Only through a mapping:
/// what is written directly is under the limit itself, and fails for good where the segment in use exceeds it.
#[test]
fn a_file_size_limit_is_lack_of_room() {
    if let Ok(directory) = std::env::var("MIZAN_LIMITED_DIRECTORY") {
        let storage = FileStorage::new(&directory);
        let mut ignore = |_: &Frame<'_>| Ok(());
        let (mut journal, _) = Journal::open(storage, &inline(), &mut ignore).expect("opens");
        assert_eq!(journal.space(), Space::Low);
        append(&mut journal, 1, &vec![3; 1_500_000]).expect("the segment in use has room");
        let error = append(&mut journal, 1, &vec![3; 1_500_000]).expect_err("refused");
        assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
        journal.close().expect("closed");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    Journal::format(&FileStorage::new(directory.path()), &format_options()).expect("formatted");
    let program = std::env::current_exe().expect("this test");
    let script =
        "ulimit -f 1000; trap '' XFSZ; exec \"$0\" --exact a_file_size_limit_is_lack_of_room";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env("MIZAN_LIMITED_DIRECTORY", directory.path())
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let opened = open(FileStorage::new(directory.path()));
    assert_eq!(opened.report.frames, 1);
    assert!(opened.report.was_clean);
}
