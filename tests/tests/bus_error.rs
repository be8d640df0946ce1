//! A journal file that is cut short under a running node ends it with words, not silently.

use mizan_client::{Client, ClientConfig};
use mizan_tests::binary::{NodeProcess, format_small};
use mizan_tests::recorder::Recorder;
use mizan_wire::Transfer;
use std::fs::OpenOptions;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_segment_cut_short_under_a_running_node_ends_it_with_a_message() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &[]);
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    drop(Recorder::start(node.address(), 1).expect("the node answers"));
    for entry in std::fs::read_dir(&data).expect("the directory is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let file = OpenOptions::new().write(true).open(&path).expect("it can be opened");
            file.set_len(4096).expect("it can be cut");
        }
    }
    let mut client = Client::connect(ClientConfig {
        request_timeout: Duration::from_secs(5),
        read_only: false,
        reconnect: false,
        ..ClientConfig::at(node.address())
    });
    // Opening the session is a write itself, so the node may be gone already.
    if let Ok(client) = &mut client {
        let transfers: Vec<Transfer> = (1..=4000).map(Recorder::transfer).collect();
        assert!(client.create_transfers(&transfers).is_err(), "a write without a journal");
    }
    assert!(!node.wait().success());
    let said = node.stderr();
    assert!(said.contains("SIGBUS") && said.contains("mizan verify"), "it said: {said}");
}
