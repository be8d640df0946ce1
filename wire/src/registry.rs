//! Records of the registry (names and scales of ledgers, names of codes) and of reports on the whole state.

use crate::limits::{CURRENCY_SIZE, NAME_SIZE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A ledger's name, currency and number of decimal places. Once registered it never changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateLedger {
    /// The ledger; not 0.
    pub ledger: u32,
    /// Decimal places: an amount of 1 is 10^-scale of the currency.
    pub scale: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// ASCII letters, digits, `-` or `.`, padded with zeros.
    pub currency: [u8; CURRENCY_SIZE],
    /// Zero.
    pub reserved_2: [u8; 12],
    /// UTF-8, padded with zeros, not empty.
    pub name: [u8; NAME_SIZE],
    /// Zero.
    pub reserved_3: [u8; 24],
    /// Given by the engine; zero in a request.
    pub timestamp: u64,
}

/// What an account code stands for. Once registered it never changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateCode {
    /// The code; not 0.
    pub code: u16,
    /// See [`CodeClass`].
    pub class: u8,
    /// Zero.
    pub reserved: [u8; 29],
    /// UTF-8, padded with zeros, not empty.
    pub name: [u8; NAME_SIZE],
    /// Zero.
    pub reserved_2: [u8; 24],
    /// Given by the engine; zero in a request.
    pub timestamp: u64,
}

/// The five classes of a chart of accounts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum CodeClass {
    /// Debit-normal: what is owned.
    Asset = 1,
    /// Credit-normal: what is owed.
    Liability = 2,
    /// Credit-normal: what belongs to the owners.
    Equity = 3,
    /// Credit-normal: earnings.
    Income = 4,
    /// Debit-normal: costs.
    Expense = 5,
}

/// An unsigned 256-bit sum: a trial balance may exceed any one account.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Wide {
    /// The lower 128 bits.
    pub low: u128,
    /// The upper 128 bits.
    pub high: u128,
}

impl Wide {
    /// Adds an amount. Wraps at 2^256, which no number of accounts can reach.
    pub const fn add(&mut self, amount: u128) {
        let (low, carry) = self.low.overflowing_add(amount);
        self.low = low;
        self.high = self.high.wrapping_add(carry as u128);
    }

    /// Takes an amount away again.
    pub const fn subtract(&mut self, amount: u128) {
        let (low, borrow) = self.low.overflowing_sub(amount);
        self.low = low;
        self.high = self.high.wrapping_sub(borrow as u128);
    }
}

/// The sums of one ledger. In a sound state debits equal credits, pending and posted.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TrialBalanceRow {
    /// Sum of all accounts' pending debits.
    pub debits_pending: Wide,
    /// Sum of all accounts' posted debits.
    pub debits_posted: Wide,
    /// Sum of all accounts' pending credits.
    pub credits_pending: Wide,
    /// Sum of all accounts' posted credits.
    pub credits_posted: Wide,
    /// Number of accounts in the ledger.
    pub account_count: u64,
    /// The ledger.
    pub ledger: u32,
    /// Decimal places, 0 if the ledger is not registered.
    pub scale: u8,
    /// 1 if the ledger is registered.
    pub registered: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// The registered currency, else zeros.
    pub currency: [u8; CURRENCY_SIZE],
    /// Zero.
    pub reserved_2: [u8; 4],
    /// Zero.
    pub reserved_3: [u64; 12],
}

impl TrialBalanceRow {
    /// Whether debits equal credits.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.debits_pending == self.credits_pending && self.debits_posted == self.credits_posted
    }
}

