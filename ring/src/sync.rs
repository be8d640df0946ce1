//! The synchronisation primitives of the crate: from `std`, or from a model checker.
//!
//! `--cfg loom` explores every interleaving and every value that the memory model allows; `--cfg shuttle`
//! runs random schedules. Reference counts stay `std::sync::Arc` everywhere: they only keep memory alive,
//! no invariant of the ring hangs on their ordering.

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    hint::spin_loop,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};

pub(crate) use std::sync::Arc;

/// Locks a mutex, also after a holder of it panicked.
///
/// The few locks of this crate guard single assignments, which a panic cannot leave half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
