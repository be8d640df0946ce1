//! The bytes on disk: golden bytes of every structure, and a fixture that every build must read for ever.

mod common;

use std::fs;
use std::path::PathBuf;

use common::place::{Place, contents, names, on_every_backend};
use common::{CLUSTER, SEGMENT_SIZE, Written, append, format_options, open};
use mizan_journal::sim::{SimRandom, SimStorage};
use mizan_journal::{
    CopyState, FormatOptions, Journal, JournalIo, SegmentHeader, Storage, Superblock, constants,
    hash, segment_name,
};

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes
        .chunks(16)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect();
    lines.join("\n")
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn superblock() -> Superblock {
    Superblock {
        cluster: CLUSTER,
        node: 0x11,
        incarnation: 0x22,
        highest_epoch: 0x33,
        version: 0x44,
        clean: true,
        durable_hint: 0x55,
        segment_size: 64 << 20,
        first_segment: 0x66,
        journal_io: JournalIo::Mmap,
        config: b"config record".to_vec(),
        genesis: b"genesis record".to_vec(),
    }
}

#[test]
fn the_superblock_has_its_golden_bytes() {
    let bytes = superblock().encode();
    assert_eq!(bytes.len(), constants::SUPERBLOCK_SIZE);
    assert_eq!(hex(&bytes[..112]), include_str!("golden/superblock.hex").trim());
    assert_eq!(&bytes[112..125], b"config record");
    assert!(is_zero(&bytes[125..368]));
    assert_eq!(&bytes[368..382], b"genesis record");
    assert!(is_zero(&bytes[382..]));
    assert_eq!(bytes[..16], hash(&bytes[16..]));
    assert_eq!(Superblock::decode(&bytes), CopyState::Intact(Box::new(superblock())));
}

#[test]
fn the_way_of_writing_is_one_byte_of_the_superblock_and_an_unknown_one_is_a_mapping() {
    let mapped = superblock().encode();
    let direct = Superblock { journal_io: JournalIo::Direct, ..superblock() };
    let mut bytes = direct.encode();
    assert_eq!(Superblock::decode(&bytes), CopyState::Intact(Box::new(direct)));
    assert_eq!((mapped[27], bytes[27]), (0, 1));
    assert_eq!(mapped[28..], bytes[28..]);
    bytes[27] = 2;
    let checksum = hash(&bytes[16..]);
    bytes[..16].copy_from_slice(&checksum);
    assert_eq!(Superblock::decode(&bytes), CopyState::Intact(Box::new(superblock())));
}

#[test]
fn every_flipped_bit_of_a_superblock_is_noticed() {
    let bytes = superblock().encode();
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        let state = Superblock::decode(&flipped);
        assert!(matches!(state, CopyState::Damaged(_)), "byte {place}: {state:?}");
    }
}

#[test]
fn an_intact_superblock_of_another_version_is_named_as_such() {
    let mut bytes = superblock().encode();
    bytes[24] = 2;
    let checksum = hash(&bytes[16..]);
    bytes[..16].copy_from_slice(&checksum);
    assert_eq!(Superblock::decode(&bytes), CopyState::Version(2));
}

#[test]
fn the_segment_header_has_its_golden_bytes() {
    let header = SegmentHeader {
        cluster: CLUSTER,
        index: 0x11,
        epoch: 0x22,
        first_sequence: 0x33,
        seal: [0xaa; 16],
        segment_size: 64 << 20,
    };
    let bytes = header.encode();
    assert_eq!(bytes.len() as u64, constants::PAGE_SIZE);
    assert_eq!(hex(&bytes[..96]), include_str!("golden/segment_header.hex").trim());
    assert!(is_zero(&bytes[96..]));
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
}

on_every_backend!(
    frames_have_their_golden_bytes_and_their_groups_start_on_pages,
    the_fixture_of_version_1_is_read_to_its_entries_and_goes_on,
    this_build_writes_the_bytes_of_the_fixture,
);

