//! Formatting: a new data directory, with the limits that never change and the first log entry.

use crate::error::NodeError;
use mizan_journal::constants::SEGMENT_SIZE_DEFAULT;
use mizan_journal::{FileStorage, Journal, JournalIo, OpenOptions, Storage};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Genesis, Operation, RequestHeader, SEMANTICS_VERSION};
use rustix::rand::{GetRandomFlags, getrandom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The smallest distance between two digests, in log entries: each digest is an entry itself.
pub const DIGEST_INTERVAL_MIN: u32 = 16;

/// Room for order books. All of it is memory that is taken at the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TradingLimits {
    /// Instruments that fit.
    pub instrument_count_max: u32,
    /// Orders that are remembered, for ever.
    pub order_count_max: u64,
    /// Open orders that fit, in all books together.
    pub open_order_count_max: u32,
    /// Price levels that fit, in all books together.
    pub book_level_count_max: u32,
    /// Execution reports that are kept, of all accounts together.
    pub report_count_max: u64,
}

impl Default for TradingLimits {
    /// A hundred instruments and a million orders: about 0.5 GB of memory.
    fn default() -> Self {
        Self {
            instrument_count_max: 100,
            order_count_max: 1_000_000,
            open_order_count_max: 262_144,
            book_level_count_max: 65_536,
            report_count_max: 1_000_000,
        }
    }
}

/// What is fixed when a data directory is made.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// The directory; made if it is not there, otherwise empty.
    pub data: PathBuf,
    /// The cluster; `None` draws one.
    pub cluster: Option<u128>,
    /// Accounts that fit.
    pub account_count_max: u64,
    /// Transfers and burnt ids that fit.
    pub transfer_count_max: u64,
    /// Open pending transfers that fit.
    pub hold_count_max: u64,
    /// Ledgers that fit.
    pub ledger_count_max: u32,
    /// Registered codes that fit.
    pub code_count_max: u32,
    /// Sessions that fit.
    pub session_count_max: u32,
    /// Stored replies of a session.
    pub window_requests: u32,
    /// Bytes of a session's stored replies.
    pub window_bytes: u32,
    /// A session idle for so long may make room for another, in seconds of log time.
    pub session_idle_s: u64,
    /// Room for order books; `None` makes a node without trading.
    pub trading: Option<TradingLimits>,
    /// A digest is recorded after so many log entries.
    pub digest_interval: u32,
    /// Bytes of a journal segment.
    pub segment_size: u64,
    /// How the node writes its journal; it changes neither results nor the bytes in the segments.
    pub journal_io: JournalIo,
}

impl FormatOptions {
    /// A node of middling size: a million accounts, four million transfers, about 1 GB of memory, and up to
    /// `window_bytes` of stored replies for each session whose client reports none of them as received.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            cluster: None,
            account_count_max: 1_000_000,
            transfer_count_max: 4_000_000,
            hold_count_max: 1_000_000,
            ledger_count_max: 1_000,
            code_count_max: 1_000,
            session_count_max: 1_024,
            window_requests: 1_024,
            window_bytes: 4 << 20,
            session_idle_s: 3_600,
            trading: None,
            digest_interval: 4_096,
            segment_size: SEGMENT_SIZE_DEFAULT,
            journal_io: JournalIo::default(),
        }
    }

    pub(crate) fn genesis(&self) -> Result<Genesis, NodeError> {
        let drawn: u128 = random()?;
        let (cluster, hash_seed) = (self.cluster.unwrap_or(drawn | 1), random::<u64>()?);
        Ok(Genesis { cluster, hash_seed, ..self.limits() })
    }

    /// The genesis record but for what is drawn at random.
    #[must_use]
    pub fn limits(&self) -> Genesis {
        let without = Genesis::default();
        let trading = self.trading.map_or(without, |limits| Genesis {
            instrument_count_max: limits.instrument_count_max,
            order_count_max: limits.order_count_max,
            open_order_count_max: limits.open_order_count_max,
            book_level_count_max: limits.book_level_count_max,
            report_count_max: limits.report_count_max,
            ..without
        });
        Genesis {
            account_count_max: self.account_count_max,
            transfer_count_max: self.transfer_count_max,
            hold_count_max: self.hold_count_max.min(self.transfer_count_max),
            session_idle_ns: self.session_idle_s.saturating_mul(1_000_000_000),
            semantics_version: SEMANTICS_VERSION,
            digest_interval: self.digest_interval,
            ledger_count_max: self.ledger_count_max,
            code_count_max: self.code_count_max,
            session_count_max: self.session_count_max,
            window_requests: self.window_requests,
            window_bytes: self.window_bytes,
            ..trading
        }
    }
}

