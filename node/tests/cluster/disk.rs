//! A disk of one node that waits, fails or is full when a test says so.

use mizan_journal::fault::{Call, Faults, Operation, Verdict};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long a call waits before the test is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[derive(Default)]
struct Plan {
    /// Calls of this sort wait.
    held: Option<Operation>,
    /// So many of them may go on all the same.
    passes: usize,
    /// One of them waits now.
    waits_now: bool,
    is_full: bool,
    fails_syncs: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Disk {
    plan: Mutex<Plan>,
    changed: Condvar,
}

impl Disk {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    /// From now on calls of this sort wait.
    pub(crate) fn hold(&self, operation: Operation) {
        self.plan().held = Some(operation);
    }

    /// What waits goes on, and nothing waits any more.
    pub(crate) fn release(&self) {
        self.plan().held = None;
        self.changed.notify_all();
    }

    /// Lets the call that waits go on, and no other.
    pub(crate) fn pass(&self) {
        let mut plan = self.plan();
        assert!(std::mem::take(&mut plan.waits_now), "nothing waits");
        plan.passes += 1;
        self.changed.notify_all();
    }

    pub(crate) fn waits_now(&self) -> bool {
        self.plan().waits_now
    }

    /// Whether no segment can be made.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.plan().is_full = is_full;
    }

    /// From now on syncs of segments fail.
    pub(crate) fn fail_syncs(&self) {
        self.plan().fails_syncs = true;
    }
}

impl Faults for Disk {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let mut plan = self.plan();
        if plan.held == Some(call.operation) {
            plan.waits_now = true;
            while plan.held == Some(call.operation) && plan.passes == 0 {
                let (next, wait) = self.changed.wait_timeout(plan, PATIENCE).unwrap();
                assert!(!wait.timed_out(), "nobody let the call go on");
                plan = next;
            }
            plan.passes = plan.passes.saturating_sub(1);
            plan.waits_now = false;
        }
        match call.operation {
            Operation::Create if plan.is_full => Verdict::Fail(ENOSPC),
            Operation::SegmentSync if plan.fails_syncs => Verdict::Fail(EIO),
            _ => Verdict::Proceed,
        }
    }
}