fn frames_have_their_golden_bytes_and_their_groups_start_on_pages(place: &impl Place) {
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    append(&mut journal, 2, b"first payload").expect("appended");
    append(&mut journal, 1, b"second").expect("appended");
    journal.sync().expect("synced");
    append(&mut journal, 3, b"third").expect("appended");
    journal.sync().expect("synced");
    let bytes = contents(&storage, &segment_name(0));
    let first = &bytes[4096..4096 + 269];
    assert_eq!(hex(first), include_str!("golden/frame.hex").trim());
    assert_eq!(first[..16], hash(&first[16..256]), "checksum over the header");
    assert_eq!(first[32..48], hash(&first[128..]), "hash over the shared half and the payload");
    let second = &bytes[4096 + 384..];
    assert_eq!(second[128..144], first[32..48], "the second frame names the first");
    let third = &bytes[8192..];
    assert_eq!(third[128..144], second[32..48], "the third frame names the second");
    assert_eq!(third[64..72], 3_u64.to_le_bytes(), "three entries were durable");
    assert!(is_zero(&bytes[4096 + 384 + 262..8192]));
    assert!(is_zero(&bytes[8192 + 261..]));
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1").join(name)
}

const FIXTURE_FILES: [&str; 4] = [
    "superblock-0",
    "superblock-1",
    "journal-0000000000000000.seg",
    "journal-0000000000000001.seg",
];

/// The entries of the fixture: two segments, four groups, two epochs.
fn write_fixture<S: Storage + Clone>(storage: &S) -> Vec<Written> {
    let options = FormatOptions {
        config: b"fixture config".to_vec(),
        genesis: b"fixture genesis".to_vec(),
        ..format_options()
    };
    Journal::format(storage, &options).expect("formatted");
    let mut journal = open(storage.clone()).journal;
    let mut random = SimRandom::new(1);
    let mut written = Vec::new();
    for group in 0..4_u32 {
        if group == 2 {
            journal.set_epoch(9).expect("a later epoch");
            // Announcing more than is left ends the segment early, which keeps the fixture small.
            let sequence = journal.next_sequence();
            drop(journal.begin(sequence, constants::PAYLOAD_SIZE_MAX).expect("begun"));
        }
        for number in 0..3 {
            let bytes = common::payload(&mut random, 700 * number + 5);
            written.push(append(&mut journal, 1 + group, &bytes).expect("appended"));
        }
        journal.sync().expect("synced");
    }
    journal.close().expect("closed");
    written
}

fn used(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn the_fixture_of_version_1_is_read_to_its_entries_and_goes_on(place: &impl Place) {
    let storage = place.empty();
    for name in FIXTURE_FILES {
        let mut bytes = fs::read(fixture(name)).expect("the fixture is complete");
        let size = if name.starts_with("journal") { SEGMENT_SIZE } else { 4096 };
        bytes.resize(size as usize, 0);
        storage.create(name, size).expect("made");
        storage.write(name, 0, &bytes).expect("copied");
    }
    let expected = write_fixture(&SimStorage::new());
    let mut opened = open(storage.clone());
    assert_eq!(opened.frames, expected);
    let report = &opened.report;
    assert!(report.was_clean && report.quarantined.is_none());
    assert_eq!((report.segments, report.frames, report.next_sequence), (2, 12, 31));
    assert_eq!(opened.journal.epoch(), 9);
    let superblock = opened.journal.superblock();
    assert_eq!(superblock.config, b"fixture config");
    assert_eq!(superblock.genesis, b"fixture genesis");
    assert_eq!(superblock.journal_io, JournalIo::Mmap, "the way of those who did not choose");
    append(&mut opened.journal, 1, b"goes on").expect("appended");
    opened.journal.sync().expect("synced");
    drop(opened);
    assert_eq!(open(storage).report.frames, 13);
}

/// When the format changes there is a new version with a fixture of its own; this one stays.
fn this_build_writes_the_bytes_of_the_fixture(place: &impl Place) {
    let storage = place.empty();
    write_fixture(&storage);
    for name in FIXTURE_FILES {
        let bytes = contents(&storage, name);
        let expected = fs::read(fixture(name)).expect("the fixture is complete");
        assert!(used(&bytes) == expected, "{name} differs");
    }
    assert_eq!(names(&storage).len(), 5, "and one segment that is ready");
}
