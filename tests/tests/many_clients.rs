//! As many clients as the load generator has, each with the largest batches, on one real node: all are answered, the
//! balances are what was acknowledged, and the node's memory does not follow the number of clients.

use mizan_tests::binary::{NodeProcess, format_small, mizan_ok};
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX};
use serde_json::Value;
use std::io::Write as _;
use tempfile::TempDir;

const CLIENTS: u64 = 64;
const IN_FLIGHT: u64 = 2;
/// Requests of every client.
const BATCHES: u64 = 2;
/// Receive buffers for full requests (the gateway's default), and as much again for the buffers of sockets' replies.
const BUFFERS_FULL: u64 = 64;
/// Resident bytes that the node's own rings, tables and segments may take when they are used for the first time.
const OWN_BYTES: u64 = 256 << 20;

#[test]
fn sixty_four_clients_with_full_batches_are_all_answered_within_bounded_memory() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let transfers = CLIENTS * BATCHES * u64::from(EVENTS_MAX);
    let room = (transfers + 1_000).to_string();
    format_small(&data, &["--transfers", &room, "--segment-size", "32MiB"]);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let before_bytes = node.resident_bytes();
    let address = node.address().to_string();
    let [clients, in_flight, transfers_text] =
        [CLIENTS, IN_FLIGHT, transfers].map(|number| number.to_string());
    let report = mizan_ok(&[
        "bench",
        "--json",
        "--address",
        &address,
        "--clients",
        &clients,
        "--in-flight",
        &in_flight,
        "--transfers",
        &transfers_text,
    ]);
    let report: Value = serde_json::from_str(&report).expect("one JSON value");
    assert_eq!(report["acknowledged"], transfers, "{report}");
    assert_eq!(report["errors"], 0, "{report}");
    assert_eq!(report["unknown"], 0, "{report}");
    assert_eq!(report["balances_compared"], true, "{report}");
    let bytes = node.resident_bytes().saturating_sub(before_bytes);
    let _ = writeln!(
        std::io::stderr(),
        "{CLIENTS} clients, {} batches of {EVENTS_MAX}: {} MiB more",
        CLIENTS * BATCHES,
        bytes >> 20
    );
    let bound = OWN_BYTES + 2 * BUFFERS_FULL * FRAME_SIZE_MAX as u64;
    assert!(bytes <= bound, "{bytes} bytes more, at most {bound} were expected");
}
