//! What can be asked of trading, and the answers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where an order stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum OrderState {
    /// It rests, or is on its way.
    Open = 1,
    /// It waits for its trigger.
    Dormant = 2,
    /// Nothing of it is left to trade.
    Filled = 3,
    /// It ended before that.
    Cancelled = 4,
}

/// Names an order by its account and client id: an event of `get_orders`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OrderKey {
    /// The order's quote account.
    pub account_id: u128,
    /// The order's client id.
    pub client_order_id: u128,
}

/// The event of `get_open_orders`. A reply whose last record has the state 0 is not complete: ask again after its number.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OpenOrdersQuery {
    /// The quote account.
    pub account_id: u128,
    /// Only orders with higher numbers.
    pub after_order_number: u64,
    /// Only this instrument's; 0 for all.
    pub instrument: u32,
    /// Orders at the most; 0 for as many as a reply holds.
    pub limit: u32,
}

/// The event of `get_execution_reports`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ReportsQuery {
    /// The quote account.
    pub account_id: u128,
    /// Only reports from this number on.
    pub from_number: u64,
    /// Reports at the most; 0 for as many as a reply holds.
    pub limit: u32,
    /// Zero.
    pub reserved: u32,
}

/// The event of `get_depth`.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DepthQuery {
    /// Which instrument.
    pub instrument: u32,
    /// Levels at the most; 0 for as many as a reply holds.
    pub limit: u32,
    /// See [`super::decode_side`].
    pub side: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// One price level, best first.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DepthRecord {
    /// Ticks.
    pub price: u64,
    /// Open lots.
    pub quantity: u64,
    /// Orders.
    pub order_count: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// An order as it is read.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OrderView {
    /// The client's id.
    pub client_order_id: u128,
    /// The account that it belongs to.
    pub quote_account_id: u128,
    /// The other account.
    pub base_account_id: u128,
    /// What it holds: quote units of a buy, base units of a sell.
    pub held: u128,
    /// Ticks times lots of its fills.
    pub notional: u128,
    /// What it paid (negative: got) as fees, in quote units.
    pub fee: i128,
    /// Its number.
    pub order_number: u64,
    /// When it was entered.
    pub timestamp: u64,
    /// Its limit in ticks; 0 for none.
    pub price: u64,
    /// Its trigger in ticks, while it is dormant.
    pub stop_price: u64,
    /// Its total in lots.
    pub quantity: u64,
    /// Lots that were traded.
    pub filled: u64,
    /// Lots that can still trade.
    pub open: u64,
    /// When it ends; 0 for never.
    pub expires_ns: u64,
    /// The client's own.
    pub user_data_64: u64,
    /// The session that takes it along when it ends; 0 for none.
    pub session: u64,
    /// The instrument.
    pub instrument: u32,
    /// Why it ended: number of an `orders::CancelReason`; 0 for none.
    pub reason: u16,
    /// Number of an [`OrderState`]; 0 in a record that only says how far the node has looked.
    pub state: u8,
    /// See [`super::decode_side`].
    pub side: u8,
    /// What it was entered as; see [`super::decode_kind`].
    pub kind: u8,
    /// See [`super::decode_time_in_force`].
    pub time_in_force: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// Zero.
    pub reserved_2: [u64; 8],
}

impl OrderView {
    /// Whether it is an order. Otherwise it ends a reply that is not complete, and has nothing but the number to go on
    /// after.
    #[must_use]
    pub const fn is_order(&self) -> bool {
        self.state != 0
    }
}

const _: () = {
    assert!(size_of::<OrderKey>() == 32);
    assert!(size_of::<OpenOrdersQuery>() == 32);
    assert!(size_of::<ReportsQuery>() == 32);
    assert!(size_of::<DepthQuery>() == 16);
    assert!(size_of::<DepthRecord>() == 32);
    assert!(size_of::<OrderView>() == 256);
};
