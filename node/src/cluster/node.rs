//! A node of a cluster from its files to its end.

use crate::cluster::links::{LinkOptions, Links};
use crate::cluster::operator::{JoinFacts, Operators};
use crate::cluster::pending::LogClock;
use crate::cluster::record::{ClusterRecord, policy_name};
use crate::cluster::recovery::LogReplay;
use crate::cluster::replication::{Handover, Replication, ReplicationEnd, ReplicationParts};
use crate::cluster::standby::{StandbyEnd, StandbyService, serve_standby};
use crate::cluster::state::ClusterState;
use crate::cluster::status::ClusterStatus;
use crate::cluster::worker::JournalWorker;
use crate::commit::SharedJournal;
use crate::error::NodeError;
use crate::format::random;
use crate::layout::StopHandle;
use crate::memory::check_address_space;
use crate::node::{
    Assembly, NodeOptions, RingMemory, check_listen, front_signal, journal_options, limits,
    lock_files,
};
use crate::recover::{RecoveryProgress, read_genesis};
use crate::scrub::ScrubPlan;
use crate::status::{ClusterFigures, NodeRole, StatusReporter};
use crossbeam::channel::{Receiver, Sender, bounded};
use mizan_engine::Engine;
use mizan_gateway::Gateway;
use mizan_journal::{
    FileStorage, Journal, LogReader, RecoveryReport, Storage, Superblock, cut_back, lock_directory,
};
use mizan_replica::constants::NODES_MAX;
use mizan_replica::{Options, Replica, Secret, Standing};
use mizan_ring::Signal;
use mizan_wire::{EngineStatus, Genesis};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How a node reaches the others.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it listens for nodes and operators.
    pub listen: SocketAddr,
    /// The other nodes' such addresses, in the order of their numbers.
    pub peers: Vec<SocketAddr>,
    /// The cluster's secret; `None` if it was formatted without one.
    pub secret: Option<Secret>,
    /// Keeps the log without applying it, until the node is promoted: cheaper, but a promotion then takes as long as
    /// that does, and the node's state is not compared with the primary's.
    pub journal_only: bool,
    /// Bytes per second that a node that lags is sent, so that clients do not notice.
    pub catch_up_rate: u64,
    /// What this node stood for when it ended to be opened again: [`RunEnd::Again`].
    pub standing: Option<Standing>,
}

/// The default of [`ClusterOptions::catch_up_rate`].
pub const CATCH_UP_RATE: u64 = 64 << 20;

/// Why a node ended in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunEnd {
    /// It was told to stop.
    Stopped,
    /// It is to be opened again: it was fenced, or its log was cut back.
    Again {
        /// What it stands for, to be handed to it in [`ClusterOptions::standing`]; a candidate never gives up by itself.
        standing: Option<Standing>,
    },
}

/// A node that has recovered and listens, but does not run yet.
pub struct ClusterNode<S: Storage = FileStorage> {
    options: NodeOptions,
    storage: Arc<S>,
    genesis: Genesis,
    gateway: Gateway,
    front_signal: Signal,
    stop: StopHandle,
    state: Arc<ClusterState>,
    local_addr: SocketAddr,
    cluster_addr: SocketAddr,
    record: ClusterRecord,
    recovery: RecoveryReport,
    recovered: EngineStatus,
    replication: ReplicationParts<S>,
    handover: Receiver<Handover<S>>,
    adopted: Sender<SharedJournal<S>>,
    stopped: Arc<AtomicBool>,
    reporter: Arc<StatusReporter>,
    /// For the pipeline, if this node is promoted.
    rings: RingMemory,
    scrub: ScrubPlan<S>,
}

impl ClusterNode<FileStorage> {
    /// Recovers the data directory and binds both sockets. Nothing is answered before [`ClusterNode::run`].
    ///
    /// # Errors
    /// As [`crate::Node::open`]; a directory of a node of its own; peers that do not fit the cluster.
    pub fn open(
        options: &NodeOptions,
        cluster: &ClusterOptions,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let (storage, lock) = lock_files(&options.data)?;
        let reporter = StatusReporter::for_directory(&options.data, options.metrics)?;
        Self::open_reporting(storage, lock, options, cluster, Arc::new(reporter), progress)
    }
}

