//! What nodes tell each other of their wall clocks.

use super::net::{MS, Net};

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
