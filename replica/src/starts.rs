//! Starts of a disk: how two copies of one directory are told apart.
//!
//! A copy of a node's directory names the same disk as the original. If both count, an acknowledgement rests on one of them
//! and a promotion may ask the other. An incarnation cannot tell them apart, because it is copied. So every disk also
//! numbers its starts, and draws a nonce for each; both are durable before the node says hello. Peers remember the last
//! start that they took. Of two copies that are started, the first one that a peer hears takes the next number there. The other
//! one comes with the same number and another nonce, or later with a lower number, and is refused.
//!
//! Invariant: a disk takes its next number only after a peer has taken the last one. Without this rule a copy that nobody takes
//! would gain a higher number than the original by starting often. So a node that crashes before a peer took its start
//! comes back with the same number and nonce, and a disk that was not copied is never refused: its peers know nothing
//! later than it has written down itself.
//!
//! What this cannot tell: a directory that was copied while its node ran, and is started when that one has ended and
//! was not started since. That is what a loss of power leaves, too. A primary that heard acknowledgements of that disk
//! finds it by the end of the log, see `replica/copies`.

use crate::constants::NODES_MAX;
use thiserror::Error;

/// Bytes of [`Starts`].
pub const STARTS_SIZE: usize = 24 * (NODES_MAX + 1);

/// One start of a disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Start {
    /// Counts the starts that a peer took; 0 before the first.
    pub number: u64,
    /// Random, drawn for this start.
    pub nonce: u64,
}

/// The last start of a disk that is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KnownStart {
    /// The disk; 0 if none is known.
    pub incarnation: u64,
    /// Its start.
    pub start: Start,
}

/// What a disk keeps of its own starts and of its peers'.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Starts {
    /// This start.
    pub own: Start,
    /// Whether a peer has taken it.
    pub is_confirmed: bool,
    /// Of each node; nothing for the own one.
    pub known: [KnownStart; NODES_MAX],
}

/// Why a node is taken for a copy.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Copied {
    /// The disk has been started since.
    #[error(
        "its directory is an older copy: that disk is known to have come to start {known}, and this is start {found}"
    )]
    Older {
        /// The start that is known.
        known: u64,
        /// The start that was refused.
        found: u64,
    },
    /// Two copies have begun the same start.
    #[error("its directory is a copy: start {number} of that disk was begun by another copy")]
    Other {
        /// The start.
        number: u64,
    },
    /// Another process of that number lives.
    #[error("another process with the same node number is connected and answers")]
    Running,
    /// The log lacks what the disk acknowledged.
    #[error(
        "its directory is an older copy: that disk has acknowledged entries up to {acknowledged}, and this log ends with {end}"
    )]
    Lacking {
        /// What it acknowledged.
        acknowledged: u64,
        /// The end of its log.
        end: u64,
    },
}

impl Copied {
    /// The words of a message: reason and two numbers.
    pub(crate) const fn words(&self) -> [u64; 3] {
        match *self {
            Self::Older { known, found } => [1, known, found],
            Self::Other { number } => [2, number, 0],
            Self::Running => [3, 0, 0],
            Self::Lacking { acknowledged, end } => [4, acknowledged, end],
        }
    }

    /// Understands the words of a message.
    pub(crate) const fn from_words(words: [u64; 3]) -> Option<Self> {
        Some(match words {
            [1, known, found] => Self::Older { known, found },
            [2, number, 0] => Self::Other { number },
            [3, 0, 0] => Self::Running,
            [4, acknowledged, end] => Self::Lacking { acknowledged, end },
            _ => return None,
        })
    }
}

impl Starts {
    /// What is to be durable before the node says hello. `nonce` is random.
    #[must_use]
    pub const fn next(self, nonce: u64) -> Self {
        if self.own.number > 0 && !self.is_confirmed {
            return self;
        }
        let number = self.own.number.saturating_add(1);
        Starts { own: Start { number, nonce }, is_confirmed: false, known: self.known }
    }

