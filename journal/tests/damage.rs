//! Disks that lie: a sync that fails, and pages that are not what was written.

use mizan_journal::sim::{Damage, SimRandom, SimStorage};
use mizan_journal::{
    FormatOptions, Frame, Journal, JournalError, OpenOptions, Prepare, scan, segment_name,
};

const SEGMENT_SIZE: u64 = 2 << 20;

type Entries = Vec<(u64, Vec<u8>)>;

fn formatted() -> SimStorage {
    let storage = SimStorage::new();
    let options = FormatOptions { segment_size: SEGMENT_SIZE, ..FormatOptions::new(7, 1) };
    Journal::format(&storage, &options).expect("an empty disk can be formatted");
    storage
}

fn open(storage: &SimStorage) -> Result<(Journal<SimStorage>, Entries), JournalError> {
    let mut entries = Entries::new();
    let options = OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() };
    let (journal, _) = Journal::open(storage.clone(), &options, &mut |frame: &Frame<'_>| {
        entries.push((frame.sequence, frame.payload.to_vec()));
        Ok(())
    })?;
    Ok((journal, entries))
}

fn append(journal: &mut Journal<SimStorage>, random: &mut SimRandom) -> Result<(), JournalError> {
    let size = 1 + random.below(9_000) as usize;
    let sequence = journal.next_sequence();
    let mut frame = journal.begin(sequence, size)?;
    frame.put(&vec![sequence as u8; size])?;
    frame.finish(1, 0)?;
    Ok(())
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_not_taken_for_the_log() {
    for seed in 1..=60 {
        let mut random = SimRandom::new(seed);
        let storage = formatted();
        let (mut journal, _) = open(&storage).expect("it opens");
        for _ in 0..random.below(20) {
            append(&mut journal, &mut random).expect("there is room");
            journal.sync().expect("the disk works");
        }
        let durable = journal.durable();
        for _ in 0..=random.below(4) {
            append(&mut journal, &mut random).expect("there is room");
        }
        storage.fail_next_sync(random.next_u64());
        journal.sync().expect_err("the sync fails");
        journal.sync().expect_err("and is not tried again");
        drop(journal);
        let storage = storage.restart();
        let (journal, found) = open(&storage).expect("it recovers");
        assert!(found.len() as u64 >= durable, "seed {seed}: {durable} were durable");
        drop(journal);
        // What recovery called durable survives the loss of power.
        let storage = storage.power_cycle(&mut random);
        let (_, again) = open(&storage).expect("it recovers");
        assert_eq!(again, found, "seed {seed}");
    }
}

#[test]
fn the_write_in_which_the_power_goes_may_end_at_any_byte() {
    for seed in 1..=60 {
        let mut random = SimRandom::new(seed);
        let storage = formatted();
        let (mut journal, _) = open(&storage).expect("it opens");
        let mut durable = 0;
        storage.lose_power_within(random.below(60), random.next_u64());
        loop {
            let outcome = append(&mut journal, &mut random).and_then(|()| journal.sync());
            match outcome {
                Ok(sequence) => durable = sequence,
                Err(_) => break,
            }
        }
        assert!(storage.is_powerless());
        drop(journal);
        let (journal, found) = open(&storage.power_cycle(&mut random)).expect("it recovers");
        assert!(found.len() as u64 >= durable, "seed {seed}: {durable} were durable");
        assert_eq!(journal.next_sequence(), found.len() as u64 + 1, "seed {seed}");
    }
}

#[test]
fn a_damaged_journal_is_refused_or_gives_a_prefix_and_a_scan_reports_what_is_refused() {
    let mut random = SimRandom::new(5);
    let storage = formatted();
    let (mut journal, _) = open(&storage).expect("it opens");
    for _ in 0..60 {
        append(&mut journal, &mut random).expect("there is room");
        journal.sync().expect("the disk works");
    }
    drop(journal);
    let storage = storage.restart();
    let (_, whole) = open(&storage.fork()).expect("it is whole");
    let mut refused = 0;
    for (seed, damage) in (1..=160).flat_map(|seed| Damage::ALL.map(|damage| (seed, damage))) {
        let copy = storage.fork();
        copy.damage(&segment_name(0), damage, seed).expect("the file is there");
        let mut problems = 0;
        let scanned = scan(&copy, false, &mut |_| Ok(()));
        problems += scanned.map_or(1, |summary| summary.problems);
        match open(&copy) {
            Ok((_, found)) => {
                assert!(whole.starts_with(&found), "{damage:?}, seed {seed}");
            }
            Err(error) => {
                refused += 1;
                assert!(problems > 0, "{damage:?}, seed {seed}: a scan found nothing, but {error}");
            }
        }
    }
    assert!(refused > 300, "only {refused} of 640 were refused");
}
