//! The events of the operations that change books.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of [`SubmitOrder::flags`].
#[derive(Clone, Copy, Debug)]
pub struct OrderFlags;

impl OrderFlags {
    /// Never allowed: undoing a chain would undo strangers' fills.
    pub const LINKED: u32 = 1;
    /// Refused if it would trade at once.
    pub const POST_ONLY: u32 = 1 << 1;
    /// Cancelled by a mass cancel that names the session it came by.
    pub const CANCEL_ON_DISCONNECT: u32 = 1 << 2;
    /// All bits that have a meaning.
    pub const ALL: u32 = Self::LINKED | Self::POST_ONLY | Self::CANCEL_ON_DISCONNECT;
}

/// A new order: an event of `submit_orders`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SubmitOrder {
    /// The client's own id, unique per quote account for ever; not zero.
    pub client_order_id: u128,
    /// Pays for a buy, gets the proceeds of a sell. The order belongs to this account.
    pub quote_account_id: u128,
    /// Gets what is bought, gives what is sold.
    pub base_account_id: u128,
    /// What a market or stop order to buy may spend, in quote units without fees; 0 is what its band allows.
    pub budget: u128,
    /// The limit in ticks; 0 for market and stop orders.
    pub price: u64,
    /// The trigger in ticks; 0 for orders that are not dormant.
    pub stop_price: u64,
    /// Lots.
    pub quantity: u64,
    /// When it ends, nanoseconds since 1970; 0 unless it is good till a date.
    pub expires_ns: u64,
    /// The client's own; given back with the order.
    pub user_data_64: u64,
    /// Which instrument.
    pub instrument: u32,
    /// See [`OrderFlags`].
    pub flags: u32,
    /// See [`super::decode_side`].
    pub side: u8,
    /// See [`super::decode_kind`].
    pub kind: u8,
    /// See [`super::decode_time_in_force`].
    pub time_in_force: u8,
    /// See [`super::decode_self_trade`]; 0 is the instrument's default.
    pub self_trade: u8,
    /// Zero.
    pub reserved: [u8; 4],
    /// Zero; the engine gives it.
    pub timestamp: u64,
}

/// New terms for an open order, all of them as they shall be: an event of `amend_orders`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AmendOrderEvent {
    /// The order's quote account.
    pub account_id: u128,
    /// The order's client id; 0 if `order_number` names it.
    pub client_order_id: u128,
    /// The order's number; 0 if `client_order_id` names it.
    pub order_number: u64,
    /// The new limit in ticks; 0 for an untriggered stop order.
    pub price: u64,
    /// The new trigger in ticks; 0 for orders that are not dormant (any more).
    pub stop_price: u64,
    /// The new total in lots, what is filled included. No more than that cancels the order.
    pub quantity: u64,
}

/// The end of an order: an event of `cancel_orders`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CancelOrderEvent {
    /// The order's quote account.
    pub account_id: u128,
    /// The order's client id; 0 if `order_number` names it.
    pub client_order_id: u128,
    /// The order's number; 0 if `client_order_id` names it.
    pub order_number: u64,
    /// Zero.
    pub reserved: [u64; 3],
}

/// The end of all orders that meet every condition, in the order of their numbers: an event of `mass_cancel_orders`.
///
/// One request looks at [`SWEEP_LOOKS_MAX`](crate::limits::SWEEP_LOOKS_MAX) open orders and ends
/// [`SWEEP_ENDS_MAX`](crate::limits::SWEEP_ENDS_MAX) at the most. While the result has an `order_number`, there are more:
/// send the event again with that number.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MassCancelEvent {
    /// Only this quote account's; 0 for all.
    pub account_id: u128,
    /// Only those with `CANCEL_ON_DISCONNECT` that came by this session, or, with [`MassCancelEvent::EVERY_SESSION`], by
    /// any; 0 for all orders.
    pub session: u64,
    /// Only this instrument's; 0 for all.
    pub instrument: u32,
    /// 0 both sides, 1 buys, 2 sells.
    pub sides: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// 0 at first; then the `order_number` of the result before.
    pub from_order_number: u64,
    /// The last order that may end, as the first result's `filled` tells it; 0 for all.
    pub to_order_number: u64,
    /// Zero.
    pub reserved_2: [u64; 2],
}

impl MassCancelEvent {
    /// As `session`: of every session. No session has this number.
    pub const EVERY_SESSION: u64 = u64::MAX;

    /// Whether an order with this session (0 if it asked for nothing) meets the condition.
    #[must_use]
    pub const fn covers_session(&self, session: u64) -> bool {
        Self::is_session_covered(self.session, session)
    }

    /// As [`MassCancelEvent::covers_session`], of an event that names this session.
    #[must_use]
    pub const fn is_session_covered(named: u64, session: u64) -> bool {
        match named {
            0 => true,
            Self::EVERY_SESSION => session != 0,
            _ => named == session,
        }
    }
}

/// An event of `set_trading_states` and of `close_trading_sessions`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct InstrumentCommand {
    /// Which instrument; 0 for all.
    pub instrument: u32,
    /// See [`super::decode_trading_state`]; 0 for `close_trading_sessions`.
    pub state: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Of `close_trading_sessions` as in [`MassCancelEvent`]; 0 for `set_trading_states`.
    pub from_order_number: u64,
}

const _: () = {
    assert!(size_of::<SubmitOrder>() == 128);
    assert!(std::mem::offset_of!(SubmitOrder, price) == 64);
    assert!(std::mem::offset_of!(SubmitOrder, side) == 112);
    assert!(size_of::<AmendOrderEvent>() == 64);
    assert!(size_of::<CancelOrderEvent>() == 64);
    assert!(size_of::<MassCancelEvent>() == 64);
    assert!(size_of::<InstrumentCommand>() == 16);
};
