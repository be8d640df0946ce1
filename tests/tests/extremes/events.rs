//! Events of every operation: few names and few accounts, so that everything meets, and numbers at their edges.

use super::random::Random;
use mizan_wire::limits::NS_PER_S;
use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, CreateInstrument, DepthQuery, InstrumentCommand,
    MassCancelEvent, OpenOrdersQuery, OrderKey, ReportsQuery, SubmitOrder,
};
use mizan_wire::{Account, AccountFlags, Operation, Transfer, TransferFlags as F};
use zerocopy::IntoBytes;

/// 1 to 3 have whatever they like, 4 and 5 only what they were paid, 6 is limited the other way; the same in ledger 2
/// with 10 more; 21 and 22 are the instruments' own.
pub(crate) fn accounts() -> Vec<Account> {
    let flags = |id: u128| match id % 10 {
        4 | 5 => AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
        6 => AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
        _ => 0,
    };
    let ids = [1, 11, 2, 12, 21, 22, 31, 4, 14, 5, 6, 16];
    let account = |id: u128| Account {
        id,
        ledger: if (11..20).contains(&id) || id == 22 { 2 } else { 1 },
        code: 1,
        flags: if id > 20 { 0 } else { flags(id) },
        ..Account::default()
    };
    ids.into_iter().map(account).collect()
}

pub(crate) fn account(random: &mut Random, clock: u64) -> Account {
    let flags = random.below(64) as u16;
    let is_imported = flags & AccountFlags::IMPORTED != 0;
    Account {
        id: random.pick(&[1, 7, 17, 8, u128::MAX, u128::MAX - 1, 0]),
        ledger: random.pick(&[1, 2, 3, u32::MAX]),
        code: random.pick(&[1, u16::MAX]),
        flags,
        timestamp: if is_imported { own_time(random, clock) } else { 0 },
        ..Account::default()
    }
}

fn own_time(random: &mut Random, clock: u64) -> u64 {
    match random.below(3) {
        0 => random.edge_u64(),
        _ => clock.wrapping_sub(random.below(200)),
    }
}

fn trader(random: &mut Random) -> u128 {
    random.pick(&[1, 1, 2, 2, 4, 4, 5, 6, 21, 99])
}

pub(crate) fn instrument(random: &mut Random, id: u32) -> CreateInstrument {
    let edge_or_one = |random: &mut Random| match random.below(3) {
        0 => random.edge_u64(),
        _ => 1,
    };
    let orders_max = random.pick(&[1, 2, 9, 40, 200]);
    let largest = u64::MAX / u64::from(orders_max);
    CreateInstrument {
        fee_account_id: 31,
        base_clearing_account_id: 22,
        quote_clearing_account_id: 21,
        notional_max: if random.once_in(4) { random.edge_u128() } else { u128::MAX },
        taker_fee_flat: if random.once_in(3) { random.edge_u64() } else { 0 },
        quote_per_tick_lot: edge_or_one(random),
        base_per_lot: edge_or_one(random),
        price_step_ticks: random.pick(&[1, 1, 1, 2, u64::MAX]),
        price_min_ticks: random.pick(&[1, 1, 1, 2, u64::MAX]),
        price_max_ticks: random.pick(&[u64::MAX, u64::MAX, 9, 1]),
        quantity_step_lots: random.pick(&[1, 1, 1, 3, 1 << 40]),
        quantity_max_lots: random.pick(&[largest, largest, 20, 1]),
        protection_ticks: edge_or_one(random),
        id: if random.once_in(9) { random.pick(&[0, u32::MAX]) } else { id },
        base_ledger: 2,
        quote_ledger: 1,
        orders_max,
        levels_max: random.pick(&[1, 2, 9, 40]),
        maker_fee_bps: random.pick(&[0, 10_000, -10_000, 10_001, 1, -1, 333]),
        taker_fee_bps: random.pick(&[0, 10_000, -10_000, i16::MIN, 1, -1, 777]),
        rounding: 1,
        self_trade: 1 + random.below(4) as u8,
        ..CreateInstrument::default()
    }
}

fn price(random: &mut Random) -> u64 {
    if random.once_in(4) { random.edge_u64() } else { 1 + random.below(9) }
}

fn quantity(random: &mut Random) -> u64 {
    if random.once_in(4) { random.edge_u64() } else { 1 + random.below(9) }
}

pub(crate) fn order(random: &mut Random, clock: u64) -> SubmitOrder {
    let quote = trader(random);
    let kind = random.pick(&[0, 0, 0, 0, 1, 2, 2, 3, 3, 4]);
    let has_limit = kind == 0 || kind == 3;
    let side = if random.once_in(30) { 2 } else { random.below(2) as u8 };
    let time_in_force = random.pick(&[0, 0, 1, 2, 3, 4, 4, 5]);
    let expires_ns = match random.below(3) {
        0 => random.edge_u64(),
        _ => clock.saturating_add(random.below(3 * NS_PER_S)),
    };
    let may_have_budget = !has_limit && side == 0;
    SubmitOrder {
        client_order_id: 1 + random.edge_u128() % 300,
        quote_account_id: quote,
        base_account_id: quote + if random.once_in(30) { 1 } else { 10 },
        budget: if may_have_budget && random.once_in(2) { random.edge_u128() } else { 0 },
        price: if has_limit { price(random) } else { 0 },
        stop_price: if kind > 1 { price(random) } else { 0 },
        quantity: quantity(random),
        expires_ns: if time_in_force == 2 { expires_ns } else { 0 },
        instrument: random.pick(&[1, 1, 1, 2, u32::MAX]),
        flags: random.pick(&[0, 0, 0, 2, 4, 6, 1]),
        side,
        kind,
        time_in_force: match kind {
            1 if !random.once_in(9) => 3 + time_in_force % 2,
            _ => time_in_force,
        },
        self_trade: random.below(6) as u8 % 5,
        ..SubmitOrder::default()
    }
}

