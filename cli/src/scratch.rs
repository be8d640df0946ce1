//! A node of one's own: a child process of this very binary, in a directory that goes away again.
//!
//! Invariants: the child never outlives its [`ScratchNode`]; a directory that was made here is deleted with it, unless
//! it is to be kept; every wait has a deadline, and is cut short when the verb is asked to stop.
//!
//! What is absent: any other way to the node than its addresses, its files and signals. What is shown with it holds for
//! every node.

use crate::error::CliError;
use crate::exit;
use crate::files::node_error;
use crate::signals::Signals;
use mizan_node::FormatOptions;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a child may take until it listens; a large journal is replayed within it.
const READY_MAX: Duration = Duration::from_secs(120);
/// How long a child may take to stop in order.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How often a wait looks whether the verb is asked to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Bytes of the child's standard error that are kept for messages.
const TALK_SIZE_MAX: usize = 16 * 1024;
/// What a node prints before its address when it is ready.
const READY_WORD: &str = "listening ";
/// What a node of a cluster prints before that: where the others reach it.
const REPLICATING_WORD: &str = "replicating ";

/// Settings that a child must not take over: it gets all that matters as flags.
const VARIABLES: [&str; 10] = [
    "MIZAN_CONFIG",
    "MIZAN_DATA",
    "MIZAN_LISTEN",
    "MIZAN_LAYOUT",
    "MIZAN_CLUSTER",
    "MIZAN_ADDRESS",
    "MIZAN_REPLICATE",
    "MIZAN_PEERS",
    "MIZAN_SECRET_FILE",
    "MIZAN_METRICS",
];

/// What a scratch node is made of.
#[derive(Clone, Debug)]
pub struct ScratchOptions {
    /// The limits; the directory in it is chosen by [`ScratchNode::format`].
    pub limits: FormatOptions,
    /// Where the files go; `None` for a new directory among the system's temporary ones.
    pub data: Option<PathBuf>,
    /// Whether the files stay.
    pub keep: bool,
    /// The layout, as `mizan start --layout` takes it.
    pub layout: Option<String>,
}

/// What a node of a cluster is started with besides.
#[derive(Clone, Debug)]
pub struct Replication {
    /// The other nodes' replication addresses, in the order of their numbers.
    pub peers: Vec<SocketAddr>,
    /// The file with the cluster's secret.
    pub secret_file: PathBuf,
}

/// A node in a process of its own.
pub struct ScratchNode {
    // The order matters: the process must be gone before its directory is.
    process: Option<Process>,
    layout: Option<String>,
    data: PathBuf,
    listen: SocketAddr,
    replication: Option<Replication>,
    replicate: SocketAddr,
    /// Further arguments of `mizan start`.
    arguments: Vec<OsString>,
    _directory: Option<TempDir>,
}

/// Where a node that is ready listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    listen: SocketAddr,
    replicate: Option<SocketAddr>,
}

