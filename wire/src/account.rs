//! The account record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An account as it travels and as it is looked up. Amounts are in the smallest unit of the ledger.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Account {
    /// Chosen by the client; neither 0 nor the largest number.
    pub id: u128,
    /// Debits of holds that are still open.
    pub debits_pending: u128,
    /// Debits that are final.
    pub debits_posted: u128,
    /// Credits of holds that are still open.
    pub credits_pending: u128,
    /// Credits that are final.
    pub credits_posted: u128,
    /// Free for the client.
    pub user_data_128: u128,
    /// Free for the client.
    pub user_data_64: u64,
    /// Free for the client.
    pub user_data_32: u32,
    /// Zero on the wire.
    pub reserved: u32,
    /// The ledger; transfers never cross ledgers.
    pub ledger: u32,
    /// What the account is for, in the client's chart of accounts.
    pub code: u16,
    /// See [`AccountFlags`].
    pub flags: u16,
    /// Given by the engine: nanoseconds since 1970, unique over all records.
    pub timestamp: u64,
}

const _: () = {
    assert!(size_of::<Account>() == 128);
    assert!(std::mem::offset_of!(Account, user_data_128) == 80);
    assert!(std::mem::offset_of!(Account, reserved) == 108);
    assert!(std::mem::offset_of!(Account, ledger) == 112);
    assert!(std::mem::offset_of!(Account, flags) == 118);
    assert!(std::mem::offset_of!(Account, timestamp) == 120);
};

/// Bits of [`Account::flags`].
#[derive(Clone, Copy, Debug)]
pub struct AccountFlags;

impl AccountFlags {
    /// Succeeds or fails together with the next event of the batch.
    pub const LINKED: u16 = 1;
    /// Refuses a debit that would take debits (pending and posted) above posted credits.
    pub const DEBITS_MUST_NOT_EXCEED_CREDITS: u16 = 2;
    /// Refuses a credit that would take credits (pending and posted) above posted debits.
    pub const CREDITS_MUST_NOT_EXCEED_DEBITS: u16 = 4;
    /// Keeps the balances after each transfer.
    pub const HISTORY: u16 = 8;
    /// Carries its own timestamp.
    pub const IMPORTED: u16 = 16;
    /// Refuses transfers, except the void of a pending one.
    pub const CLOSED: u16 = 32;
    /// All bits that have a meaning in a request.
    pub const ALL: u16 = 63;
}
