//! The engine alone: full semantics, record kept, one core.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mizan_bench::Ledger;
use mizan_wire::limits::EVENTS_MAX;
use std::time::Duration;

fn transfers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("create_transfers");
    // Transfers are kept, so the time is bounded by the ledger's room: 32 M transfers are 4 GB.
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    for accounts in [10_000, 1_000_000] {
        let mut ledger = Ledger::new(accounts, 32_000_000);
        group.throughput(Throughput::Elements(u64::from(EVENTS_MAX)));
        group.bench_function(format!("{accounts} accounts, batches of {EVENTS_MAX}"), |bencher| {
            // The batch is made outside the measured part, from the same ledger.
            let batches = std::cell::RefCell::new(&mut ledger);
            bencher.iter_batched(
                || batches.borrow_mut().batch(EVENTS_MAX),
                |batch| batches.borrow_mut().transfer(&batch),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, transfers);
criterion_main!(benches);
