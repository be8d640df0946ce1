//! The `rtrb` crate: one producer, one consumer, slices of slots.

use super::{Pause, Spin, Yield};
use crate::case::{Arrivals, Case, Event, Mode, Wait};
use crate::race::{Finish, Produce, finish_line, pin_consumer, race};
use rtrb::{Consumer, Producer, RingBuffer};
use std::time::Duration;

pub(super) fn run(case: &Case) -> Option<Result<Duration, String>> {
    match (case.mode, case.wait) {
        (Mode::Single, Wait::Spin) => Some(go(case, Spin)),
        (Mode::Single, Wait::Yield) => Some(go(case, Yield)),
        _ => None,
    }
}

fn go(case: &Case, wait: impl Pause) -> Result<Duration, String> {
    let (producer, consumer) = RingBuffer::<Event>::new(case.capacity);
    let (finish, finished) = finish_line();
    let own_case = *case;
    let reader = std::thread::spawn(move || consume(&own_case, consumer, wait, &finish));
    let result = race(case, vec![producing(case, producer, wait)], &finished);
    reader.join().map_err(|_| "the consumer panicked".to_owned())?;
    result
}

fn producing(case: &Case, mut producer: Producer<Event>, wait: impl Pause) -> Produce {
    let case = *case;
    Box::new(move |number| {
        let mut value = 0;
        for _ in 0..case.batches_each() {
            if case.batch == 1 {
                while producer.push(Event::of(number, value)).is_err() {
                    wait.pause();
                }
                value += 1;
                continue;
            }
            let chunk = loop {
                match producer.write_chunk_uninit(case.batch) {
                    Ok(chunk) => break chunk,
                    Err(_) => wait.pause(),
                }
            };
            let end = value + case.batch as u64;
            chunk.fill_from_iter((value..end).map(|value| Event::of(number, value)));
            value = end;
        }
    })
}

fn consume(case: &Case, mut consumer: Consumer<Event>, wait: impl Pause, finish: &Finish) {
    pin_consumer(case);
    let mut arrivals = Arrivals::default();
    while arrivals.count() < case.events {
        let available = consumer.slots();
        let Ok(chunk) = consumer.read_chunk(available) else { continue };
        if chunk.is_empty() {
            wait.pause();
            continue;
        }
        let (first, second) = chunk.as_slices();
        first.iter().for_each(|event| arrivals.take(&event.0));
        second.iter().for_each(|event| arrivals.take(&event.0));
        chunk.commit_all();
    }
    finish.hand_in(arrivals);
}
