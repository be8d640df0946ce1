//! The rules of a ring, one by one, on a single thread.
#![cfg(not(any(loom, shuttle)))]

use mizan_ring::{
    ClaimError, Cursor, IdleStrategy, Poison, RingOptions, RingSetup, SetupError, SingleProducer,
    limits,
};

fn ring(capacity: usize) -> RingSetup<u64> {
    RingOptions::new(capacity).allocate(0).expect("a small ring is possible")
}

fn publish(producer: &mut SingleProducer<u64>, cells: usize) -> u64 {
    producer.try_claim(cells).expect("there is room").publish()
}

fn panics(action: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)).is_err()
}

#[test]
fn a_capacity_that_is_no_power_of_two_or_too_large_is_refused() {
    for capacity in [0, 3, 1000, limits::CAPACITY_MAX * 2] {
        let refused = RingOptions::new(capacity).allocate(0u8).expect_err("must be refused");
        assert_eq!(refused, SetupError::Capacity { capacity });
    }
}

#[test]
fn a_ring_without_a_consumer_is_refused() {
    assert_eq!(ring(8).single_producer().expect_err("must be refused"), SetupError::NoConsumer);
    assert_eq!(ring(8).multi_producer().expect_err("must be refused"), SetupError::NoConsumer);
}

#[test]
fn a_claim_wider_than_the_free_space_is_refused_and_changes_nothing() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 5);
    let refused = producer.try_claim(4).expect_err("must be refused");
    assert_eq!(refused, ClaimError::Full { wanted: 4, free: 3 });
    assert_eq!(producer.position(), 5);
    publish(&mut producer, 3);
    assert_eq!(producer.try_claim(1).expect_err("full"), ClaimError::Full { wanted: 1, free: 0 });
    assert_eq!(consumer.available().expect("not poisoned").len(), 8);
    consumer.release_to(2);
    publish(&mut producer, 2);
}

#[test]
fn a_claim_that_can_never_succeed_is_told_from_one_that_must_wait() {
    let mut setup = ring(8);
    let _consumer = setup.consumer("reader").add();
    let mut producer = setup.multi_producer().expect("there is a consumer");
    let refused = producer.try_claim(9).expect_err("must be refused");
    assert_eq!(refused, ClaimError::TooLarge { wanted: 9, capacity: 8 });
    assert_eq!(producer.try_claim(0).expect_err("must be refused"), ClaimError::Empty);
    producer.try_claim(8).expect("the whole ring may be one span").publish();
}

#[test]
fn contiguous_room_lets_a_caller_pad_to_the_front() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 6);
    consumer.available().expect("not poisoned");
    consumer.release_to(6);
    assert_eq!(producer.contiguous_room(), 2);
    let mut wrapped = producer.try_claim(3).expect("there is room");
    assert!(!wrapped.is_contiguous());
    assert_eq!((wrapped.slices_mut().0.len(), wrapped.slices_mut().1.len()), (2, 1));
    drop(wrapped);
    publish(&mut producer, 2);
    assert_eq!(producer.contiguous_room(), 8);
    assert!(producer.try_claim(3).expect("there is room").is_contiguous());
}

#[test]
fn cells_are_aligned_and_start_out_empty() {
    let mut setup = RingOptions::new(4).allocate(7u8).expect("a small ring is possible");
    let _consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    let mut span = producer.try_claim(4).expect("there is room");
    let (cells, _) = span.slices_mut();
    assert_eq!(cells, [7; 4]);
    assert_eq!(cells.as_ptr().addr() % limits::CELL_ALIGNMENT, 0);
}

#[test]
fn a_span_of_a_single_producer_that_is_dropped_is_claimed_again() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    *producer.try_claim(3).expect("there is room").cell_mut(0) = 1;
    assert!(consumer.available().expect("not poisoned").is_empty());
    assert_eq!(producer.try_claim(8).expect("there is room").start(), 0);
}

#[test]
fn a_span_of_several_producers_that_is_dropped_poisons_the_ring() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut one = setup.multi_producer().expect("there is a consumer");
    let mut two = one.clone();
    let left = one.try_claim(3).expect("there is room");
    two.try_claim(1).expect("there is room").publish();
    assert!(consumer.available().expect("not poisoned").is_empty(), "a hole was jumped");
    drop(left);
    let poisoned = consumer.available().expect_err("the hole would hang the consumer");
    assert!(poisoned.reason().contains("0..3"), "{poisoned}");
    assert!(matches!(two.try_claim(1), Err(ClaimError::Poisoned(_))));
}

