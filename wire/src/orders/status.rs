//! Why commands are refused, in order of precedence, and why orders end.

use crate::status::Status;
use crate::status_tables::statuses;

statuses! {
    /// Why a command to a book was refused: the first that applies. The numbers fit 16 bits.
    OrderReject, "orders";
    Halted = 1300, "halted", "The instrument is halted: nothing but cancels is accepted until it is resumed.";
    CancelOnly = 1301, "cancel_only", "The instrument accepts nothing but cancels until it is resumed.";
    OrderUnknown = 1302, "order_unknown", "No open order of this owner has this number: it never existed, is filled, or has ended.";
    QuantityZero = 1303, "quantity_zero", "An order is for at least one lot.";
    QuantityOffLot = 1304, "quantity_off_lot", "The quantity is no multiple of the instrument's quantity step.";
    QuantityExceedsMax = 1305, "quantity_exceeds_max", "The quantity is above the instrument's maximum. Split the order.";
    PriceZero = 1306, "price_zero", "A limit order has a price above zero.";
    PriceMustBeZero = 1307, "price_must_be_zero", "A market or stop order has no limit: leave its price at zero.";
    PriceOffTick = 1308, "price_off_tick", "The price is no multiple of the instrument's price step.";
    PriceOutOfBand = 1309, "price_out_of_band", "The price lies outside the instrument's price band.";
    StopPriceZero = 1310, "stop_price_zero", "A stop order has a stop price above zero.";
    StopPriceMustBeZero = 1311, "stop_price_must_be_zero", "Only an order that waits for its trigger has a stop price.";
    StopPriceOffTick = 1312, "stop_price_off_tick", "The stop price is no multiple of the instrument's price step.";
    StopPriceOutOfBand = 1313, "stop_price_out_of_band", "The stop price lies outside the instrument's price band.";
    BudgetNotAllowed = 1314, "budget_not_allowed", "Only a market or stop order to buy has a budget.";
    TimeInForceInvalid = 1315, "time_in_force_invalid", "A market order never rests: it is immediate-or-cancel or fill-or-kill.";
    PostOnlyInvalid = 1316, "post_only_invalid", "Only a limit order that may rest can be post-only.";
    ExpiryMustBeZero = 1317, "expiry_must_be_zero", "Only an order that is good till a date has an expiry.";
    AlreadyExpired = 1318, "already_expired", "The expiry is not later than the log's time.";
    NotionalExceedsMax = 1319, "notional_exceeds_max", "Price times quantity is above the instrument's maximum. Split the order.";
    OrdersFull = 1320, "orders_full", "The book holds as many open orders as were fixed at format. Cancel some, or enter the order as immediate-or-cancel.";
    LevelsFull = 1321, "levels_full", "The book holds as many price levels as were fixed at format. Use a price that has orders already.";
    PostOnlyWouldTake = 1322, "post_only_would_take", "The order would trade at once, which a post-only order must not.";
    NoLiquidity = 1323, "no_liquidity", "There is no order on the other side that a market order could trade with.";
    TooManyLooks = 1325, "too_many_looks", "What one request may look at (32,768 price levels, orders or instruments; a trade counts twice) is spent, or triggered stops of the instrument wait for their turn. Nothing was reserved or changed: send the event again, by itself or for less.";
}

statuses! {
    /// Why an order ended unfilled, or lost part of its quantity. The numbers fit 16 bits.
    CancelReason, "order ends";
    Requested = 1350, "requested", "The owner cancelled or reduced the order.";
    AmendedToFilled = 1351, "amended_to_filled", "The new total is no more than what is filled already.";
    MassCancelled = 1352, "mass_cancelled", "A mass cancel covers the order.";
    SessionClosed = 1353, "session_closed", "The session closed, and the order was for the day.";
    Expired = 1354, "expired", "The log's time reached the order's expiry.";
    SelfTrade = 1355, "self_trade", "The order would have traded with another one of its owner.";
    ImmediateRest = 1356, "immediate_rest", "What an immediate-or-cancel order could not fill at once.";
    FillOrKill = 1357, "fill_or_kill", "The whole quantity could not be filled at once, so nothing was.";
    MarketRest = 1358, "market_rest", "A market order met the end of the liquidity, or of its protection band.";
    BudgetSpent = 1359, "budget_spent", "The budget does not pay for one more lot.";
    LevelsFull = 1360, "levels_at_maximum", "A triggered order could not rest: the book holds as many price levels as were fixed at format.";
    LooksSpent = 1361, "looks_spent", "The order could have traded on, but what one request may look at (32,768, of which a trade takes two) was spent. Its trades stand. Enter the rest anew.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_fits_a_report_and_rises_with_precedence() {
        let rejects = OrderReject::PRECEDENCE.iter().map(|status| status.number());
        let reasons = CancelReason::PRECEDENCE.iter().map(|status| status.number());
        let numbers: Vec<u32> = rejects.chain(reasons).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(numbers.iter().all(|number| *number <= u16::MAX.into()));
    }
}
