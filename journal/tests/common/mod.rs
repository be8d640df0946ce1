//! What the tests of the journal share.
#![allow(dead_code, reason = "every test binary uses another part")]

pub(crate) mod place;

use mizan_journal::sim::SimRandom;
use mizan_journal::{
    FormatOptions, Frame, Journal, JournalError, OpenOptions, Prepare, RecoveryReport, Storage,
};

pub(crate) const CLUSTER: u128 = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10;
pub(crate) const SEGMENT_SIZE: u64 = 2 << 20;

/// A frame as it was appended, or as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) sequence: u64,
    pub(crate) count: u32,
    pub(crate) payload: Vec<u8>,
}

impl Written {
    pub(crate) fn last_sequence(&self) -> u64 {
        self.sequence + u64::from(self.count) - 1
    }
}

pub(crate) fn format_options() -> FormatOptions {
    FormatOptions { segment_size: SEGMENT_SIZE, ..FormatOptions::new(CLUSTER, 7) }
}

pub(crate) fn inline() -> OpenOptions {
    OpenOptions { prepare: Prepare::Inline, ..OpenOptions::default() }
}

pub(crate) struct Opened<S: Storage> {
    pub(crate) journal: Journal<S>,
    pub(crate) report: RecoveryReport,
    pub(crate) frames: Vec<Written>,
}

pub(crate) fn found(frame: &Frame<'_>) -> Written {
    Written { sequence: frame.sequence, count: frame.count, payload: frame.payload.to_vec() }
}

pub(crate) fn try_open<S: Storage>(storage: S) -> Result<Opened<S>, JournalError> {
    let mut frames = Vec::new();
    let (journal, report) = Journal::open(storage, &inline(), &mut |frame: &Frame<'_>| {
        frames.push(found(frame));
        Ok(())
    })?;
    Ok(Opened { journal, report, frames })
}

pub(crate) fn open<S: Storage>(storage: S) -> Opened<S> {
    try_open(storage).expect("the journal opens")
}

pub(crate) fn payload(random: &mut SimRandom, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(random.next_u64().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Appends one frame, its payload put in two pieces.
pub(crate) fn append<S: Storage>(
    journal: &mut Journal<S>,
    count: u32,
    payload: &[u8],
) -> Result<Written, JournalError> {
    let sequence = journal.next_sequence();
    let commit = journal.durable();
    let mut frame = journal.begin(sequence, payload.len())?;
    let (front, back) = payload.split_at(payload.len() / 3);
    frame.put(front)?;
    frame.put(back)?;
    frame.finish(count, commit)?;
    Ok(Written { sequence, count, payload: payload.to_vec() })
}

/// Formats `storage` and appends `groups` groups of `frames` frames of about `size` bytes; all synced.
pub(crate) fn filled<S: Storage + Clone>(
    storage: &S,
    groups: u32,
    frames: u32,
    size: usize,
) -> Vec<Written> {
    Journal::format(storage, &format_options()).expect("the journal is formatted");
    let mut random = SimRandom::new(u64::from(groups) * 1000 + size as u64);
    let mut opened = open(storage.clone());
    let mut written = Vec::new();
    for _ in 0..groups {
        for number in 0..frames {
            let bytes = payload(&mut random, size + number as usize * 13);
            let frame = append(&mut opened.journal, 1 + number, &bytes).expect("appended");
            written.push(frame);
        }
        opened.journal.sync().expect("synced");
    }
    written
}