#[test]
fn a_consumer_reads_ahead_of_what_it_releases() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 4);
    let end = consumer.available().expect("not poisoned").end();
    consumer.read_to(end);
    publish(&mut producer, 4);
    assert_eq!(consumer.available().expect("not poisoned").start(), 4);
    assert_eq!(consumer.unreleased(1, 4).len(), 3);
    assert!(producer.try_claim(1).is_err(), "unreleased cells were given away");
    consumer.release_to(1);
    assert_eq!((consumer.released_position(), consumer.read_position()), (1, 4));
    publish(&mut producer, 1);
}

#[test]
fn a_caller_that_takes_nothing_sees_what_came_since() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 1);
    assert_eq!(consumer.available().expect("not poisoned").len(), 1);
    publish(&mut producer, 2);
    assert_eq!(consumer.available().expect("not poisoned").len(), 3);
}

#[test]
fn a_batch_is_no_longer_than_its_bound() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").batch_max(3).add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 8);
    let mut lengths = Vec::new();
    while consumer.read_position() < 8 {
        let batch = consumer.available().expect("not poisoned");
        lengths.push(batch.len());
        let end = batch.end();
        consumer.read_to(end);
    }
    assert_eq!(lengths, [3, 3, 2]);
}

#[test]
fn moving_a_consumer_back_or_beyond_what_it_has_seen_is_a_bug() {
    let mut setup = ring(8);
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 4);
    assert!(panics(|| consumer.release_to(1)), "released without a look");
    consumer.available().expect("not poisoned");
    consumer.release_to(2);
    assert!(panics(|| consumer.release_to(1)));
    assert!(panics(|| consumer.release_to(5)));
    assert!(panics(|| consumer.read_to(1)));
    assert!(panics(|| consumer.read_to(5)));
    assert!(panics(|| _ = consumer.unreleased(0, 1)));
    assert_eq!((consumer.released_position(), consumer.read_position()), (2, 2));
}

#[test]
fn a_cursor_never_goes_back() {
    let (mut writer, reader) = Cursor::new(5);
    writer.advance_to(7);
    writer.advance_to(7);
    assert!(panics(|| writer.advance_to(6)));
    assert_eq!((writer.get(), reader.get()), (7, 7));
    assert!(reader.same_cursor(&writer.reader()) && !reader.same_cursor(&Cursor::new(7).1));
}

#[test]
fn an_external_cursor_opens_the_gate_but_not_beyond_what_is_published() {
    let (mut durable, reader) = Cursor::new(0);
    let mut setup = ring(8);
    let mut engine = setup.consumer("engine").add();
    let mut releaser = setup.consumer("releaser").after(&engine.cursor()).after(&reader).add();
    let mut producer = setup.single_producer().expect("there are consumers");
    publish(&mut producer, 4);
    let mut visible = || releaser.available().expect("not poisoned").end();
    assert_eq!(visible(), 0);
    durable.advance_to(100);
    assert_eq!(visible(), 0, "the engine has not released yet");
    engine.available().expect("not poisoned");
    engine.release_to(3);
    assert_eq!(visible(), 3);
}

#[test]
fn an_external_cursor_alone_does_not_open_the_gate_beyond_what_is_published() {
    let (mut durable, reader) = Cursor::new(0);
    let mut setup = ring(8);
    let mut releaser = setup.consumer("releaser").after(&reader).add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 2);
    durable.advance_to(8);
    assert_eq!(releaser.available().expect("not poisoned").end(), 2);
}

#[test]
fn the_slowest_consumer_holds_the_producer_wherever_it_stands() {
    for slow in 0..3 {
        let mut setup = ring(4);
        let first = setup.consumer("first").add();
        let second = setup.consumer("second").after(&first.cursor()).add();
        let aside = setup.consumer("aside").add();
        let mut consumers = [first, second, aside];
        let mut producer = setup.single_producer().expect("there are consumers");
        publish(&mut producer, 4);
        for (index, consumer) in consumers.iter_mut().enumerate() {
            let end = consumer.available().expect("not poisoned").end();
            consumer.release_to(if index == slow { end.min(1) } else { end });
        }
        let free =
            if slow == 1 || slow == 2 { 1 } else { consumers[1].released_position() as usize };
        assert_eq!(producer.try_claim(4).expect_err("full"), ClaimError::Full { wanted: 4, free });
        assert_eq!(free, 1);
    }
}

#[test]
fn an_external_cursor_can_hold_the_producer() {
    let (mut sent, reader) = Cursor::new(0);
    let mut setup = ring(4);
    let mut consumer = setup.consumer("reader").add();
    setup.hold_producer_at(&reader);
    let mut producer = setup.single_producer().expect("there is a consumer");
    publish(&mut producer, 4);
    consumer.available().expect("not poisoned");
    consumer.release_to(4);
    assert!(producer.try_claim(1).is_err());
    sent.advance_to(1);
    publish(&mut producer, 1);
}

