//! A scratch cluster: two or three nodes in processes of their own, cables between them, and an operator.
//!
//! Invariants: a node of the higher number reaches a lower one only through their cable, so that it can be cut; every
//! wait has a deadline and ends early when the verb is asked to stop; nothing outlives the value.

use super::power::Disk;
use super::proxy::{Direction, Proxy};
use crate::error::CliError;
use crate::exit;
use crate::fault::{self, Fault};
use crate::files::{node_error, with_causes};
use crate::scratch::{Replication, ScratchNode};
use crate::secret;
use crate::signals::Signals;
use mizan_journal::JournalIo;
use mizan_node::FormatOptions;
use mizan_node::cluster::{
    AdminReply, AdminRequest, ClusterStatus, JoinInfo, Policy, Secret, ask, format_first,
    format_join,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long something that must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a wait looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// How long a node may take to answer an operator.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// Accounts and further tables have room for this many.
const SPARE: u64 = 10_000;
/// Log entries between two digests: a drill is short, and its digests shall be compared.
const DIGEST_INTERVAL: u32 = 64;

/// What a cluster is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterPlan {
    pub(crate) nodes: u8,
    pub(crate) policy: Policy,
    pub(crate) transfer_count_max: u64,
    pub(crate) segment_size: u64,
    /// Whether clients reach the nodes through cables, too.
    pub(crate) has_client_cables: bool,
    /// Whether the disks can be made to fail: see [`Cluster::set_fault`].
    pub(crate) has_faults: bool,
    /// Whether each node has a file system of its own, whose power can be cut.
    pub(crate) has_disks: bool,
    pub(crate) journal_io: JournalIo,
}

impl ClusterPlan {
    /// So many nodes under the default policy.
    pub(crate) const fn of(nodes: u8) -> Self {
        Self {
            nodes,
            policy: Policy::TwoDisks,
            transfer_count_max: 600_000,
            segment_size: 4 << 20,
            has_client_cables: false,
            has_faults: false,
            has_disks: false,
            journal_io: JournalIo::Mmap,
        }
    }
}

/// Waits until something holds; `what` says what, for the error.
///
/// # Errors
/// It did not come to hold in time, or the verb is asked to stop.
pub(crate) fn wait_until(
    signals: &Signals,
    what: &str,
    mut holds: impl FnMut() -> Result<bool, CliError>,
) -> Result<Duration, CliError> {
    let begin = Instant::now();
    loop {
        if holds()? {
            return Ok(begin.elapsed());
        }
        if begin.elapsed() >= PATIENCE {
            return Err(CliError::Problem(format!(
                "waited {} s in vain until {what}",
                PATIENCE.as_secs()
            )));
        }
        signals.check()?;
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// What a promotion came to, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promoted {
    pub(crate) epoch: u64,
    /// From the question to the answer, as the operator waits.
    pub(crate) wall: Duration,
    /// As the node says.
    pub(crate) took: Duration,
    pub(crate) at: Instant,
}

/// A cable between the nodes `low` and `high`; the higher one dials.
struct Cable {
    low: u8,
    high: u8,
    proxy: Proxy,
}

/// See the module.
pub(crate) struct Cluster<'s> {
    // The order matters: processes end before disks and cables, and those before the directory.
    nodes: Vec<ScratchNode>,
    disks: Vec<Disk>,
    cables: Vec<Cable>,
    client_cables: Vec<Proxy>,
    secret: Secret,
    secret_file: PathBuf,
    plan: ClusterPlan,
    signals: &'s Signals,
    directory: TempDir,
}

