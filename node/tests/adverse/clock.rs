//! The first reading of the clock after a start: by a wrong one everything that is due by then would expire for ever.

use crate::common::{account, assert_sound, formatted};
use mizan_client::{Client, ClientConfig};
use mizan_node::{Failure, Node, NodeError, NodeOptions, WallClock};
use mizan_wire::CREATED;
use std::net::SocketAddr;
use std::path::Path;

/// One hour in nanoseconds.
const HOUR_NS: i64 = 3_600_000_000_000;

/// A node whose clock is so many hours ahead of the machine's.
fn open(data: &Path, hours: i64, accept_clock: bool) -> Result<Node, NodeError> {
    let wall_clock = WallClock::default();
    wall_clock.shift(hours * HOUR_NS);
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let options = NodeOptions { accept_clock, wall_clock, ..NodeOptions::new(data, any) };
    Node::open(&options, &mut |_| ())
}

/// Runs the node for as long as it takes to create an account; gives the time that the ledger had then.
fn create(node: Node, id: u128) -> u64 {
    let (address, stop) = (node.local_addr(), node.stop_handle());
    let thread = std::thread::spawn(move || node.run());
    let mut client = Client::connect(ClientConfig::at(address)).unwrap();
    let created = client.create_accounts(&[account(id)]).unwrap();
    assert_eq!(created[0].status, CREATED);
    drop(client);
    stop.stop();
    thread.join().unwrap().unwrap();
    created[0].timestamp
}

#[test]
fn a_clock_a_day_ahead_of_the_log_is_refused_until_somebody_says_that_it_is_right() {
    let directory = formatted();
    let first = create(open(directory.path(), 0, false).unwrap(), 1);
    let before = assert_sound(directory.path());

    let Err(error) = open(directory.path(), 25, false) else { panic!("the clock was believed") };
    assert_eq!(error.failure(), Failure::WrongState);
    assert!(matches!(error, NodeError::ClockAhead { .. }), "{error}");
    let text = error.to_string();
    for part in ["this node's clock shows", "last timestamp", "would expire", "--accept-clock"] {
        assert!(text.contains(part), "{text}");
    }
    let after = assert_sound(directory.path());
    assert_eq!((after.engine.sequence, after.engine.digest), {
        (before.engine.sequence, before.engine.digest)
    });
    assert!(mizan_node::offline::superblock(directory.path()).unwrap().clean);

    // Less than a day may be a pause over night, and a clock behind the log is what it always was.
    let behind = create(open(directory.path(), -25, false).unwrap(), 2);
    let nearly = create(open(directory.path(), 23, false).unwrap(), 3);
    let confirmed = create(open(directory.path(), 48, true).unwrap(), 4);
    let hours = |timestamp: u64| (timestamp - first) / HOUR_NS as u64;
    assert_eq!((hours(behind), hours(nearly), hours(confirmed)), (0, 23, 48));
    // Once is enough.
    create(open(directory.path(), 48, false).unwrap(), 5);
    assert_sound(directory.path());
}

#[test]
fn a_directory_that_was_only_formatted_has_nothing_that_could_expire() {
    let directory = formatted();
    create(open(directory.path(), 24 * 365, false).unwrap(), 1);
    assert_sound(directory.path());
}