/// The parts of a recovered node.
struct Recovered<S: Storage> {
    journal: Journal<S>,
    engine: Engine,
    report: RecoveryReport,
    replica: Replica,
    pending: crate::cluster::pending::Pending,
}

fn recover<S: Storage>(
    storage: &Arc<S>,
    lock: S::Lock,
    superblock: &Superblock,
    record: &ClusterRecord,
    genesis: &Genesis,
    secret: Secret,
    progress: &mut dyn FnMut(RecoveryProgress),
) -> Result<Recovered<S>, NodeError> {
    let options = journal_options(superblock);
    check_address_space(genesis, superblock.segment_size, options.segments_ahead)?;
    let mut replay = LogReplay::new(genesis, record, progress)?;
    let (mut journal, report) =
        Journal::open_locked(Arc::clone(storage), lock, &options, &mut replay)?;
    // Before anybody hears of it.
    journal.set_config(&record.encode())?;
    let (engine, learned) = replay.finish();
    let replica = Replica::new(Options {
        index: record.node,
        cluster: superblock.cluster,
        secret,
        incarnation: superblock.incarnation,
        starts: record.starts,
        process: random()?,
        base_config: record.config,
        records: learned.records,
        highest_epoch: superblock.highest_epoch,
        log: learned.log,
        commit: learned.commit,
    });
    Ok(Recovered { journal, engine, report, replica, pending: learned.pending })
}

fn addresses(
    record: &ClusterRecord,
    cluster: &ClusterOptions,
) -> Result<[Option<SocketAddr>; NODES_MAX], NodeError> {
    let others = usize::from(record.config.node_count) - 1;
    if cluster.peers.len() != others {
        return Err(NodeError::Options(format!(
            "node {} of a cluster of {} has {others} peers, and --peers names {}: give the other nodes' replication addresses in the order of their numbers",
            record.node,
            record.config.node_count,
            cluster.peers.len()
        )));
    }
    let mut addresses = [None; NODES_MAX];
    let numbers = (0..usize::from(record.config.node_count))
        .filter(|number| *number != usize::from(record.node));
    for (number, address) in numbers.zip(&cluster.peers) {
        addresses[number] = Some(*address);
    }
    Ok(addresses)
}

impl<S: Storage> ClusterNode<S> {
    /// As [`ClusterNode::open`], on any storage.
    ///
    /// # Errors
    /// As [`ClusterNode::open`].
    pub fn open_storage(
        storage: Arc<S>,
        options: &NodeOptions,
        cluster: &ClusterOptions,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let lock = lock_directory(&*storage)?;
        let reporter = StatusReporter::in_memory(options.metrics)?;
        Self::open_reporting(storage, lock, options, cluster, Arc::new(reporter), progress)
    }

