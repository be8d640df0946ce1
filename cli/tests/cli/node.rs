//! A node within the test's own process, and the command line run against it.

use mizan_cli::output::Output;
use mizan_cli::run_with;
use mizan_node::{FormatOptions, Node, NodeOptions, StopHandle, TradingLimits};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

/// A node that runs until it is dropped.
pub(crate) struct TestNode {
    address: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

impl TestNode {
    /// Formats a small node and starts it on a free port.
    pub(crate) fn start() -> Self {
        Self::formatted(|options| options)
    }

    /// The same with other limits.
    pub(crate) fn formatted(limits: impl FnOnce(FormatOptions) -> FormatOptions) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let options = FormatOptions {
            account_count_max: 20_000,
            transfer_count_max: 20_000,
            hold_count_max: 1_000,
            segment_size: 8 << 20,
            ..FormatOptions::new(&data)
        };
        mizan_node::format(&limits(options)).expect("formats");
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let listen = "127.0.0.1:0".parse().expect("an address");
            let options = NodeOptions::new(data, listen);
            let node = Node::open(&options, &mut |_| {}).expect("opens");
            sender.send((node.local_addr(), node.stop_handle())).expect("the test waits");
            node.run().expect("runs");
        });
        let (address, stop) = receiver.recv().expect("the node opens");
        Self { address, stop, thread: Some(thread), directory }
    }

    /// Runs one command line, split at blanks, against this node.
    pub(crate) fn mizan(&self, line: &str) -> Ran {
        self.words(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs one command line against this node.
    pub(crate) fn words(&self, words: &[&str]) -> Ran {
        mizan_at(&self.address.to_string(), words)
    }

    /// Runs a command line that must succeed; gives its data as JSON.
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        let ran = self.mizan(&format!("{line} --json"));
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran.json()
    }

    /// A node as [`TestNode::with_wallets`], with an instrument ACME in which alice and bob have traded and still bid.
    pub(crate) fn with_market() -> Self {
        let trading = Some(TradingLimits {
            instrument_count_max: 4,
            order_count_max: 10_000,
            open_order_count_max: 16_384,
            book_level_count_max: 4_096,
            report_count_max: 10_000,
        });
        let node = Self::formatted(|options| FormatOptions { trading, ..options });
        for line in [
            "ledger create USD --scale 2",
            "ledger create ACME --scale 0",
            "accounts create bank USD",
            "accounts create bank ACME",
            "accounts create alice bob USD --flags debits_must_not_exceed_credits",
            "accounts create alice bob ACME --flags debits_must_not_exceed_credits",
            "transfer bank alice 1000000.00 USD",
            "transfer bank bob 1000 ACME",
            "instrument create ACME USD --tick 0.01",
            "order sell ACME 5 @ 2.00 --account bob",
            "order buy ACME 3 @ 2.00 --account alice",
            "order buy ACME 3 @ 1.00 --account alice",
        ] {
            let ran = node.mizan(line);
            assert_eq!(ran.code, 0, "{line}: {ran:?}");
        }
        node
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A ledger USD of scale 2, a bank without a limit, and wallets `alice` and `bob`, of which alice has 100.00.
    pub(crate) fn with_wallets() -> Self {
        Self::start().furnished()
    }

    /// The same wallets on a node that is there.
    pub(crate) fn furnished(self) -> Self {
        let node = self;
        let flags = "--flags debits_must_not_exceed_credits";
        for line in [
            "ledger create USD --scale 2",
            "accounts create bank USD",
            &format!("accounts create alice bob USD {flags}"),
            "transfer bank alice 100.00 USD --id funding",
        ] {
            let ran = node.mizan(line);
            assert_eq!(ran.code, 0, "{line}: {ran:?}");
        }
        node
    }

    /// The node's own files.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A place in the test's own directory.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file in the test's own directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the node ends in order");
            }
        }
    }
}

/// Runs one command line with `MIZAN_ADDRESS` set.
pub(crate) fn mizan_at(address: &str, words: &[&str]) -> Ran {
    let (data, talk) = (Buffer::default(), Buffer::default());
    let mut output = Output::new(Box::new(data.clone()), Box::new(talk.clone()));
    let args = std::iter::once("mizan").chain(words.iter().copied()).map(OsString::from);
    let address = address.to_owned();
    let environment = Rc::new(move |name: &str| (name == "MIZAN_ADDRESS").then(|| address.clone()));
    let code = run_with(args, environment, &mut output);
    Ran { code, data: data.text(), talk: talk.text() }
}

/// What a command line did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: u8,
    /// What went to standard output.
    pub(crate) data: String,
    /// What went to standard error.
    pub(crate) talk: String,
}

impl Ran {
    /// The data as JSON; it must be exactly one line.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.data.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data, line by line, with single blanks between words.
    pub(crate) fn lines(&self) -> Vec<String> {
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.data.lines().map(squeeze).collect()
    }
}

/// A stream that can be read after it was written.
#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("text")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of real data beside the project, if this machine has it.
pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    path.exists().then_some(path)
}
