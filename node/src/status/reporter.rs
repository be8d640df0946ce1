//! A node's reporter: owns the board, the thread that shows it in a file, and the one that answers scrapers.
//!
//! It begins before the recovery, which is what people wait for, and says with its end how the node ended.

use super::alarm::{Alarm, Alarms};
use super::beat::store_beat;
use super::board::Board;
use super::cluster::{ClusterCounters, NodeRole};
use super::health::{Moment, boot_id, liveness, readiness};
use super::http::{HttpListener, Response};
use super::layout::word;
use super::metrics::metrics_page;
use super::mirror::Mirror;
use super::snapshot::{NodeStatus, Phase};
use super::stall::WatchedJournal;
use super::watch::{log_changes, warnings};
use super::watcher::{Watched, Watcher};
use crate::clock::Reading;
use crate::error::NodeError;
use crate::layout::Layout;
use crate::recover::RecoveryProgress;
use mizan_journal::Superblock;
use mizan_wire::EngineStatus;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The content type that scrapers expect.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// See the module.
pub(crate) struct StatusReporter {
    board: Arc<Board>,
    /// Where the file goes, if there is a directory.
    data: Option<PathBuf>,
    journal: Arc<Watched>,
    /// Begun once the files' lock is held.
    threads: OnceLock<Threads>,
    listener: Option<HttpListener>,
}

/// What runs beside the stages; `None` where it could not be started. The watch ends first, so that the last copy has
/// what it saw.
struct Threads {
    _watcher: Option<Watcher>,
    _mirror: Option<Mirror>,
}

impl StatusReporter {
    /// A reporter without a file, for storages that are no directory.
    pub(crate) fn in_memory(metrics: Option<SocketAddr>) -> Result<Self, NodeError> {
        let board = Arc::new(Board::new());
        let now = Reading::now();
        for (index, value) in [
            (word::PHASE, Phase::Recovering as u64),
            (word::PROCESS, std::process::id().into()),
            (word::ROLE, NodeRole::Single as u64),
            (word::STARTED_AT, now.realtime_ns),
            (word::STARTED_MONOTONIC, now.monotonic_ns),
        ] {
            board.set(index, value);
        }
        let boot = boot_id();
        board.set_wide([word::BOOT_LOW, word::BOOT_HIGH], boot);
        store_beat(&board, now);
        let listener = metrics.map(|listen| listen_at(listen, boot, Arc::clone(&board)));
        Ok(Self {
            board,
            data: None,
            journal: Arc::default(),
            threads: OnceLock::new(),
            listener: listener.transpose()?,
        })
    }

    /// A reporter that also shows itself in a file of this directory, once its lock is held.
    pub(crate) fn for_directory(
        data: &Path,
        metrics: Option<SocketAddr>,
    ) -> Result<Self, NodeError> {
        let mut reporter = Self::in_memory(metrics)?;
        reporter.data = Some(data.to_owned());
        Ok(reporter)
    }

    /// The board, for the stages.
    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Where the part that replicates stores its figures.
    pub(crate) fn cluster_counters(&self) -> ClusterCounters {
        ClusterCounters::new(self.board())
    }

