use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;

use super::*;
use crate::constants::SEGMENT_SIZE_MIN;
use crate::error::BreakReason;
use crate::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use crate::sim::SimStorage;
use crate::{FileStorage, FormatOptions, Frame, Journal, JournalIo, OpenOptions, Prepare};

const EIO: i32 = 5;
const EMFILE: i32 = 24;
/// Payload of a frame, so that about twenty fill a segment.
const PAYLOAD: usize = 100_000;
/// Segments that are sealed before anybody looks.
const SEALED: u64 = 3;

/// Notes who reads past the cache and what changes; lets a read fail.
#[derive(Default)]
struct Watch {
    read: Mutex<BTreeSet<String>>,
    changes: Mutex<Vec<(Operation, String)>>,
    failure: Mutex<Option<(String, u64, i32)>>,
}

impl Faults for Watch {
    fn before(&self, call: &Call<'_>) -> Verdict {
        if call.operation != Operation::ReadUncached {
            self.changes.lock().unwrap().push((call.operation, call.name.to_owned()));
            return Verdict::Proceed;
        }
        self.read.lock().unwrap().insert(call.name.to_owned());
        match &*self.failure.lock().unwrap() {
            Some((name, offset, errno))
                if name == call.name
                    && (call.offset..call.offset + call.length).contains(offset) =>
            {
                Verdict::Fail(*errno)
            }
            _ => Verdict::Proceed,
        }
    }
}

type Watched<S> = FaultStorage<S, Watch>;

struct Place<S: Storage> {
    journal: Journal<Watched<S>>,
    watch: Arc<Watch>,
}

fn append<S: Storage>(journal: &mut Journal<S>) {
    let sequence = journal.next_sequence();
    let mut frame = journal.begin(sequence, PAYLOAD).expect("begun");
    frame.put(&vec![sequence as u8; PAYLOAD]).expect("put");
    frame.finish(1, 0).expect("finished");
    journal.sync().expect("synced");
}

fn filled<S: Storage>(storage: S) -> Place<S> {
    let options = FormatOptions { segment_size: SEGMENT_SIZE_MIN, ..FormatOptions::new(1, 1) };
    Journal::format(&storage, &options).expect("formatted");
    let watch = Arc::new(Watch::default());
    let storage = FaultStorage::new(storage, Arc::clone(&watch));
    let inline = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
    let mut ignore = |_: &Frame<'_>| Ok(());
    let (mut journal, _) = Journal::open(storage, &inline, &mut ignore).expect("opens");
    while journal.counters().segments < SEALED {
        append(&mut journal);
    }
    Place { journal, watch }
}

fn looks<S: Storage>(scrub: &mut Scrub<S>) -> Vec<Look> {
    scrub.sealed().map(|index| scrub.look(index, &mut |_| true)).collect()
}

