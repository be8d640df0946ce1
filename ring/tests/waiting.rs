//! Blocking and waking, with real threads: signals, and the poison that ends every wait.
#![cfg(not(any(loom, shuttle)))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mizan_ring::{ClaimError, Poison, RingOptions, Signal, Wake};
use support::{Deadline, WAIT_SLICE};

#[test]
fn a_wait_without_a_notify_ends_when_its_time_is_up() {
    let signal = Signal::new();
    let key = signal.prepare_wait();
    assert_eq!(signal.wait_timeout(key, Duration::ZERO), Wake::TimedOut);
}

#[test]
fn a_notify_between_the_preparation_and_the_wait_ends_the_wait_at_once() {
    let signal = Signal::new();
    let key = signal.prepare_wait();
    signal.notify();
    // A lost notify would hang the test here.
    assert_eq!(signal.wait_timeout(key, Duration::MAX), Wake::Notified);
}

#[test]
fn a_notify_before_the_preparation_does_not_count() {
    let signal = Signal::new();
    signal.notify();
    let key = signal.prepare_wait();
    assert_eq!(signal.wait_timeout(key, Duration::ZERO), Wake::TimedOut);
}

#[test]
fn a_wait_for_what_is_there_already_does_not_begin() {
    assert_eq!(Signal::new().wait_unless(Duration::MAX, || true), Wake::NotNeeded);
}

#[test]
fn a_wake_hook_is_called_once_for_each_preparation_that_was_notified() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let signal = Signal::with_wake_hook(move || _ = counted.fetch_add(1, Ordering::Relaxed));
    signal.notify();
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nobody waits, so nobody is woken");
    for round in 1..=3 {
        _ = signal.prepare_wait();
        signal.notify();
        signal.notify();
        assert_eq!(calls.load(Ordering::Relaxed), round);
    }
}

#[test]
fn all_waiters_of_a_signal_are_woken() {
    let (signal, woken) = (Signal::new(), AtomicUsize::new(0));
    let waiting = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let key = signal.prepare_wait();
                waiting.fetch_add(1, Ordering::Release);
                assert_eq!(signal.wait_timeout(key, Duration::MAX), Wake::Notified);
                woken.fetch_add(1, Ordering::Relaxed);
            });
        }
        let deadline = Deadline::new();
        while waiting.load(Ordering::Acquire) < 4 {
            deadline.check(|| "the waiters did not start".to_owned());
            thread::yield_now();
        }
        signal.notify();
    });
    assert_eq!(woken.load(Ordering::Relaxed), 4);
}

#[test]
fn a_stage_that_panics_wakes_a_blocked_producer_and_a_blocked_consumer() {
    let poison = Poison::new();
    let (published, released) = (Signal::new(), Signal::new());
    poison.wake_on(&published);
    poison.wake_on(&released);
    let mut setup =
        RingOptions::new(1).poisoned_with(&poison).allocate(0u8).expect("a small ring is possible");
    let journal = setup.consumer("journal").add();
    let mut engine = setup.consumer("engine").after(&journal.cursor()).add();
    let mut producer = setup.single_producer().expect("there are consumers");
    producer.try_claim(1).expect("there is room").publish();
    let blocked = AtomicUsize::new(0);
    thread::scope(|scope| {
        let producing = scope.spawn(|| {
            loop {
                let key = released.prepare_wait();
                match producer.try_claim(1) {
                    Err(ClaimError::Full { .. }) => {}
                    Err(error) => return error.to_string(),
                    Ok(_) => panic!("nobody has released anything"),
                }
                blocked.fetch_add(1, Ordering::Relaxed);
                released.wait_timeout(key, Duration::MAX);
            }
        });
        let consuming = scope.spawn(|| {
            loop {
                let key = published.prepare_wait();
                match engine.available() {
                    Ok(batch) => assert!(batch.is_empty()),
                    Err(poisoned) => return poisoned.to_string(),
                }
                blocked.fetch_add(1, Ordering::Relaxed);
                published.wait_timeout(key, Duration::MAX);
            }
        });
        let deadline = Deadline::new();
        while blocked.load(Ordering::Relaxed) < 2 {
            deadline.check(|| "the others did not block".to_owned());
            thread::yield_now();
        }
        let guard = poison.guard("journal");
        let dying = scope.spawn(move || {
            let _stage = (guard, journal);
            panic!("expected by this test: the journal dies");
        });
        assert!(dying.join().is_err());
        for ended in [producing, consuming] {
            let reason = ended.join().expect("the survivor ends in order");
            assert!(reason.contains("stage `journal` panicked"), "{reason}");
        }
    });
}

#[test]
fn a_stage_that_returns_early_poisons_and_one_that_finishes_does_not() {
    let poison = Poison::new();
    poison.guard("reader").finish();
    assert!(!poison.is_raised());
    drop(poison.guard("reader"));
    let poisoned = poison.check().expect_err("poisoned");
    assert!(poisoned.reason().contains("stage `reader` ended"), "{poisoned}");
}

#[test]
fn a_signal_made_known_after_the_poison_was_raised_is_notified() {
    let (poison, signal) = (Poison::new(), Signal::new());
    poison.raise("too early");
    let key = signal.prepare_wait();
    poison.wake_on(&signal);
    assert_eq!(signal.wait_timeout(key, WAIT_SLICE), Wake::Notified);
}
