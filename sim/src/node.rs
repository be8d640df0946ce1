//! One node: a replica, a journal on a simulated disk, an engine, and the little that joins them.
//!
//! A primary applies at once and holds replies until the commit; a standby applies what is committed. Every error of
//! the journal is a crash: what was in memory is gone.

use crate::workload::{CLUSTER, genesis};
use mizan_engine::{ApplyError, Engine, Output, Resolved};
use mizan_journal::sim::SimStorage;
use mizan_journal::{
    FormatOptions, Frame, Hash, Journal, JournalError, OpenOptions, Prepare, RecoveryReport,
    SharedHeader, cut_back,
};
use mizan_replica::{
    Config, Control, FrameEnd, Led, LogIndex, LogRecords, Options, Replica, Starts,
};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{Operation, RequestHeader, SEMANTICS_VERSION, SessionKey};
use std::collections::VecDeque;
use zerocopy::{FromBytes, IntoBytes};

/// The secret that the nodes share.
const SECRET: [u8; 32] = [42; 32];
const SEGMENT_SIZE: u64 = 2 << 20;
/// Bytes of what a node wrote down of its leading.
const LED_SIZE: usize = 16;

/// Deliberate mistakes that the simulator must find.
#[cfg(feature = "unsafe-faults")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SimFault {
    /// One of the state machine's.
    Replica(mizan_replica::Fault),
    /// A repeated request is answered from the state at once, committed or not.
    StaleSessionReply,
    /// A standby applies what it receives, and keeps it after a cut.
    ApplyBeforeCommit,
    /// Epochs are seen and granted, but not written down.
    GrantNotPersisted,
    /// A disk that replaces another one is given out under the number of the first.
    SameDiskTwice,
    /// Reads are answered without asking anybody.
    ReadWithoutRound,
    /// A standby does not carry out registrations that evict an idle session.
    LostEviction,
    /// A standby does not carry out entries that say which connections are gone.
    LossNotApplied,
}

/// A frame of the log as it is sent.
#[derive(Clone, Debug)]
pub struct StoredFrame {
    pub(crate) header: SharedHeader,
    pub(crate) payload: Vec<u8>,
    pub(crate) hash: Hash,
}

impl StoredFrame {
    pub(crate) fn end(&self) -> FrameEnd {
        FrameEnd {
            epoch: self.header.epoch,
            sequence: self.header.last_sequence(),
            hash: self.hash,
        }
    }

    pub(crate) fn control(&self) -> Option<Control> {
        Control::from_payload(self.header.count, &self.payload)
    }
}

/// Hands every entry of a frame to `each`.
pub(crate) fn for_each_entry<E>(
    frame: &StoredFrame,
    mut each: impl FnMut(u64, &RequestHeader, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = frame.payload.as_slice();
    let mut sequence = frame.header.sequence;
    while let Ok((header, _)) = RequestHeader::read_from_prefix(rest) {
        let (entry, behind) = rest.split_at(header.entry_size());
        each(sequence, &header, &entry[HEADER_SIZE..HEADER_SIZE + header.body_size as usize])?;
        sequence += 1;
        rest = behind;
    }
    Ok(())
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) client: usize,
    pub(crate) tag: u64,
}

/// A reply on its way.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) origin: Origin,
    pub(crate) tag: u64,
    pub(crate) epoch: u64,
    /// Sequence of the entry that is answered.
    pub(crate) at: u64,
    pub(crate) output: Output,
}

/// See the module.
pub struct SimNode {
    pub(crate) storage: SimStorage,
    pub(crate) journal: Option<Journal<SimStorage>>,
    pub(crate) replica: Replica,
    pub(crate) engine: Engine,
    pub(crate) log: Vec<StoredFrame>,
    /// Digest after each sequence that was applied, from 1.
    pub(crate) digests: Vec<u128>,
    /// Requests that wait for their frame, with the client they came from.
    pub(crate) pending: Vec<(Option<Origin>, Vec<u8>)>,
    /// Clients of entries that were appended and not yet applied.
    origins: VecDeque<(u64, Origin)>,
    /// Replies that wait for the commit, by the sequence of their entry.
    pub(crate) held: VecDeque<(u64, Reply)>,
    /// Reads that wait for a round.
    pub(crate) reads: Vec<(u64, usize, u64)>,
    /// Sessions whose connection to this primary is gone, and of which the log does not say so yet.
    pub(crate) losses: Vec<SessionKey>,
    pub(crate) commit: u64,
    pub(crate) judged: u64,
    pub(crate) generation: u64,
    pub(crate) is_sync_due: bool,
    pub(crate) is_primary: bool,
    pub(crate) digest_asked: u64,
    /// Used again and again; only taken while entries are applied.
    scratch: Option<Output>,
    #[cfg(feature = "unsafe-faults")]
    pub(crate) fault: Option<SimFault>,
}

