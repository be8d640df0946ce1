//! The short ways for common transfers against the full rules: the same random requests to two engines, of which one
//! is handed an old record that nobody asks for, so that it takes the full rules for every event.
//!
//! `MIZAN_TEST_SEED` repeats a run or begins another one, `MIZAN_TEST_CASES` makes it shorter or longer.

mod common;

use common::*;
use mizan_engine::Resolved;
use mizan_wire::{Account, AccountFlags, Genesis, Operation, Transfer, TransferFlags};

const SEED_DEFAULT: u64 = 0x4D69_7A61_6E00_0002;
const CASES_DEFAULT: u64 = 300;
const ACCOUNTS: u64 = 12;
const REQUESTS_PER_CASE: u64 = 12;
const WORD: u128 = 1 << 64;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(number ^ (number >> 31)) * u128::from(bound)) >> 64) as u64
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    }
}

fn accounts(random: &mut Random) -> Vec<Account> {
    let limits = [
        0,
        0,
        0,
        AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
        AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
        AccountFlags::HISTORY,
    ];
    let account = |id: u64| Account {
        id: id.into(),
        ledger: if id.is_multiple_of(6) { 2 } else { 1 },
        code: 1,
        flags: random.pick(&limits),
        ..Account::default()
    };
    (1..=ACCOUNTS).map(account).collect()
}

fn amount(random: &mut Random) -> u128 {
    let wide = [WORD - 1, WORD - 5, WORD / 2, WORD, WORD + 1, u128::MAX, u128::MAX - 2];
    if random.one_in(8) { random.pick(&wide) } else { random.below(20).into() }
}

/// A transfer that is plain, but for what chance has spoilt.
fn transfer(random: &mut Random, ids: u64) -> Transfer {
    let mut event = Transfer {
        id: u128::from(1 + random.below(ids)),
        debit_account_id: u128::from(1 + random.below(ACCOUNTS)),
        credit_account_id: u128::from(1 + random.below(ACCOUNTS)),
        amount: amount(random),
        user_data_128: random.below(3).into(),
        ledger: 1,
        code: 1,
        ..Transfer::default()
    };
    match random.below(10) {
        0..3 => event.flags = TransferFlags::PENDING,
        3..6 => {
            event.flags = random.pick(&[TransferFlags::POST_PENDING, TransferFlags::VOID_PENDING]);
            event.pending_id = u128::from(1 + random.below(ids));
            if random.one_in(2) {
                event.amount = random.pick(&[0, u128::MAX]);
            }
            if !random.one_in(4) {
                (event.debit_account_id, event.credit_account_id) = (0, 0);
            }
        }
        _ => {}
    }
    if random.one_in(6) {
        event.flags |= TransferFlags::LINKED;
    }
    if event.flags & TransferFlags::PENDING != 0 && random.one_in(2) {
        event.timeout = random.pick(&[1, 2, u32::MAX]);
    }
    if random.one_in(8) {
        spoil(random, &mut event);
    }
    event
}

fn spoil(random: &mut Random, event: &mut Transfer) {
    match random.below(14) {
        0 => event.id = random.pick(&[0, u128::MAX, 0xFFFE << 112]),
        1 => event.debit_account_id = random.pick(&[0, u128::MAX, 99]),
        2 => event.credit_account_id = random.pick(&[0, u128::MAX, 99]),
        3 => event.credit_account_id = event.debit_account_id,
        4 => event.ledger = random.pick(&[0, 2, 3]),
        5 => event.code = random.pick(&[0, 2]),
        6 => event.pending_id = random.pick(&[1, event.id, WORD]),
        7 => event.timeout = 1,
        8 => event.timestamp = 1,
        9 => event.flags ^= 1 << random.below(10),
        10 => event.flags |= TransferFlags::CLOSING_DEBIT,
        11 => event.flags |= TransferFlags::CLOSING_CREDIT | TransferFlags::PENDING,
        12 => event.flags |= TransferFlags::BALANCING_DEBIT,
        _ => event.flags |= TransferFlags::BALANCING_CREDIT,
    }
}

/// Everything that shows of two engines is equal.
fn assert_same(short: &Log, full: &Log, events: &[Transfer], repeat: &str) {
    assert_eq!(short.results(), full.results(), "{events:#?}\nrepeat with: {repeat}");
    assert_eq!(short.engine.digest(), full.engine.digest(), "{events:#?}\nrepeat with: {repeat}");
    assert!(short.engine.accounts().eq(full.engine.accounts()), "repeat with: {repeat}");
    assert!(short.engine.transfers().eq(full.engine.transfers()), "repeat with: {repeat}");
    assert_eq!(short.engine.next_due_ns(), full.engine.next_due_ns(), "repeat with: {repeat}");
}

fn run(seed: u64, repeat: &str) -> u64 {
    let mut random = Random(seed);
    let transfer_count_max = random.pick(&[20, 512]);
    let hold_count_max = random.pick(&[4, 16]);
    let genesis = Genesis { transfer_count_max, hold_count_max, ..small_genesis() };
    let (mut short, mut full) = (Log::with(&genesis), Log::with(&genesis));
    let created = accounts(&mut random);
    short.accounts(&created);
    full.accounts(&created);
    // An id that no event has: its only effect is that events may have old records.
    let burnt = [1 << 100];
    let old = Resolved::new(&[], &burnt).unwrap();
    let mut created_count = 0;
    for _ in 0..REQUESTS_PER_CASE {
        let count = 1 + random.below(40);
        let ids = random.pick(&[30, 200, 100_000]);
        let events: Vec<Transfer> = (0..count).map(|_| transfer(&mut random, ids)).collect();
        let results = short.create(Operation::CreateTransfers, &events);
        full.create_resolved(Operation::CreateTransfers, &events, &old);
        assert_same(&short, &full, &events, repeat);
        created_count += results.iter().filter(|result| result.status == CREATED).count() as u64;
        let clock_ns = short.clock_ns + random.below(2) * SECOND_NS;
        assert_eq!(short.tick(clock_ns), full.tick(clock_ns), "repeat with: {repeat}");
    }
    created_count
}

#[test]
fn the_short_ways_change_exactly_what_the_full_rules_change() {
    let seed = from_environment("MIZAN_TEST_SEED", SEED_DEFAULT);
    let cases = from_environment("MIZAN_TEST_CASES", CASES_DEFAULT);
    println!("seed {seed}, {cases} cases");
    let mut created_count = 0;
    for case in 0..cases {
        let seed = seed.wrapping_add(case);
        let repeat = format!(
            "MIZAN_TEST_SEED={seed} MIZAN_TEST_CASES=1 cargo test -p mizan-engine --test short_way"
        );
        created_count += run(seed, &repeat);
    }
    println!("{created_count} transfers created");
    // Requests that nearly always fail would compare nothing.
    assert!(created_count >= cases * REQUESTS_PER_CASE, "{created_count} of {cases} cases");
}
