//! What the replication thread and the others share while a node is primary, and what everybody may see of it.

use crate::cluster::status::ClusterStatus;
use mio::Waker;
use mizan_replica::{Control, FrameEnd};
use mizan_ring::Signal;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What the journal's stage has appended and synced since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    /// Ends of frames; of neighbours without a control entry only the last.
    pub(crate) ends: VecDeque<(FrameEnd, Option<Control>)>,
    /// Highest durable sequence.
    pub(crate) durable: u64,
}

/// Shared by the front, the journal's stage and the replication thread.
#[derive(Debug)]
pub(crate) struct ClusterState {
    /// Highest sequence that as many copies hold as the policy asks.
    commit: AtomicU64,
    /// Position in the request ring up to which reads are to be confirmed: all of them had come when it was stored.
    reads_wanted: AtomicU64,
    /// Position up to which reads are confirmed.
    reads_confirmed: AtomicU64,
    /// Fsynced copies that an acknowledgement stands for.
    copies: AtomicU8,
    /// The node is no primary any more: nothing may be answered.
    is_fenced: AtomicBool,
    appended: Mutex<Appended>,
    /// A control entry that the front is to put into the ring.
    control: Mutex<Option<Control>>,
    has_control: AtomicBool,
    status: Mutex<ClusterStatus>,
    waker: Arc<Waker>,
    front: Signal,
}

impl ClusterState {
    pub(crate) fn new(waker: Arc<Waker>, front: Signal, status: ClusterStatus) -> Self {
        Self {
            commit: AtomicU64::new(0),
            reads_wanted: AtomicU64::new(0),
            reads_confirmed: AtomicU64::new(0),
            copies: AtomicU8::new(1),
            is_fenced: AtomicBool::new(false),
            appended: Mutex::new(Appended::default()),
            control: Mutex::new(None),
            has_control: AtomicBool::new(false),
            status: Mutex::new(status),
            waker,
            front,
        }
    }

    /// Wakes the replication thread.
    pub(crate) fn wake(&self) {
        // A lost wake only costs the time until the next tick.
        let _ = self.waker.wake();
    }

    /// Wakes the front.
    pub(crate) fn wake_front(&self) {
        self.front.notify();
    }

    // The journal's stage.

    /// A frame was appended; it can be read and sent, and need not be durable yet.
    pub(crate) fn note_appended(&self, end: FrameEnd, control: Option<Control>) {
        let mut appended = self.appended.lock();
        match appended.ends.back_mut() {
            Some((last, None)) if control.is_none() => *last = end,
            _ => appended.ends.push_back((end, control)),
        }
    }

    /// The log is durable up to here.
    pub(crate) fn note_durable(&self, sequence: u64) {
        self.appended.lock().durable = sequence;
    }

    // The replication thread.

    pub(crate) fn take_appended(&self) -> Appended {
        let mut appended = self.appended.lock();
        let durable = appended.durable;
        Appended { ends: std::mem::take(&mut appended.ends), durable }
    }

    pub(crate) fn set_commit(&self, sequence: u64) {
        self.commit.store(sequence, Ordering::Release);
        self.front.notify();
    }

    pub(crate) fn set_copies(&self, copies: u8) {
        self.copies.store(copies, Ordering::Relaxed);
    }

    pub(crate) fn reads_wanted(&self) -> u64 {
        self.reads_wanted.load(Ordering::SeqCst)
    }

    pub(crate) fn confirm_reads(&self, position: u64) {
        self.reads_confirmed.fetch_max(position, Ordering::SeqCst);
        self.front.notify();
    }

    pub(crate) fn ask_for_control(&self, control: Control) {
        *self.control.lock() = Some(control);
        self.has_control.store(true, Ordering::Release);
        self.front.notify();
    }

    /// From now on nothing is answered any more.
    pub(crate) fn fence(&self) {
        self.is_fenced.store(true, Ordering::Release);
        self.front.notify();
    }

    pub(crate) fn set_status(&self, status: ClusterStatus) {
        *self.status.lock() = status;
    }

    // The front.

    /// Highest committed sequence.
    pub(crate) fn commit(&self) -> u64 {
        self.commit.load(Ordering::Acquire)
    }

    /// Position up to which reads may be answered.
    pub(crate) fn reads_confirmed(&self) -> u64 {
        self.reads_confirmed.load(Ordering::Acquire)
    }

    /// A read waits for a round, and nothing has come behind this position. The next round is for all up to there.
    pub(crate) fn want_reads(&self, position: u64) {
        let before = self.reads_wanted.fetch_max(position, Ordering::SeqCst);
        // While a round is under way the replication thread looks again when that one is confirmed. In the total order
        // of these accesses either it finds the position then, or the confirmation is found here.
        if before < position && before <= self.reads_confirmed.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    pub(crate) fn copies(&self) -> u8 {
        self.copies.load(Ordering::Relaxed)
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Acquire)
    }

    /// The control entry that is to be put into the ring, if there is one.
    pub(crate) fn control(&self) -> Option<Control> {
        if !self.has_control.load(Ordering::Acquire) {
            return None;
        }
        *self.control.lock()
    }

    pub(crate) fn control_is_placed(&self) {
        self.has_control.store(false, Ordering::Release);
        *self.control.lock() = None;
    }

    /// Where the node stands, as of the last tick.
    pub(crate) fn status(&self) -> ClusterStatus {
        self.status.lock().clone()
    }
}
