//! What nodes tell each other of their wall clocks.

use super::net::{MS, Net};
use mizan_replica::{Command, Refusal, Role};

#[test]
fn a_heartbeat_brings_the_senders_clock_and_the_receiver_remembers_when() {
    let mut net = Net::new(2);
    net.node(0).replica.note_clock(1_700_000_000_000_000_007);
    assert_eq!(net.node(1).replica.peer_status(0).clock, None, "nobody gave a reading yet");
    net.pass(50);
    let heard_ns = net.now_ns;
    let clock = net.node(1).replica.peer_status(0).clock;
    assert_eq!(clock, Some((1_700_000_000_000_000_007, heard_ns)));
    assert_eq!(net.node(0).replica.peer_status(1).clock, None, "the other one gives none");
    net.dead.push(0);
    net.now_ns += 100 * MS;
    net.pass(50);
    assert_eq!(net.node(1).replica.peer_status(0).clock, clock, "an old reading keeps its time");
    net.disconnect(0, 1);
    assert_eq!(net.node(1).replica.peer_status(0).clock, None);
}

const HOUR_NS: u64 = 3_600_000 * MS;
const NOON_NS: u64 = 1_700_000_000_000_000_000;

/// Everybody tells these clocks, and all have heard them.
fn told(clocks: &[u64]) -> Net {
    let mut net = Net::new(clocks.len() as u8);
    for (index, clock) in (0..).zip(clocks) {
        net.node(index).replica.note_clock(*clock);
    }
    net.pass(50);
    net
}

fn promote(net: &mut Net, log_timestamp: Option<u64>) {
    let command = Command::Promote { solo: true, accept_loss_after: None, log_timestamp };
    let now_ns = net.now_ns;
    net.node(1).replica.handle_admin(command, now_ns).unwrap();
    net.run();
}

fn agreed(net: &mut Net) -> Option<u64> {
    net.node(1).replica.agreed_clock().map(|(clock, _)| clock)
}

#[test]
fn who_is_promoted_takes_the_median_and_of_two_the_earlier_clock() {
    let (right, ahead, behind) = (NOON_NS, NOON_NS + HOUR_NS, NOON_NS - HOUR_NS);
    for (clocks, median) in [
        (&[right, ahead, right + MS][..], right + MS),
        (&[right, behind, right + MS], right),
        (&[ahead, right, right + MS], right + MS),
        (&[right, ahead], right),
        (&[ahead, right], right),
        // Who tells nothing has no say.
        (&[0, ahead, right], right),
        (&[0, ahead, 0], ahead),
    ] {
        let mut net = told(clocks);
        promote(&mut net, Some(NOON_NS));
        assert_eq!(agreed(&mut net), Some(median), "{clocks:?}");
        assert!(matches!(net.role(1), Role::Primary(_)), "{clocks:?}");
    }
}

#[test]
fn a_clock_that_was_told_more_than_a_second_ago_does_not_count() {
    let (right, ahead) = (NOON_NS, NOON_NS + HOUR_NS);
    for (silent_ms, median) in [(1_000, right + 1_000 * MS), (1_001, ahead)] {
        let mut net = told(&[right, ahead]);
        // What it says from now on is without its clock, and its answer is heard.
        net.node(0).replica.note_clock(0);
        net.now_ns += silent_ms * MS;
        promote(&mut net, Some(NOON_NS));
        assert_eq!(agreed(&mut net), Some(median), "{silent_ms}");
    }
}

#[test]
fn a_clock_that_nobody_confirms_may_be_a_day_ahead_of_the_log_and_a_refusal_changes_nothing() {
    let day_ns = 24 * HOUR_NS;
    for (clock, log_timestamp, is_believed) in [
        (NOON_NS + day_ns, Some(NOON_NS), true),
        (NOON_NS + day_ns + 1, Some(NOON_NS), false),
        (NOON_NS + day_ns + 1, None, true),
        (NOON_NS - HOUR_NS, Some(NOON_NS), true),
    ] {
        let mut net = told(&[0, clock]);
        net.disconnect(0, 1);
        let before = net.node(1).replica.status();
        let now_ns = net.now_ns;
        let foreseen = net.node(1).replica.foreseen_refusal(log_timestamp, now_ns);
        assert_eq!(foreseen.is_none(), is_believed, "{clock} {log_timestamp:?}: {foreseen:?}");
        promote(&mut net, log_timestamp);
        net.pass(400);
        if is_believed {
            assert!(matches!(net.role(1), Role::Primary(_)), "{clock} {log_timestamp:?}");
            assert_eq!(agreed(&mut net), Some(clock));
            continue;
        }
        let refusal = Refusal::ClockAhead { clock, log_timestamp: NOON_NS };
        assert_eq!(net.node(1).refusals, [refusal]);
        assert!(refusal.to_string().contains("24 h ahead"), "{refusal}");
        assert_eq!(net.node(1).replica.status(), before);
        assert_eq!((net.node(1).persisted, net.end(1), agreed(&mut net)), (0, 1, None));
    }
}
