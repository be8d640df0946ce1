//! The market of a run: accounts, opening balances and instruments, made before or found from an earlier run with the
//! same seed and ledger.
//!
//! Account indexes: two blocks of one account per trader (money, then what is traded), then the bank that gives the
//! money, then four for each instrument: fees, both clearing accounts, the issuer.

use crate::balances::Balance;
use crate::constants::{
    ORDER_LEVELS_MAX, ORDER_QUANTITY_MAX, PRICE_MIDDLE, QUOTE_PER_TICK_LOT, TAKER_FEE_BPS,
    TRADER_FUNDS,
};
use crate::orders::flow::OrderFlow;
use crate::random::Random;
use crate::{BenchOptions, LoadError, Observer, Phase, Progress};
use mizan_client::Client;
use mizan_wire::orders::SelfTrade;
use mizan_wire::trading::{
    CreateInstrument, InstrumentStatus, MassCancelEvent, OrderResult, RoundingRule,
};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateAccountStatus, CreateTransferStatus, Operation, Transfer,
};
use zerocopy::{FromBytes, IntoBytes};

/// Accounts of an instrument's own.
const HOUSE_PER_INSTRUMENT: u64 = 4;

/// The accounts of an instrument, by their place among its four.
#[derive(Clone, Copy, Debug)]
pub(crate) enum House {
    Fee = 0,
    QuoteClearing = 1,
    BaseClearing = 2,
    Issuer = 3,
}

impl OrderFlow {
    /// All accounts of the market.
    pub(crate) fn account_count(&self) -> u64 {
        self.bank() + 1 + u64::from(self.instruments) * HOUSE_PER_INSTRUMENT
    }

    const fn bank(&self) -> u64 {
        self.traders * 2
    }

    /// The index of one of an instrument's own accounts.
    pub(crate) const fn house(&self, instrument: u32, house: House) -> u64 {
        self.bank() + 1 + instrument as u64 * HOUSE_PER_INSTRUMENT + house as u64
    }

