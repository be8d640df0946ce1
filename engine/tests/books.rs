//! The books over a fixed flow: the digest of the reports, the bounds of memory, and sums that must come out even.
#![allow(clippy::disallowed_types)]

use mizan_engine::books::{Book, ReportChain, ReportSink};
use mizan_wire::orders::{
    AmendOrder, BookCapacity, BookCommand, BookRules, CancelOrder, MassCancel, NewOrder,
    OrderHandle, OrderKind, OrderReport, ReportKind, SLOT_NONE, SelfTrade, Side, TimeInForce,
    TradingState,
};
use std::collections::BTreeMap;

const CAPACITY: BookCapacity = BookCapacity { orders_max: 600, levels_max: 150 };
const COMMANDS: usize = 200_000;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn new_order(random: &mut Random, now_ns: u64) -> NewOrder {
    use TimeInForce::{Day, FillOrKill, GoodTillCancelled, GoodTillDate, ImmediateOrCancel};
    let side = random.of(&[Side::Buy, Side::Sell]);
    let kind = random.of(&[
        OrderKind::Limit,
        OrderKind::Limit,
        OrderKind::Limit,
        OrderKind::Limit,
        OrderKind::Limit,
        OrderKind::Market,
        OrderKind::Stop,
        OrderKind::StopLimit,
    ]);
    let lives =
        [GoodTillCancelled, GoodTillCancelled, Day, GoodTillDate, ImmediateOrCancel, FillOrKill];
    let time_in_force = match kind {
        OrderKind::Market => random.of(&[ImmediateOrCancel, FillOrKill]),
        _ => random.of(&lives),
    };
    let far = if side == Side::Buy { 0 } else { 110 };
    let price = 1_000 + far + random.below(120);
    let stop_price = 1_000 + random.below(230);
    let expires_ns = now_ns + 1 + random.below(2_000);
    NewOrder {
        budget: 0,
        price: if kind.has_limit() { price } else { 0 },
        stop_price: if kind.is_dormant() { stop_price } else { 0 },
        quantity: 1 + random.below(if kind.has_limit() { 50 } else { 5 }),
        expires_ns: if time_in_force == GoodTillDate { expires_ns } else { 0 },
        owner: random.below(20) as u32,
        tag: random.below(1 << 32) as u32,
        side,
        kind,
        time_in_force,
        self_trade: random.of(&[
            SelfTrade::Allow,
            SelfTrade::CancelNewest,
            SelfTrade::CancelOldest,
            SelfTrade::CancelBoth,
            SelfTrade::DecrementAndCancel,
        ]),
        is_post_only: false,
    }
}

/// The flow's next command; `handles` are those of the last orders, open or not.
fn command(random: &mut Random, handles: &[(OrderHandle, u32)], step: u64) -> BookCommand {
    let choice = random.below(1_000);
    let picked = random.below(handles.len().max(1) as u64) as usize;
    let known = handles.get(picked).copied();
    match (choice, known) {
        (0, _) => BookCommand::CloseSession,
        (1..4, _) => {
            let mass = MassCancel { owner: Some(random.below(20) as u32), side: None };
            BookCommand::MassCancel(mass)
        }
        (4..8, _) => BookCommand::SetTradingState(match choice {
            4 => TradingState::CancelOnly,
            _ => TradingState::Open,
        }),
        (8..40, _) => BookCommand::AdvanceTime(step),
        (40..240, Some((handle, owner))) => BookCommand::Cancel(CancelOrder { handle, owner }),
        (240..400, Some((handle, owner))) => BookCommand::Amend(AmendOrder {
            handle,
            owner,
            price: 1_050 + random.below(130),
            stop_price: 0,
            quantity: random.below(50),
        }),
        _ => BookCommand::Submit(new_order(random, step)),
    }
}