fn damage(look: &Look) -> &SegmentDamage {
    match look {
        Look::Damaged(damage) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pass_reads_every_sealed_segment_nothing_of_the_one_in_use_and_writes_nothing() {
    let Place { mut journal, watch } = filled(SimStorage::new());
    let mut scrub = journal.scrub();
    watch.changes.lock().unwrap().clear();
    let mut bytes = 0;
    for index in scrub.sealed() {
        assert_eq!(scrub.look(index, &mut |count| (bytes += count, true).1), Look::Whole);
    }
    assert!(bytes >= SEALED * SEGMENT_SIZE_MIN - (PAYLOAD as u64) * SEALED, "{bytes}");
    let sealed: BTreeSet<String> = (0..SEALED).map(segment_name).collect();
    assert_eq!(*watch.read.lock().unwrap(), sealed);
    assert!(watch.changes.lock().unwrap().is_empty());
    // What is sealed meanwhile is looked at, too, and links to what was.
    while journal.counters().segments < SEALED + 1 {
        append(&mut journal);
    }
    assert_eq!(looks(&mut scrub), vec![Look::Whole; SEALED as usize + 1]);
    // Also when nobody looked at the one before.
    assert_eq!(scrub.look(1, &mut |_| true), Look::Whole);
}

#[test]
fn any_bit_of_header_frames_and_what_lies_between_is_missed_until_it_is_mended() {
    let Place { journal, .. } = filled(SimStorage::new());
    let disk = journal.storage().inner().clone();
    let mut scrub = journal.scrub();
    let name = segment_name(1);
    let (frame, payload) = (2 * PAGE_SIZE, 2 * PAGE_SIZE + 4_000);
    let mut ends = 0;
    let contents = disk.contents(&name).expect("it is there");
    for (at, byte) in contents.iter().enumerate().rev() {
        if *byte != 0 {
            ends = at as u64;
            break;
        }
    }
    for offset in [0, 5, 60, PAGE_SIZE, PAGE_SIZE + 130, frame, payload, ends, ends - 200] {
        let good = contents[offset as usize];
        disk.write(&name, offset, &[good ^ 0x10]).expect("written");
        let found = looks(&mut scrub);
        let damage = damage(&found[1]);
        assert_eq!((&found[0], &found[2]), (&Look::Whole, &Look::Whole), "{offset}");
        assert_eq!(damage.file, name);
        // Where the next frame belongs, which is behind what lies between.
        assert!(damage.offset <= align_page(offset), "{damage}");
        assert!(offset < PAGE_SIZE || damage.sequence > 1, "{damage}");
        disk.write(&name, offset, &[good]).expect("written");
        assert_eq!(looks(&mut scrub), vec![Look::Whole; SEALED as usize], "{offset}");
    }
}

#[test]
fn segments_that_are_whole_and_in_the_wrong_place_are_damage() {
    let Place { journal, .. } = filled(SimStorage::new());
    let disk = journal.storage().inner().clone();
    let mut scrub = journal.scrub();
    let bytes = disk.contents(&segment_name(0)).expect("it is there");
    disk.write(&segment_name(1), 0, &bytes).expect("written");
    let found = looks(&mut scrub);
    assert_eq!(damage(&found[1]).reason, BreakReason::SegmentMisplaced.to_string());
    disk.write(&segment_name(1), 0, &vec![0; bytes.len()]).expect("written");
    let found = looks(&mut scrub);
    assert_eq!(damage(&found[1]).reason, BreakReason::Blank.to_string());
}

#[test]
fn a_sector_that_cannot_be_read_is_damage_and_want_of_descriptors_is_not() {
    let Place { journal, watch } = filled(SimStorage::new());
    let mut scrub = journal.scrub();
    let offset = 1_234_567;
    *watch.failure.lock().unwrap() = Some((segment_name(2), offset, EIO));
    let found = looks(&mut scrub);
    let damage = damage(&found[2]);
    assert!((damage.offset..damage.offset + SCRUB_PIECE).contains(&offset), "{damage}");
    assert!(damage.sequence > 1 && damage.reason.contains("os error 5"), "{damage}");
    *watch.failure.lock().unwrap() = Some((segment_name(2), offset, EMFILE));
    assert!(matches!(&looks(&mut scrub)[2], Look::Unknown(text) if text.contains("os error 24")));
    *watch.failure.lock().unwrap() = None;
    assert_eq!(looks(&mut scrub), vec![Look::Whole; SEALED as usize]);
}

#[test]
fn files_that_are_gone_or_of_another_length_are_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let Place { journal, .. } = filled(FileStorage::new(directory.path()));
    let mut scrub = journal.scrub();
    let path = directory.path().join(segment_name(1));
    let aside = directory.path().join("aside");
    let reason = |scrub: &mut Scrub<_>| {
        let found = looks(scrub);
        assert_eq!((&found[0], &found[2]), (&Look::Whole, &Look::Whole));
        damage(&found[1]).reason.clone()
    };
    std::fs::rename(&path, &aside).expect("moved");
    assert_eq!(reason(&mut scrub), "the file is missing");
    std::fs::rename(&aside, &path).expect("moved back");
    assert_eq!(looks(&mut scrub), vec![Look::Whole; SEALED as usize]);
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it is there");
    file.set_len(SEGMENT_SIZE_MIN + 1).expect("longer");
    assert_eq!(reason(&mut scrub), format!("it is longer than {SEGMENT_SIZE_MIN} bytes"));
    for length in [SEGMENT_SIZE_MIN / 2 + 1, PAGE_SIZE, 0] {
        file.set_len(length).expect("shorter");
        let reason = reason(&mut scrub);
        assert!(reason.contains("shorter than") || length == 0, "{length}: {reason}");
    }
}

#[test]
fn a_segment_that_is_released_while_it_is_read_is_not_missed() {
    let Place { mut journal, .. } = filled(SimStorage::new());
    let mut scrub = journal.scrub();
    let mut reads = 0;
    let look = scrub.look(1, &mut |_| {
        reads += 1;
        if reads == 3 {
            let all = journal.next_sequence();
            assert_eq!(journal.release_before(all).expect("released"), SEALED);
        }
        true
    });
    assert_eq!((look, scrub.sealed()), (Look::Released, SEALED..SEALED));
    // A journal that is opened again knows which ones there are.
    let storage = journal.storage().inner().clone();
    drop(journal);
    let mut ignore = |_: &Frame<'_>| Ok(());
    let (journal, _) = Journal::open(storage, &OpenOptions::default(), &mut ignore).expect("opens");
    assert_eq!(journal.scrub().sealed(), SEALED..SEALED);
}

#[test]
fn whoever_paces_it_can_end_it_before_each_read() {
    let Place { journal, watch } = filled(SimStorage::new());
    let mut scrub = journal.scrub();
    let mut total = 0;
    assert_eq!(scrub.look(0, &mut |_| (total += 1, true).1), Look::Whole);
    for last in 0..total {
        watch.read.lock().unwrap().clear();
        let mut reads = 0;
        assert_eq!(scrub.look(0, &mut |_| (reads += 1, reads <= last).1), Look::Stopped);
        assert_eq!((reads, watch.read.lock().unwrap().is_empty()), (last + 1, last == 0));
    }
    assert_eq!(looks(&mut scrub), vec![Look::Whole; SEALED as usize]);
}

/// Whether the page cache has the page at `offset`; `None` if it does not tell.
fn is_cached(file: &std::fs::File, offset: u64) -> Option<bool> {
    let mut page = [0; PAGE_SIZE as usize];
    let slices = &mut [io::IoSliceMut::new(&mut page)];
    match rustix::io::preadv2(file, slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(_) => Some(true),
        Err(Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

#[test]
fn what_is_cached_of_a_segment_is_neither_asked_nor_changed() {
    for journal_io in JournalIo::ALL {
        // Beside what was compiled: more often on a disk than the system's temporary files.
        let target = std::env::current_exe().expect("a path");
        let target = target.parent().expect("a directory");
        let directory = tempfile::tempdir_in(target).expect("a directory");
        let storage = FileStorage::new(directory.path()).with_journal_io(journal_io);
        if let Err(error) = storage.probe() {
            println!("skipped: {error}");
            continue;
        }
        let Place { journal, .. } = filled(storage);
        let mut scrub = journal.scrub();
        let uncached = |index| {
            let path = directory.path().join(segment_name(index));
            let file = std::fs::File::open(path).expect("it is there");
            // What is not written yet stays in the cache.
            file.sync_all().expect("synced");
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).expect("advised");
            file
        };
        // To ask for a page makes the system read it ahead, so another file is asked.
        if is_cached(&uncached(1), PAGE_SIZE) != Some(false) {
            println!("skipped: this file system does not tell what it caches");
            continue;
        }
        // The system fills and empties its cache by itself, too; what the scrub did, it would do each time.
        let tries = || 0..20;
        let fills_none = tries().any(|_| {
            let file = uncached(0);
            assert_eq!(scrub.look(0, &mut |_| true), Look::Whole);
            is_cached(&file, PAGE_SIZE) == Some(false)
        });
        assert!(fills_none, "a scrub fills no cache");
        let file = uncached(0);
        let takes_none = tries().any(|_| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, PAGE_SIZE).expect("read");
            assert_eq!(scrub.look(0, &mut |_| true), Look::Whole);
            is_cached(&file, PAGE_SIZE) == Some(true)
        });
        assert!(takes_none, "and takes nothing out of it");
    }
}
