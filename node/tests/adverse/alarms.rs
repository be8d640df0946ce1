//! Alarms of a single node, each from its real cause to its end: shown to scrapers, and logged once at each.

use crate::common::{
    Running, Switch, account, assert_sound, complete, formatted, local, wait_until,
};
use crate::faults::{LARGEST_IN_RING, stalled};
use crate::said;
use mizan_journal::FileStorage;
use mizan_journal::fault::FaultStorage;
use mizan_node::status::{Alarm, NodeStatus};
use mizan_node::{Layout, Node, NodeOptions, WallClock};
use mizan_wire::{CREATED, Transfer, TransferFlags};
use std::sync::Arc;

/// One hour in nanoseconds.
const HOUR_NS: i64 = 3_600_000_000_000;

#[test]
fn entries_that_wait_for_room_are_an_alarm_until_there_is_room() {
    said::listen();
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    assert!(!node.shows("journal_stalled"));
    let mut client = node.client();
    stalled(&node, &mut client);
    wait_until("the alarm is shown", || node.shows("journal_stalled"));
    let (code, body) = node.page("/readyz");
    assert!(code == 503 && body.contains("journal_stalled"), "{code} {body}");
    wait_until("its beginning is logged", || said::of_alarm("journal_stalled").0 > 0);
    node.switch.fail_creates(None);
    complete(&mut client, LARGEST_IN_RING);
    wait_until("the alarm is over", || !node.shows("journal_stalled"));
    wait_until("it is ready again", || node.page("/readyz").0 == 200);
    wait_until("its end is logged", || {
        let (begins, ends) = said::of_alarm("journal_stalled");
        begins == ends
    });
    node.stop().unwrap();
    assert_sound(directory.path());
}

#[test]
fn a_clock_that_jumps_ahead_is_an_alarm_until_it_is_mended_and_expires_nothing() {
    said::listen();
    let directory = formatted();
    let wall_clock = WallClock::default();
    let options = NodeOptions { wall_clock: wall_clock.clone(), ..local(directory.path()) };
    let switch = Arc::new(Switch::default());
    let storage = FaultStorage::new(FileStorage::new(directory.path()), Arc::clone(&switch));
    let node = Running::start_on(storage, &options, switch);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    // Half an hour, which is not over when the clock says so.
    let flags = TransferFlags::PENDING;
    let hold = Transfer { timeout: 1_800, flags, ..crate::common::transfer(7) };
    let made = client.create_transfers(&[hold]).unwrap();
    assert_eq!(made[0].status, CREATED);
    assert!(!node.shows("clock_held_back"));

    wall_clock.shift(HOUR_NS);
    wait_until("the alarm is shown", || node.shows("clock_held_back"));
    wait_until("its beginning is logged", || said::of_alarm("clock_held_back") == (1, 0));
    let (code, body) = node.page("/readyz");
    assert_eq!(code, 200, "it goes on: {body}");
    let paid = client.create_transfers(&[crate::common::transfer(8)]).unwrap();
    assert!(paid[0].timestamp - made[0].timestamp < HOUR_NS as u64 / 2);
    assert_eq!(client.lookup_accounts(&[1]).unwrap()[0].debits_pending, 1);

    wall_clock.shift(0);
    wait_until("the alarm is over", || !node.shows("clock_held_back"));
    wait_until("its end is logged", || said::of_alarm("clock_held_back") == (1, 1));
    node.stop().unwrap();
}

#[test]
fn a_listener_beyond_this_machine_is_an_alarm_of_the_node_that_has_it() {
    said::listen();
    let directory = formatted();
    // Nobody is answered: it is opened, and closed again.
    let open = |listen: &str| {
        let options = NodeOptions::new(directory.path(), listen.parse().unwrap());
        Node::open(&options, &mut |_| ()).unwrap()
    };
    let shown =
        || NodeStatus::read(directory.path()).is_ok_and(|it| it.alarms.contains(Alarm::Insecure));
    let node = open("0.0.0.0:0");
    wait_until("the alarm is shown", shown);
    assert!(node.status().alarms.contains(Alarm::Insecure));
    wait_until("its beginning is logged", || said::of_alarm("insecure") == (1, 0));
    drop(node);
    let node = open("127.0.0.1:0");
    assert!(!shown() && !node.status().alarms.contains(Alarm::Insecure), "it ends with its cause");
    drop(node);
    assert_eq!(said::of_alarm("insecure").0, 1);
}
