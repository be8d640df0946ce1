//! A whole little pipeline under random schedules.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p mizan-ring --release --test shuttle`
//!
//! Each run prints its seed; `MIZAN_SEED=<seed>` before the same command repeats all its schedules. When a
//! schedule fails, shuttle also prints the seed of that one: `SHUTTLE_RANDOM_SEED=<that seed>` begins with it.
//! Waits never time out here, so a lost wake-up shows as a deadlock.
#![cfg(shuttle)]

mod support;

use std::time::Duration;

use mizan_ring::{
    ClaimError, Consumer, Cursor, CursorReader, CursorWriter, Idle, IdleStrategy, Pause, Poison,
    Poisoned, RingOptions, Signal, SingleProducer,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

const FOREVER: Duration = Duration::from_secs(3600);
const SCHEDULES: usize = 20_000;
const CAPACITY: usize = 8;
const CELLS: u64 = 24;

/// One signal for every stage: whoever made progress rings all others, as a small layout would do it.
#[derive(Clone)]
struct Bells(Vec<Signal>);

impl Bells {
    fn ring(&self) {
        for bell in &self.0 {
            bell.notify();
        }
    }
}

/// How a stage ended, or where it was told to die.
type Outcome = Result<u64, Poisoned>;

/// What one round of a stage came to.
struct Step {
    position: u64,
    busy: bool,
}

struct Stage {
    bell: Signal,
    bells: Bells,
    poison: Poison,
    /// Position at or after which the stage dies.
    dies_at: u64,
}

impl Stage {
    /// Runs `step`, which answers the position it reached, until `CELLS`; blocks when a step did nothing.
    fn run(self, name: &str, mut step: impl FnMut() -> Result<Step, Poisoned>) -> Outcome {
        let guard = self.poison.guard(name);
        let mut idle = Idle::new(IdleStrategy { spins: 0, yields: thread_rng().gen_range(0..3) });
        let mut reached = 0;
        loop {
            let key = self.bell.prepare_wait();
            let Step { position, busy } = match step() {
                Ok(step) => step,
                Err(poisoned) => {
                    guard.finish();
                    return Err(poisoned);
                }
            };
            if position >= self.dies_at {
                // The guard is dropped: this is the death.
                return Ok(position);
            }
            if position > reached {
                reached = position;
                self.bells.ring();
            }
            if busy {
                idle.reset();
            } else if idle.pause() == Pause::Block {
                self.bell.wait_timeout(key, FOREVER);
            }
            if reached == CELLS {
                guard.finish();
                return Ok(reached);
            }
        }
    }
}

fn produce(producer: &mut SingleProducer<u64>) -> Result<Step, Poisoned> {
    let left = CELLS - producer.position();
    let wanted = thread_rng().gen_range(1..=left.min(5)) as usize;
    let busy = match producer.try_claim(wanted) {
        Ok(mut span) => {
            for offset in 0..wanted {
                *span.cell_mut(offset) = (span.start() + offset as u64) * 3;
            }
            if thread_rng().gen_ratio(1, 8) {
                drop(span);
            } else {
                span.publish();
            }
            true
        }
        Err(ClaimError::Full { .. }) => false,
        Err(ClaimError::Poisoned(poisoned)) => return Err(poisoned),
        Err(error) => panic!("{error}"),
    };
    Ok(Step { position: producer.position(), busy })
}

/// Checks what is there and moves on by some of it.
fn consume(consumer: &mut Consumer<u64>) -> Result<Step, Poisoned> {
    let batch = consumer.available()?;
    for (offset, cell) in batch.iter().enumerate() {
        assert_eq!(*cell, (batch.start() + offset as u64) * 3);
    }
    let (start, end) = (batch.start(), batch.end());
    let position = if end > start { thread_rng().gen_range(start + 1..=end) } else { start };
    consumer.read_to(position);
    Ok(Step { position, busy: end > start })
}

struct Pipeline {
    producer: SingleProducer<u64>,
    journal: Consumer<u64>,
    durable: CursorWriter,
    durable_reader: CursorReader,
    engine: Consumer<u64>,
    releaser: Consumer<u64>,
}

fn pipeline(poison: &Poison) -> Pipeline {
    let options = RingOptions::new(CAPACITY).poisoned_with(poison);
    let mut setup = options.allocate(u64::MAX).expect("a small ring is possible");
    let (durable, durable_reader) = Cursor::new(0);
    let journal = setup.consumer("journal").batch_max(3).add();
    let engine = setup.consumer("engine").add();
    let releaser = setup.consumer("releaser").after(&engine.cursor()).after(&durable_reader).add();
    let producer = setup.single_producer().expect("there are consumers");
    Pipeline { producer, journal, durable, durable_reader, engine, releaser }
}

/// Runs the pipeline; stage number `dying` dies at `dies_at`. Answers how each stage ended.
fn run(dying: usize, dies_at: u64) -> Vec<Outcome> {
    let poison = Poison::new();
    let bells = Bells((0..4).map(|_| Signal::new()).collect());
    for bell in &bells.0 {
        poison.wake_on(bell);
    }
    let stage = |index: usize| Stage {
        bell: bells.0[index].clone(),
        bells: bells.clone(),
        poison: poison.clone(),
        dies_at: if index == dying { dies_at } else { u64::MAX },
    };
    let Pipeline {
        mut producer,
        mut journal,
        mut durable,
        durable_reader,
        mut engine,
        mut releaser,
    } = pipeline(&poison);
    let applied = engine.cursor();
    let (ingress_stage, journal_stage, engine_stage, releaser_stage) =
        (stage(0), stage(1), stage(2), stage(3));
    let stages = [
        thread::spawn(move || ingress_stage.run("ingress", || produce(&mut producer))),
        thread::spawn(move || {
            journal_stage.run("journal", || {
                // Reads ahead, and confirms now and then, but always before it goes idle: a group commit.
                let Step { position: read, busy } = consume(&mut journal)?;
                if !busy || thread_rng().gen_ratio(1, 2) {
                    journal.release_to(read);
                    durable.advance_to(read);
                }
                Ok(Step { position: durable.get(), busy })
            })
        }),
        thread::spawn(move || {
            engine_stage.run("engine", || {
                let step = consume(&mut engine)?;
                engine.release_to(step.position);
                Ok(step)
            })
        }),
        thread::spawn(move || {
            releaser_stage.run("releaser", || {
                let step = consume(&mut releaser)?;
                assert!(step.position <= durable_reader.get(), "released what is not durable");
                assert!(step.position <= applied.get(), "released what is not applied");
                releaser.release_to(step.position);
                Ok(step)
            })
        }),
    ];
    stages.into_iter().map(|stage| stage.join().expect("no stage panics")).collect()
}

#[test]
fn the_pipeline_carries_every_cell_to_the_releaser_under_every_schedule() {
    let all_done = || {
        for outcome in run(usize::MAX, u64::MAX) {
            assert_eq!(outcome.expect("nobody dies"), CELLS);
        }
    };
    shuttle::check_random_with_seed(all_done, support::seed(), SCHEDULES);
}

#[test]
fn the_death_of_any_stage_ends_all_stages_under_every_schedule() {
    let one_dies = || {
        let (dying, dies_at) = (thread_rng().gen_range(0..4), thread_rng().gen_range(0..CELLS));
        let outcomes = run(dying, dies_at);
        let name = ["ingress", "journal", "engine", "releaser"][dying];
        for (index, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                // A stage before the dying one may have had its last cell already.
                Ok(position) => assert!(index == dying || position == CELLS),
                Err(poisoned) => assert!(poisoned.reason().contains(name), "{poisoned}"),
            }
        }
    };
    shuttle::check_random_with_seed(one_dies, support::seed(), SCHEDULES);
}
