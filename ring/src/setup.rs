//! Making a ring: memory first, then its consumers, in the order in which they wait for each other, then the
//! producer, which closes the setup.
//!
//! The order is what makes gates safe. A consumer can wait only for one that exists, so there are no circles;
//! and when the producer is made all consumers are known, so it is held by each that nobody else waits for.
//! The others need not hold it: those behind them release later than they do.

use thiserror::Error;

use crate::cells::Cells;
use crate::consumer::Consumer;
use crate::core::Core;
use crate::cursor::{Cursor, CursorReader, CursorWriter};
use crate::limits::{CAPACITY_MAX, CELL_ALIGNMENT};
use crate::multi::MultiProducer;
use crate::poison::Poison;
use crate::single::SingleProducer;
use crate::stats::RingStats;
use crate::sync::Arc;

/// Why a ring was not made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetupError {
    /// The capacity is no power of two, or outside the limits.
    #[error(
        "a ring of {capacity} cells is not possible; choose a power of two, at most {CAPACITY_MAX}"
    )]
    Capacity {
        /// Cells asked for.
        capacity: usize,
    },
    /// There is no memory for the cells.
    #[error(
        "the memory for {capacity} cells of {cell_size} bytes was refused; make the ring smaller"
    )]
    OutOfMemory {
        /// Cells asked for.
        capacity: usize,
        /// Bytes of one cell.
        cell_size: usize,
    },
    /// The memory that was handed in is too small or begins at the wrong address.
    #[error(
        "the memory handed in has room for {given} cells; it must hold {capacity} from a multiple of {CELL_ALIGNMENT} bytes on: reserve more, or align the cells"
    )]
    Memory {
        /// Cells asked for.
        capacity: usize,
        /// Cells that fit the memory.
        given: usize,
    },
    /// Nobody would read what is published, and nobody would hold the producer back.
    #[error("the ring has no consumer; add one before the producer")]
    NoConsumer,
}

/// What a ring is to be like.
#[derive(Clone, Debug)]
pub struct RingOptions {
    capacity: usize,
    start: u64,
    poison: Poison,
}

impl RingOptions {
    /// A ring of `capacity` cells, a power of two, whose positions start at 0.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, start: 0, poison: Poison::new() }
    }

    /// Lets positions start at `position` instead, to keep them in step with a journal that was recovered.
    pub fn starting_at(mut self, position: u64) -> Self {
        self.start = position;
        self
    }

    /// Shares the poison with other rings, so that a stage that dies stops all of them.
    pub fn poisoned_with(mut self, poison: &Poison) -> Self {
        self.poison = poison.clone();
        self
    }

    /// Allocates all cells and writes `empty` to each, so that no page is first touched in the hot path.
    ///
    /// # Errors
    /// [`SetupError::Capacity`] or [`SetupError::OutOfMemory`].
    pub fn allocate<T: Copy>(self, empty: T) -> Result<RingSetup<T>, SetupError> {
        let capacity = self.checked_capacity()?;
        let cells = Cells::allocate(capacity, empty)
            .ok_or(SetupError::OutOfMemory { capacity, cell_size: size_of::<T>() })?;
        Ok(self.with_cells(cells))
    }

    /// As [`RingOptions::allocate`], in memory that the caller has reserved, for instance on huge pages.
    ///
    /// The vector's capacity counts, its contents are forgotten. It must begin at a multiple of
    /// [`CELL_ALIGNMENT`], which a type of that alignment makes sure of.
    ///
    /// # Errors
    /// [`SetupError::Capacity`] or [`SetupError::Memory`].
    pub fn allocate_in<T: Copy>(
        self,
        memory: Vec<T>,
        empty: T,
    ) -> Result<RingSetup<T>, SetupError> {
        let capacity = self.checked_capacity()?;
        let given = memory.capacity();
        let cells = Cells::take_over(memory, capacity, empty)
            .ok_or(SetupError::Memory { capacity, given })?;
        Ok(self.with_cells(cells))
    }

    fn checked_capacity(&self) -> Result<usize, SetupError> {
        let capacity = self.capacity;
        if !capacity.is_power_of_two() || capacity > CAPACITY_MAX {
            return Err(SetupError::Capacity { capacity });
        }
        Ok(capacity)
    }

    fn with_cells<T>(self, cells: Cells<T>) -> RingSetup<T> {
        let (published, published_reader) = Cursor::new(self.start);
        RingSetup {
            core: Arc::new(Core { cells, poison: self.poison }),
            start: self.start,
            published,
            published_reader,
            consumers: Vec::new(),
            holds: Vec::new(),
        }
    }
}

