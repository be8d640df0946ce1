//! Why an event was not executed, in the terms that accounts, transfers and registrations share.

use mizan_wire::{CreateAccountStatus, CreateTransferStatus, RegistryStatus, Status};

/// A failed event. Nothing of it has changed the state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// The status number.
    pub(crate) status: u32,
    /// For `exists`: the stored record's timestamp.
    pub(crate) stored_timestamp: Option<u64>,
    /// Whether the id is spent.
    pub(crate) burns: bool,
}

impl Refusal {
    const fn plain(status: u32) -> Self {
        Self { status, stored_timestamp: None, burns: false }
    }

    /// A failure that spends no id.
    pub(crate) fn new(status: impl Status) -> Self {
        Self::plain(status.number())
    }

    /// The same account, transfer or registration is stored.
    pub(crate) fn exists(status: impl Status, stored_timestamp: u64) -> Self {
        Self { stored_timestamp: Some(stored_timestamp), ..Self::plain(status.number()) }
    }
}

impl From<CreateAccountStatus> for Refusal {
    fn from(status: CreateAccountStatus) -> Self {
        Self::plain(status.number())
    }
}

impl From<RegistryStatus> for Refusal {
    fn from(status: RegistryStatus) -> Self {
        Self::plain(status.number())
    }
}

impl From<CreateTransferStatus> for Refusal {
    fn from(status: CreateTransferStatus) -> Self {
        Self { burns: status.is_transient(), ..Self::plain(status.number()) }
    }
}

/// Fails with a status if a condition holds: lists of checks then read like the table of precedence.
#[inline]
pub(crate) fn refuse_if<S>(condition: bool, status: S) -> Result<(), S> {
    if condition { Err(status) } else { Ok(()) }
}
