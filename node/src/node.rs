//! A node: recovery, then the stages on their threads, until it is stopped.

use crate::cell::Cell;
use crate::clock::{ClockGuard, WallClock, check_alone};
use crate::cluster::{ClusterRecord, ClusterState};
use crate::commit::{InlineCommit, SharedJournal};
use crate::cursors::{CursorsReader, Progress};
use crate::engine_stage::{EngineStage, OUTPUT_RING_CELLS};
use crate::error::NodeError;
use crate::format::append_genesis;
use crate::front::{Front, FrontParts};
use crate::ingress::Ingress;
use crate::journal_stage::{JournalStage, JournalState};
use crate::layout::{Layout, Shared, StopHandle, run_front, run_stage};
use crate::memory::check_address_space;
use crate::recover::{RecoveryProgress, Replay, read_genesis};
use crate::scrub::{SCRUB_RATE, ScrubPlan};
use crate::status::{ClusterCounters, EngineReport, FrontBeat, NodeStatus, StatusReporter};
use crossbeam::channel::{Receiver, Sender, bounded};
use mizan_engine::Engine;
use mizan_gateway::{Gateway, GatewayConfig};
use mizan_journal::constants::SEGMENTS_AHEAD_MAX;
use mizan_journal::{
    FileLock, FileStorage, Journal, OpenOptions, RecoveryReport, Storage, Superblock,
    lock_directory,
};
use mizan_memory::reserve_touched;
use mizan_ring::{Cursor, IdleStrategy, Poison, RingOptions, Signal};
use mizan_wire::frame::NodeLimits;
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{EngineStatus, Genesis, SEMANTICS_VERSION};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Cells of the request ring: 16 MiB, about 16 requests of the largest size.
const RING_CELLS: usize = 131_072;
/// Bytes that the request ring may still hold when the journal runs low: so much must be ready ahead.
const RING_BYTES: u64 = (RING_CELLS * HEADER_SIZE) as u64;
/// How long the other threads get to end after one has failed.
const END_MAX: Duration = Duration::from_secs(5);

/// How a node is started. Roles and limits are no options: they are persisted.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Sockets and their bounds.
    pub gateway: GatewayConfig,
    /// Which thread polls which stage; `None` chooses by the number of cores.
    pub layout: Option<Layout>,
    /// How patient idle stages are.
    pub idle: IdleStrategy,
    /// Where to answer `/metrics`, `/livez` and `/readyz`; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Lets the front's thread make small groups durable itself, in the fused layout. A disk that hangs then also
    /// delays what needs no disk: pings, and the first look at requests.
    pub inline_commit: bool,
    /// Bytes a second at which sealed segments of the journal are read again, to find damage; 0: never.
    pub scrub_rate: u64,
    /// Believes the wall clock, also where it is more than a day ahead of the log and no other node confirms it.
    pub accept_clock: bool,
    /// The wall clock; tests have one that differs from the machine's.
    pub wall_clock: WallClock,
}

impl NodeOptions {
    /// A node of `data` that listens at `listen`, everything else by default.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data: data.into(),
            gateway: GatewayConfig { listen, ..GatewayConfig::default() },
            layout: None,
            idle: IdleStrategy::default(),
            metrics: None,
            inline_commit: true,
            scrub_rate: SCRUB_RATE,
            accept_clock: false,
            wall_clock: WallClock::default(),
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout.unwrap_or_else(|| Layout::for_cores(cores()))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A node that has recovered and listens, but does not run yet.
pub struct Node<S: Storage = FileStorage> {
    front: Front,
    engine: EngineStage,
    journal: SharedJournal<S>,
    stop: StopHandle,
    shared: Shared,
    layout: Layout,
    local_addr: SocketAddr,
    recovery: RecoveryReport,
    recovered: EngineStatus,
    cursors: CursorsReader,
    reporter: Arc<StatusReporter>,
    /// None where the part that replicates has it.
    scrub: Option<ScrubPlan<S>>,
}

impl Node<FileStorage> {
    /// Recovers the data directory and binds the socket; the journal is written as was chosen at format. Nothing is answered before [`Node::run`].
    ///
    /// # Errors
    /// A directory that is damaged, in use or not formatted; an address that cannot be bound.
    pub fn open(
        options: &NodeOptions,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let (storage, lock) = lock_files(&options.data)?;
        let reporter = StatusReporter::for_directory(&options.data, options.metrics)?;
        Self::open_reporting(storage, lock, options, Arc::new(reporter), progress)
    }
}

impl<S: Storage> Node<S> {
    /// As [`Node::open`], on any storage; there is no file of counters.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open_storage(
        storage: Arc<S>,
        options: &NodeOptions,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let lock = lock_directory(&*storage)?;
        let reporter = StatusReporter::in_memory(options.metrics)?;
        Self::open_reporting(storage, lock, options, Arc::new(reporter), progress)
    }

