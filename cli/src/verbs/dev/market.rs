//! What there is to trade on a node to play with: shares of ACME against US dollars, ten of which bob has.

use super::{DEPOSIT_CODE, LEDGERS, check};
use crate::error::CliError;
use crate::names::{own_account_id, own_transfer_id};
use mizan_client::Client;
use mizan_wire::trading::{CreateInstrument, InstrumentStatus, RoundingRule};
use mizan_wire::{
    Account, AccountFlags, CreateAccountStatus, CreateLedger, CreateTransferStatus, RegistryStatus,
    Transfer,
};

/// The ledger of the shares, beyond the numbers of ISO 4217.
const SHARES: u32 = 1_001;
const SYMBOL: &str = "ACME";
/// Who has given the shares out, who may own some, and who owns how many.
const ISSUER: &str = "issuer";
const OWNERS: [&str; 2] = ["alice", "bob"];
const OWNED: (&str, u128) = ("bob", 10);
const ACCOUNT_CODE: u16 = 1;
/// Room of the book: a small part of the node's.
const ORDERS: u32 = 8_192;
const LEVELS: u32 = 2_048;

/// Makes it as far as it is not there.
pub(super) fn furnish(client: &mut Client) -> Result<(), CliError> {
    // A directory that an earlier release made may have no room for it.
    if !client.engine_status()?.has_trading() {
        return Ok(());
    }
    let ledger = CreateLedger::new(SHARES, 0, SYMBOL, "shares of ACME");
    let ledger = ledger.expect("invariant: the names fit");
    check(&client.create_ledgers(&[ledger])?, RegistryStatus::Exists)?;
    check(&client.create_accounts(&accounts())?, CreateAccountStatus::Exists)?;
    let (owner, amount) = OWNED;
    let shares = Transfer {
        id: own_transfer_id(&format!("mizan dev: shares of {owner} in {SYMBOL}")),
        debit_account_id: own_account_id(SHARES, ISSUER),
        credit_account_id: own_account_id(SHARES, owner),
        amount,
        ledger: SHARES,
        code: DEPOSIT_CODE,
        ..Transfer::default()
    };
    check(&client.create_transfers(&[shares])?, CreateTransferStatus::Exists)?;
    check(&client.create_instruments(&[instrument()])?, InstrumentStatus::Exists)
}

fn accounts() -> Vec<Account> {
    let (usd, ..) = LEDGERS[0];
    let record = instrument();
    let account =
        |id, ledger, flags| Account { id, ledger, code: ACCOUNT_CODE, flags, ..Account::default() };
    let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    let owners = OWNERS.map(|name| account(own_account_id(SHARES, name), SHARES, limited));
    let mut accounts = vec![
        account(own_account_id(SHARES, ISSUER), SHARES, 0),
        account(record.base_clearing_account_id, SHARES, 0),
        account(record.quote_clearing_account_id, usd, 0),
        account(record.fee_account_id, usd, 0),
    ];
    accounts.extend(owners);
    accounts
}

/// A tick of 0.10, whole shares, and 1.00 for each order that takes.
fn instrument() -> CreateInstrument {
    let (usd, _, currency, _) = LEDGERS[0];
    let own = |ledger, name: &str| own_account_id(ledger, &format!("{name}:{SYMBOL}/{currency}"));
    CreateInstrument {
        id: 1,
        base_ledger: SHARES,
        quote_ledger: usd,
        fee_account_id: own(usd, "fees"),
        quote_clearing_account_id: own(usd, "clearing"),
        base_clearing_account_id: own(SHARES, "clearing"),
        taker_fee_flat: 100,
        quote_per_tick_lot: 10,
        base_per_lot: 1,
        price_step_ticks: 1,
        price_min_ticks: 1,
        price_max_ticks: 1_000_000,
        quantity_step_lots: 1,
        quantity_max_lots: 1_000_000,
        protection_ticks: 1_000_000,
        orders_max: ORDERS,
        levels_max: LEVELS,
        rounding: RoundingRule::HalfEven as u8,
        self_trade: 1,
        ..CreateInstrument::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_instruments_own_accounts_are_among_those_that_are_made() {
        let accounts = accounts();
        let ids: BTreeSet<u128> = accounts.iter().map(|account| account.id).collect();
        assert_eq!(ids.len(), accounts.len());
        let record = instrument();
        for id in [
            record.fee_account_id,
            record.quote_clearing_account_id,
            record.base_clearing_account_id,
            own_account_id(SHARES, OWNED.0),
        ] {
            assert!(ids.contains(&id));
        }
        assert_eq!(record.rules().check(record.capacity()), Ok(()));
    }
}
