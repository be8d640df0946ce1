//! Looking ahead over amends and cancels: what an event names is asked for a few events before it is executed.
//!
//! An order that is named by its number is found at once, one named by its client's id by way of its account. Whatever
//! is found here is a guess, which changes nothing but when the processor waits.

use crate::ledger::LedgerState;
use crate::trading::limits::NONE;
use crate::trading::state::Trading;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Events between a step of the search and the event's execution: each step needs what the one before asked for.
const AHEAD_ACCOUNT_PLACE: usize = 24;
const AHEAD_ORDER_PLACE: usize = 18;
const AHEAD_ORDER: usize = 12;
const AHEAD_LINKED: usize = 7;
const AHEAD_NEIGHBOURS: usize = 3;
/// Guesses that are remembered; more than events between the first and the last.
const GUESSES: usize = 32;

const _: () = assert!(AHEAD_ORDER < GUESSES && GUESSES.is_power_of_two());

/// What amends and cancels begin with.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Name {
    account_id: u128,
    client_order_id: u128,
    order_number: u64,
    rest: [u64; 3],
}

/// See the module.
pub(crate) struct LookAhead<'a> {
    body: &'a [u8],
    /// Indexes of orders, by the last bits of their events' indexes.
    guesses: [u32; GUESSES],
}

impl<'a> LookAhead<'a> {
    /// For the events of a request, each of which begins with an order's name.
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { body, guesses: [NONE; GUESSES] }
    }

    /// To be called before each event is executed.
    #[inline]
    pub(crate) fn step(&mut self, trading: &Trading, ledger: &LedgerState, index: usize) {
        let (orders, accounts) = (&trading.desk.orders, &ledger.accounts);
        if let Some(name) = self.name(index + AHEAD_ACCOUNT_PLACE)
            && name.order_number == 0
        {
            accounts.table.prefetch(accounts.table.hash(name.account_id));
        }
        if let Some(name) = self.name(index + AHEAD_ORDER_PLACE) {
            if name.order_number != 0 {
                orders.prefetch_number(name.order_number);
            } else if let Some(slot) = likely_account(ledger, name.account_id) {
                orders.prefetch(slot, name.client_order_id);
            }
        }
        if let Some(name) = self.name(index + AHEAD_ORDER) {
            let mut guess = name.order_number.wrapping_sub(1) as u32;
            if name.order_number == 0 {
                let slot = likely_account(ledger, name.account_id);
                let found = slot.and_then(|slot| orders.candidate(slot, name.client_order_id));
                guess = found.unwrap_or(NONE);
                orders.prefetch_number(u64::from(guess) + 1);
            }
            self.guesses[(index + AHEAD_ORDER) % GUESSES] = guess;
        }
        let guess = self.guesses[(index + AHEAD_LINKED) % GUESSES];
        if let Some(order) = orders.numbered(u64::from(guess) + 1) {
            accounts.prefetch(order.quote_slot);
            accounts.prefetch(order.base_slot);
            trading.books[order.instrument as usize].prefetch_slot(order.slot);
            mizan_memory::prefetch_index(&trading.desk.traders, order.quote_slot as usize);
            orders.prefetch_neighbours(order);
        }
        let guess = self.guesses[(index + AHEAD_NEIGHBOURS) % GUESSES];
        if let Some(order) = orders.numbered(u64::from(guess) + 1) {
            trading.books[order.instrument as usize].prefetch_neighbours(order.slot);
        }
    }

    #[inline]
    fn name(&self, index: usize) -> Option<Name> {
        let bytes = self.body.get(index * size_of::<Name>()..)?;
        Name::read_from_prefix(bytes).ok().map(|(name, _)| name)
    }
}

#[inline]
fn likely_account(ledger: &LedgerState, id: u128) -> Option<u32> {
    let table = &ledger.accounts.table;
    table.candidates(table.hash(id)).next()
}
