//! Every limit of the formats and protocols, in one place.

/// Events in one request at the most; equal to the limit of the field's established clients.
pub const EVENTS_MAX: u32 = 8_189;
/// Bytes of a native frame's header, of a journaled request's header, and of one cell of the ring.
pub const HEADER_SIZE: usize = 128;
/// Bytes of a request's or reply's body at the most: `EVENTS_MAX` records of 128 bytes.
pub const BODY_SIZE_MAX: usize = EVENTS_MAX as usize * 128;
/// Bytes of a frame at the most, header and body.
pub const FRAME_SIZE_MAX: usize = HEADER_SIZE + BODY_SIZE_MAX;
/// Bytes of a credential in a hello at the most.
pub const CREDENTIAL_SIZE_MAX: usize = 256;
/// Bytes of the text of an error frame at the most.
pub const ERROR_TEXT_SIZE_MAX: usize = 256;
/// Bytes of a registered name, padded with zeros.
pub const NAME_SIZE: usize = 64;
/// Bytes of a currency code, padded with zeros.
pub const CURRENCY_SIZE: usize = 12;
/// Decimal places of a ledger at the most: 10^38 is the largest power of ten in a u128.
pub const SCALE_MAX: u8 = 38;
/// Due actions that one tick performs at the most.
pub const TICK_ACTIONS_MAX: u32 = EVENTS_MAX;
/// What the events of one request may look at together: price levels and orders that a fill-or-kill looks at before
/// anything is executed, instruments whose state is set, stops that are triggered and released; and trades, at
/// [`LOOKS_PER_MATCH`] each. So no request costs more than two full batches of new orders that trade.
pub const LOOKS_MAX: u32 = 32_768;
/// What a trade costs in looks, or that an order meets another one of its owner instead.
pub const LOOKS_PER_MATCH: u32 = 2;
/// Orders that the mass cancels, or the ends of sessions, of one request end at the most.
pub const SWEEP_ENDS_MAX: u32 = EVENTS_MAX;
/// Open orders that they look at, at the most.
pub const SWEEP_LOOKS_MAX: u32 = LOOKS_MAX;
/// Sessions that one request closes, or one entry tells about, at the most.
pub const SESSIONS_PER_REQUEST_MAX: u32 = 1_024;
/// A session without a connection that has replies to be asked for again keeps its place for so long, in nanoseconds of
/// log time, where others need one: time enough to connect to another node.
pub const SESSION_LOST_GRACE_NS: u64 = 60 * NS_PER_S;
/// Of the places for sessions, one in so many is kept for operators...
pub const SESSIONS_PER_OPERATOR_PLACE: u32 = 16;
/// ... and this is the most that are kept.
pub const OPERATOR_SESSION_COUNT_MAX: u32 = 16;
/// Timestamps lie in `1..=TIMESTAMP_MAX` (nanoseconds since 1970).
pub const TIMESTAMP_MAX: u64 = (1 << 63) - 1;
/// Nanoseconds in a second: timeouts are given in seconds, timestamps in nanoseconds.
pub const NS_PER_S: u64 = 1_000_000_000;
/// Ids whose top 16 bits are this belong to the engine.
pub const RESERVED_ID_PREFIX: u16 = 0xFFFE;

/// Whether an id lies in the engine's own space.
#[must_use]
pub const fn id_is_reserved(id: u128) -> bool {
    (id >> 112) as u16 == RESERVED_ID_PREFIX
}