/// Counters, limits and digest of the engine at one sequence.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct EngineStatus {
    /// Chain over all results up to `sequence`.
    pub digest: u128,
    /// The cluster of the genesis record.
    pub cluster: u128,
    /// Sequence of the last applied log entry.
    pub sequence: u64,
    /// The last timestamp given.
    pub timestamp: u64,
    /// Accounts that exist.
    pub account_count: u64,
    /// Accounts that fit.
    pub account_count_max: u64,
    /// Transfers that exist.
    pub transfer_count: u64,
    /// Transfers and burnt ids that fit.
    pub transfer_count_max: u64,
    /// Transfer ids that failed for ever.
    pub burnt_id_count: u64,
    /// Pending transfers that are neither posted, voided nor expired.
    pub hold_count: u64,
    /// Open pending transfers that fit.
    pub hold_count_max: u64,
    /// Open sessions.
    pub session_count: u32,
    /// Sessions that fit.
    pub session_count_max: u32,
    /// Ledgers in use.
    pub ledger_count: u32,
    /// Ledgers that fit.
    pub ledger_count_max: u32,
    /// Meaning of results; see [`crate::SEMANTICS_VERSION`].
    pub semantics_version: u32,
    /// Instruments that exist.
    pub instrument_count: u32,
    /// Instruments that fit; 0, as all that follows, for a node without trading.
    pub instrument_count_max: u32,
    /// Open orders, dormant ones included.
    pub open_order_count: u32,
    /// Orders that are remembered.
    pub order_count: u64,
    /// Orders that can be remembered.
    pub order_count_max: u64,
    /// Execution reports that are kept at the most.
    pub report_count_max: u64,
    /// Chain over everything that the order books reported. No time and no place in the log is part of it: the same
    /// commands on the same accounts give the same value whenever they come.
    pub book_digest: u128,
    /// Open orders that fit.
    pub open_order_count_max: u32,
    /// Open orders for which books have taken room.
    pub open_order_count_taken: u32,
    /// Price levels that fit.
    pub book_level_count_max: u32,
    /// Price levels for which books have taken room.
    pub book_level_count_taken: u32,
    /// Places among the transfers that are kept free for the ends of open holds.
    pub transfer_reserved_count: u64,
    /// Zero.
    pub reserved: [u64; 7],
}

impl EngineStatus {
    /// Whether the node has order books.
    #[must_use]
    pub const fn has_trading(&self) -> bool {
        self.instrument_count_max != 0
    }

    /// How many places of `transfer_count_max` are taken: by transfers, by spent ids, and by what is reserved for the
    /// ends of open holds. At the maximum nothing but the end of a hold is executed.
    #[must_use]
    pub const fn transfers_taken(&self) -> u64 {
        let stored = self.transfer_count.saturating_add(self.burnt_id_count);
        stored.saturating_add(self.transfer_reserved_count)
    }
}

const _: () = {
    assert!(size_of::<CreateLedger>() == 128);
    assert!(size_of::<CreateCode>() == 128);
    assert!(size_of::<TrialBalanceRow>() == 256);
    assert!(size_of::<EngineStatus>() == 256);
    assert!(std::mem::offset_of!(EngineStatus, book_digest) == 160);
};

impl CreateLedger {
    /// A request record.
    ///
    /// # Errors
    /// Gives `None` if currency or name do not fit.
    #[must_use]
    pub fn new(ledger: u32, scale: u8, currency: &str, name: &str) -> Option<Self> {
        Some(Self {
            ledger,
            scale,
            reserved: [0; 3],
            currency: write_name(currency)?,
            reserved_2: [0; 12],
            name: write_name(name)?,
            reserved_3: [0; 24],
            timestamp: 0,
        })
    }
}

impl CreateCode {
    /// A request record; `None` if the name does not fit.
    #[must_use]
    pub fn new(code: u16, class: CodeClass, name: &str) -> Option<Self> {
        Some(Self {
            code,
            class: class as u8,
            reserved: [0; 29],
            name: write_name(name)?,
            reserved_2: [0; 24],
            timestamp: 0,
        })
    }
}

/// Pads a text with zeros; `None` if it is too long or contains a zero byte.
#[must_use]
pub fn write_name<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() > N || text.bytes().any(|byte| byte == 0) {
        return None;
    }
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Some(bytes)
}

/// Reads a zero-padded text; `None` unless it is valid UTF-8, not empty, and zero after its end.
#[must_use]
pub fn read_name(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    if end == 0 || bytes[end..].iter().any(|byte| *byte != 0) {
        return None;
    }
    std::str::from_utf8(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_sum_carries_and_borrows() {
        let mut sum = Wide::default();
        sum.add(u128::MAX);
        sum.add(2);
        assert_eq!(sum, Wide { low: 1, high: 1 });
        sum.subtract(2);
        assert_eq!(sum, Wide { low: u128::MAX, high: 0 });
    }

    #[test]
    fn names_are_padded_with_zeros_and_nothing_else() {
        assert_eq!(read_name(&write_name::<12>("EUR").unwrap()), Some("EUR"));
        assert_eq!(read_name(b"EUR\0x"), None);
        assert_eq!(read_name(&[0; 12]), None);
        assert_eq!(read_name(&[0xff, 0]), None);
        assert_eq!(write_name::<3>("EURO"), None);
        assert_eq!(write_name::<3>("E\0"), None);
    }
}