    fn open_reporting(
        storage: Arc<S>,
        lock: S::Lock,
        options: &NodeOptions,
        cluster: &ClusterOptions,
        reporter: Arc<StatusReporter>,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        let superblock = Superblock::read(&*storage)?;
        let place = storage.describe();
        let record = ClusterRecord::decode(&place, &superblock.config)?.ok_or_else(|| {
            NodeError::Options(format!(
                "{place} is a node of its own: it has no peers; format a directory with --nodes to replicate"
            ))
        })?;
        record.check_secret(&place, superblock.cluster, cluster.secret.as_ref())?;
        let record = ClusterRecord { starts: record.starts.next(random()?), ..record };
        let addresses = addresses(&record, cluster)?;
        check_listen(options.gateway.listen)?;
        let secret = cluster.secret.unwrap_or_default();
        let listener = Links::listen(cluster.listen)?;
        let genesis = read_genesis(&place, &superblock.genesis)?;
        reporter.identify(&superblock, options.gateway.listen);
        let counters = reporter.cluster_counters();
        counters.set(&ClusterFigures {
            role: NodeRole::Waiting,
            epoch: superblock.highest_epoch,
            node_index: record.node,
            node_count: record.config.node_count,
            ..ClusterFigures::default()
        });
        let mut report = |step| {
            reporter.recovering(&step);
            progress(step);
        };
        let recovered =
            recover(&storage, lock, &superblock, &record, &genesis, secret, &mut report)?;
        let identity = recovered.replica.identity();
        let links = Links::new(listener, LinkOptions { identity, addresses })?;
        let gateway = Gateway::bind(options.gateway.clone())?;
        let (front_signal, stop) = front_signal(&gateway);
        let local_addr = gateway.local_addr();
        let cluster_addr = links.local_addr();
        let status = ClusterStatus {
            cluster: format!("{:#x}", superblock.cluster),
            node: record.node,
            nodes: record.config.node_count,
            role: "waiting".to_owned(),
            policy: policy_name(record.config.policy).to_owned(),
            clients: local_addr.to_string(),
            is_insecure: cluster.secret.is_none() && !cluster_addr.ip().is_loopback(),
            ..ClusterStatus::default()
        };
        let state =
            Arc::new(ClusterState::new(links.waker(), front_signal.clone(), status.clone()));
        let reader =
            LogReader::new(Arc::clone(&storage), superblock.cluster, superblock.segment_size);
        let facts = JoinFacts {
            cluster: superblock.cluster,
            genesis: superblock.genesis.clone(),
            record,
            segment_size: superblock.segment_size,
        };
        let (handover_sender, handover) = bounded(1);
        let (adopted, adopted_receiver) = bounded(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let engine_status = recovered.engine.status();
        let last_reading = recovered.pending.last_reading();
        reporter.opened(options.layout(), &engine_status);
        let scrub = ScrubPlan::of(&recovered.journal, options.scrub_rate);
        let worker = JournalWorker::start(recovered.journal, links.waker())?;
        reporter.watch_journal(worker.watched());
        Ok(Self {
            options: options.clone(),
            genesis,
            gateway,
            front_signal,
            stop,
            local_addr,
            cluster_addr,
            record,
            recovery: recovered.report,
            recovered: engine_status,
            replication: ReplicationParts {
                replica: recovered.replica,
                links,
                worker,
                engine: recovered.engine,
                pending: (!cluster.journal_only).then_some(recovered.pending),
                reader,
                state: Arc::clone(&state),
                stopped: Arc::clone(&stopped),
                handover: handover_sender,
                adopted: adopted_receiver,
                operators: Operators::new(facts),
                status,
                standing: cluster.standing,
                catch_up_rate: cluster.catch_up_rate,
                counters,
                log_clock: LogClock::new(last_reading),
                wall_clock: options.wall_clock.clone(),
                accept_clock: options.accept_clock,
            },
            reporter,
            storage,
            state,
            handover,
            adopted,
            stopped,
            rings: RingMemory::reserve(),
            scrub,
        })
    }

    /// The address that clients reach.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address that nodes and operators reach.
    #[must_use]
    pub const fn cluster_addr(&self) -> SocketAddr {
        self.cluster_addr
    }

    /// Where scrapers are answered, if anywhere.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.reporter.metrics_addr()
    }

    /// Who this node is.
    #[must_use]
    pub const fn record(&self) -> &ClusterRecord {
        &self.record
    }

    /// Stops the node from any thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// What recovery found in the journal.
    #[must_use]
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// The engine's state after recovery: up to what the log knows to be committed.
    #[must_use]
    pub const fn recovered(&self) -> &EngineStatus {
        &self.recovered
    }

    /// Follows, or leads after a promotion, until the node is stopped or must start again.
    ///
    /// # Errors
    /// The first stage's failure, or an alarm that stops the node.
    pub fn run(self) -> Result<RunEnd, NodeError> {
        let reporter = Arc::clone(&self.reporter);
        reporter.running();
        let end = self.follow_or_lead();
        reporter.ended(end.is_ok());
        end
    }

