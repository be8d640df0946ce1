//! Damage to a stopped journal: what is cut off, what is refused, and that a refusal changes nothing.

mod common;

use common::{
    CLUSTER, Opened, SEGMENT_SIZE, Written, append, filled, format_options, open, try_open,
};
use mizan_journal::constants::FRAME_HEADER_SIZE;
use mizan_journal::sim::SimStorage;
use mizan_journal::{
    BreakReason, Damage, FileStorage, FormatOptions, Frame, Journal, JournalError, LockError,
    Proof, Storage, hash, scan, segment_name,
};
use proptest::prelude::*;

/// Start and end of every frame.
fn places(storage: &SimStorage) -> Vec<(u64, u64, u64)> {
    let mut places = Vec::new();
    scan(storage, false, &mut |event| {
        if let mizan_journal::ScanEvent::Frame(frame) = event {
            let start = frame.position.offset;
            let end = start + (FRAME_HEADER_SIZE + frame.payload.len()) as u64;
            places.push((frame.position.segment, start, end));
        }
        Ok(())
    })
    .expect("the scan runs");
    places
}

fn segments(storage: &SimStorage) -> Vec<Vec<u8>> {
    let names = storage.names().into_iter().filter(|name| name.starts_with("journal-"));
    names.map(|name| storage.contents(&name).expect("listed")).collect()
}

/// Opens a journal that must be refused as damaged, and checks that nothing changed.
fn refused(storage: &SimStorage) -> Damage {
    let before = (segments(storage), storage.names());
    let damage = match try_open(storage.clone()) {
        Err(JournalError::Corrupt(damage)) => *damage,
        Err(other) => panic!("another error: {other}"),
        Ok(opened) => panic!("not refused: {:?}", opened.report),
    };
    assert!(before == (segments(storage), storage.names()), "the refusal changed something");
    damage
}

fn recovered(storage: &SimStorage, written: &[Written]) -> Opened<SimStorage> {
    let opened = open(storage.clone());
    assert!(opened.frames == written, "recovered {} frames", opened.frames.len());
    opened
}

#[test]
fn a_torn_tail_at_every_byte_of_the_last_frame_is_cut_to_the_group_before() {
    let original = SimStorage::new();
    let written = filled(&original, 3, 1, 1500);
    let (_, start, end) = *places(&original).last().expect("there are frames");
    let name = segment_name(0);
    let bytes = original.contents(&name).expect("there is a segment");
    for cut in start..end {
        let storage = original.fork();
        storage.write(&name, cut, &vec![0; (end - cut) as usize]).expect("torn");
        let mut opened = recovered(&storage, &written[..2]);
        let quarantined = opened.report.quarantined.clone();
        assert_eq!(quarantined.is_some(), cut > start, "cut at {cut}");
        if let Some(quarantined) = quarantined {
            assert_eq!(quarantined.sequence, 3);
            let kept = storage.contents(&quarantined.file).expect("kept");
            // Trailing zeros of the residue are not part of it.
            let residue = &bytes[start as usize..cut as usize];
            let used = residue.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            assert!(kept[32..].ends_with(&residue[..used]), "cut at {cut}");
        }
        append(&mut opened.journal, 1, b"on").expect("goes on");
        opened.journal.sync().expect("synced");
        drop(opened);
        assert_eq!(open(storage).report.frames, 3, "cut at {cut}");
    }
}

#[test]
fn a_garbled_byte_anywhere_in_the_last_frame_cuts_it_off() {
    let original = SimStorage::new();
    let written = filled(&original, 3, 1, 600);
    let (_, start, end) = *places(&original).last().expect("there are frames");
    for place in start..end {
        let storage = original.fork();
        flip(&storage, 0, place, 0xff);
        let opened = recovered(&storage, &written[..2]);
        assert!(opened.report.quarantined.is_some(), "byte {place}");
    }
}

fn flip(storage: &SimStorage, segment: u64, place: u64, mask: u8) {
    let name = segment_name(segment);
    let mut byte = [0];
    storage.read(&name, place, &mut byte).expect("read");
    storage.write(&name, place, &[byte[0] ^ mask]).expect("written");
}

#[test]
fn the_superblocks_hint_proves_damage_to_the_last_frame_after_an_orderly_close() {
    let storage = SimStorage::new();
    filled(&storage, 3, 1, 600);
    open(storage.clone()).journal.close().expect("closed");
    let (_, start, _) = *places(&storage).last().expect("there are frames");
    flip(&storage, 0, start + 300, 1);
    let damage = refused(&storage);
    assert_eq!((damage.sequence, damage.offset), (3, start));
    assert_eq!(damage.reason, BreakReason::PayloadHash);
    assert_eq!(damage.proof, Proof::DurableHint { sequence: 3 });
}

