//! Layouts: which thread polls which stage.
//!
//! `fused`: front and engine on one thread, the journal on another. Fewest hand-overs; the default on few cores.
//! `split`: front, engine and journal on a thread each.
//!
//! An idle stage spins a little, yields for a bounded number of rounds, and then blocks: on two cores a third spinning
//! thread turns microseconds into milliseconds. Invariant: one core is left to clients and the kernel, so no more
//! threads spin than there are cores beside it; the others start with yielding ([`idle_of`]).

use crate::engine_stage::EngineStage;
use crate::error::NodeError;
use crate::front::Front;
use crate::journal_stage::JournalStage;
use mizan_journal::Storage;
use mizan_ring::{Idle, IdleStrategy, Pause, Poison, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Longest time that an idle stage blocks before it looks again.
const BLOCK_MAX: Duration = Duration::from_millis(100);
/// How long a stop waits for what was accepted to be answered.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long a stop waits for space for what was accepted, and for sockets to take their replies.
const DRAIN_STALLED_MAX: Duration = Duration::from_secs(2);
/// The front's thread is the first that may spin: all requests wait for it.
const FRONT_RANK: usize = 0;
/// Cores from which a thread for every stage is worth its hand-overs.
const SPLIT_FROM_CORES: usize = 5;

/// Which thread polls which stage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Front and engine on one thread, the journal on another.
    Fused,
    /// A thread for each.
    Split,
}

impl Layout {
    /// The layout for a machine with so many cores.
    #[must_use]
    pub const fn for_cores(cores: usize) -> Self {
        if cores < SPLIT_FROM_CORES { Self::Fused } else { Self::Split }
    }

    /// The layout's name, as options and status write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Split => "split",
        }
    }
}

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;

/// Stops a running node from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    state: Arc<AtomicU8>,
    front_signal: Signal,
}

impl StopHandle {
    pub(crate) fn new(front_signal: Signal) -> Self {
        Self { state: Arc::new(AtomicU8::new(RUNNING)), front_signal }
    }

    /// Lets the node answer what it accepted, sync, and end. Returns at once.
    pub fn stop(&self) {
        self.state.store(STOPPING, Ordering::Release);
        self.front_signal.notify();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state.load(Ordering::Acquire) == STOPPING
    }
}

/// What the threads share beside the rings.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) poison: Poison,
    /// Wakes the front: outputs, durability, a stop.
    pub(crate) front_signal: Signal,
    /// Wakes the stages behind the ring: entries, room for outputs, the end.
    pub(crate) stage_signal: Signal,
    /// Nothing more will be published.
    pub(crate) finished: Arc<AtomicBool>,
    pub(crate) idle: IdleStrategy,
    /// Cores of the machine.
    pub(crate) cores: usize,
}

/// How patient the thread of this rank is: the first one less than there are cores may spin.
const fn idle_of(strategy: IdleStrategy, rank: usize, cores: usize) -> IdleStrategy {
    if rank < cores.saturating_sub(1) { strategy } else { IdleStrategy { spins: 0, ..strategy } }
}

/// Runs the front's thread until the node is stopped or a stage dies. With an engine: the fused layout.
pub(crate) fn run_front(
    mut front: Front,
    mut engine: Option<EngineStage>,
    stop: &StopHandle,
    shared: &Shared,
) -> Result<(), NodeError> {
    let guard = shared.poison.guard("front");
    let outcome = poll_until_stopped(&mut front, &mut engine, stop, shared);
    match &outcome {
        Ok(()) => {
            shared.finished.store(true, Ordering::Release);
            shared.stage_signal.notify();
            front.close();
        }
        Err(error) => shared.poison.raise(&error.to_string()),
    }
    guard.finish();
    outcome
}

fn poll_until_stopped(
    front: &mut Front,
    engine: &mut Option<EngineStage>,
    stop: &StopHandle,
    shared: &Shared,
) -> Result<(), NodeError> {
    let mut idle = Idle::new(idle_of(shared.idle, FRONT_RANK, shared.cores));
    let mut drain_since = None;
    loop {
        if front.is_fenced() {
            return Err(NodeError::Fenced);
        }
        if drain_since.is_none() && stop.is_stopping() {
            front.begin_shutdown();
            drain_since = Some(Instant::now());
        }
        if drain_since.is_some_and(|since| is_drained(front, since)) {
            return Ok(());
        }
        if take_round(front, engine, Duration::ZERO)? {
            idle.reset();
            continue;
        }
        if idle.pause() == Pause::Block {
            let key = shared.front_signal.prepare_wait();
            // Everything is looked at once more, room for requests included: who made it before will not wake us.
            let has_work = front.poll_ingress(Some(Duration::ZERO))?
                || engine.as_mut().map_or(Ok(false), EngineStage::has_work)?
                || front.has_replies()?
                || front.is_fenced()
                || stop.is_stopping() != drain_since.is_some();
            let block_time = front.block_time(BLOCK_MAX);
            if !has_work && take_round(front, engine, block_time)? {
                idle.reset();
            }
            drop(key);
        }
    }
}

