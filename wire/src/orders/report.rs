//! What a book reports.

use crate::orders::{CancelReason, OrderReject, Side};
use crate::status::Status as _;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The slot of a report about no order that has one.
pub const SLOT_NONE: u32 = u32::MAX;
/// The side of a report about no order.
pub const SIDE_NONE: u8 = 255;

/// What a report tells. "The order" is the one that the report names by `number`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum ReportKind {
    /// The order was entered. What the trades that follow leave of it rests, if it may, without another report.
    Accepted = 1,
    /// The order was entered and waits for its trigger; `counterparty` is the stop price.
    Dormant = 2,
    /// The command was refused for `reason`; nothing changed.
    Rejected = 3,
    /// `quantity` lots changed hands at `price`. The order is the maker, whose rest is `open`; `counterparty` and
    /// its owner and tag are the taker's, whose side is the other one.
    Trade = 4,
    /// The order ended; `quantity` lots are cancelled.
    Cancelled = 5,
    /// The order lost `quantity` lots and kept its place.
    Reduced = 6,
    /// The order has new terms and a new place in time; `quantity` is its new total, `counterparty` its stop price.
    /// As with `Accepted`, trades may follow, and the rest rests.
    Replaced = 7,
    /// The dormant order takes part from now on. As with `Accepted`, trades may follow, and the rest rests.
    Triggered = 8,
    /// The end of a mass cancel of `quantity` orders.
    MassCancelled = 9,
    /// The end of a session close that cancelled `quantity` orders.
    SessionClosed = 10,
    /// The end of a step of time in which `quantity` orders expired.
    TimeAdvanced = 11,
    /// The trading state is `quantity` from now on.
    TradingStateSet = 12,
}

/// One report. Fields that its kind does not mention are 0 (`SLOT_NONE`, `SIDE_NONE`), or the order's.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C, align(64))]
pub struct OrderReport {
    /// The order's number; 0 if it was refused.
    pub number: u64,
    /// The number of the other order of a trade, or what the kind says.
    pub counterparty: u64,
    /// Ticks: of a trade its price, otherwise the order's limit.
    pub price: u64,
    /// Lots, or what the kind says.
    pub quantity: u64,
    /// Lots of the order that are still open afterwards.
    pub open: u64,
    /// The order's owner.
    pub owner: u32,
    /// The order's tag.
    pub tag: u32,
    /// The owner of the other order of a trade.
    pub counterparty_owner: u32,
    /// The tag of the other order of a trade.
    pub counterparty_tag: u32,
    /// The order's place, while it has one.
    pub slot: u32,
    /// Number of an [`OrderReject`] or a [`CancelReason`]; 0 for none.
    pub reason: u16,
    /// Number of a [`ReportKind`].
    pub kind: u8,
    /// The order's side.
    pub side: u8,
}

const _: () = assert!(size_of::<OrderReport>() == 64);

impl OrderReport {
    /// A report about no order.
    #[must_use]
    pub const fn summary(kind: ReportKind, quantity: u64) -> Self {
        Self {
            number: 0,
            counterparty: 0,
            price: 0,
            quantity,
            open: 0,
            owner: 0,
            tag: 0,
            counterparty_owner: 0,
            counterparty_tag: 0,
            slot: SLOT_NONE,
            reason: 0,
            kind: kind as u8,
            side: SIDE_NONE,
        }
    }

    /// The refusal of a command.
    #[must_use]
    pub const fn rejected(reason: OrderReject, number: u64, owner: u32, tag: u32) -> Self {
        let summary = Self::summary(ReportKind::Rejected, 0);
        Self { number, owner, tag, reason: reason as u16, ..summary }
    }

    /// Whether the report is of this kind.
    #[must_use]
    #[inline]
    pub const fn is(&self, kind: ReportKind) -> bool {
        self.kind == kind as u8
    }

    /// The order's side, if the report is about one.
    #[must_use]
    pub const fn order_side(&self) -> Option<Side> {
        match self.side {
            0 => Some(Side::Buy),
            1 => Some(Side::Sell),
            _ => None,
        }
    }

    /// Why the command was refused.
    #[must_use]
    pub fn reject(&self) -> Option<OrderReject> {
        OrderReject::from_number(self.reason.into())
    }

    /// Why the order ended, or became smaller.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        CancelReason::from_number(self.reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_reject_or_a_cancel_reason_and_never_both() {
        for reject in OrderReject::PRECEDENCE {
            let report = OrderReport::rejected(*reject, 1, 2, 3);
            assert_eq!((report.reject(), report.cancel_reason()), (Some(*reject), None));
            assert_eq!((report.slot, report.order_side()), (SLOT_NONE, None));
        }
        for reason in CancelReason::PRECEDENCE {
            let report = OrderReport { reason: *reason as u16, ..OrderReport::default() };
            assert_eq!((report.reject(), report.cancel_reason()), (None, Some(*reason)));
        }
    }
}
