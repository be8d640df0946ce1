//! What clients were told: every transfer that was sent, with what became of it.
//!
//! Invariants: an attempt is acknowledged only with its own result in a reply; what got no answer is unknown, never
//! failed. What is absent: an opinion. The oracle judges.

use mizan_wire::{CreateResult, Transfer};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a client was told about a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// This result.
    Acknowledged(CreateResult),
    /// That it was not executed, for certain.
    NotExecuted,
    /// Nothing: it may be in the ledger or not.
    Unknown,
}

/// A transfer that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) transfer: Transfer,
    pub(crate) seen: Seen,
}

/// Everything that the clients of a load saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) attempts: Vec<Attempt>,
    /// Replies by epoch and node.
    pub(crate) replies: BTreeMap<(u64, u8), u64>,
    /// Replies that were stored ones, sent again.
    pub(crate) replayed: u64,
    /// Clients that ended before they were asked to, and why.
    pub(crate) errors: Vec<String>,
    /// The longest time without any acknowledgement.
    pub(crate) longest_pause: Duration,
}

impl History {
    /// Adds what another client saw.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.attempts.extend(other.attempts);
        for (place, count) in other.replies {
            *self.replies.entry(place).or_default() += count;
        }
        self.replayed += other.replayed;
        self.errors.extend(other.errors);
        self.longest_pause = self.longest_pause.max(other.longest_pause);
    }

    /// Transfers that were answered.
    pub(crate) fn acknowledged(&self) -> u64 {
        let answered = |attempt: &&Attempt| matches!(attempt.seen, Seen::Acknowledged(_));
        self.attempts.iter().filter(answered).count() as u64
    }
}
