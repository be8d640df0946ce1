//! Threads that push sums through small rings: everything arrives once, in order, whole and in place.
//!
//! Spans of 1 to 64 cells go around rings of a few hundred cells many times, with one and with several
//! producers, with consumers side by side and behind each other. The lengths come from a seed, which a failure
//! prints; `MIZAN_SEED=<seed> cargo test -p mizan-ring --test threads` repeats them.
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::thread;

use mizan_ring::{ClaimError, Consumer, MultiProducer, RingOptions, Signal, SingleProducer, Span};
use support::{Deadline, Lengths, WAIT_SLICE, seed};

const CAPACITY: usize = 256;
const CELLS: u64 = 3_000_000;
const SPAN_MAX: usize = 64;

/// A cell that says where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    producer: u64,
    /// Number of the cell among those of its producer.
    number: u64,
    cells_left_in_span: u64,
}

const EMPTY: Cell = Cell { producer: u64::MAX, number: 0, cells_left_in_span: 0 };

fn fill(span: &mut Span<'_, Cell>, producer: u64, first_number: u64) {
    let cells = span.len();
    for offset in 0..cells {
        *span.cell_mut(offset) = Cell {
            producer,
            number: first_number + offset as u64,
            cells_left_in_span: (cells - offset - 1) as u64,
        };
    }
}

