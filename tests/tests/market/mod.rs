//! A market on a real node: dollars, shares of ACME, an instrument, and traders. Shared by the tests of trading.

use mizan_client::{Client, ClientConfig, names};
use mizan_tests::binary::{NodeProcess, format_small};
use mizan_wire::orders::{OrderKind, Side, TimeInForce};
use mizan_wire::trading::{CreateInstrument, RoundingRule, SubmitOrder};
use mizan_wire::{Account, AccountFlags, CREATED, CreateLedger, Transfer};
use std::path::Path;

pub(crate) const USD: u32 = 840;
pub(crate) const SHARES: u32 = 7;
pub(crate) const ACME: u32 = 1;

/// Formats a small node with trading, with further options.
pub(crate) fn format(data: &Path, further: &[&str]) {
    let mut options = vec!["--instruments", "4", "--orders", "50000", "--reports", "50000"];
    options.extend(further);
    format_small(data, &options);
}

/// A node of its own on these files.
pub(crate) fn start(data: &Path) -> NodeProcess {
    NodeProcess::start(data, "127.0.0.1:0")
}

pub(crate) fn connect(node: &NodeProcess) -> Client {
    Client::connect(ClientConfig::at(node.address())).expect("the node listens")
}

pub(crate) fn account(ledger: u32, name: &str) -> u128 {
    names::account_id(ledger, name).expect("a plain name")
}

/// Money in cents, shares in whole ones.
pub(crate) fn fund(client: &mut Client, ledger: u32, name: &str, amount: u128) {
    let flags = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    let of = |name: &str, flags| Account {
        id: account(ledger, name),
        ledger,
        code: 1,
        flags,
        ..Account::default()
    };
    // The issuer exists from the second time on.
    client.create_accounts(&[of("issuer", 0), of(name, flags)]).expect("an answer");
    let transfer = Transfer {
        id: names::transfer_id(&format!("funding of {name} in {ledger}")).expect("a plain name"),
        debit_account_id: account(ledger, "issuer"),
        credit_account_id: account(ledger, name),
        amount,
        ledger,
        code: 1,
        ..Transfer::default()
    };
    if amount != 0 {
        assert_eq!(client.create_transfers(&[transfer]).expect("an answer")[0].status, CREATED);
    }
}

/// Ledgers, the instrument's own accounts, and the instrument: a tick is a cent, a lot a share.
pub(crate) fn open(client: &mut Client) {
    let ledgers = [
        CreateLedger::new(USD, 2, "USD", "US dollar").expect("fits"),
        CreateLedger::new(SHARES, 0, "ACME", "shares of ACME").expect("fits"),
    ];
    let results = client.create_ledgers(&ledgers).expect("an answer");
    assert!(results.iter().all(|result| result.status == CREATED), "{results:?}");
    let own =
        |ledger, name| Account { id: account(ledger, name), ledger, code: 9, ..Account::default() };
    let own = [own(USD, "fees"), own(USD, "clearing"), own(SHARES, "clearing")];
    let results = client.create_accounts(&own).expect("an answer");
    assert!(results.iter().all(|result| result.status == CREATED), "{results:?}");
    let results = client.create_instruments(&[instrument()]).expect("an answer");
    assert_eq!(results[0].status, CREATED);
}

pub(crate) fn instrument() -> CreateInstrument {
    CreateInstrument {
        id: ACME,
        base_ledger: SHARES,
        quote_ledger: USD,
        fee_account_id: account(USD, "fees"),
        quote_clearing_account_id: account(USD, "clearing"),
        base_clearing_account_id: account(SHARES, "clearing"),
        quote_per_tick_lot: 1,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: 1_000_000,
        quantity_step_lots: 1,
        quantity_max_lots: 1_000_000,
        protection_ticks: 1_000_000,
        orders_max: 20_000,
        levels_max: 10_000,
        taker_fee_flat: 100,
        rounding: RoundingRule::HalfEven as u8,
        self_trade: 1,
        ..CreateInstrument::default()
    }
}

/// A limit order that is good till it is cancelled.
pub(crate) fn limit(name: &str, side: Side, id: u128, quantity: u64, price: u64) -> SubmitOrder {
    SubmitOrder {
        client_order_id: id,
        quote_account_id: account(USD, name),
        base_account_id: account(SHARES, name),
        price,
        quantity,
        instrument: ACME,
        side: side as u8,
        kind: OrderKind::Limit as u8,
        time_in_force: TimeInForce::GoodTillCancelled as u8,
        ..SubmitOrder::default()
    }
}
