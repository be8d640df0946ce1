//! The `disruptor` crate: its own consumer thread, its own kinds of producers.
//!
//! Its producers spin without a hint when the ring is full, so `try_publish` is asked here and the wait is the case's.
//! For saving the processor it offers a sleep.

use super::Yield;
use crate::case::{Arrivals, Case, Event, Mode, Wait};
use crate::race::{Finish, Produce, consumer_core, finish_line, race};
use disruptor::wait_strategies::WaitStrategy;
use disruptor::{
    BusySpinWithSpinLoopHint, ProcessorSettings, Producer, Sequence, build_multi_producer,
    build_single_producer,
};
use std::time::Duration;

/// As short as the kernel makes it, which is about 55 us.
const SLEEP: Duration = Duration::from_micros(1);

pub(super) fn run(case: &Case) -> Option<Result<Duration, String>> {
    Some(match case.wait {
        Wait::Spin => go(case, BusySpinWithSpinLoopHint),
        Wait::Yield => go(case, Yield),
        Wait::Block => go(case, Sleep),
    })
}

impl WaitStrategy for Yield {
    #[inline]
    fn wait_for(&self, _sequence: Sequence) {
        std::thread::yield_now();
    }
}

/// The crate's own sleep is not made for the producer's side.
#[derive(Clone, Copy)]
struct Sleep;

impl WaitStrategy for Sleep {
    fn wait_for(&self, _sequence: Sequence) {
        std::thread::sleep(SLEEP);
    }
}

fn go(case: &Case, wait: impl WaitStrategy + 'static) -> Result<Duration, String> {
    let (finish, finished) = finish_line();
    let handler = handler(case, finish);
    let core = consumer_core(case);
    let producers: Vec<Produce> = match case.mode {
        Mode::Single => {
            let mut builder = build_single_producer(case.capacity, || Event::EMPTY, wait);
            if let Some(core) = core {
                builder = builder.pin_at_core(core);
            }
            vec![producing(case, builder.handle_events_with(handler).build(), wait)]
        }
        Mode::Multi | Mode::MultiTwo => {
            let mut builder = build_multi_producer(case.capacity, || Event::EMPTY, wait);
            if let Some(core) = core {
                builder = builder.pin_at_core(core);
            }
            let producer = builder.handle_events_with(handler).build();
            (0..case.mode.producers()).map(|_| producing(case, producer.clone(), wait)).collect()
        }
    };
    race(case, producers, &finished)
}

fn handler(case: &Case, finish: Finish) -> impl FnMut(&Event, Sequence, bool) + Send + 'static {
    let mut arrivals = Arrivals::default();
    let events = case.events;
    move |event, _, _| {
        arrivals.take(&event.0);
        if arrivals.count() == events {
            finish.hand_in(arrivals.clone());
        }
    }
}

fn producing<P>(case: &Case, mut producer: P, wait: impl WaitStrategy + 'static) -> Produce
where
    P: Producer<Event> + Send + 'static,
{
    let case = *case;
    Box::new(move |number| {
        let mut value = 0;
        for _ in 0..case.batches_each() {
            if case.batch == 1 {
                while producer.try_publish(|event| *event = Event::of(number, value)).is_err() {
                    wait.wait_for(0);
                }
                value += 1;
                continue;
            }
            let end = value + case.batch as u64;
            let publish = |producer: &mut P| {
                producer.try_batch_publish(case.batch, |events| {
                    events.zip(value..end).for_each(|(event, value)| {
                        *event = Event::of(number, value);
                    });
                })
            };
            while publish(&mut producer).is_err() {
                wait.wait_for(0);
            }
            value = end;
        }
    })
}
