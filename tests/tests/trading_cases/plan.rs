//! Random requests of trading. Small numbers throughout, so that orders meet, ids repeat and room runs out.

use mizan_wire::trading::{
    AmendOrderEvent, CancelOrderEvent, InstrumentCommand, MassCancelEvent, SubmitOrder,
};
use mizan_wire::{Transfer, TransferFlags};
use proptest::prelude::*;

/// Quote accounts of traders; the base account is 100 higher, but the last two traders share one.
pub(crate) const TRADERS: [u128; 4] = [11, 12, 13, 14];
pub(crate) const NANOSECONDS: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) request: Request,
    /// Sent by the session, and sent again.
    pub(crate) in_session: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Expiries are counted from now.
    Submit(Vec<SubmitOrder>),
    Amend(Vec<AmendOrderEvent>),
    Cancel(Vec<CancelOrderEvent>),
    MassCancel(Vec<MassCancelEvent>),
    SetState(InstrumentCommand),
    CloseSession(InstrumentCommand),
    Transfers(Vec<Transfer>),
    /// Orders that were sent before, as they were, by their places among all of them.
    Repeat(Vec<usize>),
    /// So many seconds later.
    Tick(u64),
}

pub(crate) fn base_account(trader: u128) -> u128 {
    match trader {
        14 => 113,
        901 => 111,
        _ => trader + 100,
    }
}

fn trader() -> impl Strategy<Value = u128> {
    prop_oneof![
        12 => Just(11u128), 12 => Just(12u128), 12 => Just(13u128), 8 => Just(14u128),
        1 => Just(15u128), 1 => Just(901u128), 1 => Just(999u128),
    ]
}

fn instrument() -> impl Strategy<Value = u32> {
    prop_oneof![12 => Just(1u32), 6 => Just(2u32), 1 => Just(3u32)]
}

fn submit() -> impl Strategy<Value = SubmitOrder> {
    let names = (trader(), 0..100_000u128, instrument(), 0..2u8);
    let words = (
        prop_oneof![12 => Just(0u8), 3 => Just(1u8), 2 => Just(2u8), 3 => Just(3u8)],
        prop_oneof![8 => Just(0u8), 2 => Just(1u8), 2 => Just(2u8), 2 => Just(3u8), 2 => Just(4u8)],
        0..5u8,
        prop_oneof![10 => Just(0u32), 2 => Just(2u32), 3 => Just(4u32)],
    );
    let numbers = (1..20u64, 1..20u64, prop_oneof![8 => 1..12u64, 1 => 0..60u64], 0..4u64);
    let rest = (prop_oneof![3 => Just(0u128), 2 => 1..200u128], 0..90u8, 0..12u8);
    (names, words, numbers, rest).prop_map(|(names, words, numbers, rest)| {
        let (account, client_order_id, instrument, side) = names;
        let (kind, time_in_force, self_trade, flags) = words;
        let (price, stop_price, quantity, expires) = numbers;
        let (budget, oddity, small) = rest;
        let has_limit = kind == 0 || kind == 3;
        let order = SubmitOrder {
            client_order_id: if small == 0 { client_order_id % 30 } else { client_order_id },
            quote_account_id: account,
            base_account_id: base_account(account),
            price: if has_limit { price } else { 0 },
            stop_price: if kind > 1 { stop_price } else { 0 },
            quantity,
            budget: if !has_limit && side == 0 { budget } else { 0 },
            expires_ns: if time_in_force == 2 { expires } else { 0 },
            instrument,
            side,
            kind,
            time_in_force: if kind == 1 { 3 + time_in_force % 2 } else { time_in_force },
            self_trade,
            flags,
            ..SubmitOrder::default()
        };
        let order = match kind {
            1 => SubmitOrder { expires_ns: 0, ..order },
            _ => order,
        };
        make_odd(order, oddity)
    })
}

/// One order in eight is wrong in some way.
fn make_odd(order: SubmitOrder, oddity: u8) -> SubmitOrder {
    match oddity {
        0 => SubmitOrder { flags: 1, ..order },
        1 => SubmitOrder { flags: 16, ..order },
        2 => SubmitOrder { timestamp: 1, ..order },
        3 => SubmitOrder { kind: 9, ..order },
        4 => SubmitOrder { base_account_id: order.quote_account_id, ..order },
        5 => SubmitOrder { quantity: u64::MAX, ..order },
        6 => SubmitOrder { price: u64::MAX, ..order },
        7 => SubmitOrder { expires_ns: 1, ..order },
        8 => SubmitOrder { user_data_64: 1, ..order },
        9 => SubmitOrder { budget: 1 << 120, ..order },
        10 => SubmitOrder { time_in_force: 0, ..order },
        _ => order,
    }
}

