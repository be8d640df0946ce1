//! What can be asked of a book.

/// Which side of the book an order stands on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Side {
    /// Wants the base, pays the quote.
    Buy = 0,
    /// Gives the base, gets the quote.
    Sell = 1,
}

impl Side {
    /// The side that this one trades with.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// What kind of order it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum OrderKind {
    /// Trades at its limit or better.
    Limit = 0,
    /// Trades at whatever is there, within the protection band and the budget; never rests.
    Market = 1,
    /// Dormant until a trade reaches the stop price, then a market order.
    Stop = 2,
    /// Dormant until a trade reaches the stop price, then a limit order.
    StopLimit = 3,
}

impl OrderKind {
    /// Whether the order waits for a trade before it takes part.
    #[must_use]
    pub const fn is_dormant(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }

    /// Whether the order has a limit of its own, and so can rest.
    #[must_use]
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }
}

/// How long an order lives. A dormant order with `ImmediateOrCancel` or `FillOrKill` waits for its trigger as one
/// that is good till cancelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until it is filled or cancelled.
    GoodTillCancelled = 0,
    /// Until the session closes.
    Day = 1,
    /// Until the log's time reaches `expires_ns`.
    GoodTillDate = 2,
    /// What cannot be filled at once is cancelled.
    ImmediateOrCancel = 3,
    /// Filled at once and as a whole, or not at all.
    FillOrKill = 4,
}

impl TimeInForce {
    /// Whether what is not filled at once may rest.
    #[must_use]
    pub const fn can_rest(self) -> bool {
        !matches!(self, Self::ImmediateOrCancel | Self::FillOrKill)
    }
}

/// What happens when an order would trade with one of its own owner; the taker's mode decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum SelfTrade {
    /// They trade.
    Allow = 0,
    /// The taker's rest is cancelled.
    CancelNewest = 1,
    /// The resting order is cancelled, and the taker goes on.
    CancelOldest = 2,
    /// Both are cancelled.
    CancelBoth = 3,
    /// Both lose the smaller of the two quantities without a trade; what is empty then is cancelled.
    DecrementAndCancel = 4,
}

/// What a book accepts at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum TradingState {
    /// Everything.
    Open = 0,
    /// Cancels and mass cancels.
    CancelOnly = 1,
    /// The same under another name: trading is interrupted, not about to end. A cancel is possible at any time.
    Halted = 2,
}

/// Where an open order stands: its place, and the number that no other order of the book ever has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrderHandle {
    /// The order's number.
    pub number: u64,
    /// Its place; given by the report that accepted it.
    pub slot: u32,
}

/// An order that is to be entered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewOrder {
    /// What a market or stop order to buy may spend, in ticks times lots; 0 is no bound.
    pub budget: u128,
    /// The limit, in ticks; 0 for market and stop orders.
    pub price: u64,
    /// The trigger, in ticks; 0 for orders that are not dormant.
    pub stop_price: u64,
    /// Lots.
    pub quantity: u64,
    /// When it ends, in nanoseconds since 1970; 0 unless it is good till a date.
    pub expires_ns: u64,
    /// Whose order it is: a number that the caller gives, such as an account's slot.
    pub owner: u32,
    /// Given back in every report of the order.
    pub tag: u32,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, stop, stop-limit.
    pub kind: OrderKind,
    /// Its lifetime.
    pub time_in_force: TimeInForce,
    /// Against trades with oneself.
    pub self_trade: SelfTrade,
    /// Refused if it would take.
    pub is_post_only: bool,
}

/// New terms for an open order: all of them, as they shall be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AmendOrder {
    /// Which order.
    pub handle: OrderHandle,
    /// The owner; another one's order is unknown.
    pub owner: u32,
    /// The new limit, in ticks; 0 for an untriggered stop order.
    pub price: u64,
    /// The new trigger, in ticks; 0 for orders that are not dormant (any more).
    pub stop_price: u64,
    /// The new total in lots, what is filled (or was decremented) included. No more than that cancels the order.
    pub quantity: u64,
}

/// An open order that is to be cancelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CancelOrder {
    /// Which order.
    pub handle: OrderHandle,
    /// The owner; another one's order is unknown.
    pub owner: u32,
}

/// All open orders, dormant ones included, that meet both conditions are to be cancelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MassCancel {
    /// Only this owner's.
    pub owner: Option<u32>,
    /// Only this side.
    pub side: Option<Side>,
}

/// Everything that changes a book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BookCommand {
    /// A new order.
    Submit(NewOrder),
    /// New terms for an order.
    Amend(AmendOrder),
    /// The end of an order.
    Cancel(CancelOrder),
    /// The end of many.
    MassCancel(MassCancel),
    /// Halt, resume, cancel-only.
    SetTradingState(TradingState),
    /// The session ends, and day orders with it.
    CloseSession,
    /// The log's time, in nanoseconds since 1970: what is due by then expires.
    AdvanceTime(u64),
}