    fn open_reporting(
        storage: Arc<S>,
        lock: S::Lock,
        options: &NodeOptions,
        reporter: Arc<StatusReporter>,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let superblock = Superblock::read(&*storage)?;
        if let Some(record) = ClusterRecord::decode(&storage.describe(), &superblock.config)? {
            return Err(NodeError::Options(format!(
                "{} belongs to node {} of a cluster of {}: it cannot run alone; start it with --replicate and --peers",
                storage.describe(),
                record.node,
                record.config.node_count
            )));
        }
        check_listen(options.gateway.listen)?;
        reporter.identify(&superblock, options.gateway.listen);
        let genesis = read_genesis(&storage.describe(), &superblock.genesis)?;
        let options_of_journal = journal_options(&superblock);
        let ahead = options_of_journal.segments_ahead;
        check_address_space(&genesis, superblock.segment_size, ahead)?;
        let mut report = |step| {
            reporter.recovering(&step);
            progress(step);
        };
        let mut replay = Replay::new(&genesis, &mut report)?;
        let (mut journal, recovery) =
            Journal::open_locked(storage, lock, &options_of_journal, &mut replay)?;
        if journal.next_sequence() == 1 {
            // The format was interrupted between the directory and its first entry.
            replay.begin(&append_genesis(&mut journal, &genesis)?)?;
        }
        let engine = replay.engine;
        if engine.sequence() + 1 != journal.next_sequence() {
            return Err(NodeError::Options(format!(
                "the journal continues at sequence {}, the engine at {}",
                journal.next_sequence(),
                engine.sequence() + 1
            )));
        }
        let first = options.wall_clock.read();
        // What is only formatted has nothing that could expire.
        let is_believed = options.accept_clock || engine.sequence() <= 1;
        let checked =
            if is_believed { Ok(()) } else { check_alone(first.realtime_ns, engine.timestamp()) };
        let bound =
            checked.and_then(|()| Gateway::bind(options.gateway.clone()).map_err(NodeError::from));
        let gateway = match bound {
            Ok(gateway) => gateway,
            Err(error) => {
                journal.close()?;
                return Err(error);
            }
        };
        reporter.opened(options.layout(), &engine.status());
        let (front_signal, stop) = front_signal(&gateway);
        let cluster = None;
        let scrub = ScrubPlan::of(&journal, options.scrub_rate);
        let node = Assembly {
            options,
            genesis,
            journal,
            engine,
            clock: ClockGuard::new(first),
            gateway,
            recovery,
            front_signal,
            stop,
            cluster,
            reporter,
            rings: RingMemory::reserve(),
        }
        .assemble()?;
        Ok(Self { scrub: Some(scrub), ..node })
    }

    /// The address that clients reach.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops the node from any thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The journal, as the replication thread reaches it.
    pub(crate) fn journal(&self) -> SharedJournal<S> {
        Arc::clone(&self.journal)
    }

    /// Watches the node from any thread.
    #[must_use]
    pub fn cursors(&self) -> CursorsReader {
        self.cursors.clone()
    }