#[test]
fn statistics_show_capacity_progress_and_lags() {
    let mut setup =
        RingOptions::new(8).starting_at(40).allocate(0u8).expect("a small ring is possible");
    let mut journal = setup.consumer("journal").add();
    let _engine = setup.consumer("engine").add();
    let mut producer = setup.multi_producer().expect("there are consumers");
    let stats = producer.stats();
    assert_eq!((stats.capacity(), stats.published(), stats.occupied()), (8, 40, 0));
    producer.try_claim(5).expect("there is room").publish();
    journal.available().expect("not poisoned");
    journal.release_to(42);
    let seen: Vec<_> = stats
        .consumers()
        .map(|consumer| (consumer.name.to_string(), consumer.released, consumer.lag))
        .collect();
    assert_eq!(seen, [("journal".to_owned(), 42, 3), ("engine".to_owned(), 40, 5)]);
    assert_eq!((stats.published(), stats.occupied()), (45, 5));
    assert_eq!(producer.published().get(), 45);
}

#[test]
fn a_shared_poison_stops_all_rings_for_ever_and_keeps_the_first_reason() {
    let poison = Poison::new();
    let make = || {
        let options = RingOptions::new(4).poisoned_with(&poison);
        let mut setup = options.allocate(0u8).expect("a small ring is possible");
        let consumer = setup.consumer("reader").add();
        (setup.single_producer().expect("there is a consumer"), consumer)
    };
    let (mut input, mut input_consumer) = make();
    let (output, mut output_consumer) = make();
    input.try_claim(1).expect("there is room").publish();
    output.poison().raise("the disk is full");
    poison.raise("a consequence");
    for consumer in [&mut input_consumer, &mut output_consumer] {
        assert_eq!(consumer.available().expect_err("poisoned").reason(), "the disk is full");
    }
    assert!(matches!(input.try_claim(1), Err(ClaimError::Poisoned(_))));
    assert!(poison.is_raised() && poison.check().is_err());
}

#[test]
fn no_patience_is_a_valid_strategy_and_the_default_is_bounded() {
    assert_eq!(IdleStrategy::BLOCK_AT_ONCE, IdleStrategy { spins: 0, yields: 0 });
    let mut idle = mizan_ring::Idle::new(IdleStrategy::default());
    let rounds = (0..1_000_000).take_while(|_| idle.pause() == mizan_ring::Pause::Again).count();
    assert_eq!(rounds, (limits::DEFAULT_SPINS + limits::DEFAULT_YIELDS) as usize);
}

/// A cell whose vectors begin where a ring must.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Aligned(u64);

#[test]
fn a_ring_lives_in_the_memory_that_it_was_handed() {
    let memory = Vec::<Aligned>::with_capacity(10);
    let start = memory.as_ptr();
    let mut setup = RingOptions::new(8).allocate_in(memory, Aligned(7)).expect("it fits");
    let mut consumer = setup.consumer("reader").add();
    let mut producer = setup.single_producer().expect("there is a consumer");
    for round in 0..3 {
        let mut span = producer.try_claim(8).expect("the ring is empty");
        assert_eq!(span.cell_mut(0).0, if round == 0 { 7 } else { round - 1 });
        assert_eq!(std::ptr::from_ref(span.cell_mut(0)), start);
        (0..8).for_each(|offset| span.cell_mut(offset).0 = round);
        span.publish();
        let batch = consumer.available().expect("nobody poisons");
        assert!(batch.len() == 8 && batch.iter().all(|cell| cell.0 == round));
        let end = batch.end();
        consumer.release_to(end);
    }
}

#[test]
fn memory_that_is_too_small_or_begins_at_the_wrong_address_is_refused() {
    let small = RingOptions::new(8).allocate_in(Vec::with_capacity(7), Aligned(0));
    assert_eq!(small.err(), Some(SetupError::Memory { capacity: 8, given: 7 }));
    // Two vectors of bytes, alive at once, of which the second begins 16 bytes or so behind the first.
    let vectors: Vec<Vec<u8>> = (0..8).map(|_| Vec::with_capacity(8)).collect();
    let astray = vectors.into_iter().find(|vector| vector.as_ptr().addr() % 128 != 0);
    let astray = astray.expect("eight small vectors do not all begin at multiples of 128");
    assert!(matches!(
        RingOptions::new(8).allocate_in(astray, 0).err(),
        Some(SetupError::Memory { capacity: 8, .. })
    ));
    let odd = RingOptions::new(7).allocate_in(Vec::with_capacity(8), Aligned(0));
    assert_eq!(odd.err(), Some(SetupError::Capacity { capacity: 7 }));
}
