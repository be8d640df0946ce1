//! Random single-threaded use of a ring against a `VecDeque` that does the same.
//!
//! A failure shrinks to a short list of actions and prints its seed;
//! `MIZAN_SEED=<seed> cargo test -p mizan-ring --test model` repeats the run.
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::collections::VecDeque;

use mizan_ring::{ClaimError, Consumer, Cursor, CursorWriter, RingOptions, Span};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What may be done to a ring. Amounts are taken modulo what is possible at that moment.
#[derive(Clone, Debug)]
enum Action {
    Publish { cells: usize },
    DropUnpublished { cells: usize },
    Read { consumer: usize, part: usize },
    Release { consumer: usize, part: usize },
    Reread { consumer: usize, part: usize },
    AdvanceExternal { part: usize },
}

fn action() -> impl Strategy<Value = Action> {
    let consumer = 0..2usize;
    let part = 0..40usize;
    prop_oneof![
        4 => (0..20usize).prop_map(|cells| Action::Publish { cells }),
        1 => (1..20usize).prop_map(|cells| Action::DropUnpublished { cells }),
        3 => (consumer.clone(), part.clone()).prop_map(|(consumer, part)| Action::Read { consumer, part }),
        3 => (consumer.clone(), part.clone()).prop_map(|(consumer, part)| Action::Release { consumer, part }),
        1 => (consumer, part.clone()).prop_map(|(consumer, part)| Action::Reread { consumer, part }),
        2 => part.prop_map(|part| Action::AdvanceExternal { part }),
    ]
}

/// The obvious ring: all cells that are not released by both consumers, and plain numbers.
struct Model {
    capacity: usize,
    /// Cells from `front` up to the published position.
    cells: VecDeque<u64>,
    front: u64,
    read: [u64; 2],
    released: [u64; 2],
    external: u64,
    batch_max: u64,
}

impl Model {
    fn published(&self) -> u64 {
        self.front + self.cells.len() as u64
    }

    fn free(&self) -> usize {
        self.capacity - self.cells.len()
    }

    /// How far a consumer may read: the second is behind the first and behind the external cursor.
    fn limit(&self, consumer: usize) -> u64 {
        let gate =
            if consumer == 0 { self.published() } else { self.released[0].min(self.external) };
        gate.max(self.read[consumer])
    }

    fn between(&self, start: u64, end: u64) -> Vec<u64> {
        (start..end).map(|position| self.cells[(position - self.front) as usize]).collect()
    }

    fn release(&mut self, consumer: usize, position: u64) {
        self.released[consumer] = position;
        self.read[consumer] = self.read[consumer].max(position);
        while self.front < self.released[1] {
            self.cells.pop_front();
            self.front += 1;
        }
    }
}

fn fill(span: &mut Span<'_, u64>, values: &[u64], by_cell: bool) {
    if by_cell {
        for (offset, value) in values.iter().enumerate() {
            *span.cell_mut(offset) = *value;
        }
    } else {
        let middle = values.len() / 2;
        span.copy_from(0, &values[..middle]);
        span.copy_from(middle, &values[middle..]);
    }
}

/// Looks twice, because only the second look in a row is sure to be fresh; checks the batch in all its forms.
fn check_available(consumer: &mut Consumer<u64>, model: &Model, index: usize) -> u64 {
    consumer.available().expect("nobody poisons");
    let batch = consumer.available().expect("nobody poisons");
    let start = model.read[index];
    let batch_max = if index == 0 { model.batch_max } else { u64::MAX };
    let end = model.limit(index).min(start.saturating_add(batch_max));
    let expected = model.between(start, end);
    assert_eq!((batch.start(), batch.end(), batch.len()), (start, end, expected.len()));
    assert_eq!(batch.is_empty(), expected.is_empty());
    assert!(batch.iter().eq(&expected));
    let (first, second) = batch.slices();
    assert_eq!([first, second].concat(), expected);
    assert!((0..=expected.len()).all(|offset| batch.get(offset) == expected.get(offset)));
    let skipped = expected.len() / 3;
    let mut copy = vec![0; expected.len() - skipped];
    batch.copy_to(skipped, &mut copy);
    assert_eq!(copy, expected[skipped..]);
    end
}

struct Ring<P> {
    producer: P,
    consumers: [Consumer<u64>; 2],
    external: CursorWriter,
    model: Model,
    next_value: u64,
}

/// The two kinds of producer, seen alike.
trait Claims {
    fn claim(&mut self, cells: usize) -> Result<Span<'_, u64>, ClaimError>;
    /// A dropped span of several producers poisons the ring, which ends the test.
    const DROP_IS_UNDONE: bool;
}

impl Claims for mizan_ring::SingleProducer<u64> {
    fn claim(&mut self, cells: usize) -> Result<Span<'_, u64>, ClaimError> {
        self.try_claim(cells)
    }
    const DROP_IS_UNDONE: bool = true;
}