    /// Where scrapers are answered, if anywhere.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.reporter.metrics_addr()
    }

    /// What the node shows of itself. Cost: a copy of one page.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.reporter.status()
    }

    /// Where the part that replicates stores its figures; a node for which nobody does is a single one.
    #[must_use]
    pub fn cluster_counters(&self) -> ClusterCounters {
        self.reporter.cluster_counters()
    }

    /// What recovery found in the journal.
    #[must_use]
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// The engine's state after recovery.
    #[must_use]
    pub const fn recovered(&self) -> &EngineStatus {
        &self.recovered
    }

    /// Which thread polls which stage.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Serves until it is stopped: the caller's thread is the front's. When it returns in order, everything that was
    /// accepted is answered and durable.
    ///
    /// # Errors
    /// The first stage's failure. What is durable is then decided by the next recovery.
    pub fn run(self) -> Result<(), NodeError> {
        let Self { front, engine, journal, stop, shared, layout, reporter, scrub, .. } = self;
        reporter.running();
        let scrubber = scrub.and_then(|scrub| scrub.start(reporter.board()));
        let outcome = Self::run_stages(front, engine, journal, &stop, &shared, layout);
        drop(scrubber);
        match &outcome {
            // A node of a cluster goes on, as soon as its other thread has.
            Err(NodeError::Fenced) => reporter.fenced(),
            outcome => reporter.ended(outcome.is_ok()),
        }
        outcome
    }

    fn run_stages(
        front: Front,
        engine: EngineStage,
        journal: SharedJournal<S>,
        stop: &StopHandle,
        shared: &Shared,
        layout: Layout,
    ) -> Result<(), NodeError> {
        let (ended, ends) = bounded(2);
        let mut spawned =
            spawn("mizan-journal", shared, ended.clone(), move |shared| run_stage(journal, shared));
        let mut threads = usize::from(spawned.is_ok());
        let mut fused = Some(engine);
        if layout == Layout::Split
            && spawned.is_ok()
            && let Some(engine) = fused.take()
        {
            spawned = spawn("mizan-engine", shared, ended, move |shared| run_stage(engine, shared));
            threads += usize::from(spawned.is_ok());
        }
        if let Err(error) = spawned {
            shared.poison.raise(&error.to_string());
            return await_ends(&ends, threads, Err(error));
        }
        let front = run_front(front, fused, stop, shared);
        await_ends(&ends, threads, front)
    }
}

type Outcome = Result<(), NodeError>;

fn spawn(
    name: &str,
    shared: &Shared,
    ended: Sender<Outcome>,
    run: impl FnOnce(&Shared) -> Outcome + Send + 'static,
) -> Result<(), NodeError> {
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(move || {
        let outcome = run(&shared);
        // Nobody listens any more if the node has ended without waiting.
        let _ = ended.send(outcome);
    });
    spawned.map(drop).map_err(|source| NodeError::Io {
        what: format!("failed to start the thread {name}"),
        source,
    })
}

/// Waits for the other threads and picks the error that explains the others: the one that is not merely poison.
fn await_ends(ends: &Receiver<Outcome>, threads: usize, front: Outcome) -> Outcome {
    let mut outcome = front;
    for _ in 0..threads {
        let end = if outcome.is_ok() {
            ends.recv().unwrap_or(Ok(()))
        } else {
            ends.recv_timeout(END_MAX).unwrap_or(Ok(()))
        };
        let explains = matches!(outcome, Ok(()) | Err(NodeError::Stage(_)));
        if explains && end.is_err() {
            outcome = end;
        }
    }
    outcome
}

/// Finds out before a long replay whether the address is taken. Between this and the real bind it may still be.
pub(crate) fn check_listen(listen: SocketAddr) -> Result<(), NodeError> {
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) => match NodeError::listen(listen, "", error) {
            // Whatever else is wrong is said by the real bind.
            NodeError::Io { .. } => Ok(()),
            error => Err(error),
        },
    }
}

