//! How many transfers a second the engine alone executes: batches of 8,189, accounts chosen uniformly.
//!
//! `cargo run --release -p mizan-engine --example throughput [ACCOUNTS [TRANSFERS]]`
//!
//! Every batch is the full path: records kept, ids checked, digest moved. Making the batches is not timed. On a busy
//! machine the time on the processor says more than the time on the wall; both are printed.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Account, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer};
use std::time::{Duration, Instant};
use zerocopy::{Immutable, IntoBytes};

const BATCH: u64 = EVENTS_MAX as u64;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

struct Bench {
    engine: Engine,
    output: Output,
}

impl Bench {
    fn new(account_count: u64, transfer_count: u64) -> Self {
        let genesis = Genesis {
            cluster: 1,
            hash_seed: 42,
            account_count_max: account_count,
            transfer_count_max: transfer_count,
            hold_count_max: 1 << 16,
            session_idle_ns: 1,
            semantics_version: SEMANTICS_VERSION,
            digest_interval: 1_024,
            ledger_count_max: 16,
            code_count_max: 16,
            session_count_max: 16,
            window_requests: 64,
            window_bytes: 1 << 20,
            ..Genesis::default()
        };
        let engine = Engine::new(&genesis).expect("the genesis is valid");
        let mut bench = Self { engine, output: Output::new() };
        bench.apply(Operation::Genesis, 0, &[genesis]);
        bench
    }

    fn apply<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        count: usize,
        events: &[E],
    ) {
        let body = events.as_bytes();
        let header = RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count: count as u32,
            body_size: body.len() as u32,
            ..RequestHeader::default()
        };
        let sequence = self.engine.sequence() + 1;
        self.engine
            .apply(sequence, &header, body, &Resolved::none(), &mut self.output)
            .expect("the entry is valid");
        assert_eq!(self.output.result_count, 0, "every event succeeds");
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| {
        argument.parse::<u64>().expect("arguments are numbers: ACCOUNTS TRANSFERS")
    });
    let account_count = arguments.next().unwrap_or(1_000_000);
    let transfer_count = arguments.next().unwrap_or(8_000_000).next_multiple_of(BATCH);
    let mut bench = Bench::new(account_count, transfer_count);
    create_accounts(&mut bench, account_count);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut times = Vec::new();
    let mut on_processor = Duration::ZERO;
    let mut events = Vec::with_capacity(BATCH as usize);
    for batch in 0..transfer_count / BATCH {
        events.clear();
        for index in 0..BATCH {
            let debit = random.below(account_count);
            let credit = (debit + 1 + random.below(account_count - 1)) % account_count;
            events.push(Transfer {
                id: u128::from(batch * BATCH + index + 1),
                debit_account_id: u128::from(debit + 1),
                credit_account_id: u128::from(credit + 1),
                amount: 1 + u128::from(random.below(1_000)),
                ledger: 1,
                code: 1,
                ..Transfer::default()
            });
        }
        let before = processor_time();
        let start = Instant::now();
        bench.apply(Operation::CreateTransfers, events.len(), &events);
        times.push(start.elapsed());
        on_processor += processor_time().saturating_sub(before);
    }
    report(account_count, &mut times, on_processor);
    bench.engine.check_invariants().expect("the state is sound");
}

fn create_accounts(bench: &mut Bench, account_count: u64) {
    let mut created = Duration::ZERO;
    let ids: Vec<u64> = (1..=account_count).collect();
    for ids in ids.chunks(BATCH as usize) {
        let events: Vec<Account> = ids
            .iter()
            .map(|id| Account { id: u128::from(*id), ledger: 1, code: 1, ..Account::default() })
            .collect();
        let start = Instant::now();
        bench.apply(Operation::CreateAccounts, events.len(), &events);
        created += start.elapsed();
    }
    let rate = account_count as f64 / created.as_secs_f64() / 1e6;
    println!("create_accounts: {rate:.2} M/s");
}

/// How long this thread has been on a processor; zero where the system does not tell.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let time_ns = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(time_ns.unwrap_or_default())
}

fn report(account_count: u64, times: &mut [Duration], on_processor: Duration) {
    let total: Duration = times.iter().sum();
    let rate = |time: Duration| BATCH as f64 / time.as_secs_f64() / 1e6;
    let mean = rate(total / times.len() as u32);
    let processor = rate(on_processor / times.len() as u32);
    times.sort_unstable();
    println!(
        "create_transfers: {} accounts, {} batches: processor {processor:.2}, wall mean {mean:.2}, median {:.2}, best {:.2}, worst {:.2} M/s",
        account_count,
        times.len(),
        rate(times[times.len() / 2]),
        rate(times[0]),
        rate(times[times.len() - 1]),
    );
}