    fn account(&self, options: &BenchOptions, index: u64) -> Account {
        let (ledger, flags) = if index < self.traders {
            (self.ledger, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
        } else if let Some(trader) = index.checked_sub(self.traders)
            && trader < self.traders
        {
            let ledger = self.base_ledger(self.instrument_of(trader));
            (ledger, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
        } else {
            let house = index.checked_sub(self.bank() + 1);
            let of_base =
                house.filter(|house| house % HOUSE_PER_INSTRUMENT >= House::BaseClearing as u64);
            let instrument = of_base.map(|house| (house / HOUSE_PER_INSTRUMENT) as u32);
            (instrument.map_or(self.ledger, |instrument| self.base_ledger(instrument)), 0)
        };
        Account {
            id: self.account_id(index),
            ledger,
            code: options.code,
            flags,
            ..Account::default()
        }
    }

    /// The opening balance of a trader's account. The id belongs to the account, so that nobody is paid twice.
    fn funding(&self, options: &BenchOptions, index: u64) -> Transfer {
        let (trader, from) = match index.checked_sub(self.traders) {
            None => (index, self.bank()),
            Some(trader) => (trader, self.house(self.instrument_of(trader), House::Issuer)),
        };
        let is_base = trader != index;
        let ledger = match is_base {
            true => self.base_ledger(self.instrument_of(trader)),
            false => self.ledger,
        };
        let high = Random::of_part(options.seed, !u64::from(options.ledger)).next_u64() >> 1;
        Transfer {
            id: u128::from(high) << 64 | u128::from(index + 1),
            debit_account_id: self.account_id(from),
            credit_account_id: self.account_id(index),
            amount: TRADER_FUNDS,
            ledger,
            code: options.code,
            ..Transfer::default()
        }
    }

    fn instrument(&self, instrument: u32, orders_max: u32) -> CreateInstrument {
        CreateInstrument {
            fee_account_id: self.account_id(self.house(instrument, House::Fee)),
            base_clearing_account_id: self.account_id(self.house(instrument, House::BaseClearing)),
            quote_clearing_account_id: self
                .account_id(self.house(instrument, House::QuoteClearing)),
            quote_per_tick_lot: QUOTE_PER_TICK_LOT,
            base_per_lot: 1,
            price_step_ticks: 1,
            price_min_ticks: 1,
            price_max_ticks: PRICE_MIDDLE * 2,
            quantity_step_lots: 1,
            quantity_max_lots: ORDER_QUANTITY_MAX * 2,
            protection_ticks: PRICE_MIDDLE,
            id: self.instrument_id(instrument),
            base_ledger: self.base_ledger(instrument),
            quote_ledger: self.ledger,
            orders_max,
            levels_max: ORDER_LEVELS_MAX,
            taker_fee_bps: TAKER_FEE_BPS,
            rounding: RoundingRule::HalfEven as u8,
            self_trade: SelfTrade::CancelNewest as u8,
            ..CreateInstrument::default()
        }
    }
}

/// Makes the market, or finds it and clears its books; gives what the accounts hold before the run.
pub(crate) fn open(
    client: &mut Client,
    options: &BenchOptions,
    flow: &OrderFlow,
    observer: &dyn Observer,
) -> Result<Vec<Balance>, LoadError> {
    create_accounts(client, options, flow, observer)?;
    fund(client, options, flow)?;
    create_instruments(client, options, flow)?;
    clear_books(client, flow)?;
    balances(client, flow)
}

fn create_accounts(
    client: &mut Client,
    options: &BenchOptions,
    flow: &OrderFlow,
    observer: &dyn Observer,
) -> Result<(), LoadError> {
    let total = flow.account_count();
    for indexes in chunks(total, client.events_max()) {
        let done = indexes.end;
        let accounts: Vec<Account> = indexes.map(|index| flow.account(options, index)).collect();
        let results = client
            .create_accounts(&accounts)
            .map_err(LoadError::client("the accounts could not be created"))?;
        for (account, result) in accounts.iter().zip(results) {
            if result.status != CREATED && result.status != CreateAccountStatus::Exists as u32 {
                return Err(LoadError::AccountRefused { id: account.id, status: result.status });
            }
        }
        observer.on_progress(&Progress { phase: Phase::Accounts, done, total });
    }
    Ok(())
}

fn fund(client: &mut Client, options: &BenchOptions, flow: &OrderFlow) -> Result<(), LoadError> {
    for indexes in chunks(flow.traders * 2, client.events_max()) {
        let transfers: Vec<Transfer> = indexes.map(|index| flow.funding(options, index)).collect();
        let results = client
            .create_transfers(&transfers)
            .map_err(LoadError::client("the traders could not be given their opening balances"))?;
        for (transfer, result) in transfers.iter().zip(results) {
            if result.status != CREATED && result.status != CreateTransferStatus::Exists as u32 {
                let id = transfer.credit_account_id;
                return Err(LoadError::AccountRefused { id, status: result.status });
            }
        }
    }
    Ok(())
}

fn create_instruments(
    client: &mut Client,
    options: &BenchOptions,
    flow: &OrderFlow,
) -> Result<(), LoadError> {
    let failed = LoadError::client("the instruments could not be created");
    let open = flow.room(options).open_orders;
    let orders_max = open / flow.instruments;
    let reply = client.call(Operation::GetInstruments, &[]).map_err(&failed)?;
    let known: Vec<CreateInstrument> = records(&reply.body);
    // What an earlier run made may have another room, and nothing else that differs.
    let is_known = |new: &CreateInstrument| {
        known.iter().any(|old| {
            let same = CreateInstrument { timestamp: 0, orders_max: new.orders_max, ..*old };
            same == *new
        })
    };
    let new: Vec<CreateInstrument> = (0..flow.instruments)
        .map(|instrument| flow.instrument(instrument, orders_max))
        .filter(|instrument| !is_known(instrument))
        .collect();
    // Each is 256 bytes, and a request has room for half as many as of other events.
    for new in new.chunks((client.events_max() / 2).max(1) as usize) {
        let reply = client.call(Operation::CreateInstruments, new.as_bytes()).map_err(&failed)?;
        for (instrument, result) in new.iter().zip(reply.create_results()) {
            let is_there = InstrumentStatus::Exists as u32;
            if result.status != CREATED && result.status != is_there {
                let (id, status) = (instrument.id, result.status);
                return Err(LoadError::InstrumentRefused { id, status });
            }
        }
    }
    Ok(())
}

/// Ends what an earlier run left open: its orders would trade with this run's.
fn clear_books(client: &mut Client, flow: &OrderFlow) -> Result<(), LoadError> {
    let failed = LoadError::client("the books could not be cleared");
    for instrument in 0..flow.instruments {
        let id = flow.instrument_id(instrument);
        let mut event = MassCancelEvent { instrument: id, ..MassCancelEvent::default() };
        loop {
            let operation = Operation::MassCancelOrders;
            let reply = client.call(operation, event.as_bytes()).map_err(&failed)?;
            let results: Vec<OrderResult> = records(&reply.body);
            let refused = results.iter().find(|result| result.status != CREATED);
            if let Some(result) = refused {
                return Err(LoadError::InstrumentRefused { id, status: result.status });
            }
            event.from_order_number = results.first().map_or(0, |result| result.order_number);
            if event.from_order_number == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// What every account of the market holds, by its index.
pub(crate) fn balances(client: &mut Client, flow: &OrderFlow) -> Result<Vec<Balance>, LoadError> {
    let total = flow.account_count();
    let mut balances = vec![Balance::default(); total as usize];
    for indexes in chunks(total, client.events_max()) {
        let ids: Vec<u128> = indexes.map(|index| flow.account_id(index)).collect();
        let accounts = client
            .lookup_accounts(&ids)
            .map_err(LoadError::client("the accounts could not be looked up"))?;
        for account in accounts {
            let index = flow.account_index(account.id).filter(|index| *index < total);
            if let Some(index) = index {
                balances[index as usize] = Balance::of(&account);
            }
        }
    }
    Ok(balances)
}

/// The records of a reply.
pub(crate) fn records<T: FromBytes>(body: &[u8]) -> Vec<T> {
    body.chunks_exact(size_of::<T>()).filter_map(|bytes| T::read_from_bytes(bytes).ok()).collect()
}

/// Ranges of so many indexes, one after the other.
pub(crate) fn chunks(total: u64, chunk: u32) -> impl Iterator<Item = std::ops::Range<u64>> {
    let chunk = u64::from(chunk.max(1));
    (0..total.div_ceil(chunk)).map(move |index| index * chunk..total.min((index + 1) * chunk))
}
