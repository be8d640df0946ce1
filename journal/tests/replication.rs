//! What replication asks of the journal: frames appended as another node wrote them, and cuts.

mod common;

use common::{CLUSTER, SEGMENT_SIZE, append, format_options, inline, open, payload, try_open};
use mizan_journal::sim::{SimRandom, SimStorage};
use mizan_journal::{Frame, Journal, JournalError, LogReader, SharedHeader, Storage, cut_back};

/// A frame as it is sent.
type Sent = (SharedHeader, Vec<u8>);

fn formatted() -> SimStorage {
    let storage = SimStorage::new();
    Journal::format(&storage, &format_options()).unwrap();
    storage
}

/// A log over several segments, with frames of all sizes.
fn source(seed: u64, frames: usize) -> SimStorage {
    let storage = formatted();
    let mut opened = open(storage.clone());
    let mut random = SimRandom::new(seed);
    for number in 0..frames {
        if number % 20 == 0 {
            let epoch = opened.journal.epoch() + 2;
            opened.journal.set_epoch(epoch).unwrap();
        }
        let size_max = if random.below(6) == 0 { 600_000 } else { 9_000 };
        let size = random.below(size_max);
        let bytes = payload(&mut random, size as usize);
        append(&mut opened.journal, 1 + random.below(3) as u32, &bytes).unwrap();
        if random.below(2) == 0 {
            opened.journal.sync().unwrap();
        }
    }
    opened.journal.close().unwrap();
    storage
}

fn sent(storage: &SimStorage) -> Vec<Sent> {
    let mut previous = [0; 16];
    let mut frames = Vec::new();
    let (journal, _) = Journal::open(storage.clone(), &inline(), &mut |frame: &Frame<'_>| {
        let header = SharedHeader {
            previous,
            cluster: CLUSTER,
            epoch: frame.epoch,
            sequence: frame.sequence,
            count: frame.count,
            length: frame.payload.len() as u32,
            semantics_version: frame.semantics_version,
        };
        assert_eq!(header.frame_hash(frame.payload), frame.hash);
        assert_eq!(SharedHeader::decode(&header.encode()), Some(header));
        previous = frame.hash;
        frames.push((header, frame.payload.to_vec()));
        Ok(())
    })
    .unwrap();
    journal.close().unwrap();
    frames
}

#[test]
fn received_frames_keep_bytes_epochs_and_chain_under_a_higher_persisted_epoch() {
    let original = source(1, 60);
    let frames = sent(&original);
    assert!(frames.len() == 60);
    let copy = formatted();
    let mut opened = open(copy.clone());
    opened.journal.note_epoch(1_000).unwrap();
    for (header, bytes) in &frames {
        opened.journal.append_received(header, bytes, 0).unwrap();
        opened.journal.sync().unwrap();
    }
    opened.journal.close().unwrap();
    assert_eq!(sent(&copy), frames);
    assert_eq!(open(copy).journal.superblock().highest_epoch, 1_000);
}

#[test]
fn a_received_frame_that_does_not_follow_is_refused_and_changes_nothing() {
    let frames = sent(&source(2, 5));
    let copy = formatted();
    let mut opened = open(copy);
    let (first, bytes) = &frames[0];
    let (second, later) = &frames[1];
    let refused = opened.journal.append_received(second, later, 0).unwrap_err();
    assert!(matches!(refused, JournalError::InvalidFrame { .. }));
    let foreign = SharedHeader { cluster: 5, ..*first };
    assert!(opened.journal.append_received(&foreign, bytes, 0).is_err());
    let longer = SharedHeader { length: first.length + 1, ..*first };
    assert!(opened.journal.append_received(&longer, bytes, 0).is_err());
    opened.journal.append_received(first, bytes, 0).unwrap();
    opened.journal.append_received(second, later, 0).unwrap();
}

#[test]
fn a_cut_leaves_the_frames_before_it_and_the_log_goes_on_there() {
    let frames = sent(&source(3, 50));
    for keep in [0usize, 1, 7, 25, 49, 50] {
        let storage = source(3, 50);
        let sequence = keep.checked_sub(1).map_or(0, |at| frames[at].0.last_sequence());
        let report = cut_back(&storage, sequence).unwrap();
        assert_eq!(report.quarantined.is_some(), keep < 50);
        if let Some((file, size)) = report.quarantined {
            assert_eq!(storage.contents(&file).unwrap().len() as u64, size);
        }
        assert_eq!(sent(&storage), frames[..keep]);
        let mut opened = open(storage.clone());
        for (header, bytes) in &frames[keep..] {
            opened.journal.append_received(header, bytes, 0).unwrap();
        }
        opened.journal.close().unwrap();
        assert_eq!(sent(&storage), frames);
    }
}

#[test]
fn a_cut_where_no_frame_ends_changes_nothing() {
    let storage = source(4, 10);
    let frames = sent(&storage);
    let beyond = frames[9].0.last_sequence() + 1;
    assert!(matches!(cut_back(&storage, beyond), Err(JournalError::InvalidOptions { .. })));
    assert_eq!(sent(&storage), frames);
}