struct Process {
    child: Child,
    talk: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl ScratchNode {
    /// Formats a directory; nothing runs yet.
    ///
    /// # Errors
    /// No room for it, or limits that make no sense.
    pub fn format(options: ScratchOptions) -> Result<Self, CliError> {
        let (directory, data) = match &options.data {
            Some(data) => (None, data.clone()),
            None => {
                let directory = tempfile::Builder::new()
                    .prefix("mizan-")
                    .disable_cleanup(options.keep)
                    .tempdir()
                    .map_err(|source| CliError::File {
                        what: "cannot make a temporary directory".to_owned(),
                        source,
                    })?;
                let data = directory.path().to_owned();
                (Some(directory), data)
            }
        };
        let limits = FormatOptions { data: data.clone(), ..options.limits.clone() };
        mizan_node::format(&limits).map_err(|error| node_error(&error))?;
        Ok(Self { layout: options.layout, _directory: directory, ..Self::of_files(data) })
    }

    /// A node of a cluster, whose files are there and stay; nothing runs yet.
    #[must_use]
    pub fn of_cluster(data: PathBuf, replication: Replication) -> Self {
        Self { replication: Some(replication), ..Self::of_files(data) }
    }

    fn of_files(data: PathBuf) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            process: None,
            layout: None,
            data,
            listen: any_port,
            replication: None,
            replicate: any_port,
            arguments: Vec::new(),
            _directory: None,
        }
    }

    /// Further arguments of `mizan start`, from the next start on.
    pub fn set_arguments(&mut self, arguments: Vec<OsString>) {
        self.arguments = arguments;
    }

    /// Starts the node and waits until it listens; later starts take the first one's port. Returns how long it took.
    ///
    /// # Errors
    /// The node ended or was not ready in time; the error has what it said.
    pub fn start(&mut self, signals: &Signals) -> Result<Duration, CliError> {
        let begin = Instant::now();
        let mut command = self.command()?;
        // A Ctrl-C in the terminal is for the parent, which stops its child in its own time.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|source| CliError::File { what: "cannot start a node".to_owned(), source })?;
        let talk = Arc::new(Mutex::new(Vec::new()));
        let process = self.process.insert(Process { child, talk, reader: None });
        let ready = process.listen();
        let addresses = self.await_ready(&ready, signals)?;
        self.listen = addresses.listen;
        self.replicate = addresses.replicate.unwrap_or(self.replicate);
        Ok(begin.elapsed())
    }

    fn command(&self) -> Result<Command, CliError> {
        let program = std::env::current_exe().map_err(|source| CliError::File {
            what: "cannot find this program's own file".to_owned(),
            source,
        })?;
        let mut command = Command::new(program);
        command.arg("start").arg("--data").arg(&self.data);
        command.args(["--listen", &self.listen.to_string(), "--stop-with-stdin"]);
        if let Some(layout) = &self.layout {
            command.args(["--layout", layout]);
        }
        if let Some(replication) = &self.replication {
            let peers: Vec<String> = replication.peers.iter().map(ToString::to_string).collect();
            command.args(["--replicate", &self.replicate.to_string()]);
            command.args(["--peers", &peers.join(",")]);
            command.arg("--secret-file").arg(&replication.secret_file);
        }
        command.args(&self.arguments);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        Ok(command)
    }

    fn await_ready(
        &mut self,
        ready: &Receiver<Addresses>,
        signals: &Signals,
    ) -> Result<Addresses, CliError> {
        let until = Instant::now() + READY_MAX;
        loop {
            match ready.recv_timeout(LOOK_INTERVAL) {
                Ok(addresses) => return Ok(addresses),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => signals.check()?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failed("was not ready in time"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.wait(STOP_MAX)?;
                    return Err(self.failed(&format!("ended at its start ({status})")));
                }
            }
        }
    }

    /// Kills the process as a power cut would: nothing is told to it.
    ///
    /// # Errors
    /// The process cannot be killed.
    pub fn kill9(&mut self) -> Result<(), CliError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process
            .child
            .kill()
            .and_then(|()| process.child.wait())
            .map(drop)
            .map_err(|source| CliError::File { what: "cannot kill the node".to_owned(), source })
    }

    /// Asks the process to stop, and waits until it has. Returns how long it took.
    ///
    /// # Errors
    /// It did not stop in time, or not in order.
    pub fn terminate(&mut self) -> Result<Duration, CliError> {
        let begin = Instant::now();
        self.send(Signal::TERM);
        let status = self.wait(STOP_MAX)?;
        if !status.success() {
            return Err(self.failed(&format!("did not stop in order ({status})")));
        }
        self.process = None;
        Ok(begin.elapsed())
    }

    /// Stops the process's clocks and sockets without a word, as an overloaded or suspended machine does.
    pub fn pause(&self) {
        self.send(Signal::STOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // An error says that it has ended already, which whoever waits for it finds out.
            let _ = kill_process(Pid::from_child(&process.child), signal);
        }
    }

    /// Limits the size of every file that the process writes, as a full disk does; `None` lifts the limit.
    ///
    /// # Errors
    /// The process has ended, or the system refuses.
    pub fn limit_file_size(&self, size_max: Option<u64>) -> Result<(), CliError> {
        let Some(process) = &self.process else {
            return Err(CliError::failed(exit::STATE, "the scratch node does not run"));
        };
        // Only the soft limit: the hard one, which the child took over from here, could not be raised again.
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit { current: size_max.or(maximum), maximum };
        prlimit(Some(Pid::from_child(&process.child)), Resource::Fsize, limit).map(drop).map_err(
            |source| CliError::File {
                what: "cannot limit the node's files".to_owned(),
                source: source.into(),
            },
        )
    }

    /// Waits until the process has ended by itself; says how, and what it said.
    ///
    /// # Errors
    /// It has not ended in time.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<(ExitStatus, String), CliError> {
        let status = self.wait(timeout)?;
        let said = self.process.take().map(|process| process.said()).unwrap_or_default();
        Ok((status, said))
    }

    fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, CliError> {
        let Some(process) = &mut self.process else {
            return Err(CliError::failed(exit::STATE, "the scratch node does not run"));
        };
        let until = Instant::now() + timeout;
        loop {
            let ended = process.child.try_wait().map_err(|source| CliError::File {
                what: "cannot wait for the node".to_owned(),
                source,
            })?;
            if let Some(status) = ended {
                if let Some(reader) = process.reader.take() {
                    // Now everything that it said can be told; a reader that panicked has read nothing.
                    let _ = reader.join();
                }
                return Ok(status);
            }
            if Instant::now() >= until {
                return Err(self.failed("did not end in time"));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.child.try_wait(), Ok(None)))
    }

    /// Where the node listens, or listened last.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where the other nodes of its cluster reach it.
    #[must_use]
    pub const fn replica_address(&self) -> SocketAddr {
        self.replicate
    }

    /// The node's directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The id of the node's process.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// The last words of the node's process.
    #[must_use]
    pub fn said(&self) -> String {
        let said = self.process.as_ref().map(Process::said).unwrap_or_default();
        said.trim().to_owned()
    }

    /// An error about this node, with the last words that it said.
    #[must_use]
    pub fn failed(&self, what: &str) -> CliError {
        let said = self.said();
        if said.is_empty() {
            CliError::Problem(format!("the scratch node {what}"))
        } else {
            CliError::Problem(format!("the scratch node {what}; it said: {said}"))
        }
    }
}

impl Process {
    /// Reads the child's output from now on; the channel gets the addresses when it listens.
    fn listen(&mut self) -> Receiver<Addresses> {
        let (sender, ready) = channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || {
                let mut replicate = None;
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(Ok(address)) = line.strip_prefix(REPLICATING_WORD).map(str::parse) {
                        replicate = Some(address);
                    }
                    if let Some(Ok(listen)) = line.strip_prefix(READY_WORD).map(str::parse) {
                        // Nobody waits any more if the start was given up.
                        let _ = sender.send(Addresses { listen, replicate });
                    }
                }
            });
        }
        if let Some(mut stderr) = self.child.stderr.take() {
            let talk = Arc::clone(&self.talk);
            self.reader = Some(std::thread::spawn(move || {
                let mut chunk = [0; 1024];
                while let Ok(length @ 1..) = stderr.read(&mut chunk) {
                    let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
                    talk.extend_from_slice(&chunk[..length]);
                    let excess = talk.len().saturating_sub(TALK_SIZE_MAX);
                    talk.drain(..excess);
                }
            }));
        }
        ready
    }

    fn said(&self) -> String {
        let talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&talk).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