    fn follow_or_lead(self) -> Result<RunEnd, NodeError> {
        let reporter = self.reporter;
        let Self { options, storage, genesis, front_signal, stop, state, stopped, .. } = self;
        let (mut gateway, handover, adopted) = (self.gateway, self.handover, self.adopted);
        // Whatever becomes of this node, its files and segments stay the same, until it ends here.
        let scrubber = self.scrub.start(reporter.board());
        let watched = Arc::clone(&state);
        let parts = self.replication;
        let thread = std::thread::Builder::new()
            .name("mizan-replica".to_owned())
            .spawn(move || {
                let end = Replication::new(parts).run();
                // Whatever ended it, a primary without it acknowledges nothing more.
                watched.fence();
                end
            })
            .map_err(|source| NodeError::Io {
                what: "failed to start the thread mizan-replica".to_owned(),
                source,
            })?;
        let service = StandbyService {
            cluster: genesis.cluster,
            limits: limits(&genesis, &options.gateway),
            counters: reporter.cluster_counters(),
        };
        let served = serve_standby(&mut gateway, &service, &state, &front_signal, &stop, &handover);
        let front = match served {
            Ok(StandbyEnd::Promoted(handover)) => {
                let Handover { journal, engine, clock } = *handover;
                let recovery = self.recovery;
                let cluster = Some(Arc::clone(&state));
                let options = &options;
                let assembly = Assembly {
                    options,
                    genesis,
                    journal,
                    engine,
                    clock,
                    gateway,
                    recovery,
                    front_signal,
                    stop,
                    cluster,
                    reporter,
                    rings: self.rings,
                };
                lead(assembly, &adopted, &state)
            }
            Ok(StandbyEnd::Stopped | StandbyEnd::Ended) => {
                gateway.close_all();
                Ok(())
            }
            Err(error) => Err(error),
        };
        stopped.store(true, Ordering::Release);
        state.wake();
        drop(adopted);
        // Before anything is cut off: what was sealed then need not be any more.
        drop(scrubber);
        finish(thread, front, &*storage)
    }
}

/// Serves as primary until the node is stopped or fenced.
fn lead<S: Storage>(
    assembly: Assembly<'_, S>,
    adopted: &Sender<SharedJournal<S>>,
    state: &ClusterState,
) -> Result<(), NodeError> {
    let node = assembly.assemble()?;
    // The other side is gone only if it has ended, and then the front is fenced.
    let _ = adopted.send(node.journal());
    state.wake();
    node.run()
}

/// What the two threads' ends mean together.
fn finish<S: Storage>(
    thread: JoinHandle<Result<ReplicationEnd, NodeError>>,
    front: Result<(), NodeError>,
    storage: &S,
) -> Result<RunEnd, NodeError> {
    let lost = || NodeError::Options("the replication thread ended without a word".to_owned());
    let end = thread.join().map_err(|_| lost())?;
    match (end, front) {
        (Err(error), Ok(()) | Err(NodeError::Fenced)) => Err(error),
        (_, Err(error)) if !matches!(error, NodeError::Fenced) => Err(error),
        (Ok(ReplicationEnd::Cut { to: sequence, standing }), _) => {
            let report = cut_back(storage, sequence)?;
            if let Some((file, size)) = report.quarantined {
                tracing::warn!(
                    "the log was cut back to sequence {sequence}, which the primary shares: {size} bytes behind it were never acknowledged and are kept in {file}"
                );
            }
            Ok(RunEnd::Again { standing })
        }
        (Ok(ReplicationEnd::Left { standing }), _) => Ok(RunEnd::Again { standing }),
        (Ok(_), Err(_)) => Ok(RunEnd::Again { standing: None }),
        (Ok(ReplicationEnd::Stopped), Ok(())) => Ok(RunEnd::Stopped),
        (Err(error), Err(_)) => Err(error),
    }
}
