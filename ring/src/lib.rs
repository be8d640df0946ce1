//! The lock-free ring that carries commands from the ingress to the journal and the engine.
//!
//! A ring is a power-of-two number of cells of one `Copy` type. Producers claim whole *spans* of cells,
//! fill them and publish them; consumers read *batches* in place and hand the cells back. Everybody's
//! progress is a [`Cursor`]: a `u64` position that only grows and means "everything below is done".
//!
//! ```
//! use mizan_ring::RingOptions;
//!
//! let mut setup = RingOptions::new(1024).allocate(0u64)?;
//! let mut journal = setup.consumer("journal").add();
//! let mut engine = setup.consumer("engine").after(&journal.cursor()).add();
//! let mut producer = setup.single_producer()?;
//!
//! let mut span = producer.try_claim(2)?;
//! span.copy_from(0, &[7, 35]);
//! span.publish();
//!
//! assert!(engine.available()?.is_empty(), "the journal has not let go of the cells yet");
//! let end = journal.available()?.end();
//! journal.release_to(end);
//! assert_eq!(engine.available()?.iter().sum::<u64>(), 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! * Positions grow and are never reused; the cell of a position is `position & (capacity - 1)`.
//! * `released by every consumer <= published <= claimed <= slowest consumer + capacity`.
//! * A cell is written only between its claim and its publication, and read only between its publication
//!   and its release. So there is never a reader beside a writer, and any number of readers side by side.
//! * A consumer that no other consumer waits for holds the producer; the others are covered by those behind
//!   them. No consumer can be overrun.
//! * Once a ring is poisoned, every call that could wait for somebody else answers [`Poisoned`].
//!
//! # What it deliberately does not do
//! It never blocks, allocates or reads a clock on its own: `try_claim` and `available` return at once.
//! Waiting is the caller's business, with [`Idle`] and [`Signal`]. It knows nothing of what a cell means,
//! does not frame messages, does not pad at the physical end, and has no orderly shutdown: a stage that ends
//! in order says so in the data or through its own flag.

#[cfg(all(loom, shuttle))]
compile_error!("choose one of --cfg loom and --cfg shuttle");

mod cells;
mod consumer;
mod core;
mod cursor;
mod idle;
pub mod limits;
mod multi;
mod poison;
mod setup;
mod signal;
mod single;
mod span;
mod stats;
mod sync;

pub use consumer::{Batch, Consumer};
pub use cursor::{Cursor, CursorReader, CursorWriter};
pub use idle::{Idle, IdleStrategy, Pause};
pub use multi::MultiProducer;
pub use poison::{Poison, Poisoned, StageGuard};
pub use setup::{ConsumerSetup, RingOptions, RingSetup, SetupError};
pub use signal::{Signal, WaitKey, Wake};
pub use single::SingleProducer;
pub use span::{ClaimError, Span};
pub use stats::{ConsumerStats, RingStats};
