//! How many transfers a second the engine alone executes, and how much memory an account takes.
//!
//! `cargo run --release -p mizan-engine --example throughput [ACCOUNTS,.. [SHAPE,.. [TRANSFERS]]]`
//!
//! Batches of 8,189 transfers, applied by the full path: records kept, ids checked, digest moved. Making the batches
//! is not timed. A sample is the time of 32 batches. On a busy machine the time on the processor says more than the
//! time on the wall; both are printed.
//!
//! For instruction counts: `valgrind --tool=callgrind --toggle-collect='*apply_measured*'`, with few transfers.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod memory;
mod shapes;

use memory::Memory;
use mizan_engine::{Engine, Output, Resolved};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Account, Genesis, Operation, RequestHeader, SEMANTICS_VERSION, Transfer};
use shapes::{Shape, Transfers};
use std::time::{Duration, Instant};
use zerocopy::{Immutable, IntoBytes};

const BATCH: u64 = EVENTS_MAX as u64;
const BATCHES_PER_SAMPLE: usize = 32;
const ACCOUNTS_DEFAULT: &str = "10000,1000000,10000000";
const SHAPES_DEFAULT: &str = "uniform,hot,zipf";
const TRANSFERS_DEFAULT: &str = "4000000";
const USAGE: &str = "arguments: ACCOUNTS,.. of 2 and more, SHAPE,.. of uniform, hot, zipf, holds, chains, and TRANSFERS";

struct Bench {
    engine: Engine,
    output: Output,
}

impl Bench {
    fn new(account_count: u64, transfer_count: u64) -> Self {
        let genesis = genesis(account_count, transfer_count);
        let engine = Engine::new(&genesis).expect("the genesis is valid");
        let mut bench = Self { engine, output: Output::new() };
        bench.apply(Operation::Genesis, &[genesis], 0);
        bench
    }

    fn apply<E: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        events: &[E],
        event_count: usize,
    ) {
        let body = events.as_bytes();
        let header = RequestHeader {
            operation: operation.number(),
            event_size: operation.event_size() as u16,
            event_count: event_count as u32,
            body_size: body.len() as u32,
            ..RequestHeader::default()
        };
        let sequence = self.engine.sequence() + 1;
        self.engine
            .apply(sequence, &header, body, &Resolved::none(), &mut self.output)
            .expect("the entry is valid");
        assert_eq!(self.output.result_count, 0, "every event succeeds");
    }

    /// What is timed, and where a profiler can be told to begin and end.
    #[inline(never)]
    fn apply_measured(&mut self, events: &[Transfer]) {
        self.apply(Operation::CreateTransfers, events, events.len());
    }

    fn create_accounts(&mut self, account_count: u64) -> Duration {
        let mut created = Duration::ZERO;
        let mut events = Vec::with_capacity(BATCH as usize);
        for first in (1..=account_count).step_by(BATCH as usize) {
            events.clear();
            let ids = first..(first + BATCH).min(account_count + 1);
            events.extend(ids.map(|id| Account {
                id: u128::from(id),
                ledger: 1,
                code: 1,
                ..Account::default()
            }));
            let start = Instant::now();
            self.apply(Operation::CreateAccounts, &events, events.len());
            created += start.elapsed();
        }
        created
    }
}

fn genesis(account_count: u64, transfer_count: u64) -> Genesis {
    Genesis {
        cluster: 1,
        hash_seed: 42,
        account_count_max: account_count,
        transfer_count_max: transfer_count,
        hold_count_max: transfer_count.min(1 << 16),
        session_idle_ns: 1,
        semantics_version: SEMANTICS_VERSION,
        digest_interval: 1_024,
        ledger_count_max: 16,
        code_count_max: 16,
        session_count_max: 16,
        window_requests: 64,
        window_bytes: 1 << 20,
        ..Genesis::default()
    }
}

