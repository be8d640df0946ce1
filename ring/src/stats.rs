//! How full a ring is and who lags behind, for any thread that cares: metrics, status, tests.
//!
//! The figures are read one after the other while the ring runs, so together they are a glimpse, not a
//! snapshot. Each read takes a line away from a busy stage for a moment: a few times a second does no harm.

use crate::cursor::CursorReader;
use crate::sync::Arc;

/// A handle that watches a ring. Cheap to clone.
#[derive(Clone)]
pub struct RingStats {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    published: CursorReader,
    consumers: Vec<(Arc<str>, CursorReader)>,
}

/// How far one consumer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStats {
    /// The name that the consumer was given.
    pub name: Arc<str>,
    /// Everything below this position has been released.
    pub released: u64,
    /// Cells published but not released by this consumer.
    pub lag: u64,
}

impl RingStats {
    pub(crate) fn new(
        capacity: usize,
        published: CursorReader,
        consumers: Vec<(Arc<str>, CursorReader)>,
    ) -> Self {
        Self { shared: Arc::new(Shared { capacity, published, consumers }) }
    }

    /// Number of cells of the ring.
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// Everything below this position has been published.
    pub fn published(&self) -> u64 {
        self.shared.published.get()
    }

    /// The consumers in the order in which they were added. Reads each cursor when it is its turn.
    pub fn consumers(&self) -> impl Iterator<Item = ConsumerStats> + '_ {
        self.shared.consumers.iter().map(|(name, cursor)| {
            // The consumer first: what it released was published before, so the lag is never negative.
            let released = cursor.get();
            let lag = self.published() - released;
            ConsumerStats { name: Arc::clone(name), released, lag }
        })
    }

    /// Cells published but not released by the slowest consumer.
    pub fn occupied(&self) -> u64 {
        self.consumers().map(|consumer| consumer.lag).max().unwrap_or(0)
    }

    pub(crate) fn published_cursor(&self) -> &CursorReader {
        &self.shared.published
    }
}

impl std::fmt::Debug for RingStats {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RingStats")
            .field("capacity", &self.capacity())
            .field("published", &self.published())
            .field("consumers", &self.consumers().collect::<Vec<_>>())
            .finish()
    }
}