/// The files of a node in a directory, written as was chosen at format, and the lock on them: whatever is read of them
/// from then on stays true, because the node that wrote them before has ended.
pub(crate) fn lock_files(data: &Path) -> Result<(Arc<FileStorage>, FileLock), NodeError> {
    let storage = FileStorage::new(data);
    // A directory that holds no journal gets no lock file.
    Superblock::read(&storage)?;
    let lock = lock_directory(&storage)?;
    let journal_io = Superblock::read(&storage)?.journal_io;
    Ok((Arc::new(storage.with_journal_io(journal_io)), lock))
}

pub(crate) fn journal_options(superblock: &Superblock) -> OpenOptions {
    let ahead = RING_BYTES.div_ceil(superblock.segment_size) as usize;
    OpenOptions {
        cluster: Some(superblock.cluster),
        semantics_version: SEMANTICS_VERSION,
        segments_ahead: ahead.clamp(1, SEGMENTS_AHEAD_MAX),
        ..OpenOptions::default()
    }
}

/// The memory of both rings. It is mapped ahead, because its first touch takes tens of milliseconds when huge pages are
/// rare, and nobody waits for it at a start as they do at a promotion.
pub(crate) struct RingMemory {
    requests: Vec<Cell>,
    outputs: Vec<Cell>,
}

impl RingMemory {
    pub(crate) fn reserve() -> Self {
        Self { requests: reserve_touched(RING_CELLS), outputs: reserve_touched(OUTPUT_RING_CELLS) }
    }
}

/// The parts of a node, before they are joined.
pub(crate) struct Assembly<'o, S: Storage> {
    pub(crate) options: &'o NodeOptions,
    pub(crate) genesis: Genesis,
    pub(crate) journal: Journal<S>,
    pub(crate) engine: Engine,
    /// What the first reading of the wall clock is measured against.
    pub(crate) clock: ClockGuard,
    pub(crate) gateway: Gateway,
    pub(crate) recovery: RecoveryReport,
    pub(crate) front_signal: Signal,
    pub(crate) stop: StopHandle,
    pub(crate) cluster: Option<Arc<ClusterState>>,
    pub(crate) reporter: Arc<StatusReporter>,
    pub(crate) rings: RingMemory,
}

/// The signal that wakes the front out of its wait for sockets, and the handle that stops it.
pub(crate) fn front_signal(gateway: &Gateway) -> (Signal, StopHandle) {
    let waker = gateway.waker();
    // A lost wake only costs the time that the front blocks at the most.
    let signal = Signal::with_wake_hook(move || drop(waker.wake()));
    let stop = StopHandle::new(signal.clone());
    (signal, stop)
}