impl Claims for mizan_ring::MultiProducer<u64> {
    fn claim(&mut self, cells: usize) -> Result<Span<'_, u64>, ClaimError> {
        self.try_claim(cells)
    }
    const DROP_IS_UNDONE: bool = false;
}

impl<P: Claims> Ring<P> {
    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Publish { cells } => self.publish(cells),
            Action::DropUnpublished { cells } => {
                if P::DROP_IS_UNDONE
                    && let Ok(mut span) = self.producer.claim(cells)
                {
                    *span.cell_mut(cells - 1) = u64::MAX;
                }
            }
            Action::Read { consumer, part } => {
                let end = check_available(&mut self.consumers[consumer], &self.model, consumer);
                let read = self.model.read[consumer];
                let position = read + part as u64 % (end - read + 1);
                self.consumers[consumer].read_to(position);
                self.model.read[consumer] = position;
            }
            Action::Release { consumer, part } => {
                let end = check_available(&mut self.consumers[consumer], &self.model, consumer);
                let released = self.model.released[consumer];
                let position = released + part as u64 % (end - released + 1);
                self.consumers[consumer].release_to(position);
                self.model.release(consumer, position);
            }
            Action::Reread { consumer, part } => {
                let (released, read) = (self.model.released[consumer], self.model.read[consumer]);
                let start = released + part as u64 % (read - released + 1);
                let again = self.consumers[consumer].unreleased(start, read);
                assert!(again.iter().eq(&self.model.between(start, read)));
            }
            Action::AdvanceExternal { part } => {
                // Also beyond the published position: the owner of the cursor is free to do so.
                self.model.external += part as u64 / 2;
                self.external.advance_to(self.model.external);
            }
        }
    }

    fn publish(&mut self, cells: usize) {
        let (capacity, free) = (self.model.capacity, self.model.free());
        let published = self.model.published();
        match self.producer.claim(cells) {
            Ok(mut span) => {
                assert!(cells > 0 && cells <= free);
                assert_eq!((span.start(), span.len()), (published, cells));
                let room = capacity - (published as usize & (capacity - 1));
                assert_eq!(span.is_contiguous(), cells <= room);
                assert_eq!(span.slices_mut().0.len(), cells.min(room));
                let values: Vec<u64> = (self.next_value..).take(cells).collect();
                fill(&mut span, &values, self.next_value.is_multiple_of(2));
                assert_eq!(span.publish(), published + cells as u64);
                self.next_value += cells as u64;
                self.model.cells.extend(values);
            }
            Err(ClaimError::Empty) => assert_eq!(cells, 0),
            Err(ClaimError::TooLarge { .. }) => assert!(cells > capacity),
            Err(error @ ClaimError::Full { .. }) => {
                assert!(cells > free && cells <= capacity);
                assert_eq!(error, ClaimError::Full { wanted: cells, free });
            }
            Err(ClaimError::Poisoned(poisoned)) => panic!("{poisoned}"),
        }
    }
}

/// Plays the actions on a ring whose positions begin anywhere, also just below a multiple of its capacity.
fn play<P>(
    (capacity_bits, start, batch_max): (u32, u64, usize),
    actions: &[Action],
    close: impl Fn(mizan_ring::RingSetup<u64>) -> P,
) where
    P: Claims,
{
    let capacity = 1 << capacity_bits;
    let mut setup = RingOptions::new(capacity)
        .starting_at(start)
        .allocate(u64::MAX)
        .expect("a small ring is possible");
    let (external, external_reader) = Cursor::new(start);
    let first = setup.consumer("first").batch_max(batch_max).add();
    let second = setup.consumer("second").after(&first.cursor()).after(&external_reader).add();
    let model = Model {
        capacity,
        cells: VecDeque::new(),
        front: start,
        read: [start; 2],
        released: [start; 2],
        external: start,
        batch_max: batch_max as u64,
    };
    let mut ring =
        Ring { producer: close(setup), consumers: [first, second], external, model, next_value: 0 };
    for action in actions {
        ring.apply(action);
    }
}

fn check(property: impl Fn((u32, u64, usize), &[Action])) {
    let seed = support::seed();
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes));
    let shapes = (0..5u32, prop_oneof![0..70u64, Just(u64::MAX / 4)], 1..12usize);
    let outcome =
        runner.run(&(shapes, prop::collection::vec(action(), 1..200)), |(shape, actions)| {
            property(shape, &actions);
            Ok(())
        });
    if let Err(error) = outcome {
        panic!("{error}\nrepeat with MIZAN_SEED={seed}");
    }
}

#[test]
fn a_ring_with_one_producer_does_what_a_queue_with_two_readers_does() {
    check(|shape, actions| {
        play(shape, actions, |setup| setup.single_producer().expect("has consumers"));
    });
}

#[test]
fn a_ring_for_several_producers_does_the_same_when_one_uses_it() {
    check(|shape, actions| {
        play(shape, actions, |setup| setup.multi_producer().expect("has consumers"));
    });
}
