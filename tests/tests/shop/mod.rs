//! A small shop on a real node, and the command line to ask it with. Shared by the tests of the command line.

use mizan_tests::binary::{NodeProcess, format_small, mizan};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

/// A node with USD, alice, bob and shop; alice may not be overdrawn.
pub(crate) struct Shop {
    /// Holds the node's files, and room for more.
    pub(crate) directory: TempDir,
    /// The node.
    pub(crate) node: NodeProcess,
    /// Where it listens.
    pub(crate) address: String,
}

impl Shop {
    /// A shop with small limits.
    pub(crate) fn open() -> Self {
        Self::with(&[])
    }

    /// As [`Shop::open`], with other limits.
    pub(crate) fn with(limits: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let data = directory.path().join("data");
        let mut options = limits.to_vec();
        for (option, value) in [("--transfers", "1000"), ("--accounts", "100"), ("--holds", "100")]
        {
            if !limits.contains(&option) {
                options.extend([option, value]);
            }
        }
        format_small(&data, &options);
        let node = NodeProcess::start(&data, "127.0.0.1:0");
        let address = node.address().to_string();
        let shop = Self { directory, node, address };
        shop.ok(&["ledger", "create", "USD", "--scale", "2", "--number", "840"]);
        shop.ok(&["accounts", "create", "bank", "bob", "shop", "USD"]);
        let limited = "debits_must_not_exceed_credits";
        shop.ok(&["accounts", "create", "alice", "USD", "--flags", limited]);
        shop.ok(&["transfer", "bank", "alice", "100.00", "USD", "--id", "opening"]);
        shop
    }

    /// The node's files.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Runs a verb against the node.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        mizan(&[words, &["--address", &self.address]].concat())
    }

    /// As [`Shop::run`], and demands that it succeeds; gives what it wrote.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        stdout(&output)
    }

    /// What a verb answers in JSON, whatever its exit code.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", said(&output)))
    }
}

/// What a run wrote.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

/// Everything that a run said, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!("{}: {}{}", output.status, stdout(output), String::from_utf8_lossy(&output.stderr))
}

/// A run's exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}", said(output)))
}