impl<S: Storage> Assembly<'_, S> {
    pub(crate) fn assemble(mut self) -> Result<Node<S>, NodeError> {
        // Whoever entered the orders that are open has lost the connection with the process, or the primary, before.
        if self.engine.status().open_order_count > 0 {
            self.gateway.cancel_orders_of_all_sessions();
        }
        if self.engine.status().session_count > 0 {
            self.gateway.lose_all_sessions();
        }
        let (wanted, found) =
            (self.options.gateway.connection_count_max, self.gateway.connection_count_max());
        if found < wanted {
            tracing::warn!(
                "{found} client connections instead of {wanted}: the process may not have more open files (ulimit -n, LimitNOFILE=)"
            );
        }
        let front_signal = self.front_signal;
        let stage_signal = Signal::new();
        let poison = Poison::new();
        poison.wake_on(&front_signal);
        poison.wake_on(&stage_signal);
        let shared = Shared {
            poison: poison.clone(),
            front_signal: front_signal.clone(),
            stage_signal: stage_signal.clone(),
            finished: Arc::new(AtomicBool::new(false)),
            idle: self.options.idle,
            cores: cores(),
        };

        let options = RingOptions::new(RING_CELLS).poisoned_with(&poison);
        let mut requests = options.allocate_in(self.rings.requests, Cell::ZERO)?;
        let journal_requests = requests.consumer("journal").add();
        let engine_requests = requests.consumer("engine").add();
        let released = [journal_requests.cursor(), engine_requests.cursor()];
        let applied = engine_requests.cursor();
        let requests = requests.single_producer()?;
        let (durable_writer, durable) = Cursor::new(0);

        let options = RingOptions::new(OUTPUT_RING_CELLS).poisoned_with(&poison);
        let mut outputs = options.allocate_in(self.rings.outputs, Cell::ZERO)?;
        let outputs_reader = outputs.consumer("reply").add();
        let outputs_released = outputs_reader.cursor();
        let outputs = outputs.single_producer()?;

        let state = Arc::new(JournalState::default());
        let progress = Arc::new(Progress::new(outputs.published()));
        let cursors = CursorsReader {
            requests: requests.stats(),
            outputs: outputs.stats(),
            durable: durable.clone(),
            journal: Arc::clone(&state),
            progress: Arc::clone(&progress),
        };
        self.reporter.watch_journal(Arc::new(cursors.clone()));
        let board = self.reporter.board();
        let report = EngineReport::new(Arc::clone(&board));
        let recovered = self.engine.status();
        let next_due_ns = self.engine.next_due_ns().unwrap_or(u64::MAX);
        let local_addr = self.gateway.local_addr();
        let layout = self.options.layout();
        let epoch = self.journal.epoch();
        let sequence_next = self.journal.next_sequence();
        let journal: SharedJournal<S> = Arc::new(Mutex::new(Some(JournalStage::new(
            self.journal,
            journal_requests,
            durable_writer,
            sequence_next,
            Arc::clone(&state),
            self.cluster.clone(),
        ))));
        let inline_commit = (self.options.inline_commit && layout == Layout::Fused)
            .then(|| InlineCommit::new(Box::new(Arc::clone(&journal)), Arc::clone(&state)));
        let front = Front::new(FrontParts {
            limits: limits(&self.genesis, &self.options.gateway),
            gateway: self.gateway,
            ingress: Ingress::new(
                requests,
                RING_CELLS,
                released,
                sequence_next - 1,
                self.genesis.digest_interval,
                self.options.wall_clock.clone(),
                self.clock,
            ),
            outputs: outputs_reader,
            durable,
            applied,
            engine_signal: (layout == Layout::Split).then(|| stage_signal.clone()),
            stage_signal,
            inline_commit,
            journal: state,
            progress,
            cluster: self.genesis.cluster,
            epoch,
            commit_sequence: match &self.cluster {
                None => sequence_next - 1,
                Some(cluster) => cluster.commit().min(sequence_next - 1),
            },
            cluster_state: self.cluster,
            next_due_ns,
            timestamp: recovered.timestamp,
            beat: FrontBeat::new(board, cursors.clone()),
        });
        Ok(Node {
            front,
            engine: EngineStage::new(
                self.engine,
                engine_requests,
                outputs,
                outputs_released,
                report,
            ),
            journal,
            stop: self.stop,
            shared,
            layout,
            local_addr,
            recovery: self.recovery,
            recovered,
            cursors,
            reporter: self.reporter,
            scrub: None,
        })
    }
}

/// What a hello's reply tells clients.
pub(crate) fn limits(genesis: &Genesis, gateway: &GatewayConfig) -> NodeLimits {
    let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    NodeLimits {
        frame_size_max: FRAME_SIZE_MAX as u32,
        events_max: EVENTS_MAX,
        window_requests: genesis.window_requests,
        window_bytes: genesis.window_bytes,
        partial_timeout_ms: milliseconds(gateway.partial_timeout),
        slow_reader_timeout_ms: milliseconds(gateway.slow_reader_timeout),
        reply_bytes_max: u32::try_from(gateway.reply_bytes_max).unwrap_or(u32::MAX),
        account_count_max: genesis.account_count_max,
        transfer_count_max: genesis.transfer_count_max,
        ..NodeLimits::default()
    }
}