/// Whether a deliberate mistake is made; never without the feature.
macro_rules! faulty {
    ($node:expr, $fault:ident) => {{
        #[cfg(feature = "unsafe-faults")]
        let is_made = $node.fault == Some($crate::node::SimFault::$fault);
        #[cfg(not(feature = "unsafe-faults"))]
        let is_made = {
            let _ = &$node;
            false
        };
        is_made
    }};
}
pub(crate) use faulty;

fn open_options() -> OpenOptions {
    OpenOptions {
        prepare: Prepare::Inline,
        semantics_version: SEMANTICS_VERSION,
        ..OpenOptions::default()
    }
}

/// Makes a disk: of the cluster's first nodes, with its first entry; or of one that replaces another, empty.
pub(crate) fn format(index: u8, incarnation: u64) -> Result<SimStorage, JournalError> {
    let storage = SimStorage::new();
    let options = FormatOptions {
        incarnation,
        segment_size: SEGMENT_SIZE,
        ..FormatOptions::new(CLUSTER, index.into())
    };
    Journal::format(&storage, &options)?;
    if incarnation == 1 {
        let (mut journal, _) =
            Journal::open(storage.clone(), &open_options(), &mut |_: &Frame<'_>| Ok(()))?;
        let body = genesis();
        let header = crate::workload::header(Operation::Genesis, body.as_bytes());
        let entry = crate::workload::entry(&header, body.as_bytes());
        let mut frame = journal.begin(1, entry.len())?;
        frame.put(&entry)?;
        frame.finish(1, 0)?;
        journal.close()?;
    }
    Ok(storage)
}

type Opened = (Journal<SimStorage>, Vec<StoredFrame>, RecoveryReport);

fn open(storage: &SimStorage) -> Result<Opened, JournalError> {
    let mut log: Vec<StoredFrame> = Vec::new();
    let (journal, report) =
        Journal::open(storage.clone(), &open_options(), &mut |frame: &Frame<'_>| {
            let header = SharedHeader {
                previous: log.last().map_or([0; 16], |last| last.hash),
                cluster: CLUSTER,
                epoch: frame.epoch,
                sequence: frame.sequence,
                count: frame.count,
                length: frame.payload.len() as u32,
                semantics_version: frame.semantics_version,
            };
            log.push(StoredFrame { header, payload: frame.payload.to_vec(), hash: frame.hash });
            Ok(())
        })?;
    Ok((journal, log, report))
}

/// Where the log on a disk ends, and whether something behind it is cut off. Recovers it.
pub(crate) fn log_end(storage: &SimStorage) -> Result<(FrameEnd, bool), JournalError> {
    let (_, log, report) = open(storage)?;
    let end = log.last().map_or(FrameEnd::START, StoredFrame::end);
    Ok((end, report.quarantined.is_some()))
}

fn log_config(log: &[StoredFrame]) -> Option<(u64, Config)> {
    log.iter().rev().find_map(|frame| {
        frame.control().map(|control| (frame.header.last_sequence(), control.config))
    })
}

/// What a node keeps in its superblock.
fn record(led: Led, starts: &Starts) -> Vec<u8> {
    let led = [led.epoch, led.acknowledged].map(u64::to_le_bytes).concat();
    [led, starts.encode().to_vec()].concat()
}

