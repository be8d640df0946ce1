//! A ring of cells as large as those of a node, with both of its ends in one hand: what its calls cost without the
//! travel of cache lines between cores.

use mizan_ring::{Consumer, MultiProducer, RingOptions, RingSetup, SingleProducer};

/// Cells of the ring: more than fit an L1 cache.
pub const CAPACITY: usize = 4_096;

/// 128 bytes, as the cells of a node.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
pub struct Cell(pub [u64; 16]);

impl Cell {
    /// A cell of zeros.
    pub const ZERO: Self = Self([0; 16]);
}

/// A producer and the consumer that follows it.
pub struct Ends<P> {
    /// The producing end.
    pub producer: P,
    /// The consuming end.
    pub consumer: Consumer<Cell>,
}

fn setup() -> (RingSetup<Cell>, Consumer<Cell>) {
    let mut setup = RingOptions::new(CAPACITY).allocate(Cell::ZERO).expect("the ring fits");
    let consumer = setup.consumer("bench").add();
    (setup, consumer)
}

/// A ring with a producer that is alone.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn single() -> Ends<SingleProducer<Cell>> {
    let (setup, consumer) = setup();
    Ends { producer: setup.single_producer().expect("there is a consumer"), consumer }
}

/// A ring with a producer that could be cloned.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn multi() -> Ends<MultiProducer<Cell>> {
    let (setup, consumer) = setup();
    Ends { producer: setup.multi_producer().expect("there is a consumer"), consumer }
}

macro_rules! pass {
    ($name:ident, $producer:ty) => {
        /// Sends `spans` spans of `cells` cells, each followed by its consumption; returns the sum of what arrived.
        ///
        /// # Panics
        /// If the ring refuses a span.
        pub fn $name(ends: &mut Ends<$producer>, spans: u64, cells: usize) -> u64 {
            let (mut next, mut sum) = (0, 0);
            for _ in 0..spans {
                let mut span = ends.producer.try_claim(cells).expect("there is room");
                let (first, second) = span.slices_mut();
                for cell in first.iter_mut().chain(second) {
                    cell.0[0] = next;
                    next += 1;
                }
                span.publish();
                let batch = ends.consumer.available().expect("nobody dies");
                let (first, second) = batch.slices();
                sum += first.iter().map(|cell| cell.0[0]).sum::<u64>();
                sum += second.iter().map(|cell| cell.0[0]).sum::<u64>();
                let end = batch.end();
                ends.consumer.release_to(end);
            }
            sum
        }
    };
}

pass!(pass_single, SingleProducer<Cell>);
pass!(pass_multi, MultiProducer<Cell>);