/// Three segments of which the first is ended by its end frame; groups of two frames.
fn long_journal() -> (SimStorage, Vec<Written>, Vec<(u64, u64, u64)>) {
    let storage = SimStorage::new();
    let written = filled(&storage, 9, 2, 300_000);
    let places = places(&storage);
    assert_eq!(places.len(), written.len());
    assert_eq!(places.last().map(|place| place.0), Some(2));
    (storage, written, places)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_flipped_bit_in_the_middle_is_refused_with_its_place(
        frame in 0_usize..16,
        within in 0_u64..300_000,
        bit in 0_u32..8,
    ) {
        let (storage, written, places) = long_journal();
        let (segment, start, end) = places[frame];
        let place = start + within % (end - start);
        flip(&storage, segment, place, 1 << bit);
        let damage = refused(&storage);
        prop_assert_eq!(damage.segment, segment);
        prop_assert_eq!(damage.offset, start);
        prop_assert_eq!(damage.sequence, written[frame].sequence);
    }
}

#[test]
fn damage_to_headers_ends_and_padding_in_the_middle_is_refused() {
    let (original, written, places) = long_journal();
    let in_first = places.iter().filter(|place| place.0 == 0).count();
    let (_, _, last_end) = places[in_first - 1];
    // An end frame stands where the next frame would: here within the last group or on the next page.
    let bytes = original.contents(&segment_name(0)).expect("there is a segment");
    let magic = bytes[last_end as usize..].windows(8).position(|window| window == b"MIZFRAME");
    let end_frame = last_end + magic.expect("there is an end frame") as u64 - 16;
    for place in [end_frame, end_frame + 16, end_frame + 130, end_frame + 255] {
        let storage = original.fork();
        flip(&storage, 0, place, 2);
        let damage = refused(&storage);
        assert_eq!(damage.sequence, written[in_first].sequence);
        assert_eq!(damage.offset, end_frame);
    }
    for (segment, place) in [(0, 0), (0, 50), (1, 4000), (1, 70)] {
        let storage = original.fork();
        flip(&storage, segment, place, 4);
        assert_eq!(refused(&storage).segment, segment, "byte {place}");
    }
    let storage = original.fork();
    let (segment, _, end) = places[1];
    assert_ne!(end % 4096, 0);
    flip(&storage, segment, end, 4);
    assert_eq!(refused(&storage).segment, segment);
}

#[test]
fn swapped_frames_and_a_pasted_old_frame_are_refused() {
    let original = SimStorage::new();
    filled(&original, 6, 1, 1000);
    let places = places(&original);
    let name = segment_name(0);
    let bytes = original.contents(&name).expect("there is a segment");
    let frame = |number: usize| &bytes[places[number].1 as usize..places[number].2 as usize];
    let swapped = original.fork();
    swapped.write(&name, places[1].1, frame(2)).expect("swapped");
    swapped.write(&name, places[2].1, frame(1)).expect("swapped");
    let damage = refused(&swapped);
    assert_eq!((damage.offset, damage.reason), (places[1].1, BreakReason::Misplaced));
    let pasted = original.fork();
    pasted.write(&name, places[4].1, frame(0)).expect("pasted");
    // Only the last frame is behind it, and it was written when the pasted-over one was durable.
    assert_eq!(refused(&pasted).offset, places[4].1);
}

#[test]
fn a_frame_of_another_history_at_its_very_place_does_not_link() {
    let (one, other) = (SimStorage::new(), SimStorage::new());
    let written = filled(&one, 3, 1, 1000);
    filled(&other, 3, 1, 1001);
    let (_, start, end) = places(&other)[2];
    let name = segment_name(0);
    let foreign = other.contents(&name).expect("there is a segment");
    one.write(&name, start, &foreign[start as usize..end as usize]).expect("pasted");
    let opened = recovered(&one, &written[..2]);
    let quarantined = opened.report.quarantined.expect("cut off");
    assert_eq!(quarantined.reason, BreakReason::Chain);
}

#[test]
fn stale_bytes_of_a_used_segment_never_link() {
    // A recycled segment: the old contents of segment 0 come to stand in the segment that is ready.
    let (storage, written, places) = long_journal();
    let ready = places.last().map_or(0, |place| place.0) + 1;
    let mut stale = storage.contents(&segment_name(0)).expect("there is a segment");
    stale[..4096].fill(0);
    storage.write(&segment_name(ready), 0, &stale).expect("pasted");
    let opened = recovered(&storage, &written);
    assert!(opened.report.quarantined.is_some());
    drop(opened);
    assert!(recovered(&storage, &written).report.quarantined.is_none());
}

