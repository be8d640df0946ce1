//! Records of the operations about sessions.

use crate::Genesis;
use crate::limits::{OPERATOR_SESSION_COUNT_MAX, SESSIONS_PER_OPERATOR_PLACE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An event of `close_sessions` and of `connection_lost`: which session.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SessionKey {
    /// The session's client. 0, in `connection_lost` only and with [`SessionKey::EVERY_SESSION`], for all.
    pub client: u128,
    /// The session's number; 0, in `connection_lost` only, for whichever the client has.
    pub session: u64,
    /// Zero.
    pub reserved: u64,
}

impl SessionKey {
    /// In `connection_lost`: no connection of any session is left.
    pub const EVERY_SESSION: u64 = u64::MAX;
}

/// The event of `get_sessions`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SessionsQuery {
    /// Sessions with a number above this one, ascending, as many as a reply holds.
    pub after: u64,
    /// Zero; not looked at.
    pub reserved: u64,
}

/// A session, as `get_sessions` shows it.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SessionRecord {
    /// The client.
    pub client: u128,
    /// The session's number: the sequence at which it was opened.
    pub session: u64,
    /// Number of the last write that was executed in it.
    pub request_last: u64,
    /// When it was used last: nanoseconds since 1970, in the time of the log.
    pub last_activity: u64,
    /// When its connection was lost; 0 while it has one.
    pub lost_at: u64,
    /// Bytes of the replies that are stored for it.
    pub reply_bytes: u64,
    /// Their number.
    pub reply_count: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<SessionKey>() == 32);
    assert!(size_of::<SessionsQuery>() == 16);
    assert!(size_of::<SessionRecord>() == 64);
};

impl Genesis {
    /// Places for sessions that are kept for operators.
    #[must_use]
    pub const fn operator_session_count(&self) -> u32 {
        let share = self.session_count_max / SESSIONS_PER_OPERATOR_PLACE;
        if share < OPERATOR_SESSION_COUNT_MAX { share } else { OPERATOR_SESSION_COUNT_MAX }
    }
}