/// Every stage of the front's thread once, in the order in which a request passes them. `wait` bounds the wait for
/// sockets.
fn take_round(
    front: &mut Front,
    engine: &mut Option<EngineStage>,
    wait: Duration,
) -> Result<bool, NodeError> {
    let mut worked = front.poll_ingress(Some(wait))?;
    // Before the engine: the journal's thread copies while this one applies.
    front.hand_over();
    if let Some(engine) = engine {
        worked |= engine.poll()?;
    }
    worked |= front.commit_small()?;
    Ok(worked | front.poll_replies()?)
}

/// Whether a stop that began at `since` need not wait any longer.
fn is_drained(front: &Front, since: Instant) -> bool {
    let waited = since.elapsed();
    if front.is_answered() {
        return front.is_sent() || waited >= DRAIN_STALLED_MAX;
    }
    // A slow sync is waited for: what it makes durable can still be answered.
    !front.can_commit()
        && waited >= if front.is_waiting_for_commit() { DRAIN_STALLED_MAX } else { DRAIN_MAX }
}

/// A stage that has a thread of its own.
pub(crate) trait Stage {
    /// The stage's name, for errors.
    const NAME: &'static str;
    /// Its thread's place among those that a core is given up to while they spin.
    const RANK: usize;

    /// Does what there is to do, within bounds; whether there was something.
    fn poll(&mut self) -> Result<bool, NodeError>;

    /// Whether another poll could do something now.
    fn has_work(&mut self) -> Result<bool, NodeError>;

    /// Nothing more will come.
    fn close(self) -> Result<(), NodeError>;
}

impl Stage for EngineStage {
    const NAME: &'static str = "engine";
    const RANK: usize = FRONT_RANK + 1;

    fn poll(&mut self) -> Result<bool, NodeError> {
        Self::poll(self)
    }

    fn has_work(&mut self) -> Result<bool, NodeError> {
        Self::has_work(self)
    }

    fn close(self) -> Result<(), NodeError> {
        Ok(())
    }
}

impl<S: Storage> Stage for JournalStage<S> {
    const NAME: &'static str = "journal";
    // Last: it waits for the disk most of the time, and a spinner beside it would keep the kernel's flush worker waiting.
    const RANK: usize = FRONT_RANK + 2;

    fn poll(&mut self) -> Result<bool, NodeError> {
        Self::poll(self)
    }

    fn has_work(&mut self) -> Result<bool, NodeError> {
        Self::has_work(self)
    }

    fn close(self) -> Result<(), NodeError> {
        Self::close(self)
    }
}

/// Runs a stage until nothing more will be published. An error poisons the rings, so that the others end, too.
pub(crate) fn run_stage<T: Stage>(mut stage: T, shared: &Shared) -> Result<(), NodeError> {
    let guard = shared.poison.guard(T::NAME);
    let outcome = poll_until_finished(&mut stage, shared).and_then(|()| stage.close());
    if let Err(error) = &outcome {
        shared.poison.raise(&error.to_string());
    }
    guard.finish();
    outcome
}

fn poll_until_finished<T: Stage>(stage: &mut T, shared: &Shared) -> Result<(), NodeError> {
    let mut idle = Idle::new(idle_of(shared.idle, T::RANK, shared.cores));
    loop {
        // Read before the poll: what was published before the end is then seen by it.
        let finished = shared.finished.load(Ordering::Acquire);
        if stage.poll()? {
            shared.front_signal.notify();
            idle.reset();
        } else if finished {
            return Ok(());
        } else if idle.pause() == Pause::Block {
            let key = shared.stage_signal.prepare_wait();
            if !stage.has_work()? && !shared.finished.load(Ordering::Acquire) {
                let _ = shared.stage_signal.wait_timeout(key, BLOCK_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_journal::FileStorage;

    #[test]
    fn a_core_is_left_on_which_no_stage_spins() {
        let strategy = IdleStrategy { spins: 5, yields: 7 };
        for cores in 0..=8 {
            let threads =
                [FRONT_RANK, EngineStage::RANK, <JournalStage<FileStorage> as Stage>::RANK]
                    .map(|rank| idle_of(strategy, rank, cores));
            let spinning = threads.iter().filter(|idle| idle.spins > 0).count();
            assert_eq!(spinning, cores.saturating_sub(1).min(threads.len()), "{cores} cores");
            assert!(
                threads.iter().all(|idle| idle.yields == 7),
                "all of them yield before they block"
            );
        }
    }

    #[test]
    fn stages_get_threads_of_their_own_where_there_are_cores_for_them() {
        for cores in 0..SPLIT_FROM_CORES {
            assert_eq!(Layout::for_cores(cores), Layout::Fused);
        }
        assert_eq!(Layout::for_cores(SPLIT_FROM_CORES), Layout::Split);
    }
}
