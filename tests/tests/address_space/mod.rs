//! A process that may map only so much: a node starts and serves, or it says why not; it never aborts.

use crate::RESOURCE;
use mizan_tests::binary::{NodeProcess, format_small, mizan_binary};
use mizan_tests::ledger::{client, create_accounts, pay};
use std::process::Command;

/// Limits in KiB: less than the limits of the files take, about as much, and what threads and segments take besides.
const LIMITS: [u64; 8] = [60_000, 150_000, 205_000, 230_000, 300_000, 450_000, 800_000, 8_000_000];

#[test]
fn a_node_whose_address_space_is_limited_serves_or_says_that_it_is_too_little() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "20000", "--segment-size", "32MiB"]);
    let (mut served, mut refused) = (0, 0);
    for (round, limit) in (0_u128..).zip(LIMITS) {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v \"$1\"; shift; exec \"$@\"", "sh", &limit.to_string()]);
        command.arg(mizan_binary()).arg("start").arg("--data").arg(&data);
        command.args(["--listen", "127.0.0.1:0"]);
        match NodeProcess::try_spawn(command) {
            Ok(mut node) => {
                // What is only taken when there is something to do is taken now.
                let mut clients = [(); 3].map(|()| client(node.address()));
                if served == 0 {
                    create_accounts(&mut clients[0], 2);
                }
                for turn in 0..60 {
                    let client = &mut clients[turn % 3];
                    pay(client, round * 100 + turn as u128 + 1, 1).expect("the node answers");
                }
                node.terminate();
                assert_eq!(node.wait().code(), Some(0), "{limit} KiB: {}", node.stderr());
                served += 1;
            }
            Err(said) => {
                let is_clear = said.contains("ulimit -v") && !said.contains("panicked");
                let code = format!("exit status: {RESOURCE}");
                assert!(is_clear && said.starts_with(&code), "{limit} KiB: {said}");
                refused += 1;
            }
        }
    }
    assert!(served > 0 && refused > 0, "{served} limits were enough, {refused} too little");
}