#[test]
fn missing_short_foreign_and_other_clusters_files_are_told_apart() {
    let (original, _, _) = long_journal();
    let storage = original.fork();
    storage.remove(&segment_name(1)).expect("removed");
    let Err(JournalError::MissingSegment { file, .. }) = try_open(storage) else { panic!() };
    assert_eq!(file, segment_name(1));

    let storage = original.fork();
    storage.remove(&segment_name(2)).expect("removed");
    storage.remove(&segment_name(3)).expect("removed");
    let Err(JournalError::MissingSegment { file, .. }) = try_open(storage.fork()) else { panic!() };
    assert_eq!(file, segment_name(2), "the end frame says that there is a next segment");
    let Err(error) = try_open(storage) else { panic!() };
    let text = error.to_string();
    assert!(!text.contains("sequence 0"), "what is not known is not told: {text}");

    let storage = original.fork();
    storage.remove(&segment_name(1)).expect("removed");
    storage.create(&segment_name(1), SEGMENT_SIZE - 4096).expect("made");
    let Err(JournalError::SegmentSize { found, .. }) = try_open(storage) else { panic!() };
    assert_eq!(found, SEGMENT_SIZE - 4096);

    let storage = original.fork();
    storage.create("notes.txt", 5).expect("made");
    let Err(JournalError::ForeignFile { file, .. }) = try_open(storage) else { panic!() };
    assert_eq!(file, "notes.txt");

    let other = SimStorage::new();
    let options = FormatOptions { cluster: CLUSTER + 1, ..format_options() };
    Journal::format(&other, &options).expect("formatted");
    let header = other.contents(&segment_name(0)).expect("there is a segment");
    let storage = original.fork();
    storage.write(&segment_name(0), 0, &header[..4096]).expect("pasted");
    let Err(JournalError::WrongCluster { found, .. }) = try_open(storage) else { panic!() };
    assert_eq!(found, CLUSTER + 1);
}

#[test]
fn intact_structures_of_another_version_are_refused_and_left_alone() {
    let (original, _, places) = long_journal();
    let frame = places[3].1;
    for (segment, start, length) in [(0, 0, 4096_u64), (2, 0, 4096), (0, frame, 256)] {
        let storage = original.fork();
        let name = segment_name(segment);
        let mut bytes = storage.contents(&name).expect("there is a segment");
        let structure = &mut bytes[start as usize..(start + length) as usize];
        structure[24] = 2;
        let checksum = hash(&structure[16..]);
        structure[..16].copy_from_slice(&checksum);
        storage.write(&name, start, structure).expect("written");
        let before = segments(&storage);
        match try_open(storage.clone()).err() {
            Some(JournalError::VersionNotSupported { file, offset, found: 2, supported: 1 }) => {
                assert_eq!((file, offset), (name, start));
            }
            other => panic!("not refused as another version: {other:?}"),
        }
        assert!(before == segments(&storage));
    }
}

#[test]
fn one_torn_superblock_leaves_the_other_and_is_repaired_at_open() {
    for copy in ["superblock-0", "superblock-1"] {
        let storage = SimStorage::new();
        let written = filled(&storage, 2, 1, 100);
        storage.write(copy, 100, &[0xee; 600]).expect("torn");
        drop(recovered(&storage, &written));
        let summary = scan(&storage, false, &mut |_| Ok(())).expect("scanned");
        assert_eq!(summary.problems, 0, "repaired");
        storage.remove(copy).expect("removed");
        drop(recovered(&storage, &written));
        assert!(storage.names().iter().any(|name| name == copy));
    }
}

#[test]
fn two_torn_superblocks_are_refused() {
    let storage = SimStorage::new();
    filled(&storage, 2, 1, 100);
    for copy in ["superblock-0", "superblock-1"] {
        storage.write(copy, 100, &[0xee; 600]).expect("torn");
    }
    let outcome = try_open(storage.clone()).err();
    assert!(matches!(outcome, Some(JournalError::SuperblockDamaged { .. })), "{outcome:?}");
    let outcome = Journal::format(&storage, &format_options());
    assert!(matches!(outcome, Err(JournalError::AlreadyFormatted { .. })));
}

#[test]
fn a_damage_report_names_directory_file_place_sequence_and_proof() {
    let (storage, _, places) = long_journal();
    flip(&storage, 0, places[0].1 + 20, 1);
    let error = try_open(storage).err().expect("refused").to_string();
    let words = ["(simulated)", "journal-0000000000000000.seg", "offset 4096", "sequence 1"];
    for word in words.iter().chain(&["was durable", "nothing was changed"]) {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}

#[test]
fn the_visitor_sees_every_field_of_a_frame() {
    let storage = SimStorage::new();
    filled(&storage, 3, 2, 50);
    let mut seen = Vec::new();
    let mut visitor = |frame: &Frame<'_>| {
        seen.push((frame.sequence, frame.count, frame.durable_up_to, frame.commit, frame.epoch));
        Ok(())
    };
    let opened = Journal::open(storage.clone(), &common::inline(), &mut visitor);
    drop(opened.expect("opens"));
    let expected = [
        (1, 1, 0, 0, 1),
        (2, 2, 0, 0, 1),
        (4, 1, 3, 3, 1),
        (5, 2, 3, 3, 1),
        (7, 1, 6, 6, 1),
        (8, 2, 6, 6, 1),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_lock_file_that_is_removed_lets_nobody_in() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let storage = FileStorage::new(directory.path());
    let held = storage.lock().expect("nobody holds it");
    std::fs::remove_file(directory.path().join("LOCK")).expect("it is there");
    let refused = storage.lock().expect_err("somebody holds the directory");
    assert!(matches!(&refused, LockError::Held { .. }), "{refused:?}");
    drop(held);
    storage.lock().expect("nobody holds it");
}
