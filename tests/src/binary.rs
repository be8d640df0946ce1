//! The real binary, as a user would run it.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a node may take to start, recover, or stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The binary `mizan` of the profile that the test runs in; built first if it is not up to date. The variable
/// `MIZAN_TEST_BINARY` names another one, such as an installed release.
///
/// # Panics
/// If it cannot be built: no test can go on without it.
pub fn mizan_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let given = std::env::var_os("MIZAN_TEST_BINARY").map(PathBuf::from);
        given.unwrap_or_else(|| build("mizan-cli", "mizan"))
    })
}

/// The node that kills itself at chosen places; see `src/bin/faulty-node.rs`.
///
/// # Panics
/// As [`mizan_binary`].
pub fn faulty_node_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build("mizan-tests", "faulty-node"))
}

fn build(package: &str, binary: &str) -> PathBuf {
    // A test lies in TARGET/PROFILE/deps.
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile_directory = test.ancestors().nth(2).expect("a test lies three levels deep");
    let target = profile_directory.parent().expect("a profile has a directory of its own");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a room");
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} names no profile", profile_directory.display()),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", package, "--bin", binary, "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root)
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "{binary} does not build");
    profile_directory.join(binary)
}

/// Runs `mizan` with these arguments to its end.
///
/// # Panics
/// If it cannot be run at all.
pub fn mizan(arguments: &[&str]) -> Output {
    Command::new(mizan_binary()).args(arguments).output().expect("the binary can be run")
}

/// As [`mizan`], and demands that it succeeds; returns what it wrote to stdout.
///
/// # Panics
/// If the exit code is not 0, with everything it said.
pub fn mizan_ok(arguments: &[&str]) -> String {
    let output = mizan(arguments);
    assert!(
        output.status.success(),
        "mizan {arguments:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// Formats a small data directory, with further options.
///
/// # Panics
/// If it cannot be formatted.
pub fn format_small(data: &Path, further: &[&str]) {
    let data = data.to_str().expect("temporary paths are UTF-8");
    let mut arguments = vec!["format", "--data", data];
    for (option, value) in [
        ("--accounts", "20000"),
        ("--transfers", "1000000"),
        ("--holds", "10000"),
        ("--segment-size", "2MiB"),
        ("--digest-interval", "64"),
    ] {
        if !further.contains(&option) {
            arguments.extend([option, value]);
        }
    }
    arguments.extend(further);
    mizan_ok(&arguments);
}

/// A node in a process of its own; killed when dropped.
pub struct NodeProcess {
    child: Child,
    address: SocketAddr,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<String>>,
}

impl NodeProcess {
    /// Starts `mizan start --data DATA --listen LISTEN` and waits until it listens.
    ///
    /// # Panics
    /// If it ends or stays silent instead, with what it said.
    pub fn start(data: &Path, listen: &str) -> Self {
        let mut command = Command::new(mizan_binary());
        command.arg("start").arg("--data").arg(data).args(["--listen", listen]);
        Self::spawn(command)
    }

    /// Runs any command that prints a line `listening ADDRESS`.
    ///
    /// # Panics
    /// As [`NodeProcess::start`].
    pub fn spawn(command: Command) -> Self {
        Self::try_spawn(command).unwrap_or_else(|said| panic!("the node did not start: {said}"))
    }

    /// As [`NodeProcess::spawn`].
    ///
    /// # Errors
    /// What the process said before it ended.
    ///
    /// # Panics
    /// If it can be neither run nor waited for.
    pub fn try_spawn(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let (stderr, collecting) = collect(child.stderr.take().expect("stderr is piped"));
        let lines = read_lines(child.stdout.take().expect("stdout is piped"));
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Some(address) = line.strip_prefix("listening ") {
                let address = address.trim().parse().expect("an address follows");
                return Ok(Self { child, address, stdout: lines, stderr });
            }
        }
        let _ = child.kill();
        let status = child.wait().expect("a child can be waited for");
        // Its last words may come behind its end.
        collecting.join().expect("what it said is text");
        let said = stderr.lock().map(|text| text.clone()).unwrap_or_default();
        Err(format!("{status}: {said}"))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Any signal.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be sent a signal");
    }

    /// Lines on stdout behind the one that says where it listens; waits until stdout is closed.
    #[must_use]
    pub fn further_lines(&self) -> Vec<String> {
        self.stdout.iter().collect()
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let text = std::fs::read_to_string(&path).expect("a running process has a status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        kibibytes.and_then(|number| number.parse::<u64>().ok()).expect("VmRSS is in kB") * 1024
    }

    /// Open descriptors, connections among them.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.id());
        match std::fs::read_dir(&path) {
            Ok(entries) => entries.count(),
            // Only root may list those of a process that leaves no core dumps; their number is no secret.
            Err(_) => {
                std::fs::metadata(path).expect("a running process has descriptors").len() as usize
            }
        }
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// If it cannot be asked.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    /// Waits for its end, for two minutes at the most.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < until, "the node did not end; it said: {}", self.stderr());
            std::thread::yield_now();
        }
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().map(|text| text.clone()).unwrap_or_default()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn collect(stderr: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let target = Arc::clone(&text);
    let collecting = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Ok(mut text) = target.lock() {
                text.push_str(&line);
                text.push('\n');
            }
        }
    });
    (text, collecting)
}