    /// Whether a start of a peer's disk may be taken.
    ///
    /// # Errors
    /// It is a copy's.
    pub(crate) fn judge(&self, peer: u8, found: &KnownStart) -> Result<(), Copied> {
        let known = &self.known[usize::from(peer)];
        if known.incarnation != found.incarnation || known.start == found.start {
            return Ok(());
        }
        let (known, found) = (known.start.number, found.start.number);
        match found.cmp(&known) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal => Err(Copied::Other { number: found }),
            std::cmp::Ordering::Less => Err(Copied::Older { known, found }),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; STARTS_SIZE] {
        let own = [self.own.number, self.own.nonce, self.is_confirmed.into()];
        let known = self.known.iter();
        let known = known.flat_map(|it| [it.incarnation, it.start.number, it.start.nonce]);
        let mut bytes = [0; STARTS_SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(own.into_iter().chain(known)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Understands the bytes; `None` if they are not those of [`Starts::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8; STARTS_SIZE]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|word| {
            u64::from_le_bytes(word.try_into().expect("invariant: chunks of eight bytes"))
        });
        let mut next = || words.next().expect("invariant: the size was checked");
        let own = Start { number: next(), nonce: next() };
        let is_confirmed = match next() {
            0 => false,
            1 => true,
            _ => return None,
        };
        let known = std::array::from_fn(|_| KnownStart {
            incarnation: next(),
            start: Start { number: next(), nonce: next() },
        });
        Some(Starts { own, is_confirmed, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(incarnation: u64, number: u64, nonce: u64) -> KnownStart {
        KnownStart { incarnation, start: Start { number, nonce } }
    }

    #[test]
    fn a_number_is_taken_after_a_peer_took_the_last_one_and_not_before() {
        let first = Starts::default().next(7);
        assert_eq!(first.own, Start { number: 1, nonce: 7 });
        assert_eq!(first.next(8), first, "nobody took it");
        let second = Starts { is_confirmed: true, ..first }.next(8);
        assert_eq!((second.own, second.is_confirmed), (Start { number: 2, nonce: 8 }, false));
    }

    #[test]
    fn a_copy_is_refused_and_a_later_start_is_not() {
        let mut starts = Starts::default();
        starts.known[1] = known(5, 3, 30);
        assert_eq!(starts.judge(1, &known(5, 3, 30)), Ok(()));
        assert_eq!(starts.judge(1, &known(5, 9, 1)), Ok(()));
        assert_eq!(starts.judge(1, &known(6, 1, 1)), Ok(()), "another disk");
        assert_eq!(starts.judge(1, &known(5, 3, 31)), Err(Copied::Other { number: 3 }));
        let older = Copied::Older { known: 3, found: 2 };
        assert_eq!(starts.judge(1, &known(5, 2, 30)), Err(older));
    }

    #[test]
    fn the_bytes_are_the_ones_that_are_drawn_and_come_back() {
        let starts = Starts {
            own: Start { number: 1, nonce: 2 },
            is_confirmed: true,
            known: [known(3, 4, 5), known(6, 7, 8), known(9, 10, 11)],
        };
        let bytes = starts.encode();
        let expected = [1u64, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(u64::to_le_bytes).concat();
        assert_eq!(bytes[..], expected);
        assert_eq!(Starts::decode(&bytes), Some(starts));
        let mut other = bytes;
        other[16] = 2;
        assert_eq!(Starts::decode(&other), None);
    }

    #[test]
    fn a_reason_comes_back_from_its_words() {
        for reason in [
            Copied::Older { known: 2, found: 1 },
            Copied::Other { number: 3 },
            Copied::Running,
            Copied::Lacking { acknowledged: 9, end: 8 },
        ] {
            assert_eq!(Copied::from_words(reason.words()), Some(reason));
        }
        for words in [[0, 0, 0], [2, 1, 1], [3, 1, 0], [5, 0, 0]] {
            assert_eq!(Copied::from_words(words), None);
        }
    }
}
