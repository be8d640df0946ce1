//! Our own ring, used as a stage of a node uses it.

use super::{Pause, Spin, Yield};
use crate::case::{Arrivals, Case, Event, Mode, Wait};
use crate::race::{Finish, Produce, finish_line, pin_consumer, race};
use mizan_memory::reserve_touched;
use mizan_ring::{
    ClaimError, Consumer, CursorReader, Idle, IdleStrategy, MultiProducer, Pause as Advice,
    RingOptions, RingStats, Signal, SingleProducer, Span,
};
use std::time::Duration;

/// How long a blocked side sleeps at most; it is woken long before.
const WAIT_MAX: Duration = Duration::from_secs(1);

pub(super) fn run(case: &Case) -> Option<Result<Duration, String>> {
    Some(match case.wait {
        Wait::Spin => go(case, Unaided(Spin), Unaided(Spin)),
        Wait::Yield => go(case, Unaided(Yield), Unaided(Yield)),
        Wait::Block => {
            let (data, room) = (Signal::new(), Signal::new());
            let producer = Blocking::new(&room, &data);
            go(case, producer, Blocking::new(&data, &room))
        }
    })
}

/// What a side does between two looks, and after it moved.
trait Side: Clone + Send + 'static {
    /// There was nothing; `ready` looks once more before a thread blocks.
    fn idle(&mut self, ready: impl FnOnce() -> bool);
    fn moved(&mut self);
}

#[derive(Clone)]
struct Unaided<P>(P);

impl<P: Pause> Side for Unaided<P> {
    #[inline(always)]
    fn idle(&mut self, _ready: impl FnOnce() -> bool) {
        self.0.pause();
    }

    #[inline(always)]
    fn moved(&mut self) {}
}

/// The patience of a node's stage: a few spins and yields, then a signal.
#[derive(Clone)]
struct Blocking {
    idle: Idle,
    mine: Signal,
    theirs: Signal,
}

impl Blocking {
    fn new(mine: &Signal, theirs: &Signal) -> Self {
        let idle = Idle::new(IdleStrategy::default());
        Self { idle, mine: mine.clone(), theirs: theirs.clone() }
    }
}

impl Side for Blocking {
    fn idle(&mut self, ready: impl FnOnce() -> bool) {
        if self.idle.pause() == Advice::Block {
            self.mine.wait_unless(WAIT_MAX, ready);
            self.idle.reset();
        }
    }

    fn moved(&mut self) {
        self.idle.reset();
        self.theirs.notify();
    }
}

/// Both kinds of producers.
trait Claim: Send + 'static {
    fn claim(&mut self, cells: usize) -> Result<Span<'_, Event>, ClaimError>;
    fn stats(&self) -> RingStats;
}

impl Claim for SingleProducer<Event> {
    #[inline(always)]
    fn claim(&mut self, cells: usize) -> Result<Span<'_, Event>, ClaimError> {
        self.try_claim(cells)
    }

    fn stats(&self) -> RingStats {
        self.stats()
    }
}

impl Claim for MultiProducer<Event> {
    #[inline(always)]
    fn claim(&mut self, cells: usize) -> Result<Span<'_, Event>, ClaimError> {
        self.try_claim(cells)
    }

    fn stats(&self) -> RingStats {
        self.stats()
    }
}

fn go(case: &Case, produces: impl Side, consumes: impl Side + 'static) -> Result<Duration, String> {
    let options = RingOptions::new(case.capacity);
    let setup = if case.huge_pages {
        options.allocate_in(reserve_touched(case.capacity), Event::EMPTY)
    } else {
        options.allocate(Event::EMPTY)
    };
    let mut setup = setup.map_err(|error| error.to_string())?;
    let consumer = setup.consumer("peer").add();
    let published = setup.published();
    let producers: Vec<Produce> = match case.mode {
        Mode::Single => {
            let producer = setup.single_producer().map_err(|error| error.to_string())?;
            vec![producing(case, producer, produces)]
        }
        Mode::Multi | Mode::MultiTwo => {
            let producer = setup.multi_producer().map_err(|error| error.to_string())?;
            (0..case.mode.producers())
                .map(|_| producing(case, producer.clone(), produces.clone()))
                .collect()
        }
    };
    let (finish, finished) = finish_line();
    let own_case = *case;
    let reader = std::thread::spawn(move || {
        consume(&own_case, &published, consumer, consumes, &finish);
    });
    let result = race(case, producers, &finished);
    reader.join().map_err(|_| "the consumer panicked".to_owned())?;
    result
}

fn producing(case: &Case, mut producer: impl Claim, mut side: impl Side) -> Produce {
    let case = *case;
    Box::new(move |number| {
        let stats = producer.stats();
        let has_room = || stats.capacity() as u64 - stats.occupied() >= case.batch as u64;
        let mut value = 0;
        for _ in 0..case.batches_each() {
            let mut span = loop {
                match producer.claim(case.batch) {
                    Ok(span) => break span,
                    Err(ClaimError::Full { .. }) => side.idle(has_room),
                    Err(error) => panic!("{error}"),
                }
            };
            if case.batch == 1 {
                *span.cell_mut(0) = Event::of(number, value);
                value += 1;
            } else {
                let (first, second) = span.slices_mut();
                for event in first.iter_mut().chain(second) {
                    *event = Event::of(number, value);
                    value += 1;
                }
            }
            span.publish();
            side.moved();
        }
    })
}

fn consume(
    case: &Case,
    published: &CursorReader,
    mut consumer: Consumer<Event>,
    mut side: impl Side,
    finish: &Finish,
) {
    pin_consumer(case);
    let mut arrivals = Arrivals::default();
    while arrivals.count() < case.events {
        let batch = consumer.available().expect("nobody poisons the ring");
        if batch.is_empty() {
            let read = consumer.read_position();
            side.idle(|| published.get() > read);
            continue;
        }
        let (first, second) = batch.slices();
        first.iter().for_each(|event| arrivals.take(&event.0));
        second.iter().for_each(|event| arrivals.take(&event.0));
        let end = batch.end();
        consumer.release_to(end);
        side.moved();
    }
    finish.hand_in(arrivals);
}