fn name(random: &mut Random) -> (u128, u128, u64) {
    let account_id = trader(random);
    match random.below(8) {
        0 => (account_id, 1 + random.edge_u128() % 300, 0),
        1 => (account_id, 0, random.edge_u64()),
        _ => (account_id, 0, 1 + random.below(40)),
    }
}

pub(crate) fn amend(random: &mut Random) -> AmendOrderEvent {
    let (account_id, client_order_id, order_number) = name(random);
    let is_dormant = random.once_in(3);
    AmendOrderEvent {
        account_id,
        client_order_id,
        order_number,
        price: if random.once_in(4) { 0 } else { price(random) },
        stop_price: if is_dormant { price(random) } else { 0 },
        quantity: quantity(random),
    }
}

pub(crate) fn cancel(random: &mut Random) -> CancelOrderEvent {
    let (account_id, client_order_id, order_number) = name(random);
    CancelOrderEvent { account_id, client_order_id, order_number, ..CancelOrderEvent::default() }
}

pub(crate) fn mass_cancel(random: &mut Random) -> MassCancelEvent {
    let is_bounded = random.once_in(2);
    MassCancelEvent {
        account_id: if random.once_in(2) { trader(random) } else { 0 },
        session: random.pick(&[0, 2, MassCancelEvent::EVERY_SESSION]),
        instrument: random.pick(&[0, 1, 2, u32::MAX]),
        sides: random.below(4) as u8,
        from_order_number: if is_bounded { random.edge_u64() } else { 0 },
        to_order_number: if is_bounded { random.edge_u64() } else { 0 },
        ..MassCancelEvent::default()
    }
}

pub(crate) fn command(random: &mut Random, states: u64) -> InstrumentCommand {
    InstrumentCommand {
        instrument: random.pick(&[0, 1, 2]),
        // Mostly open, or nothing would be traded.
        state: if random.once_in(3) { random.below(states + 1) as u8 } else { 0 },
        from_order_number: if states == 1 { random.edge_u64() } else { 0 },
        ..InstrumentCommand::default()
    }
}

pub(crate) fn transfer(random: &mut Random, clock: u64) -> Transfer {
    let shape = random.pick(&[
        0,
        0,
        0,
        F::PENDING,
        F::PENDING,
        F::PENDING,
        F::POST_PENDING,
        F::VOID_PENDING,
        F::PENDING | F::CLOSING_DEBIT,
        F::BALANCING_DEBIT,
        F::BALANCING_CREDIT | F::PENDING,
        F::IMPORTED,
        u16::MAX,
    ]);
    let flags = shape | if random.once_in(6) { F::LINKED } else { 0 };
    let is_end = shape == F::POST_PENDING || shape == F::VOID_PENDING;
    let is_second = random.once_in(2);
    let account = |random: &mut Random| match is_second {
        true => random.pick(&[11, 12, 14, 16, 22]),
        false => random.pick(&[1, 2, 4, 5, 6, 31]),
    };
    let (debit_account_id, credit_account_id) = (account(random), account(random));
    let id = 1 + random.edge_u128() % 64;
    if is_end {
        let amount = match shape == F::POST_PENDING {
            true => random.pick(&[u128::MAX, u128::MAX, 0, 1]),
            false => 0,
        };
        let pending_id = 1 + random.edge_u128() % 64;
        return Transfer { id, pending_id, amount, flags, ..Transfer::default() };
    }
    Transfer {
        id,
        debit_account_id,
        credit_account_id,
        amount: random.edge_u128(),
        timeout: match shape & F::PENDING != 0 && random.once_in(2) {
            true => random.pick(&[1, 2, u32::MAX]),
            false => 0,
        },
        ledger: if is_second { 2 } else { 1 },
        code: 1,
        flags,
        timestamp: if shape == F::IMPORTED { own_time(random, clock) } else { 0 },
        ..Transfer::default()
    }
}

pub(crate) fn read(random: &mut Random) -> (Operation, Vec<u8>) {
    let account_id = trader(random);
    let limit = random.pick(&[0, 1, 3, u32::MAX]);
    match random.below(5) {
        0 => {
            let after_order_number = random.edge_u64();
            let instrument = random.pick(&[0, 1, u32::MAX]);
            let query = OpenOrdersQuery { account_id, after_order_number, instrument, limit };
            (Operation::GetOpenOrders, query.as_bytes().to_vec())
        }
        1 | 2 => {
            let from_number = random.edge_u64();
            let query = ReportsQuery { account_id, from_number, limit, reserved: 0 };
            (Operation::GetExecutionReports, query.as_bytes().to_vec())
        }
        3 => {
            let side = random.below(3) as u8;
            let query = DepthQuery { instrument: 1, limit, side, ..DepthQuery::default() };
            (Operation::GetDepth, query.as_bytes().to_vec())
        }
        _ => {
            let keys: Vec<OrderKey> =
                (1..20).map(|client_order_id| OrderKey { account_id, client_order_id }).collect();
            (Operation::GetOrders, keys.as_bytes().to_vec())
        }
    }
}
