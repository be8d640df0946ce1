//! An event count: how a blocked stage is woken, at next to no cost while nobody is blocked.
//!
//! The waiter: [`prepare_wait`](Signal::prepare_wait), look once more, then [`wait_timeout`](Signal::wait_timeout).
//! The notifier: make the thing happen (publish, release, advance a cursor), then [`notify`](Signal::notify).
//!
//! No wake-up is lost. The waiter arms the signal, then looks; the notifier changes what the waiter looks at,
//! then sees whether the signal is armed. A sequentially consistent fence stands between the two steps on both
//! sides, so at least one of them sees the other. A notifier that finds the signal armed disarms it and moves
//! the epoch on, under the lock that a waiter holds when it compares epochs, so the wake falls either before
//! the comparison or on a sleeping waiter. Disarming keeps further notifies cheap until the waiter runs.
//!
//! A signal deliberately carries no data and no count: after any wake the waiter looks for itself, and must
//! expect to find nothing.

use std::time::Duration;

use crossbeam::utils::CachePadded;

use crate::sync::{Arc, AtomicBool, AtomicU64, Condvar, Mutex, Ordering, fence, lock};

/// Wakes threads that block until something may have changed. Cheap to clone; all clones are one signal.
#[derive(Clone)]
pub struct Signal {
    shared: Arc<Shared>,
}

struct Shared {
    // Somebody has prepared to wait since the last wake. Alone on its line: notifiers read it all the time.
    armed: CachePadded<AtomicBool>,
    // Number of wakes so far. Written only under `turnstile`.
    epoch: AtomicU64,
    turnstile: Mutex<()>,
    wake: Condvar,
    hook: Option<Box<dyn Fn() + Send + Sync>>,
}

/// What [`Signal::prepare_wait`] saw: a wake after it ends the wait at once.
#[must_use = "prepare, look once more, and then wait with this key or drop it"]
#[derive(Debug, PartialEq, Eq)]
pub struct WaitKey {
    epoch: u64,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A notify came after the wait was prepared.
    Notified,
    /// No notify came: the time was up, or the system woke the thread for nothing.
    TimedOut,
    /// There was something to do before the wait began.
    NotNeeded,
}

impl Signal {
    /// A signal that nobody waits for.
    pub fn new() -> Self {
        Self::build(None)
    }

    /// A signal that also calls `hook` whenever it wakes a waiter, for a waiter that blocks in a poll of sockets.
    ///
    /// Such a waiter prepares, looks once more, and polls instead of calling [`Signal::wait_timeout`]; the hook
    /// writes to its eventfd. The hook runs on the notifier's thread and holds no lock of the signal.
    pub fn with_wake_hook(hook: impl Fn() + Send + Sync + 'static) -> Self {
        Self::build(Some(Box::new(hook)))
    }

    fn build(hook: Option<Box<dyn Fn() + Send + Sync>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                armed: CachePadded::new(AtomicBool::new(false)),
                epoch: AtomicU64::new(0),
                turnstile: Mutex::new(()),
                wake: Condvar::new(),
                hook,
            }),
        }
    }

    /// Announces a wait. What the caller waits for must be looked at again *after* this.
    ///
    /// Costs one fence. A key that is dropped unused costs one needless wake later, nothing else.
    pub fn prepare_wait(&self) -> WaitKey {
        // The epoch first: a wake that wipes out our arming is then certain to be past this epoch.
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        self.shared.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        WaitKey { epoch }
    }

    /// Blocks until a notify that came after `key` was made, or for `timeout`.
    ///
    /// Whatever it answers, the caller looks again, and prepares again before it waits again.
    #[allow(clippy::needless_pass_by_value)] // A key is good for one wait.
    pub fn wait_timeout(&self, key: WaitKey, timeout: Duration) -> Wake {
        let turnstile = lock(&self.shared.turnstile);
        if self.shared.epoch.load(Ordering::Relaxed) == key.epoch {
            // One wait, no loop: a spurious wake only makes the caller look again.
            let woken = self.shared.wake.wait_timeout(turnstile, timeout);
            drop(woken.unwrap_or_else(|poisoned| poisoned.into_inner()));
        }
        if self.shared.epoch.load(Ordering::Acquire) == key.epoch {
            Wake::TimedOut
        } else {
            Wake::Notified
        }
    }

    /// Prepares, looks with `ready`, and blocks unless it says yes.
    pub fn wait_unless(&self, timeout: Duration, ready: impl FnOnce() -> bool) -> Wake {
        let key = self.prepare_wait();
        if ready() { Wake::NotNeeded } else { self.wait_timeout(key, timeout) }
    }

    /// Wakes everybody who prepared to wait before this call.
    ///
    /// Costs one fence and one load when nobody did, a lock and a wake of the kernel otherwise.
    #[inline]
    pub fn notify(&self) {
        // Store, then load: without the fence the caller's publication could pass behind the look at `armed`.
        fence(Ordering::SeqCst);
        if self.shared.armed.load(Ordering::Relaxed) {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        {
            let _turnstile = lock(&self.shared.turnstile);
            self.shared.armed.store(false, Ordering::Relaxed);
            let epoch = self.shared.epoch.load(Ordering::Relaxed);
            self.shared.epoch.store(epoch + 1, Ordering::Release);
        }
        self.shared.wake.notify_all();
        if let Some(hook) = &self.shared.hook {
            hook();
        }
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Signal").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}