#[test]
fn power_lost_anywhere_in_a_cut_leaves_a_log_that_opens_with_a_prefix() {
    let frames = sent(&source(5, 30));
    let keep = 12;
    let sequence = frames[keep - 1].0.last_sequence();
    let whole = source(5, 30);
    let before = whole.operations();
    cut_back(&whole, sequence).unwrap();
    let operations = whole.operations() - before;
    assert!(operations > 30 && SEGMENT_SIZE > 0);
    for at in 0..operations {
        let storage = source(5, 30);
        storage.lose_power_after(at);
        assert!(cut_back(&storage, sequence).is_err(), "power lost at operation {at}");
        let storage = storage.power_cycle(&mut SimRandom::new(at));
        drop(try_open(storage.clone()).unwrap_or_else(|error| panic!("operation {at}: {error}")));
        let left = sent(&storage.restart());
        assert!(left.len() >= keep && left == frames[..left.len()], "operation {at}");
    }
}

/// The shared bytes of all frames behind `after`, read in pieces of at most `size_max`.
fn read_all(
    reader: &mut LogReader<SimStorage>,
    mut after: u64,
    up_to: u64,
    size_max: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    while after < up_to {
        let begin = bytes.len();
        let last = reader.read_after(after, up_to, size_max, &mut bytes).unwrap();
        assert!(last > after && bytes.len() > begin, "a call reads one frame at the least");
        after = last;
    }
    bytes
}

#[test]
fn a_log_is_read_from_any_frame_on_in_pieces_of_any_size() {
    for seed in 0..4 {
        let storage = source(seed, 60);
        let frames = sent(&storage);
        let up_to = frames.last().unwrap().0.last_sequence();
        for from in [0, 1, 7, frames.len() / 2, frames.len() - 1] {
            let after = from.checked_sub(1).map_or(0, |last| frames[last].0.last_sequence());
            let expected: Vec<u8> = frames[from..]
                .iter()
                .flat_map(|(header, payload)| [&header.encode()[..], payload].concat())
                .collect();
            for size_max in [1, 10_000, 700_000, 1 << 30] {
                let mut reader = LogReader::new(storage.clone().into(), CLUSTER, SEGMENT_SIZE);
                assert!(read_all(&mut reader, after, up_to, size_max) == expected, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_reader_follows_a_journal_that_is_being_written() {
    let storage = formatted();
    let mut opened = open(storage.clone());
    let mut reader = LogReader::new(storage.into(), CLUSTER, SEGMENT_SIZE);
    let mut random = SimRandom::new(5);
    let (mut read, mut after, mut payloads) = (Vec::new(), 0, Vec::new());
    for number in 0..300 {
        let size = random.below(40_000) as usize;
        let bytes = payload(&mut random, size);
        append(&mut opened.journal, 1, &bytes).unwrap();
        payloads.push(bytes);
        let up_to = opened.journal.next_sequence() - 1;
        if number % 3 == 0 {
            opened.journal.sync().unwrap();
        }
        if number % 2 == 0 {
            read.extend(read_all(&mut reader, after, up_to, 100_000));
            after = up_to;
        }
    }
    assert_eq!(reader.read_after(after, after, 1, &mut Vec::new()).unwrap(), after);
    let up_to = opened.journal.next_sequence() - 1;
    read.extend(read_all(&mut reader, after, up_to, 100_000));
    let mut rest = read.as_slice();
    for payload in &payloads {
        let header = SharedHeader::decode(rest.first_chunk().unwrap()).unwrap();
        let (head, behind) = rest.split_at(mizan_journal::SHARED_HEADER_SIZE + payload.len());
        assert!(head.ends_with(payload) && header.length as usize == payload.len());
        rest = behind;
    }
    assert!(rest.is_empty());
}

#[test]
fn a_damaged_frame_is_not_sent() {
    let storage = source(3, 30);
    let frames = sent(&storage);
    let up_to = frames.last().unwrap().0.last_sequence();
    let at = frames.iter().position(|(_, payload)| payload.len() > 5_000).unwrap();
    let name = mizan_journal::segment_name(0);
    let mut whole = vec![0; SEGMENT_SIZE as usize];
    storage.read(&name, 0, &mut whole).unwrap();
    let payload = &frames[at].1;
    let place = whole.windows(payload.len()).position(|window| window == payload).unwrap();
    storage.write(&name, place as u64 + 4_000, &[!payload[4_000]]).unwrap();
    let mut reader = LogReader::new(storage.into(), CLUSTER, SEGMENT_SIZE);
    let (mut after, mut bytes) = (0, Vec::new());
    let error = loop {
        match reader.read_after(after, up_to, 1, &mut bytes) {
            Ok(last) => after = last,
            Err(error) => break error,
        }
    };
    assert_eq!(after + 1, frames[at].0.sequence, "everything before it is read");
    assert!(matches!(error, JournalError::LogUnreadable { .. }), "{error}");
}
