//! Segments that were got ready in different ways read alike.

mod common;

use common::place::{Place, contents, on_every_backend};
use common::{Written, append, open, payload};
use mizan_journal::sim::SimRandom;
use mizan_journal::{Storage, segment_name};

const PAGE: u64 = 4096;
/// Bytes per sync to prepare for: one page, sizes around the steps, and the largest that is of any use.
const SYNC_SIZES: [u64; 5] = [PAGE, 5 * PAGE, 16 * PAGE, 100_000, 4 << 20];

on_every_backend!(
    zeros_cover_their_range_and_nothing_else,
    a_file_that_was_only_reserved_is_a_segment_like_any_other,
    groups_of_every_size_are_found_again_whatever_their_segment_was_prepared_for,
);

fn zeros_cover_their_range_and_nothing_else(place: &impl Place) {
    let seed = 0x2e05;
    let mut random = SimRandom::new(seed);
    let pages = 700;
    for sync_size in SYNC_SIZES {
        let storage = place.empty();
        storage.create("file", pages * PAGE).expect("created");
        let mut expected = payload(&mut random, (pages * PAGE) as usize);
        storage.write("file", 0, &expected).expect("written");
        for _ in 0..4 {
            let first = random.below(pages);
            let count = 1 + random.below(pages - first);
            let (offset, length) = (first * PAGE, count * PAGE);
            storage.write_zeros("file", offset, length, sync_size).expect("filled");
            storage.sync_file("file").expect("synced");
            expected[offset as usize..(offset + length) as usize].fill(0);
            let found = contents(&storage, "file");
            assert!(found == expected, "seed {seed}, sync size {sync_size}, {count} at {first}");
            // Something to be covered by the next one.
            let bytes = payload(&mut random, PAGE as usize);
            storage.write("file", offset, &bytes).expect("written");
            expected[offset as usize..(offset + PAGE) as usize].copy_from_slice(&bytes);
        }
    }
}

/// Reserved room reads as zeros; that it was not filled costs time at the sync, and nothing else.
fn a_file_that_was_only_reserved_is_a_segment_like_any_other<P: Place>(place: &P) {
    let storage = place.formatted();
    storage.create(&segment_name(1), common::SEGMENT_SIZE).expect("reserved");
    storage.sync_file(&segment_name(1)).expect("synced");
    storage.sync_directory("").expect("synced");
    let mut random = SimRandom::new(3);
    let mut journal = open(storage.clone()).journal;
    let mut written: Vec<Written> = Vec::new();
    while journal.counters().segments < 2 {
        let size = random.below(150_000) as usize;
        written.push(append(&mut journal, 1, &payload(&mut random, size)).expect("appended"));
        journal.sync().expect("synced");
    }
    drop(journal);
    let again = open(P::restart(&storage));
    assert!(again.frames == written);
    assert!(again.report.quarantined.is_none());
}

fn groups_of_every_size_are_found_again_whatever_their_segment_was_prepared_for(
    place: &impl Place,
) {
    let seed = 0x9e0f;
    let mut random = SimRandom::new(seed);
    let storage = place.formatted();
    let mut journal = open(storage.clone()).journal;
    let mut written: Vec<Written> = Vec::new();
    // Large groups are followed by small ones in segments that were prepared for large ones, and the other way round.
    for largest in [1_000_000, 20_000, 1_000_000, 60_000] {
        let begun = journal.counters().segments;
        while journal.counters().segments < begun + 2 {
            let size = largest / 2 + random.below(largest / 2);
            let bytes = payload(&mut random, size as usize);
            written.push(append(&mut journal, 1, &bytes).expect("appended"));
            journal.sync().expect("synced");
        }
    }
    drop(journal);
    let again = open(storage);
    assert!(again.frames == written, "seed {seed}");
    assert!(again.report.quarantined.is_none(), "seed {seed}");
}
