//! The bounded queues of `crossbeam`. They have no batches, so only batches of one are measured; events have no
//! alignment here, because each slot also has a stamp and would grow to 256 bytes.

use super::{Pause, Spin, Yield};
use crate::case::{Arrivals, Case, Wait, Words, words_of};
use crate::race::{Finish, Produce, finish_line, pin_consumer, race};
use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn array_queue(case: &Case) -> Option<Result<Duration, String>> {
    let queue = || Arc::new(ArrayQueue::<Words>::new(case.capacity));
    match case.wait {
        _ if case.batch > 1 => None,
        Wait::Spin => Some(both(case, queue(), queue_push(Spin), queue_pop(Spin))),
        Wait::Yield => Some(both(case, queue(), queue_push(Yield), queue_pop(Yield))),
        Wait::Block => None,
    }
}

pub(super) fn channel(case: &Case) -> Option<Result<Duration, String>> {
    let ends = || bounded::<Words>(case.capacity);
    match case.wait {
        _ if case.batch > 1 => None,
        Wait::Spin => Some(both(case, ends(), channel_push(Spin), channel_pop(Spin))),
        Wait::Yield => Some(both(case, ends(), channel_push(Yield), channel_pop(Yield))),
        Wait::Block => Some(both(
            case,
            ends(),
            |(sender, _): &(Sender<Words>, Receiver<Words>), words| {
                sender.send(words).expect("the consumer lives");
            },
            |(_, receiver): &(Sender<Words>, Receiver<Words>)| {
                receiver.recv().expect("we hold a sender")
            },
        )),
    }
}

fn queue_push(wait: impl Pause) -> impl Fn(&Arc<ArrayQueue<Words>>, Words) + Copy + Send + 'static {
    move |queue, words| {
        let mut words = words;
        while let Err(back) = queue.push(words) {
            words = back;
            wait.pause();
        }
    }
}

fn queue_pop(wait: impl Pause) -> impl Fn(&Arc<ArrayQueue<Words>>) -> Words + Send + 'static {
    move |queue| {
        loop {
            match queue.pop() {
                Some(words) => return words,
                None => wait.pause(),
            }
        }
    }
}

type Ends = (Sender<Words>, Receiver<Words>);

fn channel_push(wait: impl Pause) -> impl Fn(&Ends, Words) + Copy + Send + 'static {
    move |(sender, _), words| {
        let mut words = words;
        while let Err(back) = sender.try_send(words) {
            words = back.into_inner();
            wait.pause();
        }
    }
}

fn channel_pop(wait: impl Pause) -> impl Fn(&Ends) -> Words + Send + 'static {
    move |(_, receiver)| {
        loop {
            match receiver.try_recv() {
                Ok(words) => return words,
                Err(_) => wait.pause(),
            }
        }
    }
}

/// Runs a queue whose two ends are one clonable value.
fn both<Q>(
    case: &Case,
    queue: Q,
    push: impl Fn(&Q, Words) + Copy + Send + 'static,
    pop: impl Fn(&Q) -> Words + Send + 'static,
) -> Result<Duration, String>
where
    Q: Clone + Send + 'static,
{
    let (finish, finished) = finish_line();
    let producers = (0..case.mode.producers())
        .map(|_| {
            let (queue, events_each) = (queue.clone(), case.events_each());
            Box::new(move |number: usize| {
                for value in 0..events_each {
                    push(&queue, words_of(number, value));
                }
            }) as Produce
        })
        .collect();
    let own_case = *case;
    let reader = std::thread::spawn(move || consume(&own_case, || pop(&queue), &finish));
    let result = race(case, producers, &finished);
    reader.join().map_err(|_| "the consumer panicked".to_owned())?;
    result
}

fn consume(case: &Case, pop: impl Fn() -> Words, finish: &Finish) {
    pin_consumer(case);
    let mut arrivals = Arrivals::default();
    while arrivals.count() < case.events {
        arrivals.take(&pop());
    }
    finish.hand_in(arrivals);
}
