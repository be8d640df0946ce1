//! Everything that trading keeps besides the ledger.

use crate::books::{Book, ReportChain};
use crate::trading::instruments::Instrument;
use crate::trading::order::Orders;
use crate::trading::reports::{Reports, Trader};
use crate::trading::sweep::SweepRoom;
use crate::trading::touched::Touched;
use mizan_memory::reserve_touched;
use mizan_wire::limits::{EVENTS_MAX, LOOKS_MAX};
use mizan_wire::trading::{OrderResult, SubmitOrder};
use mizan_wire::{EngineStatus, Genesis};
use std::collections::BTreeSet;

/// See the module `trading`.
pub(crate) struct Trading {
    /// In the order of creation; books stand at the same places.
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) books: Vec<Book>,
    /// Numbers and places, ascending by number.
    pub(crate) sorted: Vec<(u32, u32)>,
    pub(crate) desk: Desk,
    /// Results of the entry that is being executed, in the order of its events.
    pub(crate) results: Vec<OrderResult>,
    pub(crate) submits: Vec<SubmitOrder>,
    /// What the request that is being executed may still sweep.
    pub(crate) sweep_room: SweepRoom,
    /// Places of the instruments that have triggered stops which wait.
    pub(crate) waiting: BTreeSet<u32>,
    /// `LOOKS_MAX`, but in tests.
    pub(crate) looks_max: u64,
    /// Bytes of new books' memory that the request which is being executed may still touch.
    pub(crate) touch_left: usize,
    pub(crate) instrument_count_max: usize,
    /// Room that no book has taken.
    pub(crate) orders_left: u32,
    pub(crate) levels_left: u32,
}

/// What settlement changes besides books and ledger.
pub(crate) struct Desk {
    pub(crate) orders: Orders,
    pub(crate) reports: Reports,
    /// By account slot; as long as the node has trading.
    pub(crate) traders: Vec<Trader>,
    pub(crate) touched: Touched,
    /// The digest of all that the books reported.
    pub(crate) chain: ReportChain,
}

impl Trading {
    /// Reserves and touches what genesis asks for, except for the books.
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let instruments = genesis.instrument_count_max as usize;
        let open = genesis.open_order_count_max as usize;
        let events = if genesis.has_trading() { EVENTS_MAX as usize } else { 0 };
        let traders = if genesis.has_trading() { genesis.account_count_max as usize } else { 0 };
        Self {
            instruments: reserve_touched(instruments),
            books: Vec::with_capacity(instruments),
            sorted: reserve_touched(instruments),
            desk: Desk {
                orders: Orders::new(
                    genesis.order_count_max as usize,
                    open,
                    // Tables must not share keys.
                    genesis.hash_seed ^ 3,
                ),
                reports: Reports::new(genesis.report_count_max as usize),
                traders: vec![Trader::NEW; traders],
                touched: Touched::new(),
                chain: ReportChain::default(),
            },
            results: reserve_touched(events),
            submits: reserve_touched(events),
            sweep_room: SweepRoom::WHOLE,
            waiting: BTreeSet::new(),
            looks_max: LOOKS_MAX.into(),
            touch_left: 0,
            instrument_count_max: instruments,
            orders_left: genesis.open_order_count_max,
            levels_left: genesis.book_level_count_max,
        }
    }

    /// Counters and limits of trading; everything else is zero.
    pub(crate) fn status(&self, genesis: &Genesis) -> EngineStatus {
        EngineStatus {
            instrument_count: self.instruments.len() as u32,
            instrument_count_max: genesis.instrument_count_max,
            open_order_count: self.books.iter().map(Book::order_count).sum::<usize>() as u32,
            order_count: self.desk.orders.count() as u64,
            order_count_max: genesis.order_count_max,
            report_count_max: genesis.report_count_max,
            book_digest: self.desk.chain.value(),
            open_order_count_max: genesis.open_order_count_max,
            open_order_count_taken: genesis.open_order_count_max - self.orders_left,
            book_level_count_max: genesis.book_level_count_max,
            book_level_count_taken: genesis.book_level_count_max - self.levels_left,
            ..EngineStatus::default()
        }
    }
}
