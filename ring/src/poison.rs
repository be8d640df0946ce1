//! Poisoning: how the death of one stage reaches all others.
//!
//! A pipeline whose journal has died must not go on taking commands, and must not wait for it for ever. So a
//! dying stage raises the poison, and from then on every claim and every look for cells answers [`Poisoned`],
//! and every [`Signal`] that was made known with [`Poison::wake_on`] is notified. One poison may be shared by
//! all rings of a node. It is never taken back: what was lost is recovered from the journal after a restart.
//!
//! A guard needs a drop to act on: in a build with `panic = "abort"` a panic ends the process before that,
//! which says the same thing louder.

use crossbeam::utils::CachePadded;
use thiserror::Error;

use crate::signal::Signal;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The ring was poisoned: a stage of the pipeline died.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the ring is poisoned: {reason}; stop all stages, then restart and recover from the journal"
)]
pub struct Poisoned {
    reason: Arc<str>,
}

impl Poisoned {
    /// Why the ring was poisoned, as the first one to do so put it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A handle that raises or sees the poison. Cheap to clone.
#[derive(Clone)]
pub struct Poison {
    shared: Arc<Shared>,
}

struct Shared {
    // On a line of its own: everybody reads it all the time, and it is written once.
    raised: CachePadded<AtomicBool>,
    reason: Mutex<Option<Arc<str>>>,
    signals: Mutex<Vec<Signal>>,
}

impl Poison {
    /// A poison that has not been raised.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                raised: CachePadded::new(AtomicBool::new(false)),
                reason: Mutex::new(None),
                signals: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Poisons for ever, and wakes everybody who waits on a signal known to this poison.
    ///
    /// The first reason stays; later ones are usually consequences of it. Takes locks, so not for the hot path.
    pub fn raise(&self, reason: &str) {
        {
            let mut first_reason = lock(&self.shared.reason);
            if first_reason.is_none() {
                *first_reason = Some(Arc::from(reason));
            }
        }
        self.shared.raised.store(true, Ordering::Release);
        // Cloned, because a wake hook may do anything, also ask this poison.
        let signals = lock(&self.shared.signals).clone();
        for signal in &signals {
            signal.notify();
        }
    }

    /// Whether the poison has been raised. One load of a line that is never written in normal work.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::Acquire)
    }

    /// Nothing, or the error that says why the poison was raised. Costs what [`Poison::is_raised`] does.
    ///
    /// # Errors
    /// [`Poisoned`] once the poison is raised.
    #[inline]
    pub fn check(&self) -> Result<(), Poisoned> {
        if self.is_raised() { Err(self.poisoned()) } else { Ok(()) }
    }

    /// Notifies `signal`, too, when the poison is raised; at once if it already is.
    ///
    /// Every signal that a stage blocks on belongs here, or its waiter learns of the poison only when its
    /// wait times out.
    pub fn wake_on(&self, signal: &Signal) {
        lock(&self.shared.signals).push(signal.clone());
        // Raised between our push and its clone, or before the push: then nobody else would notify.
        if self.is_raised() {
            signal.notify();
        }
    }

    /// A guard that raises the poison unless `stage` ends in order.
    pub fn guard(&self, stage: &str) -> StageGuard {
        StageGuard { poison: self.clone(), stage: Arc::from(stage), finished: false }
    }

    #[cold]
    fn poisoned(&self) -> Poisoned {
        let reason = lock(&self.shared.reason).clone();
        Poisoned { reason: reason.expect("the reason is set before the poison is raised") }
    }
}

impl Default for Poison {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Poison {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Poison").field("raised", &self.is_raised()).finish_non_exhaustive()
    }
}

/// Lives as long as a stage runs; raises the poison when dropped, by a panic or by an early return.
#[must_use = "dropping the guard says that the stage has died"]
#[derive(Debug)]
pub struct StageGuard {
    poison: Poison,
    stage: Arc<str>,
    finished: bool,
}

impl StageGuard {
    /// The stage ended in order: nobody is poisoned.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for StageGuard {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let how = if std::thread::panicking() {
            "panicked"
        } else {
            "ended without saying that it finished"
        };
        self.poison.raise(&format!("stage `{}` {how}", self.stage));
    }
}