/// Runs the flow into a sink, which learns of every command's reports.
fn run(mut sink: impl FnMut(&Book, &[OrderReport])) -> Book {
    let mut book = Book::new(BookRules::unlimited(CAPACITY), CAPACITY).expect("sound rules");
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut handles: Vec<(OrderHandle, u32)> = Vec::new();
    let mut reports: Vec<OrderReport> = Vec::new();
    for step in 0..COMMANDS {
        let recent = &handles[handles.len().saturating_sub(900)..];
        let command = command(&mut random, recent, step as u64);
        reports.clear();
        book.apply(&command, &mut reports);
        for report in &reports {
            let is_new = report.is(ReportKind::Accepted) || report.is(ReportKind::Dormant);
            if is_new && report.slot != SLOT_NONE {
                let handle = OrderHandle { number: report.number, slot: report.slot };
                handles.push((handle, report.owner));
            }
        }
        sink(&book, &reports);
    }
    book
}

#[test]
fn the_reports_of_a_fixed_flow_have_the_digest_that_they_always_had() {
    let mut chain = ReportChain::default();
    run(|_, reports| reports.iter().for_each(|report| chain.report(report)));
    // Whoever changes this number has changed what old logs mean: that is a new semantics version.
    assert_eq!(
        (chain.count(), format!("{:032x}", chain.value())),
        (257_834, "34d5d615ebabcfad14cd7ec29eece7a2".to_owned())
    );
}

#[test]
fn the_book_stays_sound_while_its_levels_are_at_their_maximum() {
    let (mut orders_max, mut rejects, mut step) = (0, BTreeMap::<u16, u64>::new(), 0);
    let book = run(|book, reports| {
        step += 1;
        orders_max = orders_max.max(book.order_count());
        for report in reports.iter().filter(|report| report.is(ReportKind::Rejected)) {
            *rejects.entry(report.reason).or_default() += 1;
        }
        if step % 50 == 0 {
            book.check_invariants().unwrap_or_else(|error| panic!("after command {step}: {error}"));
        }
    });
    book.check_invariants().expect("sound at the end");
    println!("{orders_max} orders at once, rejects {rejects:?}");
    let levels_full = mizan_wire::orders::OrderReject::LevelsFull as u16;
    assert!(rejects.contains_key(&levels_full), "the flow never fills the levels: {rejects:?}");
}

/// Quantities as the reports tell them.
#[derive(Clone, Copy, Default)]
struct Tally {
    original: u64,
    filled: u64,
    cancelled: u64,
}

#[test]
fn of_every_order_the_reports_account_for_every_lot() {
    let mut tallies: BTreeMap<u64, Tally> = BTreeMap::new();
    let (mut bought, mut sold) = (0, 0);
    let book = run(|_, reports| {
        for report in reports.iter().filter(|report| report.number != 0) {
            let is = |kind| report.is(kind);
            let tally = tallies.entry(report.number).or_default();
            let kinds = [ReportKind::Accepted, ReportKind::Dormant, ReportKind::Replaced];
            if kinds.into_iter().any(is) {
                tally.original = report.quantity;
            } else if is(ReportKind::Cancelled) {
                tally.cancelled += report.quantity;
            } else if is(ReportKind::Reduced) {
                let reason = report.cancel_reason();
                match reason == Some(mizan_wire::orders::CancelReason::SelfTrade) {
                    true => tally.cancelled += report.quantity,
                    false => tally.original -= report.quantity,
                }
            } else if is(ReportKind::Trade) {
                tally.filled += report.quantity;
                let is_buy = report.order_side() == Some(Side::Buy);
                *(if is_buy { &mut bought } else { &mut sold }) += report.quantity;
                tallies.entry(report.counterparty).or_default().filled += report.quantity;
            }
        }
    });
    let mut open: BTreeMap<u64, u64> = BTreeMap::new();
    for side in [Side::Buy, Side::Sell] {
        let standing = book.resting(side).chain(book.dormant(side));
        open.extend(standing.map(|order| (order.handle.number, order.open)));
    }
    for (number, tally) in &tallies {
        let open = open.get(number).copied().unwrap_or(0);
        assert_eq!(tally.filled + tally.cancelled + open, tally.original, "order {number}");
    }
    let traded: u64 = tallies.values().map(|tally| tally.filled).sum();
    assert_eq!(traded, 2 * (bought + sold), "every lot has two sides");
    assert!(bought > 10_000 && sold > 10_000, "the flow trades: {bought}, {sold}");
}
