//! The ring alone: one producer, one consumer, cells of 128 bytes, the sum of what arrived checked.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mizan_ring::RingOptions;

const CAPACITY: usize = 16_384;
const CELLS: u64 = 1 << 20;

#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Cell([u64; 16]);

/// Sends `CELLS` ascending values through the ring in spans; returns their sum.
fn pass(span_cells: u64) -> u64 {
    let mut setup = RingOptions::new(CAPACITY).allocate(Cell([0; 16])).expect("the ring fits");
    let mut consumer = setup.consumer("sum").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    let reader = std::thread::spawn(move || {
        let mut sum = 0;
        while consumer.released_position() < CELLS {
            let batch = consumer.available().expect("nobody dies");
            sum += batch.iter().map(|cell| cell.0[0]).sum::<u64>();
            let end = batch.end();
            consumer.release_to(end);
        }
        sum
    });
    let mut next = 0;
    while next < CELLS {
        if let Ok(mut span) = producer.try_claim(span_cells as usize) {
            for offset in 0..span_cells as usize {
                span.cell_mut(offset).0[0] = next;
                next += 1;
            }
            span.publish();
        }
    }
    reader.join().expect("the reader ends")
}

fn spans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.sample_size(10);
    group.throughput(Throughput::Elements(CELLS));
    for span_cells in [1, 16, 256] {
        group.bench_function(format!("spans of {span_cells}"), |bencher| {
            bencher.iter(|| assert_eq!(pass(span_cells), CELLS * (CELLS - 1) / 2));
        });
    }
    group.finish();
}

criterion_group!(benches, spans);
criterion_main!(benches);