/// What a node wrote down of its leading.
fn led_of(config: &[u8]) -> Led {
    let number = |at: usize| {
        let bytes = config.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    Led { epoch: number(0), acknowledged: number(8) }
}

/// What its disk knows of starts.
fn starts_of(config: &[u8]) -> Starts {
    let bytes = config.get(LED_SIZE..).and_then(<[u8]>::first_chunk);
    bytes.and_then(Starts::decode).unwrap_or_default()
}

impl SimNode {
    /// Starts from what the disk holds. `nonce` is one that no other start had.
    pub(crate) fn boot(
        index: u8,
        storage: SimStorage,
        base_config: Config,
        nonce: u64,
    ) -> Result<Self, JournalError> {
        let (mut journal, log, report) = open(&storage)?;
        let commit = report.commit;
        let mut ends = LogIndex::default();
        let config = journal.superblock().config.clone();
        let (led, starts) = (led_of(&config), starts_of(&config).next(nonce));
        journal.set_config(&record(led, &starts))?;
        let mut records = LogRecords::new(index, base_config).with_led(led);
        for frame in &log {
            ends.push(frame.end());
            records.push(frame.header.epoch, frame.header.last_sequence(), frame.control());
        }
        let replica = Replica::new(Options {
            index,
            cluster: CLUSTER,
            secret: SECRET,
            incarnation: journal.superblock().incarnation,
            starts,
            process: nonce,
            base_config,
            records,
            highest_epoch: journal.superblock().highest_epoch,
            log: ends,
            commit,
        });
        Ok(SimNode {
            storage,
            journal: Some(journal),
            replica,
            engine: Engine::new(&genesis()).expect("invariant: the genesis record is valid"),
            log,
            digests: Vec::new(),
            pending: Vec::new(),
            origins: VecDeque::new(),
            held: VecDeque::new(),
            reads: Vec::new(),
            losses: Vec::new(),
            commit,
            judged: 0,
            generation: 0,
            is_sync_due: false,
            is_primary: false,
            digest_asked: 0,
            scratch: Some(Output::new()),
            #[cfg(feature = "unsafe-faults")]
            fault: None,
        })
    }

    /// Persists an epoch; one that leads also writes down what it may have acknowledged.
    pub(crate) fn note_epoch(&mut self, epoch: u64) -> Result<(), JournalError> {
        if !self.is_primary {
            return self.journal().note_epoch(epoch);
        }
        let acknowledged = self.replica.acknowledged_at_most();
        let led = Led { epoch: self.journal().epoch(), acknowledged };
        let config = record(led, self.replica.starts());
        self.journal().note_epoch_and_config(epoch, &config)
    }

    /// Writes down what is known of starts.
    pub(crate) fn note_starts(&mut self, starts: &Starts) -> Result<(), JournalError> {
        let led = led_of(&self.journal().superblock().config);
        self.journal().set_config(&record(led, starts))
    }

    pub(crate) fn journal(&mut self) -> &mut Journal<SimStorage> {
        self.journal.as_mut().expect("invariant: a node that runs has its journal open")
    }

    /// Appends entries of this node as one frame.
    pub(crate) fn append_own(&mut self, payload: &[u8], count: u32) -> Result<(), JournalError> {
        let commit = self.commit;
        let journal = self.journal();
        let header = SharedHeader {
            previous: journal.last_hash(),
            cluster: CLUSTER,
            epoch: journal.epoch(),
            sequence: journal.next_sequence(),
            count,
            length: payload.len() as u32,
            semantics_version: SEMANTICS_VERSION,
        };
        let mut frame = journal.begin(header.sequence, payload.len())?;
        frame.put(payload)?;
        frame.finish(count, commit)?;
        let hash = journal.last_hash();
        assert_eq!(hash, header.frame_hash(payload), "the frame is what its header says");
        let stored = StoredFrame { header, payload: payload.to_vec(), hash };
        self.replica.handle_appended(stored.end(), stored.control());
        self.log.push(stored);
        Ok(())
    }

    /// Puts all waiting requests into one frame.
    pub(crate) fn append_pending(&mut self) -> Result<(), JournalError> {
        let pending = std::mem::take(&mut self.pending);
        let first = self.journal().next_sequence();
        let mut payload = Vec::new();
        let count = pending.len() as u32;
        for (sequence, (origin, bytes)) in (first..).zip(pending) {
            payload.extend_from_slice(&bytes);
            self.origins.extend(origin.map(|origin| (sequence, origin)));
        }
        self.append_own(&payload, count)
    }

    pub(crate) fn append_received(
        &mut self,
        frames: &[u8],
        commit: u64,
    ) -> Result<(), JournalError> {
        let mut rest = frames;
        while let Some((head, behind)) = rest.split_first_chunk() {
            let header =
                SharedHeader::decode(head).expect("invariant: the replica judged the frames");
            let (payload, behind) = behind.split_at(header.length as usize);
            self.journal().append_received(&header, payload, commit)?;
            let hash = self.journal().last_hash();
            self.log.push(StoredFrame { header, payload: payload.to_vec(), hash });
            rest = behind;
        }
        Ok(())
    }

    /// Cuts the log; an engine that was ahead starts again.
    pub(crate) fn cut(&mut self, to: FrameEnd, generation: u64) -> Result<(), JournalError> {
        self.journal = None;
        cut_back(&self.storage, to.sequence)?;
        let (journal, log, _) = open(&self.storage)?;
        let end = log.last().map_or(FrameEnd::START, StoredFrame::end);
        assert_eq!(end, to, "the log ends where it was cut");
        self.journal = Some(journal);
        self.log = log;
        self.generation = generation;
        let keeps = faulty!(self, ApplyBeforeCommit);
        if self.engine.sequence() > to.sequence && !keeps {
            self.engine = Engine::new(&genesis()).expect("invariant: the record is valid");
            self.digests.clear();
        }
        self.replica.handle_cut(log_config(&self.log));
        Ok(())
    }

    /// Frames behind a sequence, one behind the other.
    pub(crate) fn read_frames(&self, after: u64, size_max: u64) -> Vec<u8> {
        let from = self.log.partition_point(|frame| frame.header.sequence <= after);
        let mut bytes = Vec::new();
        for frame in &self.log[from..] {
            if !bytes.is_empty() && (bytes.len() + frame.payload.len()) as u64 > size_max {
                break;
            }
            bytes.extend_from_slice(&frame.header.encode());
            bytes.extend_from_slice(&frame.payload);
        }
        bytes
    }

    /// Applies the log up to `sequence`; replies of this node's own requests are held.
    pub(crate) fn apply_to(&mut self, sequence: u64) -> Result<(), ApplyError> {
        let mut output = self.scratch.take().unwrap_or_default();
        let from = self.engine.sequence();
        let first = self.log.partition_point(|frame| frame.header.last_sequence() <= from);
        let epoch = self.replica.status().epoch;
        let loses_evictions = faulty!(self, LostEviction) && !self.is_primary;
        let loses_losses = faulty!(self, LossNotApplied) && !self.is_primary;
        let session_count_max = self.engine.genesis().session_count_max;
        for frame in &self.log[first..] {
            if frame.header.sequence > sequence {
                break;
            }
            let (engine, digests) = (&mut self.engine, &mut self.digests);
            let (origins, held) = (&mut self.origins, &mut self.held);
            for_each_entry(frame, |at, header, body| {
                if at > sequence || at <= engine.sequence() {
                    return Ok(());
                }
                let evicts = header.operation == Operation::Register.number()
                    && engine.status().session_count == session_count_max;
                let tells_losses = header.operation == Operation::ConnectionLost.number();
                let (mut header, mut body) = (*header, body);
                if evicts && loses_evictions || tells_losses && loses_losses {
                    let clock_reading = header.clock_reading;
                    let tick = crate::workload::header(Operation::Tick, &[]);
                    (header, body) = (RequestHeader { clock_reading, ..tick }, &[]);
                }
                engine.apply(at, &header, body, &Resolved::none(), &mut output)?;
                digests.push(engine.digest());
                while origins.front().is_some_and(|(origin, _)| *origin < at) {
                    origins.pop_front();
                }
                if origins.front().is_some_and(|(origin, _)| *origin == at)
                    && let Some((_, origin)) = origins.pop_front()
                {
                    let output = output.clone();
                    let reply = Reply { origin, tag: origin.tag, epoch, at, output };
                    held.push_back((at, reply));
                }
                Ok(())
            })?;
        }
        self.scratch = Some(output);
        self.replica.handle_applied(self.engine.sequence());
        Ok(())
    }

    /// As a gateway does: notes that a session has lost its connection to this primary.
    pub(crate) fn lose(&mut self, key: SessionKey) {
        if self.is_primary {
            self.losses.push(key);
        }
    }

    /// The client is back: what is not in the log by now is not true any more.
    pub(crate) fn regain(&mut self, client: u128) {
        self.losses.retain(|key| key.client != client);
    }

    /// Whether the config record that this node lives by is committed.
    pub(crate) fn has_committed_config(&self) -> bool {
        let last = self.log.iter().rev().find(|frame| frame.control().is_some());
        let commit = self.replica.status().commit;
        last.is_some_and(|frame| frame.header.last_sequence() <= commit)
    }

    /// Epoch of the frame that holds an entry, 0 if none does.
    pub(crate) fn epoch_of(&self, sequence: u64) -> u64 {
        let at = self.log.partition_point(|frame| frame.header.last_sequence() < sequence);
        self.log.get(at).map_or(0, |frame| frame.header.epoch)
    }

    /// Forgets what was asked and not answered: this node is no primary any more.
    pub(crate) fn forget_requests(&mut self) {
        self.pending.clear();
        self.origins.clear();
        self.held.clear();
        self.reads.clear();
        self.losses.clear();
    }
}
