//! The time that a promoted node begins with.

use crate::fixture::{self, Cluster, one_unit, transfer, wait_until};
use crate::{promote, said, settle};
use mizan_node::cluster::{AdminReply, AdminRequest, Policy};
use mizan_node::status::{Alarm, NodeStatus};
use mizan_wire::{CREATED, Transfer, TransferFlags};

/// One hour in nanoseconds.
const HOUR_NS: i64 = 3_600_000_000_000;

#[test]
fn a_node_an_hour_ahead_takes_the_others_time_and_expires_no_hold() {
    said::listen();
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    cluster.clocks[1].shift(HOUR_NS);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    let hold = Transfer { timeout: 1_800, flags: TransferFlags::PENDING, ..one_unit(7) };
    let made = client.create_transfers(&[hold]).unwrap();
    assert_eq!(made[0].status, CREATED);
    settle(&cluster, 0);

    cluster.promote(1, &promote(false));
    let paid = client.create_transfers(&[one_unit(8)]).unwrap();
    assert_eq!(paid[0].status, CREATED);
    // Half an hour would have to pass for this to be wrong.
    assert!(paid[0].timestamp - made[0].timestamp < HOUR_NS as u64 / 2);
    let shows = |cluster: &Cluster| {
        NodeStatus::read(&cluster.data(1)).is_ok_and(|it| it.alarms.contains(Alarm::ClockHeldBack))
    };
    wait_until("the alarm is shown", || shows(&cluster));
    wait_until("operators are told", || {
        cluster
            .status(1)
            .is_some_and(|status| status.alarms.iter().any(|alarm| alarm.name == "clock-held-back"))
    });
    assert!(transfer(&mut client, 9));
    assert_eq!(client.lookup_accounts(&[1]).unwrap()[0].debits_pending, 1);
    cluster.clocks[1].shift(0);
    wait_until("the alarm is over", || !shows(&cluster));
    wait_until("both are logged", || said::of_alarm("clock_held_back") == (1, 1));
    assert_eq!(client.lookup_accounts(&[1]).unwrap()[0].debits_pending, 1);
    cluster.stop_all();
}

#[test]
fn alone_a_clock_a_day_ahead_is_refused_before_anything_is_changed() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    let end = settle(&cluster, 0);
    cluster.clocks[1].shift(25 * HOUR_NS);
    cluster.stop(0);
    wait_until("it is alone", || {
        cluster.status(1).is_some_and(|status| !status.peers[0].is_connected)
    });
    wait_until("it says that it could not take over", || {
        let status = cluster.status(1).expect("it runs");
        status.not_ready.is_some_and(|reason| reason.contains("25 h ahead"))
    });
    let before = cluster.status(1).expect("it runs");
    let AdminReply::Refused { name, text } = cluster.ask(1, &promote(true)) else {
        panic!("the clock was believed")
    };
    assert_eq!(name, "clock-ahead", "{text}");
    assert!(text.contains("clock shows") && text.contains("--accept-clock"), "{text}");
    let after = cluster.status(1).expect("it runs");
    assert_eq!((after.epoch, after.end, after.role.as_str()), (before.epoch, end, "waiting"));

    let AdminRequest::Promote { expect_epoch, solo, accept_loss_after, .. } = promote(true) else {
        panic!("a promotion")
    };
    let accepted =
        AdminRequest::Promote { expect_epoch, solo, accept_loss_after, accept_clock: true };
    cluster.promote(1, &accepted);
    assert!(transfer(&mut client, 2));
    cluster.stop_all();
}