    /// Where scrapers are answered.
    pub(crate) fn metrics_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(HttpListener::local_addr)
    }

    /// What the board shows.
    pub(crate) fn status(&self) -> NodeStatus {
        NodeStatus::of(&self.board.glimpse())
    }

    /// Says whose files they are, and whether whoever reaches the listener can move money.
    pub(crate) fn identify(&self, superblock: &Superblock, listen: SocketAddr) {
        let board = &self.board;
        board.set_wide([word::CLUSTER_LOW, word::CLUSTER_HIGH], superblock.cluster);
        board.set(word::NODE, superblock.node);
        board.set(word::INCARNATION, superblock.incarnation);
        board.set(word::EPOCH, superblock.highest_epoch);
        let alarms = Alarms::NONE.with(Alarm::Insecure, !listen.ip().is_loopback());
        board.set(word::NODE_ALARMS, alarms.bits());
    }

    /// A step of the recovery, which holds the lock.
    pub(crate) fn recovering(&self, progress: &RecoveryProgress) {
        self.board.set(word::RECOVERY_DONE, progress.bytes_done);
        self.board.set(word::RECOVERY_TOTAL, progress.bytes_total);
        self.board.set(word::APPLIED, progress.entries);
        store_beat(&self.board, Reading::now());
        self.show();
    }

    /// The recovery is over, and the lock is held.
    pub(crate) fn opened(&self, layout: Layout, engine: &EngineStatus) {
        let board = &self.board;
        board.set(word::LAYOUT, if layout == Layout::Fused { 1 } else { 2 });
        for index in [word::PUBLISHED, word::APPENDED, word::DURABLE, word::COMMIT] {
            board.set(index, engine.sequence);
        }
        super::EngineReport::new(self.board()).store(engine);
        board.set(word::PHASE, Phase::Opened as u64);
        store_beat(board, Reading::now());
        self.show();
    }

    /// From now on this journal is watched: whether it waits for a disk that hangs.
    pub(crate) fn watch_journal(&self, journal: Arc<dyn WatchedJournal>) {
        *self.journal.lock() = Some(journal);
    }

    /// The stages begin.
    pub(crate) fn running(&self) {
        store_beat(&self.board, Reading::now());
        self.board.set(word::PHASE, Phase::Running as u64);
    }

    /// The stages have ended because another node leads: this one starts again from its files, when its disk lets it.
    pub(crate) fn fenced(&self) {
        self.board.set(word::PHASE, Phase::Stopping as u64);
    }

    /// The stages have ended.
    pub(crate) fn ended(&self, in_order: bool) {
        let phase = if in_order { Phase::Stopped } else { Phase::Failed };
        self.board.set(word::PHASE, phase as u64);
        *self.journal.lock() = None;
    }

    /// Begins to watch the alarms and to show the counters, if it was not begun.
    fn show(&self) {
        self.threads.get_or_init(|| {
            let watcher = Watcher::start(self.board(), Arc::clone(&self.journal), log_changes);
            let mirror = self.data.as_deref().map(|data| Mirror::start(self.board(), data));
            Threads {
                _watcher: started("watches the alarms", watcher),
                _mirror: mirror.and_then(|mirror| started("shows the counters", mirror)),
            }
        });
    }
}

fn started<T>(what: &str, thread: std::io::Result<T>) -> Option<T> {
    thread.inspect_err(|error| tracing::warn!("no thread {what}: {error}")).ok()
}

impl Drop for StatusReporter {
    fn drop(&mut self) {
        match NodeStatus::of(&self.board.glimpse()).phase {
            Phase::Stopped | Phase::Failed => {}
            // Closed before it served.
            Phase::Opened => self.ended(true),
            _ => self.ended(false),
        }
    }
}

fn listen_at(listen: SocketAddr, boot: u128, board: Arc<Board>) -> Result<HttpListener, NodeError> {
    HttpListener::start(listen, move |path| answer(path, &board, boot)).map_err(|source| {
        NodeError::listen(listen, &format!("failed to listen for scrapers at {listen}"), source)
    })
}

fn answer(path: &str, board: &Board, boot: u128) -> Response {
    let status = NodeStatus::of(&board.glimpse());
    let now = Moment { monotonic_ns: Reading::now().monotonic_ns, boot };
    match path {
        "/metrics" => {
            Response { status: 200, content_type: METRICS_TYPE, body: metrics_page(&status, &now) }
        }
        "/livez" => probe("live", &liveness(&status, &now)),
        "/readyz" => ready_page(&status, &now),
        _ => Response::plain(404, "there are /metrics, /livez and /readyz\n"),
    }
}

/// Ready or not, what is nearly full is said long before.
fn ready_page(status: &NodeStatus, now: &Moment) -> Response {
    let mut page = probe("ready", &readiness(status, now));
    for warning in warnings(status) {
        page.body.push_str(&format!("warning: {warning}\n"));
    }
    page
}

fn probe(good: &str, reasons: &[String]) -> Response {
    if reasons.is_empty() {
        return Response::plain(200, format!("{good}\n"));
    }
    let lines: Vec<String> = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    Response::plain(503, lines.concat())
}