/// Produces `total` cells in spans of random length through any kind of producer.
fn produce(
    total: u64,
    producer: u64,
    mut lengths: Lengths,
    mut claim: impl FnMut(usize, u64) -> Result<(), ClaimError>,
) {
    let deadline = Deadline::new();
    let mut number = 0;
    let mut wanted = lengths.next_up_to(SPAN_MAX);
    while number < total {
        let cells = wanted.min((total - number) as usize);
        match claim(cells, number) {
            Ok(()) => {
                number += cells as u64;
                wanted = lengths.next_up_to(SPAN_MAX);
            }
            Err(ClaimError::Full { .. }) => {
                deadline.check(|| format!("producer {producer} got stuck at {number}"));
                thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn produce_alone(mut producer: SingleProducer<Cell>, total: u64, lengths: Lengths) {
    produce(total, 0, lengths, |cells, number| {
        let mut span = producer.try_claim(cells)?;
        assert_eq!(span.start(), number);
        fill(&mut span, 0, number);
        span.publish();
        Ok(())
    });
}

fn produce_among_others(mut producer: MultiProducer<Cell>, id: u64, total: u64, lengths: Lengths) {
    produce(total, id, lengths, |cells, number| {
        let mut span = producer.try_claim(cells)?;
        fill(&mut span, id, number);
        span.publish();
        Ok(())
    });
}

/// Consumes `total` cells of `producers` producers, releasing late and in parts; checks each cell.
fn consume(mut consumer: Consumer<Cell>, producers: usize, total: u64, mut lengths: Lengths) {
    let deadline = Deadline::new();
    let mut next_number = vec![0; producers];
    let mut inside_span: Option<Cell> = None;
    while consumer.read_position() < total {
        let batch = consumer.available().expect("nobody poisons");
        for cell in batch {
            assert_eq!(
                cell.number, next_number[cell.producer as usize],
                "lost, doubled or out of order"
            );
            next_number[cell.producer as usize] += 1;
            if let Some(before) = inside_span {
                assert_eq!(cell.producer, before.producer, "a span was torn apart");
                assert_eq!(cell.cells_left_in_span, before.cells_left_in_span - 1);
            }
            inside_span = (cell.cells_left_in_span > 0).then_some(*cell);
        }
        let (end, empty) = (batch.end(), batch.is_empty());
        consumer.read_to(end);
        let unreleased = (end - consumer.released_position()) as usize;
        if empty || end == total {
            consumer.release_to(end);
        } else if unreleased > 0 {
            consumer.release_to(end - lengths.next_up_to(unreleased) as u64);
        }
        if empty {
            deadline.check(|| format!("consumer `{}` got stuck at {end}", consumer.name()));
            thread::yield_now();
        }
    }
}

#[test]
fn one_producer_reaches_one_consumer_around_the_ring_many_times() {
    let seed = seed();
    let mut setup = RingOptions::new(CAPACITY).allocate(EMPTY).expect("a small ring is possible");
    let consumer = setup.consumer("reader").add();
    let producer = setup.single_producer().expect("there is a consumer");
    let stats = producer.stats();
    thread::scope(|scope| {
        scope.spawn(move || produce_alone(producer, CELLS, Lengths::new(seed)));
        scope.spawn(move || consume(consumer, 1, CELLS, Lengths::new(seed + 1)));
    });
    assert_eq!((stats.published(), stats.occupied()), (CELLS, 0));
}

#[test]
fn consumers_in_a_diamond_all_see_everything() {
    let seed = seed();
    let mut setup = RingOptions::new(CAPACITY).allocate(EMPTY).expect("a small ring is possible");
    let journal = setup.consumer("journal").batch_max(16).add();
    let replica = setup.consumer("replica").add();
    let engine = setup.consumer("engine").after(&journal.cursor()).after(&replica.cursor()).add();
    let producer = setup.single_producer().expect("there are consumers");
    let stats = producer.stats();
    thread::scope(|scope| {
        scope.spawn(move || produce_alone(producer, CELLS, Lengths::new(seed)));
        for (offset, consumer) in [journal, replica, engine].into_iter().enumerate() {
            scope
                .spawn(move || consume(consumer, 1, CELLS, Lengths::new(seed + 1 + offset as u64)));
        }
    });
    assert!(stats.consumers().all(|consumer| consumer.released == CELLS && consumer.lag == 0));
}

#[test]
fn spans_of_several_producers_arrive_whole_and_each_producer_in_order() {
    let seed = seed();
    let producers = 3;
    let mut setup = RingOptions::new(CAPACITY).allocate(EMPTY).expect("a small ring is possible");
    let first = setup.consumer("first").add();
    let second = setup.consumer("second").after(&first.cursor()).add();
    let producer = setup.multi_producer().expect("there are consumers");
    let stats = producer.stats();
    let each = CELLS / producers;
    thread::scope(|scope| {
        for id in 0..producers {
            let producer = producer.clone();
            scope.spawn(move || produce_among_others(producer, id, each, Lengths::new(seed + id)));
        }
        for consumer in [first, second] {
            scope.spawn(move || {
                consume(consumer, producers as usize, each * producers, Lengths::new(seed));
            });
        }
    });
    assert_eq!((stats.published(), stats.occupied()), (each * producers, 0));
}

#[test]
fn stages_that_block_at_once_reach_the_end_by_signals_alone() {
    let cells: u64 = 80_000;
    let (published, released) = (Signal::new(), Signal::new());
    let mut setup = RingOptions::new(8).allocate(0u64).expect("a small ring is possible");
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Deadline::new();
            while producer.position() < cells {
                let key = released.prepare_wait();
                if let Ok(mut span) = producer.try_claim(4) {
                    let start = span.start();
                    span.copy_from(0, &[start, start + 1, start + 2, start + 3]);
                    span.publish();
                    published.notify();
                } else {
                    released.wait_timeout(key, WAIT_SLICE);
                    deadline.check(|| "the producer got stuck".to_owned());
                }
            }
        });
        scope.spawn(|| {
            let deadline = Deadline::new();
            while consumer.released_position() < cells {
                let key = published.prepare_wait();
                let batch = consumer.available().expect("nobody poisons");
                let (start, end) = (batch.start(), batch.end());
                assert!(batch.iter().copied().eq(start..end));
                if batch.is_empty() {
                    published.wait_timeout(key, WAIT_SLICE);
                    deadline.check(|| "the consumer got stuck".to_owned());
                } else {
                    consumer.release_to(end);
                    released.notify();
                }
            }
        });
    });
}
