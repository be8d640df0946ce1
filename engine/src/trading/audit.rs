//! The audit of trading: books against orders, reservations against terms, uses against orders.

use crate::accounts::Balances;
use crate::error::InvariantError;
use crate::ledger::LedgerState;
use crate::trading::limits::INSTRUMENT_MARK;
use crate::trading::state::Trading;

fn ensure(condition: bool, what: impl FnOnce() -> String) -> Result<(), InvariantError> {
    if condition { Ok(()) } else { Err(InvariantError(what())) }
}

/// Checks everything that must hold between two log entries.
pub(crate) fn check(trading: &Trading, ledger: &LedgerState) -> Result<(), InvariantError> {
    for (place, book) in trading.books.iter().enumerate() {
        book.check_invariants()?;
        ensure(book.is_waiting() == trading.waiting.contains(&(place as u32)), || {
            "the instruments with stops that wait are not those of their books".to_owned()
        })?;
        let open = trading.desk.orders.records.0.iter();
        let open = open.filter(|order| order.is_open() && order.instrument as usize == place);
        let (open, standing) = (open.count(), book.order_count());
        ensure(open == standing, || {
            format!("{standing} orders stand in a book, {open} of its orders are open")
        })?;
    }
    ensure(trading.desk.orders.is_consistent(), || {
        "the queue of due times or the table of ids is not that of the orders".to_owned()
    })?;
    let mut uses = vec![0u32; ledger.trading_uses.len()];
    for (index, order) in (0u32..).zip(&trading.desk.orders.records.0) {
        let number = index + 1;
        let found = trading.desk.orders.find(order.quote_slot, order.client_order_id);
        ensure(found == Some(index), || format!("order {number} is not found by its client id"))?;
        ensure(order.is_open() || order.held == 0, || {
            format!("order {number} has ended and holds {}", order.held)
        })?;
        ensure(order.is_open() || order.open == 0, || {
            format!("order {number} has ended and has {} lots open", order.open)
        })?;
        if !order.is_open() {
            continue;
        }
        uses[order.quote_slot as usize] += 1;
        uses[order.base_slot as usize] += 1;
        let instrument = &trading.instruments[order.instrument as usize];
        ensure(instrument.hold_of(order) == Some(order.held), || {
            format!("order {number} holds {}, which is not what its terms ask for", order.held)
        })?;
        let standing = trading.books[order.instrument as usize].order(order.handle());
        let agrees = standing.is_some_and(|standing| {
            (standing.tag, standing.owner, standing.side) == (index, order.quote_slot, order.side)
                && (standing.open, standing.filled) == (order.open, order.filled)
                && (standing.original, standing.price) == (order.quantity, order.price)
        });
        ensure(agrees, || format!("order {number} is not what its book says"))?;
    }
    let counted = ledger.trading_uses.iter().map(|uses| uses & !INSTRUMENT_MARK);
    ensure(counted.eq(uses), || "the uses of accounts are not those of open orders".to_owned())
}

/// Adds what open orders reserve to the pending sums that are to be expected.
pub(crate) fn add_holds(trading: &Trading, expected: &mut [Balances]) {
    for order in trading.desk.orders.records.0.iter().filter(|order| order.is_open()) {
        let instrument = &trading.instruments[order.instrument as usize];
        expected[order.paying_slot() as usize].debits_pending += order.held;
        expected[instrument.clearing(order.side).0 as usize].credits_pending += order.held;
    }
}
