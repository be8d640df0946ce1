//! The engine alone: full semantics, record kept, one core.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mizan_bench::{Ledger, Spread};
use mizan_wire::limits::EVENTS_MAX;
use std::cell::RefCell;
use std::time::Duration;

/// Transfers are kept, so the time is bounded by the ledger's room: 32 M transfers are 4 GB.
const TRANSFERS: u64 = 32_000_000;

fn transfers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("create_transfers");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    for accounts in [10_000, 1_000_000] {
        for spread in [Spread::Uniform, Spread::Hot] {
            let ledger = RefCell::new(Ledger::new(accounts, TRANSFERS, 1));
            group.throughput(Throughput::Elements(u64::from(EVENTS_MAX)));
            group.bench_function(format!("{accounts} accounts, {spread:?}"), |bencher| {
                // The batch is made outside the measured part, from the same ledger.
                bencher.iter_batched(
                    || ledger.borrow_mut().batch(EVENTS_MAX, spread),
                    |batch| ledger.borrow_mut().transfer(&batch),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transfers);
criterion_main!(benches);
