//! One run: threads that start together, each on a core of its own where there are two, and the time until the
//! consumer has seen the last event.
//!
//! The clock starts when the first producer passes the gate and stops in the consumer, so neither starting nor
//! joining threads is measured.

use crate::case::{Arrivals, Case};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// A producer's part of a run; the argument is its number.
pub(crate) type Produce = Box<dyn FnOnce(usize) + Send>;

/// Where a consumer hands in what it saw, once, with the time at which it saw the last event.
pub(crate) struct Finish(Sender<(Arrivals, Instant)>);

impl Finish {
    pub(crate) fn hand_in(&self, arrivals: Arrivals) {
        // The other side is gone only if a producer panicked, which it then reports itself.
        let _ = self.0.send((arrivals, Instant::now()));
    }
}

/// The receiving side of a [`Finish`].
pub(crate) struct Finished(Receiver<(Arrivals, Instant)>);

pub(crate) fn finish_line() -> (Finish, Finished) {
    let (sender, receiver) = channel();
    (Finish(sender), Finished(receiver))
}

/// Gives the calling thread the core of the consumer.
pub(crate) fn pin_consumer(case: &Case) {
    pin(case, 1);
}

/// Core of the consumer, if it is to have one of its own.
pub(crate) fn consumer_core(case: &Case) -> Option<usize> {
    core(case, 1).map(|core| core.id)
}

fn core(case: &Case, index: usize) -> Option<core_affinity::CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let enough = cores.len() > case.mode.producers();
    (case.pinned && enough).then(|| cores[index])
}

fn pin(case: &Case, index: usize) {
    if let Some(core) = core(case, index) {
        core_affinity::set_for_current(core);
    }
}

/// Runs the producers against a consumer that runs already, or is started by the first event.
///
/// # Errors
/// What is wrong with what arrived.
pub(crate) fn race(
    case: &Case,
    produce: Vec<Produce>,
    finished: &Finished,
) -> Result<Duration, String> {
    let gate = Arc::new(Barrier::new(produce.len()));
    let threads: Vec<_> = produce
        .into_iter()
        .enumerate()
        .map(|(number, produce)| {
            let (gate, case) = (Arc::clone(&gate), *case);
            std::thread::spawn(move || {
                // The consumer has core 1.
                pin(&case, if number == 0 { 0 } else { number + 1 });
                gate.wait();
                let start = Instant::now();
                produce(number);
                start
            })
        })
        .collect();
    let mut start: Option<Instant> = None;
    for thread in threads {
        let began = thread.join().map_err(|_| "a producer panicked".to_owned())?;
        start = Some(start.map_or(began, |start| start.min(began)));
    }
    let (arrivals, end) = finished.0.recv().map_err(|_| "the consumer panicked".to_owned())?;
    arrivals.check(case)?;
    Ok(end - start.ok_or("there is no producer")?)
}