fn name() -> impl Strategy<Value = (u128, u128, u64)> {
    prop_oneof![
        3 => (trader(), 1..30u128).prop_map(|(trader, id)| (trader, id, 0)),
        9 => (trader(), 1..40u64).prop_map(|(trader, number)| (trader, 0, number)),
        1 => (trader(), 0..3u128, 0..3u64),
    ]
}

fn amend() -> impl Strategy<Value = AmendOrderEvent> {
    let is_dormant = prop_oneof![4 => Just(false), 1 => Just(true)];
    (name(), 1..20u64, 1..20u64, 0..14u64, is_dormant, 0..8u8).prop_map(
        |(
            (account_id, client_order_id, order_number),
            price,
            stop,
            quantity,
            is_dormant,
            shape,
        )| {
            AmendOrderEvent {
                account_id,
                client_order_id,
                order_number,
                price: if shape == 0 { 0 } else { price },
                stop_price: if is_dormant { stop } else { 0 },
                quantity,
            }
        },
    )
}

fn cancel() -> impl Strategy<Value = CancelOrderEvent> {
    name().prop_map(|(account_id, client_order_id, order_number)| CancelOrderEvent {
        account_id,
        client_order_id,
        order_number,
        ..CancelOrderEvent::default()
    })
}

fn mass_cancel() -> impl Strategy<Value = MassCancelEvent> {
    let account = prop_oneof![2 => Just(0u128), 3 => trader()];
    let instrument = prop_oneof![2 => Just(0u32), 3 => instrument()];
    // The session of every case has the same number.
    let every = Just(MassCancelEvent::EVERY_SESSION);
    let session = prop_oneof![4 => Just(0u64), 2 => Just(2u64), 1 => every];
    let bounds = (from_order_number(), from_order_number());
    (account, session, instrument, 0..4u8, bounds).prop_map(
        |(account_id, session, instrument, sides, bounds)| MassCancelEvent {
            account_id,
            session,
            instrument,
            sides,
            from_order_number: bounds.0,
            to_order_number: bounds.1,
            ..MassCancelEvent::default()
        },
    )
}

fn from_order_number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0u64), 2 => 1..50u64, 1 => Just(u64::MAX)]
}

fn state() -> impl Strategy<Value = u8> {
    prop_oneof![8 => Just(0u8), 2 => Just(1u8), 2 => Just(2u8), 1 => Just(3u8)]
}

fn command(state: impl Strategy<Value = u8>) -> impl Strategy<Value = InstrumentCommand> {
    let instrument = prop_oneof![2 => Just(0u32), 3 => instrument()];
    let from = prop_oneof![8 => Just(0u64), 2 => from_order_number()];
    (instrument, state, from).prop_map(|(instrument, state, from_order_number)| InstrumentCommand {
        instrument,
        state,
        from_order_number,
        ..InstrumentCommand::default()
    })
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let accounts = prop_oneof![Just((904u128, 1u32)), Just((905u128, 2u32))];
    let shape = prop_oneof![
        6 => Just(0u16),
        3 => Just(TransferFlags::PENDING),
        1 => Just(TransferFlags::PENDING | TransferFlags::CLOSING_DEBIT),
        1 => Just(TransferFlags::PENDING | TransferFlags::CLOSING_CREDIT),
    ];
    let amount = prop_oneof![9 => 0..300u128, 1 => Just((1u128 << 127) - 1000)];
    (trader(), accounts, shape, amount, any::<bool>(), 1..10_000u128, 0..3u32).prop_map(
        |(trader, (other, ledger), flags, amount, is_from, id, timeout)| {
            let own = if ledger == 1 { trader } else { base_account(trader) };
            let (debit, credit) = if is_from { (own, other) } else { (other, own) };
            Transfer {
                id,
                debit_account_id: debit,
                credit_account_id: credit,
                amount,
                ledger,
                code: 1,
                flags,
                timeout: if flags & TransferFlags::PENDING != 0 { timeout } else { 0 },
                ..Transfer::default()
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let many = |max: usize| 1..max;
    let request = prop_oneof![
        24 => prop::collection::vec(submit(), many(6)).prop_map(Request::Submit),
        2 => prop::collection::vec(any::<usize>(), many(3)).prop_map(Request::Repeat),
        8 => prop::collection::vec(amend(), many(4)).prop_map(Request::Amend),
        6 => prop::collection::vec(cancel(), many(4)).prop_map(Request::Cancel),
        2 => prop::collection::vec(mass_cancel(), many(3)).prop_map(Request::MassCancel),
        2 => command(state()).prop_map(Request::SetState),
        1 => command(0..2u8).prop_map(Request::CloseSession),
        4 => prop::collection::vec(transfer(), many(4)).prop_map(Request::Transfers),
        4 => (0..3u64).prop_map(Request::Tick),
    ];
    (request, any::<bool>()).prop_map(|(request, in_session)| Step { request, in_session })
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(step(), 1..90).prop_map(|steps| Case { steps })
}