impl<'s> Cluster<'s> {
    /// Formats and starts all nodes, promotes node 0, and waits until all are in sync.
    ///
    /// # Errors
    /// No room, or a node that does not come up.
    pub(crate) fn start(plan: ClusterPlan, signals: &'s Signals) -> Result<Self, CliError> {
        let io =
            |source| CliError::File { what: "cannot make a scratch cluster".to_owned(), source };
        let directory = tempfile::Builder::new().prefix("mizan-drill-").tempdir().map_err(io)?;
        let secret_file = directory.path().join("secret");
        let secret = secret::read_or_make(&secret_file)?;
        let mut cables = Vec::new();
        for high in 1..plan.nodes {
            for low in 0..high {
                cables.push(Cable { low, high, proxy: Proxy::start().map_err(io)? });
            }
        }
        let client_cables = if plan.has_client_cables { plan.nodes } else { 0 };
        let client_cables: Result<Vec<Proxy>, std::io::Error> =
            (0..client_cables).map(|_| Proxy::start()).collect();
        let disks: Result<Vec<Disk>, String> = (0..if plan.has_disks { plan.nodes } else { 0 })
            .map(|number| Disk::make(directory.path(), &format!("disk-{number}")))
            .collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            disks: disks.map_err(CliError::Problem)?,
            cables,
            client_cables: client_cables.map_err(io)?,
            secret,
            secret_file,
            plan,
            signals,
            directory,
        };
        cluster.format_and_start()?;
        cluster.promote(0, false)?;
        cluster.await_in_sync(0, &cluster.all_but(&[0]))?;
        Ok(cluster)
    }

    fn format_and_start(&mut self) -> Result<(), CliError> {
        let limits = FormatOptions {
            account_count_max: SPARE,
            transfer_count_max: self.plan.transfer_count_max,
            hold_count_max: SPARE,
            session_count_max: 64,
            digest_interval: DIGEST_INTERVAL,
            segment_size: self.plan.segment_size,
            journal_io: self.plan.journal_io,
            ..FormatOptions::new(self.data(0))
        };
        format_first(&limits, self.plan.nodes, self.plan.policy, Some(&self.secret))
            .map_err(|error| node_error(&error))?;
        for number in 0..self.plan.nodes {
            if number > 0 {
                self.format_from(0, number)?;
            }
            let replication =
                Replication { peers: self.peers(number), secret_file: self.secret_file.clone() };
            let mut node = ScratchNode::of_cluster(self.data(number), replication);
            if self.plan.has_faults {
                node.set_arguments(vec!["--faults".into(), self.fault_file(number).into()]);
            }
            self.nodes.push(node);
            self.start_node(number)?;
        }
        Ok(())
    }

    /// The addresses under which a node knows the others: cables to those of lower numbers; higher ones dial it.
    fn peers(&self, number: u8) -> Vec<SocketAddr> {
        let others = (0..self.plan.nodes).filter(|other| *other != number);
        others.map(|other| self.cable(other, number).proxy.address()).collect()
    }

    fn cable(&self, one: u8, other: u8) -> &Cable {
        let (low, high) = (one.min(other), one.max(other));
        let mut cables = self.cables.iter();
        cables
            .find(|cable| (cable.low, cable.high) == (low, high))
            .expect("invariant: every pair of nodes has a cable")
    }

    /// Makes a new disk for a node, as `mizan format --join` does.
    ///
    /// # Errors
    /// The node that is asked refuses, or there is no room.
    pub(crate) fn format_from(&self, asked: u8, number: u8) -> Result<(), CliError> {
        let request = AdminRequest::Join { node: Some(number) };
        let info: JoinInfo = match self.ask(asked, &request)? {
            AdminReply::Join(info) => *info,
            reply => return Err(unexpected(asked, &reply)),
        };
        format_join(&self.data(number), self.plan.journal_io, &info)
            .map(drop)
            .map_err(|error| node_error(&error))
    }

    /// Starts a node that does not run, and plugs its cables in.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) fn start_node(&mut self, number: u8) -> Result<Duration, CliError> {
        let signals = self.signals;
        let took = self.node_mut(number).start(signals)?;
        let (replicate, listen) =
            (self.node(number).replica_address(), self.node(number).address());
        for cable in self.cables.iter().filter(|cable| cable.low == number) {
            cable.proxy.set_target(replicate);
        }
        if let Some(cable) = self.client_cables.get(usize::from(number)) {
            cable.set_target(listen);
        }
        Ok(took)
    }

    pub(crate) fn node(&self, number: u8) -> &ScratchNode {
        &self.nodes[usize::from(number)]
    }

    pub(crate) fn node_mut(&mut self, number: u8) -> &mut ScratchNode {
        &mut self.nodes[usize::from(number)]
    }

    /// The directory of a node.
    pub(crate) fn data(&self, number: u8) -> PathBuf {
        if let Some(disk) = self.disks.get(usize::from(number)) {
            return disk.data();
        }
        self.directory.path().join(format!("node-{number}"))
    }

    fn fault_file(&self, number: u8) -> PathBuf {
        self.directory.path().join(format!("fault-{number}"))
    }

    /// What a node's disk does from the next sync on; `None` makes it sound again.
    ///
    /// # Errors
    /// The file that says it cannot be written.
    pub(crate) fn set_fault(&self, number: u8, fault: Option<Fault>) -> Result<(), CliError> {
        fault::set(&self.fault_file(number), fault)
    }

    /// Deletes a node's files.
    ///
    /// # Errors
    /// They cannot be deleted.
    pub(crate) fn wipe(&self, number: u8) -> Result<(), CliError> {
        let data = self.data(number);
        std::fs::remove_dir_all(&data).map_err(|source| CliError::File {
            what: format!("cannot delete {}", data.display()),
            source,
        })
    }

    /// The scratch directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Keeps the files when the cluster goes.
    pub(crate) fn keep(&mut self) {
        self.directory.disable_cleanup(true);
    }

    /// Where clients reach the nodes, by number.
    pub(crate) fn client_addresses(&self) -> Vec<SocketAddr> {
        if self.client_cables.is_empty() {
            return self.nodes.iter().map(ScratchNode::address).collect();
        }
        self.client_cables.iter().map(Proxy::address).collect()
    }

    /// The numbers of all nodes but these.
    pub(crate) fn all_but(&self, others: &[u8]) -> Vec<u8> {
        (0..self.plan.nodes).filter(|number| !others.contains(number)).collect()
    }

    // Power, of clusters whose plan has disks.

    /// Cuts the power of these nodes at once: what they did not sync is gone.
    ///
    /// # Errors
    /// The file system cannot be shut down, or a process cannot be killed.
    pub(crate) fn cut_power(&mut self, numbers: &[u8]) -> Result<(), CliError> {
        for number in numbers {
            self.disks[usize::from(*number)].cut_power().map_err(CliError::Problem)?;
        }
        numbers.iter().try_for_each(|number| self.node_mut(*number).kill9())
    }

    /// Mounts the disks again and starts the nodes.
    ///
    /// # Errors
    /// The file system cannot be mounted, or a node does not come up.
    pub(crate) fn power_on(&mut self, numbers: &[u8]) -> Result<(), CliError> {
        for number in numbers {
            self.disks[usize::from(*number)].power_on().map_err(CliError::Problem)?;
            self.start_node(*number)?;
        }
        Ok(())
    }

    // The network.

    /// Drops what `from` sends to `to`, without a word.
    pub(crate) fn drop_silently(&self, from: u8, to: u8) {
        let direction = if from > to { Direction::Up } else { Direction::Down };
        self.cable(from, to).proxy.drop_silently(direction);
    }

    /// Cuts a node off from all others in both directions, without a word.
    pub(crate) fn isolate(&self, number: u8) {
        for other in self.all_but(&[number]) {
            self.drop_silently(number, other);
            self.drop_silently(other, number);
        }
    }

    /// Drops what passes between a node and its clients, without a word.
    pub(crate) fn isolate_from_clients(&self, number: u8) {
        if let Some(cable) = self.client_cables.get(usize::from(number)) {
            cable.drop_silently(Direction::Up);
            cable.drop_silently(Direction::Down);
        }
    }

    /// Closes the cables of a node.
    pub(crate) fn unplug(&self, number: u8) {
        for other in self.all_but(&[number]) {
            self.cable(number, other).proxy.close();
        }
    }

    /// Makes all cables whole.
    pub(crate) fn heal(&self) {
        self.cables.iter().for_each(|cable| cable.proxy.heal());
        self.client_cables.iter().for_each(Proxy::heal);
    }

    /// The cable through which clients reach a node.
    pub(crate) fn client_cable(&self, number: u8) -> Option<&Proxy> {
        self.client_cables.get(usize::from(number))
    }

    // The operator.

    /// Asks a node as an operator does.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(crate) fn ask(&self, number: u8, request: &AdminRequest) -> Result<AdminReply, CliError> {
        match ask(self.node(number).replica_address(), self.secret, request, ANSWER_MAX) {
            Ok(AdminReply::Refused { name, text }) => Err(CliError::failed(
                exit::STATE,
                format!("node {number} refused ({name}): {text}"),
            )),
            Ok(reply) => Ok(reply),
            Err(error) => Err(CliError::failed(exit::UNREACHABLE, with_causes(&error))),
        }
    }

    /// `mizan promote` of this node.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) fn promote(&self, number: u8, solo: bool) -> Result<Promoted, CliError> {
        self.promote_with(number, solo, None)
    }

    /// `mizan promote` of this node as soon as it succeeds: the nodes have to find each other, and a sync that is under
    /// way has to end before its node can grant.
    ///
    /// # Errors
    /// It still refuses after [`PATIENCE`].
    pub(crate) fn promote_soon(&self, number: u8) -> Result<Promoted, CliError> {
        let mut last = Err(CliError::Problem("nobody was asked".to_owned()));
        let waited = self.wait_until("the promotion succeeds", || {
            last = self.promote(number, false);
            Ok(last.is_ok())
        });
        if last.is_ok() { last } else { waited.and(last) }
    }

    /// `mizan promote` with all that it takes.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) fn promote_with(
        &self,
        number: u8,
        solo: bool,
        accept_loss_after: Option<u64>,
    ) -> Result<Promoted, CliError> {
        let request = AdminRequest::Promote {
            expect_epoch: None,
            solo,
            accept_loss_after,
            accept_clock: false,
        };
        let begin = Instant::now();
        match self.ask(number, &request)? {
            AdminReply::Promoted { epoch, took_us, .. } => Ok(Promoted {
                epoch,
                wall: begin.elapsed(),
                took: Duration::from_micros(took_us),
                at: Instant::now(),
            }),
            reply => Err(unexpected(number, &reply)),
        }
    }

    /// `mizan promote` of a node that must refuse; gives the refusal's text, `None` if it was promoted.
    pub(crate) fn refusal(&self, number: u8, solo: bool) -> Option<String> {
        self.promote(number, solo).err().map(|error| error.to_string())
    }

    /// `mizan status --replica` of one node.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn status(&self, number: u8) -> Result<ClusterStatus, CliError> {
        match self.ask(number, &AdminRequest::Status)? {
            AdminReply::Status(status) => Ok(*status),
            reply => Err(unexpected(number, &reply)),
        }
    }

    /// The status of a node that may be starting again from its files, as one does that was fenced.
    ///
    /// # Errors
    /// It does not answer in time.
    pub(crate) fn status_soon(&self, number: u8) -> Result<ClusterStatus, CliError> {
        self.wait_until(&format!("node {number} answers"), || Ok(self.status(number).is_ok()))?;
        self.status(number)
    }

    /// Waits until something holds; `what` says what, for the error.
    ///
    /// # Errors
    /// It did not come to hold in time, or the verb is asked to stop.
    pub(crate) fn wait_until(
        &self,
        what: &str,
        holds: impl FnMut() -> Result<bool, CliError>,
    ) -> Result<Duration, CliError> {
        wait_until(self.signals, what, holds)
    }

    /// Waits until a standby has noticed that its primary is gone: the connection ended, or it is silent.
    ///
    /// # Errors
    /// As [`Cluster::wait_until`].
    pub(crate) fn await_notice(&self, number: u8) -> Result<Instant, CliError> {
        self.wait_until("a standby notices the loss of its primary", || {
            let status = self.status(number)?;
            let is_silent = status.alarms.iter().any(|alarm| alarm.name == "primary-silent");
            Ok(is_silent || !matches!(status.role.as_str(), "live" | "catching-up"))
        })?;
        Ok(Instant::now())
    }

    /// Waits until the primary acknowledges with the copies of its policy, and these others are in sync.
    ///
    /// # Errors
    /// As [`Cluster::wait_until`].
    pub(crate) fn await_in_sync(&self, primary: u8, others: &[u8]) -> Result<Duration, CliError> {
        self.wait_until(&format!("the nodes {others:?} are in sync with node {primary}"), || {
            let Ok(status) = self.status(primary) else { return Ok(false) };
            let is_in_sync =
                |other: &u8| status.peers.iter().any(|peer| peer.node == *other && peer.is_in_sync);
            Ok(status.role == "primary"
                && status.min_sync == status.min_sync_base
                && others.iter().all(is_in_sync))
        })
    }

    /// Waits until these nodes have all that the primary has, applied and known to be committed; nothing is sent.
    ///
    /// # Errors
    /// As [`Cluster::wait_until`].
    pub(crate) fn await_equal(&self, primary: u8, others: &[u8]) -> Result<Duration, CliError> {
        self.wait_until(&format!("the nodes {others:?} have all of node {primary}"), || {
            let Ok(leading) = self.status(primary) else { return Ok(false) };
            if leading.role != "primary" || leading.commit != leading.end {
                return Ok(false);
            }
            Ok(others.iter().all(|other| {
                self.status(*other)
                    .is_ok_and(|status| status.role == "live" && status.applied == leading.end)
            }))
        })
    }

    /// Stops these nodes in order, in this order.
    ///
    /// # Errors
    /// One does not stop.
    pub(crate) fn terminate(&mut self, numbers: &[u8]) -> Result<(), CliError> {
        numbers.iter().try_for_each(|number| self.node_mut(*number).terminate().map(drop))
    }

    /// What the nodes that run have said, for whoever looks into a failure.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = self.nodes.iter().zip(0..).map(|(node, number)| (number, node.said()));
        said.filter(|(_, said)| !said.is_empty())
            .map(|(number, said)| format!("node {number} said: {said}"))
            .collect()
    }
}

fn unexpected(number: u8, reply: &AdminReply) -> CliError {
    CliError::failed(
        exit::VERSION,
        format!("node {number} gave an answer of another kind: {reply:?}"),
    )
}
