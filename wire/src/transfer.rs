//! The transfer record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A transfer as it travels and as it is looked up. Amounts are in the smallest unit of the ledger.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Transfer {
    /// Chosen by the client; the key under which a repetition is recognised, for ever.
    pub id: u128,
    /// The account whose debits grow.
    pub debit_account_id: u128,
    /// The account whose credits grow.
    pub credit_account_id: u128,
    /// How much, in the smallest unit of the ledger.
    pub amount: u128,
    /// The pending transfer that this one posts or voids, else 0.
    pub pending_id: u128,
    /// Free for the client.
    pub user_data_128: u128,
    /// Free for the client.
    pub user_data_64: u64,
    /// Free for the client.
    pub user_data_32: u32,
    /// Seconds until a pending transfer expires; 0 for never.
    pub timeout: u32,
    /// The ledger of both accounts.
    pub ledger: u32,
    /// Why the money moves, in the client's own terms.
    pub code: u16,
    /// See [`TransferFlags`].
    pub flags: u16,
    /// Given by the engine: nanoseconds since 1970, unique over all records.
    pub timestamp: u64,
}

const _: () = {
    assert!(size_of::<Transfer>() == 128);
    assert!(std::mem::offset_of!(Transfer, amount) == 48);
    assert!(std::mem::offset_of!(Transfer, user_data_64) == 96);
    assert!(std::mem::offset_of!(Transfer, timeout) == 108);
    assert!(std::mem::offset_of!(Transfer, ledger) == 112);
    assert!(std::mem::offset_of!(Transfer, flags) == 118);
    assert!(std::mem::offset_of!(Transfer, timestamp) == 120);
};

/// Bits of [`Transfer::flags`].
#[derive(Clone, Copy, Debug)]
pub struct TransferFlags;

impl TransferFlags {
    /// Succeeds or fails together with the next event of the batch.
    pub const LINKED: u16 = 1;
    /// Reserves the amount instead of moving it.
    pub const PENDING: u16 = 2;
    /// Moves (part of) what a pending transfer reserved.
    pub const POST_PENDING: u16 = 4;
    /// Gives back what a pending transfer reserved.
    pub const VOID_PENDING: u16 = 8;
    /// Takes at most what the debit account's credits leave.
    pub const BALANCING_DEBIT: u16 = 16;
    /// Takes at most what the credit account's debits leave.
    pub const BALANCING_CREDIT: u16 = 32;
    /// Closes the debit account; only together with `PENDING`.
    pub const CLOSING_DEBIT: u16 = 64;
    /// Closes the credit account; only together with `PENDING`.
    pub const CLOSING_CREDIT: u16 = 128;
    /// Carries its own timestamp.
    pub const IMPORTED: u16 = 256;
    /// All bits that have a meaning in a request.
    pub const ALL: u16 = 511;
}