/// Nanoseconds per transfer of each sample.
#[derive(Default)]
struct Samples {
    on_processor: Vec<f64>,
    on_wall: Vec<f64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let accounts = next(ACCOUNTS_DEFAULT);
    let shapes = next(SHAPES_DEFAULT);
    let transfers: u64 = next(TRANSFERS_DEFAULT).parse().expect(USAGE);
    let transfer_count = transfers.next_multiple_of(BATCH);
    for account_count in accounts.split(',').map(|text| text.parse().expect(USAGE)) {
        assert!(account_count >= 2, "{USAGE}");
        for shape in shapes.split(',').map(|text| Shape::from_name(text).expect(USAGE)) {
            run(account_count, shape, transfer_count);
        }
    }
}

fn run(account_count: u64, shape: Shape, transfer_count: u64) {
    let before = Memory::now();
    let mut bench = Bench::new(account_count, transfer_count);
    let created = bench.create_accounts(account_count);
    let samples = measure(&mut bench, account_count, shape, transfer_count);
    let memory = Memory::now().since(&before);
    let without_accounts = memory_of_engine(1, transfer_count);
    bench.engine.check_invariants().expect("the state is sound");
    println!("{account_count} accounts, {}:", shape.name());
    report("on the processor", &samples.on_processor);
    report("on the wall", &samples.on_wall);
    let create_rate = account_count as f64 / created.as_secs_f64() / 1e6;
    println!(
        "  create_accounts {create_rate:.2} M/s on the wall; digest {:032x}",
        bench.engine.digest()
    );
    let per_account =
        |size: u64, without: u64| size.saturating_sub(without) as f64 / account_count as f64;
    println!(
        "  memory asked for {:.0} MB, touched {:.0} MB ({:.0} MB in huge pages); per account {:.1} and {:.1} bytes",
        memory.asked_for as f64 / 1e6,
        memory.touched as f64 / 1e6,
        memory.in_huge_pages as f64 / 1e6,
        per_account(memory.asked_for, without_accounts.asked_for),
        per_account(memory.touched, without_accounts.touched),
    );
}

/// What an engine takes that has room for the same transfers.
fn memory_of_engine(account_count: u64, transfer_count: u64) -> Memory {
    let before = Memory::now();
    let bench = Bench::new(account_count, transfer_count);
    let memory = Memory::now().since(&before);
    drop(bench);
    memory
}

fn measure(bench: &mut Bench, account_count: u64, shape: Shape, transfer_count: u64) -> Samples {
    let mut transfers = Transfers::new(shape, account_count);
    let mut samples = Samples::default();
    let mut events = Vec::with_capacity(BATCH as usize);
    let mut batches_left = (transfer_count / BATCH) as usize;
    while batches_left > 0 {
        let batches = batches_left.min(BATCHES_PER_SAMPLE);
        batches_left -= batches;
        let (mut on_processor, mut on_wall) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            transfers.fill(&mut events, BATCH as usize);
            let before = processor_time();
            let start = Instant::now();
            bench.apply_measured(&events);
            on_wall += start.elapsed();
            on_processor += processor_time().saturating_sub(before);
        }
        let count = batches as f64 * BATCH as f64;
        samples.on_processor.push(on_processor.as_nanos() as f64 / count);
        samples.on_wall.push(on_wall.as_nanos() as f64 / count);
    }
    samples
}

/// How long this thread has been on a processor; zero where the system does not tell.
fn processor_time() -> Duration {
    // Linux brings the figure up to date when a thread yields, else only a few hundred times a second.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let time_ns = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(time_ns.unwrap_or_default())
}

fn report(clock: &str, samples: &[f64]) {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    let rate = |time_ns: f64| 1e3 / time_ns;
    println!(
        "  {clock}: median {:.2} M/s ({:.1} ns per transfer), n {}, middle half {:.2} to {:.2}, all {:.2} to {:.2}",
        rate(at(0.5)),
        at(0.5),
        sorted.len(),
        rate(at(0.75)),
        rate(at(0.25)),
        rate(at(1.0)),
        rate(at(0.0)),
    );
}