/// Makes a data directory. Returns the cluster when everything is durable.
///
/// # Errors
/// Limits that make no sense, a directory that is in use or cannot be written in the way that was chosen, and
/// whatever the disk says.
pub fn format(options: &FormatOptions) -> Result<u128, NodeError> {
    let storage = FileStorage::create(&options.data).map_err(|source| NodeError::Io {
        what: format!("failed to make {}", options.data.display()),
        source,
    })?;
    format_storage(Arc::new(storage.with_journal_io(options.journal_io)), options)
}

/// As [`format()`], on any storage.
///
/// # Errors
/// As [`format()`].
pub fn format_storage<S: Storage>(
    storage: Arc<S>,
    options: &FormatOptions,
) -> Result<u128, NodeError> {
    if options.digest_interval < DIGEST_INTERVAL_MIN {
        return Err(NodeError::Options(format!(
            "digest interval {} is below {DIGEST_INTERVAL_MIN}",
            options.digest_interval
        )));
    }
    let genesis = options.genesis()?;
    // The limits are checked by the one who lives by them, on a node too small to cost memory where that is possible.
    mizan_engine::check_genesis(&genesis)?;
    let place = Place {
        journal_io: options.journal_io,
        segment_size: options.segment_size,
        node: 1,
        incarnation: 1,
        record: Vec::new(),
    };
    make(storage, &place, &genesis, Some(&genesis_entry(&genesis)))?;
    Ok(genesis.cluster)
}

/// What the superblock says beside the limits.
pub(crate) struct Place {
    pub(crate) journal_io: JournalIo,
    pub(crate) segment_size: u64,
    pub(crate) node: u64,
    pub(crate) incarnation: u64,
    /// The cluster's record; empty for a node of its own.
    pub(crate) record: Vec<u8>,
}

/// Makes the files; with the log's first entry, or with an empty log.
///
/// # Errors
/// A directory that is in use, and whatever the disk says.
pub(crate) fn make<S: Storage>(
    storage: Arc<S>,
    place: &Place,
    genesis: &Genesis,
    first_entry: Option<&[u8]>,
) -> Result<(), NodeError> {
    Journal::format(
        &*storage,
        &mizan_journal::FormatOptions {
            segment_size: place.segment_size,
            journal_io: place.journal_io,
            incarnation: place.incarnation,
            config: place.record.clone(),
            genesis: genesis.as_bytes().to_vec(),
            ..mizan_journal::FormatOptions::new(genesis.cluster, place.node)
        },
    )?;
    if let Some(entry) = first_entry {
        let mut nothing = |_: &mizan_journal::Frame<'_>| Ok(());
        let (mut journal, _) = Journal::<S>::open(storage, &OpenOptions::default(), &mut nothing)?;
        append_first(&mut journal, entry)?;
        journal.close()?;
    }
    Ok(())
}

fn append_first<S: Storage>(journal: &mut Journal<S>, entry: &[u8]) -> Result<(), NodeError> {
    let mut frame = journal.begin(1, entry.len())?;
    frame.put(entry)?;
    frame.finish(1, 0)?;
    journal.sync()?;
    Ok(())
}

/// Makes the first log entry durable and returns it.
///
/// # Errors
/// Whatever the journal says.
pub(crate) fn append_genesis<S: Storage>(
    journal: &mut Journal<S>,
    genesis: &Genesis,
) -> Result<[u8; 2 * HEADER_SIZE], NodeError> {
    let entry = genesis_entry(genesis);
    append_first(journal, &entry)?;
    Ok(entry)
}

/// The first log entry: header and body, as the journal keeps them.
pub(crate) fn genesis_entry(genesis: &Genesis) -> [u8; 2 * HEADER_SIZE] {
    let mut header = RequestHeader {
        operation: Operation::Genesis.number(),
        body_size: size_of::<Genesis>() as u32,
        clock_reading: crate::clock::Reading::now().realtime_ns,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(genesis.as_bytes());
    let mut entry = [0; 2 * HEADER_SIZE];
    entry[..HEADER_SIZE].copy_from_slice(header.as_bytes());
    entry[HEADER_SIZE..].copy_from_slice(genesis.as_bytes());
    entry
}

pub(crate) fn random<T: zerocopy::FromBytes + IntoBytes + zerocopy::FromZeros>()
-> Result<T, NodeError> {
    let mut value = T::new_zeroed();
    getrandom(value.as_mut_bytes(), GetRandomFlags::empty()).map_err(|error| NodeError::Io {
        what: "failed to draw random bytes".to_owned(),
        source: error.into(),
    })?;
    Ok(value)
}

/// Whether a directory looks like one that was formatted.
#[must_use]
pub fn is_formatted(data: &Path) -> bool {
    data.join("superblock-0").exists() || data.join("superblock-1").exists()
}
