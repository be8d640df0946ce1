//! Why instruments and orders are refused, in order of precedence. What a book refuses (`orders::OrderReject`) comes
//! after `AlreadyExpired` and before `AmountTooLarge`.

use crate::status::Status;
use crate::status_tables::statuses;

statuses! {
    /// What became of an event of `create_instruments`.
    InstrumentStatus, "create_instruments";
    TimestampMustBeZero = 1450, "timestamp_must_be_zero", "The engine gives the timestamp; leave it at zero.";
    ReservedField = 1451, "reserved_field", "A field that is reserved is not zero. Check the record's layout.";
    InstrumentMustNotBeZero = 1452, "instrument_must_not_be_zero", "Instrument numbers begin at 1.";
    ExistsWithDifferentTerms = 1453, "exists_with_different_terms", "An instrument with this number exists with other terms, which never change. Use another number.";
    Exists = 1454, "exists", "The same instrument exists already. The result carries the original's timestamp.";
    TradingNotEnabled = 1455, "trading_not_enabled", "The node was formatted without room for trading. Format one with it.";
    InstrumentsFull = 1456, "instruments_full", "The node holds as many instruments as were fixed at format.";
    LedgersMustBeDifferent = 1457, "ledgers_must_be_different", "Base and quote are the same ledger.";
    UnitsMustNotBeZero = 1458, "units_must_not_be_zero", "One tick times one lot is at least one quote unit, one lot at least one base unit.";
    FeeOutOfRange = 1459, "fee_out_of_range", "Fees and rebates lie between -10,000 and 10,000 basis points.";
    RoundingUnknown = 1460, "rounding_unknown", "The rounding rule has no meaning: 1 is half-even.";
    SelfTradeInvalid = 1461, "self_trade_invalid", "The mode against trades with oneself is 1 to 4.";
    RulesOutOfRange = 1462, "rules_out_of_range", "A step, the price band, the largest quantity or the book's room is zero or contradicts another one.";
    AccountNotFound = 1463, "account_not_found", "The fee account or a clearing account does not exist. Create it first.";
    AccountInOtherLedger = 1464, "account_in_other_ledger", "The fee and quote clearing accounts belong to the quote ledger, the base clearing account to the base ledger.";
    AccountMustBeUnlimited = 1465, "account_must_be_unlimited", "The instrument's own accounts must have no limits and not be closed, so that a fill can always be posted.";
    AccountsMustBeDifferent = 1466, "accounts_must_be_different", "The fee account and the quote clearing account are the same.";
    AccountHasOpenOrders = 1467, "account_has_open_orders", "One of the instrument's own accounts has open orders.";
    BookSpaceFull = 1468, "book_space_full", "The books together have as many orders or levels as were fixed at format. Ask for less.";
    Created = 4_294_967_295, "created", "The instrument exists; the result carries its timestamp.";
}

statuses! {
    /// What became of an order, an amend, a cancel, or a command about an instrument.
    OrderStatus, "orders";
    OrdersCannotBeLinked = 1400, "orders_cannot_be_linked", "An order cannot be part of a linked chain: undoing the chain would undo strangers' fills. Send it by itself.";
    ReservedFlag = 1401, "reserved_flag", "A flag bit that has no meaning is set. Check the flags.";
    ReservedField = 1402, "reserved_field", "A field that is reserved is not zero. Check the record's layout.";
    CodeUnknown = 1403, "code_unknown", "Side, kind, time in force, self-trade mode or trading state has a number without a meaning.";
    ClientOrderIdMustNotBeZero = 1404, "client_order_id_must_not_be_zero", "Every order has an id of the client's own.";
    OrderNameAmbiguous = 1405, "order_name_ambiguous", "Name the order by its number or by its client id: one of the two is zero.";
    InstrumentUnknown = 1406, "instrument_unknown", "There is no instrument with this number.";
    AccountNotFound = 1407, "account_not_found", "One of the order's accounts does not exist.";
    ExistsWithDifferentTerms = 1408, "exists_with_different_terms", "The account has another order with this client id. Nothing was changed: use a new id for a new order.";
    Exists = 1409, "exists", "The same order was entered before: the repetition is recognised. The result has the original's number and present state.";
    OrderUnknown = 1410, "order_not_found", "The account has no order with this name.";
    OwnerMismatch = 1411, "owner_mismatch", "The order belongs to another account.";
    OrderEnded = 1412, "order_ended", "The order is filled or cancelled. The result has its last state.";
    AccountInOtherLedger = 1413, "account_in_other_ledger", "The quote account must belong to the instrument's quote ledger, the base account to its base ledger.";
    AccountOfInstrument = 1414, "account_of_instrument", "An instrument's own accounts cannot trade.";
    AccountLimitsCredits = 1415, "account_limits_credits", "An account whose credits must not exceed its debits cannot trade: a fill might not fit.";
    AccountClosed = 1416, "account_closed", "One of the order's accounts is closed.";
    BudgetTooSmall = 1417, "budget_too_small", "The budget is less than one tick times one lot.";
    OrdersFull = 1418, "order_records_full", "The node remembers as many orders as were fixed at format.";
    TransfersFull = 1419, "transfers_full", "There may not be room for the transfers of all the trades that the order could cause.";
    AlreadyExpired = 1420, "expiry_passed", "An order that is good till a date needs an expiry later than now; any other has none.";
    AmountTooLarge = 1430, "amount_too_large", "What the order would reserve is above 2^94 units. Split the order.";
    InsufficientFunds = 1431, "insufficient_funds", "The account does not have what the order would reserve, fees included. Nothing was changed.";
    Created = 4_294_967_295, "created", "The command was executed.";
}