/// A ring that is being set up: add the consumers, then take the producer.
pub struct RingSetup<T> {
    core: Arc<Core<T>>,
    start: u64,
    published: CursorWriter,
    published_reader: CursorReader,
    consumers: Vec<Registered>,
    holds: Vec<CursorReader>,
}

struct Registered {
    name: Arc<str>,
    released: CursorReader,
    awaited_by_another: bool,
}

impl<T> RingSetup<T> {
    /// Begins a consumer. The name is for statistics and error texts.
    pub fn consumer(&mut self, name: &str) -> ConsumerSetup<'_, T> {
        ConsumerSetup { name: Arc::from(name), gates: Vec::new(), batch_max: u64::MAX, setup: self }
    }

    /// Makes the producer wait for `cursor`, too, before it writes a cell again: for a reader of the cells that
    /// is no consumer of this ring, such as a cursor that trails what a consumer released.
    pub fn hold_producer_at(&mut self, cursor: &CursorReader) {
        self.holds.push(cursor.clone());
    }

    /// A reader of the published position.
    pub fn published(&self) -> CursorReader {
        self.published_reader.clone()
    }

    /// The poison of this ring.
    pub fn poison(&self) -> &Poison {
        &self.core.poison
    }

    /// Closes the setup for a single producer.
    ///
    /// # Errors
    /// [`SetupError::NoConsumer`].
    pub fn single_producer(self) -> Result<SingleProducer<T>, SetupError> {
        let (core, published, holds, stats) = self.close()?;
        Ok(SingleProducer::new(core, published, holds, stats))
    }

    /// Closes the setup for several producers: the clones of the one answered.
    ///
    /// # Errors
    /// [`SetupError::NoConsumer`].
    pub fn multi_producer(self) -> Result<MultiProducer<T>, SetupError> {
        let (core, published, holds, stats) = self.close()?;
        Ok(MultiProducer::new(core, published, holds, stats))
    }

    #[allow(clippy::type_complexity)]
    fn close(
        self,
    ) -> Result<(Arc<Core<T>>, CursorWriter, Box<[CursorReader]>, RingStats), SetupError> {
        if self.consumers.is_empty() {
            return Err(SetupError::NoConsumer);
        }
        let mut holds = self.holds;
        let last_in_line = self.consumers.iter().filter(|consumer| !consumer.awaited_by_another);
        holds.extend(last_in_line.map(|consumer| consumer.released.clone()));
        let named =
            self.consumers.into_iter().map(|consumer| (consumer.name, consumer.released)).collect();
        let stats = RingStats::new(self.core.cells.capacity(), self.published_reader, named);
        Ok((self.core, self.published, holds.into(), stats))
    }
}

impl<T> std::fmt::Debug for RingSetup<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.consumers.iter().map(|consumer| &*consumer.name).collect();
        formatter.debug_struct("RingSetup").field("consumers", &names).finish_non_exhaustive()
    }
}

/// A consumer that is being set up.
#[must_use = "a consumer exists only after `add`"]
pub struct ConsumerSetup<'a, T> {
    setup: &'a mut RingSetup<T>,
    name: Arc<str>,
    gates: Vec<CursorReader>,
    batch_max: u64,
}

impl<T> ConsumerSetup<'_, T> {
    /// Lets this consumer see only what is below `cursor`: the cursor of another consumer of this ring, or an
    /// external one in the same domain of positions. May be said several times: the slowest counts.
    pub fn after(mut self, cursor: &CursorReader) -> Self {
        self.gates.push(cursor.clone());
        self
    }

    /// Bounds every batch to `cells` cells. Without a bound a batch is all that is there.
    ///
    /// A consumer that waits for whole spans needs a bound no smaller than the longest of them.
    ///
    /// # Panics
    /// If `cells` is zero: such a consumer would never see anything.
    pub fn batch_max(mut self, cells: usize) -> Self {
        assert!(cells > 0, "a consumer with batches of no cells would never see anything");
        self.batch_max = cells as u64;
        self
    }

    /// Adds the consumer to the ring.
    pub fn add(mut self) -> Consumer<T> {
        let mut waits_for_a_consumer = false;
        for other in &mut self.setup.consumers {
            if self.gates.iter().any(|gate| gate.same_cursor(&other.released)) {
                other.awaited_by_another = true;
                waits_for_a_consumer = true;
            }
        }
        if !waits_for_a_consumer {
            // Otherwise the consumer before us is never beyond the published position, and one line fewer is read.
            self.gates.push(self.setup.published_reader.clone());
        }
        let (writer, released) = Cursor::new(self.setup.start);
        let name = Arc::clone(&self.name);
        self.setup.consumers.push(Registered { name, released, awaited_by_another: false });
        Consumer::new(
            Arc::clone(&self.setup.core),
            self.name,
            writer,
            self.gates.into(),
            self.batch_max,
        )
    }
}
