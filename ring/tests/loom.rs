//! Models that loom explores: every interleaving, and every value that the memory model lets a load see.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mizan-ring --release --test loom`
//!
//! Cells are watched through shadows, so an access that is not ordered after the one before it fails the run.
//! Waits never time out under loom, so a lost wake-up shows as a deadlock. Exploration is exhaustive where
//! `everything` is asked for; otherwise the number of preemptions is bounded, which keeps the run short and
//! still finds what few unlucky switches can break. There is no seed: loom is deterministic.
#![cfg(loom)]

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use mizan_ring::{
    ClaimError, Consumer, Cursor, MultiProducer, Poison, RingOptions, RingSetup, Signal,
    SingleProducer,
};

const FOREVER: Duration = Duration::from_secs(3600);

fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn everything(model: impl Fn() + Sync + Send + 'static) {
    explore(None, model);
}

fn ring(capacity: usize) -> RingSetup<u64> {
    RingOptions::new(capacity).allocate(0).expect("a small ring is possible")
}

/// Explores a model in which threads give up after some attempts, because loom cannot follow three threads that
/// wait for each other in loops. The model reports whether it reached its end; answers whether any run did.
fn model_that_may_reach_the_end(model: impl Fn(&dyn Fn(bool)) + Sync + Send + 'static) -> bool {
    // Outside of loom: this is about all runs together, not about one.
    let reached = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reported = std::sync::Arc::clone(&reached);
    explore(Some(3), move || {
        model(&|at_the_end| {
            reported.fetch_or(at_the_end, Ordering::Relaxed);
        });
    });
    reached.load(Ordering::Relaxed)
}

