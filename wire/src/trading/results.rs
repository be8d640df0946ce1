//! What a client is told: at once, by the result of each event; and for good, by its account's execution reports.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What became of one event. Every event has one, in the order of the events.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OrderResult {
    /// Ticks times lots of all fills so far; divided by `filled` it is the average price.
    pub notional: u128,
    /// The order's number; 0 if there is none. Of mass cancels and ends of sessions the order to go on with; 0 if all of
    /// them have been looked at.
    pub order_number: u64,
    /// The event's own timestamp; of an order that exists its original one.
    pub timestamp: u64,
    /// Lots that were traded so far; of mass cancels and ends of sessions the number of the last order entered before.
    pub filled: u64,
    /// Lots that can still trade; of events about many orders how many of them ended.
    pub open: u64,
    /// `CREATED`, or the number of an `OrderStatus` or of an `orders::OrderReject`.
    pub status: u32,
    /// Why the order ended: number of an `orders::CancelReason`; 0 for none.
    pub reason: u16,
    /// Number of an `OrderState`; 0 if there is no order.
    pub state: u8,
    /// Zero.
    pub reserved: u8,
    /// Zero.
    pub reserved_2: u64,
}

/// What an execution report tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ExecutionKind {
    /// The head of an answer: `number` is the first that is kept, `order_number` the next that will be given.
    Head = 0,
    /// The order was entered.
    New = 1,
    /// The order was entered and waits for its trigger.
    Dormant = 2,
    /// `quantity` lots were traded at `price`.
    Fill = 3,
    /// The order ended; `quantity` lots are cancelled.
    Cancelled = 4,
    /// The order lost `quantity` lots and kept its place.
    Reduced = 5,
    /// The order has new terms and a new place in time; `quantity` is its new total.
    Replaced = 6,
    /// The order's trigger has released it.
    Triggered = 7,
}

/// A private report about an order. Each quote account has its own numbers, from 1 without gaps.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ExecutionReport {
    /// The order's client id.
    pub client_order_id: u128,
    /// Of a fill what the order's account paid (negative: got) as fee, in quote units.
    pub fee: i128,
    /// The quote transfer of a fill; 0 otherwise.
    pub transfer_id: u128,
    /// The report's number.
    pub number: u64,
    /// The order's number.
    pub order_number: u64,
    /// The timestamp of the event that caused it.
    pub timestamp: u64,
    /// The log entry that caused it.
    pub sequence: u64,
    /// Ticks: of a fill its price, otherwise the order's limit.
    pub price: u64,
    /// Lots.
    pub quantity: u64,
    /// Lots of the order that are still open.
    pub open: u64,
    /// Lots of the order that were traded.
    pub filled: u64,
    /// The instrument.
    pub instrument: u32,
    /// Number of an `orders::CancelReason`; 0 for none.
    pub reason: u16,
    /// Number of an [`ExecutionKind`].
    pub kind: u8,
    /// The order's side in bit 0; bit 1 tells that it was the taker.
    pub marks: u8,
    /// Zero.
    pub reserved: u64,
}

const _: () = {
    assert!(size_of::<OrderResult>() == 64);
    assert!(size_of::<ExecutionReport>() == 128);
};