/// Publishes the cells `position + 100` in one span, if there is room.
fn try_publish(producer: &mut SingleProducer<u64>, cells: usize) -> bool {
    match producer.try_claim(cells) {
        Ok(mut span) => {
            for offset in 0..cells {
                *span.cell_mut(offset) = span.start() + offset as u64 + 100;
            }
            span.publish();
            true
        }
        Err(ClaimError::Full { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Publishes, waiting for room as long as it takes.
fn publish(producer: &mut SingleProducer<u64>, cells: usize) {
    while !try_publish(producer, cells) {
        thread::yield_now();
    }
}

/// Publishes as one of several producers, if there is room; each cell is `mark`.
fn try_publish_marked(producer: &mut MultiProducer<u64>, cells: usize, mark: u64) -> bool {
    match producer.try_claim(cells) {
        Ok(mut span) => {
            for offset in 0..cells {
                *span.cell_mut(offset) = mark;
            }
            span.publish();
            true
        }
        Err(ClaimError::Full { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Reads and releases what is there, checking what `publish` wrote; answers whether there was anything.
fn consume_what_is_there(consumer: &mut Consumer<u64>) -> bool {
    let batch = consumer.available().expect("nobody poisons");
    for (offset, cell) in batch.iter().enumerate() {
        assert_eq!(*cell, batch.start() + offset as u64 + 100);
    }
    let (end, found) = (batch.end(), !batch.is_empty());
    // A store that changes nothing would only give loom more to explore.
    if found {
        consumer.release_to(end);
    }
    found
}

/// Consumes until `end`, waiting as long as it takes.
fn consume_to(consumer: &mut Consumer<u64>, end: u64) {
    while consumer.released_position() < end {
        if !consume_what_is_there(consumer) {
            thread::yield_now();
        }
    }
}

#[test]
fn a_published_span_is_seen_whole_and_with_its_content() {
    everything(|| {
        let mut setup = ring(2);
        let mut consumer = setup.consumer("reader").add();
        let mut producer = setup.single_producer().expect("there is a consumer");
        let writing = thread::spawn(move || publish(&mut producer, 2));
        let seen = consumer.available().expect("nobody poisons").len();
        assert!(seen == 0 || seen == 2, "half a span was seen");
        consume_to(&mut consumer, 2);
        writing.join().expect("the producer ends");
    });
}

#[test]
fn a_full_ring_is_written_again_only_behind_its_consumer() {
    everything(|| {
        let mut setup = ring(2);
        let mut consumer = setup.consumer("reader").add();
        let mut producer = setup.single_producer().expect("there is a consumer");
        let writing = thread::spawn(move || {
            for cells in [1, 2, 1] {
                publish(&mut producer, cells);
            }
        });
        consume_to(&mut consumer, 4);
        writing.join().expect("the producer ends");
    });
}

#[test]
fn a_second_consumer_sees_only_what_the_first_released_and_holds_the_producer_for_both() {
    let wrapped = model_that_may_reach_the_end(|reached_the_end| {
        let mut setup = ring(1);
        let mut first = setup.consumer("first").add();
        let first_cursor = first.cursor();
        let mut second = setup.consumer("second").after(&first_cursor).add();
        let mut producer = setup.single_producer().expect("there are consumers");
        let writing = thread::spawn(move || {
            publish(&mut producer, 1);
            for _ in 0..2 {
                if try_publish(&mut producer, 1) {
                    break;
                }
                thread::yield_now();
            }
        });
        let between = thread::spawn(move || {
            for _ in 0..2 {
                consume_what_is_there(&mut first);
                thread::yield_now();
            }
        });
        for _ in 0..2 {
            let end = second.available().expect("nobody poisons").end();
            assert!(end <= first_cursor.get(), "the second overtook the first");
            consume_what_is_there(&mut second);
            thread::yield_now();
        }
        reached_the_end(second.released_position() == 2);
        writing.join().expect("the producer ends");
        between.join().expect("the first consumer ends");
    });
    assert!(wrapped, "no schedule carried the second round to the second consumer");
}

#[test]
fn a_consumer_behind_an_external_cursor_sees_what_its_owner_did_before() {
    let wrapped = model_that_may_reach_the_end(|reached_the_end| {
        let (mut durable, durable_reader) = Cursor::new(0);
        let disk = Arc::new(AtomicU64::new(0));
        let mut setup = ring(1);
        let mut journal = setup.consumer("journal").add();
        let mut releaser = setup.consumer("releaser").after(&durable_reader).add();
        let mut producer = setup.single_producer().expect("there are consumers");
        let writing = thread::spawn(move || {
            publish(&mut producer, 1);
            for _ in 0..2 {
                if try_publish(&mut producer, 1) {
                    break;
                }
                thread::yield_now();
            }
        });
        let journal_disk = Arc::clone(&disk);
        let journaling = thread::spawn(move || {
            for _ in 0..2 {
                if consume_what_is_there(&mut journal) {
                    let end = journal.released_position();
                    journal_disk.store(end, Ordering::Relaxed);
                    durable.advance_to(end);
                }
                thread::yield_now();
            }
        });
        for _ in 0..2 {
            let end = releaser.available().expect("nobody poisons").end();
            assert!(disk.load(Ordering::Relaxed) >= end, "released before it was durable");
            consume_what_is_there(&mut releaser);
            thread::yield_now();
        }
        reached_the_end(releaser.released_position() == 2);
        writing.join().expect("the producer ends");
        journaling.join().expect("the journal ends");
    });
    assert!(wrapped, "no schedule carried the second round to the releaser");
}

#[test]
fn no_span_is_left_behind_when_several_producers_publish_at_once() {
    everything(|| {
        let mut setup = ring(4);
        let mut consumer = setup.consumer("reader").add();
        let mut one = setup.multi_producer().expect("there is a consumer");
        let mut two = one.clone();
        let writing = thread::spawn(move || assert!(try_publish_marked(&mut two, 2, 7)));
        assert!(try_publish_marked(&mut one, 1, 5));
        writing.join().expect("the other producer ends");
        // Both are done, so everything must be visible without anybody's further help.
        let mut cells: Vec<u64> =
            consumer.available().expect("nobody poisons").iter().copied().collect();
        cells.sort_unstable();
        assert_eq!(cells, [5, 7, 7]);
    });
}

#[test]
fn a_span_that_another_producer_carried_over_is_seen_with_its_content() {
    everything(|| {
        let mut setup = ring(2);
        let mut consumer = setup.consumer("reader").add();
        let mut one = setup.multi_producer().expect("there is a consumer");
        let mut two = one.clone();
        let writing = thread::spawn(move || assert!(try_publish_marked(&mut two, 1, 7)));
        assert!(try_publish_marked(&mut one, 1, 5));
        // The other may still be between its mark and its own look, and its span visible through ours.
        let sum: u64 = consumer.available().expect("nobody poisons").iter().sum();
        assert!([0, 5, 7, 12].contains(&sum));
        writing.join().expect("the other producer ends");
    });
}

#[test]
fn a_third_thread_sees_the_content_of_a_span_that_another_producer_carried_over() {
    explore(Some(4), || {
        let mut setup = ring(2);
        let mut consumer = setup.consumer("reader").add();
        let mut one = setup.multi_producer().expect("there is a consumer");
        let mut two = one.clone();
        let writing = thread::spawn(move || assert!(try_publish_marked(&mut two, 1, 7)));
        let reading = thread::spawn(move || {
            let sum: u64 = consumer.available().expect("nobody poisons").iter().sum();
            assert!([0, 5, 7, 12].contains(&sum));
        });
        assert!(try_publish_marked(&mut one, 1, 5));
        writing.join().expect("the other producer ends");
        reading.join().expect("the consumer ends");
    });
}

#[test]
fn three_producers_leave_no_span_behind_either() {
    explore(Some(3), || {
        let mut setup = ring(4);
        let mut consumer = setup.consumer("reader").add();
        let mut one = setup.multi_producer().expect("there is a consumer");
        let writing: Vec<_> = [7, 9]
            .into_iter()
            .map(|mark| {
                let mut other = one.clone();
                thread::spawn(move || assert!(try_publish_marked(&mut other, 1, mark)))
            })
            .collect();
        assert!(try_publish_marked(&mut one, 1, 5));
        for writer in writing {
            writer.join().expect("the other producers end");
        }
        let sum: u64 = consumer.available().expect("nobody poisons").iter().sum();
        assert_eq!(sum, 21);
    });
}

#[test]
fn several_producers_wrap_behind_their_consumer_and_their_spans_arrive_whole() {
    let wrapped = model_that_may_reach_the_end(|reached_the_end| {
        let mut setup = ring(2);
        let mut consumer = setup.consumer("reader").add();
        let mut one = setup.multi_producer().expect("there is a consumer");
        let mut two = one.clone();
        let first = thread::spawn(move || try_publish_marked(&mut one, 2, 5));
        let second = thread::spawn(move || {
            let done = [(); 2].map(|()| try_publish_marked(&mut two, 1, 7));
            done.into_iter().filter(|published| *published).count()
        });
        let mut cells = Vec::new();
        let mut take = |consumer: &mut Consumer<u64>| {
            let batch = consumer.available().expect("nobody poisons");
            cells.extend(batch.iter().copied());
            let end = batch.end();
            consumer.release_to(end);
        };
        take(&mut consumer);
        let fives = if first.join().expect("the first producer ends") { 2 } else { 0 };
        let sevens = second.join().expect("the second producer ends");
        take(&mut consumer);
        assert_eq!(cells.iter().filter(|cell| **cell == 5).count(), fives);
        assert_eq!(cells.iter().filter(|cell| **cell == 7).count(), sevens);
        assert!(fives == 0 || cells.windows(2).any(|pair| pair == [5, 5]), "torn span: {cells:?}");
        reached_the_end(cells.len() > 2);
    });
    assert!(wrapped, "no schedule went around the ring");
}

#[test]
fn a_stage_that_dies_wakes_the_one_that_waits_for_it() {
    everything(|| {
        let poison = Poison::new();
        let signal = Signal::new();
        poison.wake_on(&signal);
        let mut setup = RingOptions::new(1)
            .poisoned_with(&poison)
            .allocate(0u64)
            .expect("a small ring is possible");
        let mut consumer = setup.consumer("reader").add();
        let producer = setup.single_producer().expect("there is a consumer");
        let guard = poison.guard("ingress");
        let dying = thread::spawn(move || {
            let _producer = producer;
            drop(guard);
        });
        let reason = loop {
            let key = signal.prepare_wait();
            match consumer.available() {
                Ok(batch) => assert!(batch.is_empty()),
                Err(poisoned) => break poisoned.reason().to_owned(),
            }
            signal.wait_timeout(key, FOREVER);
        };
        assert!(reason.contains("ingress"));
        dying.join().expect("the stage ends");
    });
}

#[test]
fn a_signal_made_known_while_the_poison_is_raised_is_notified_all_the_same() {
    everything(|| {
        let poison = Poison::new();
        let raising = poison.clone();
        let dying = thread::spawn(move || raising.raise("the disk is gone"));
        let signal = Signal::new();
        poison.wake_on(&signal);
        while !poison.is_raised() {
            signal.wait_unless(FOREVER, || poison.is_raised());
        }
        dying.join().expect("the stage ends");
    });
}

#[test]
fn a_signal_loses_no_wake_up() {
    everything(|| {
        let signal = Signal::new();
        let happened = Arc::new(AtomicU64::new(0));
        let (notifier, event) = (signal.clone(), Arc::clone(&happened));
        let notifying = thread::spawn(move || {
            for count in 1..=2 {
                event.store(count, Ordering::Relaxed);
                notifier.notify();
            }
        });
        for count in 1..=2 {
            while happened.load(Ordering::Relaxed) < count {
                signal.wait_unless(FOREVER, || happened.load(Ordering::Relaxed) >= count);
            }
        }
        notifying.join().expect("the notifier ends");
    });
}

#[test]
fn two_notifiers_and_a_waiter_for_both_lose_no_wake_up() {
    explore(Some(3), || {
        let signal = Signal::new();
        let happened = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let notifying: Vec<_> = (0..2)
            .map(|index| {
                let (signal, happened) = (signal.clone(), Arc::clone(&happened));
                thread::spawn(move || {
                    happened[index].store(1, Ordering::Relaxed);
                    signal.notify();
                })
            })
            .collect();
        let both = || happened.iter().all(|event| event.load(Ordering::Relaxed) == 1);
        while !both() {
            signal.wait_unless(FOREVER, both);
        }
        for notifier in notifying {
            notifier.join().expect("the notifiers end");
        }
    });
}

#[test]
fn one_notify_wakes_all_who_wait() {
    explore(Some(3), || {
        let signal = Signal::new();
        let happened = Arc::new(AtomicU64::new(0));
        let wait = |signal: Signal, happened: Arc<AtomicU64>| {
            while happened.load(Ordering::Relaxed) == 0 {
                signal.wait_unless(FOREVER, || happened.load(Ordering::Relaxed) == 1);
            }
        };
        let (other_signal, other_happened) = (signal.clone(), Arc::clone(&happened));
        let other = thread::spawn(move || wait(other_signal, other_happened));
        let (notifier, event) = (signal.clone(), Arc::clone(&happened));
        let notifying = thread::spawn(move || {
            event.store(1, Ordering::Relaxed);
            notifier.notify();
        });
        wait(signal, happened);
        other.join().expect("the other waiter ends");
        notifying.join().expect("the notifier ends");
    });
}

#[test]
fn a_consumer_and_a_producer_that_block_on_signals_reach_the_end() {
    explore(Some(3), || {
        let (published, released) = (Signal::new(), Signal::new());
        let mut setup = ring(1);
        let mut consumer = setup.consumer("reader").add();
        let mut producer = setup.single_producer().expect("there is a consumer");
        let (notify_published, wait_released) = (published.clone(), released.clone());
        let writing = thread::spawn(move || {
            while producer.position() < 2 {
                let key = wait_released.prepare_wait();
                match producer.try_claim(1) {
                    Ok(mut span) => {
                        *span.cell_mut(0) = span.start() + 100;
                        span.publish();
                        notify_published.notify();
                    }
                    Err(_) => {
                        wait_released.wait_timeout(key, FOREVER);
                    }
                }
            }
        });
        while consumer.released_position() < 2 {
            let key = published.prepare_wait();
            let end = consumer.available().expect("nobody poisons").end();
            if end == consumer.released_position() {
                published.wait_timeout(key, FOREVER);
            } else {
                consume_to(&mut consumer, end);
                released.notify();
            }
        }
        writing.join().expect("the producer ends");
    });
}
