//! What a node grants and acknowledges is on its disk, whatever that disk does, and however long it takes.

use super::disk::Disk;
use super::fixture::{self, Cluster, digest_of, transfer, wait_until};
use super::{promote, settle};
use mizan_client::Client;
use mizan_journal::fault::Operation;
use mizan_node::cluster::{AdminReply, ClusterStatus, Policy};
use mizan_node::offline;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn sees(cluster: &Cluster, node: usize, peer: u8) -> bool {
    let status = cluster.status(node);
    let mut peers = status.iter().flat_map(|status| &status.peers);
    peers.any(|view| view.node == peer && view.is_connected)
}

fn persisted_epoch(cluster: &Cluster, node: usize) -> u64 {
    offline::superblock(&cluster.data(node)).unwrap().highest_epoch
}

/// Asks until it is granted; returns the epoch.
fn promoted(cluster: &Cluster, node: usize) -> u64 {
    let mut epoch = 0;
    wait_until("the promotion is granted", || match cluster.ask(node, &promote(false)) {
        AdminReply::Promoted { epoch: begun, .. } => {
            epoch = begun;
            true
        }
        _ => false,
    });
    epoch
}

/// So many requests of the largest size, about 1 MiB each; all of them answered.
fn load(client: &mut Client, first_id: u128, requests: u128) {
    let events = client.events_max();
    let (mut submitted, mut answered) = (0, 0);
    wait_until("everything is answered", || {
        while submitted < requests && client.can_submit(events) {
            fixture::submit_transfers(client, first_id + submitted * u128::from(events), events);
            submitted += 1;
        }
        answered += u128::from(client.poll(Duration::from_millis(50)).unwrap().is_some());
        answered == requests
    });
}

#[test]
fn an_epoch_is_on_the_disk_before_it_is_granted_and_the_node_answers_meanwhile() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(2);
    cluster.restart_on(2, &disk);
    cluster.promote(0, &promote(false));
    cluster.stop(0);
    wait_until("the others know each other", || {
        sees(&cluster, 1, 2) && sees(&cluster, 2, 1) && !sees(&cluster, 1, 0)
    });
    // Every write of the superblock waits: the epoch cannot be persisted, so it is not granted.
    disk.hold(Operation::SyncFile);
    let before = persisted_epoch(&cluster, 2);
    let asked = cluster.ask_meanwhile(1, promote(false));
    wait_until("the epoch is asked for", || {
        // It answers, whatever its disk does.
        disk.waits_now() && cluster.status(2).expect("it answers").epoch > before
    });
    // Several heartbeats, in each of which it is asked again.
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        assert_eq!(cluster.status(1).expect("it answers").role, "candidate");
    }
    disk.release();
    let reply = asked.join().unwrap().unwrap();
    let AdminReply::Promoted { epoch, .. } = reply else { panic!("{reply:?}") };
    assert!(persisted_epoch(&cluster, 2) >= epoch);
    cluster.stop_all();
}

/// Waits until the standby of two has received everything; returns how long the log is.
fn settle_received(cluster: &Cluster) -> u64 {
    let mut end = 0;
    wait_until("the standby has received everything", || {
        let Some(status) = cluster.status(0) else { return false };
        end = status.end;
        status.peers[0].received == end
    });
    end
}

#[test]
fn nothing_is_acknowledged_before_the_standbys_disk_has_it() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(1);
    cluster.restart_on(1, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    disk.hold(Operation::SegmentSync);
    let before = settle_received(&cluster);
    fixture::submit_transfers(&mut client, 2, 1);
    client.flush();
    wait_until("the standby has the frame, and its disk has not", || {
        disk.waits_now()
            && cluster.status(0).is_some_and(|status| status.peers[0].received > before)
    });
    // Several heartbeats, each with what it has.
    for _ in 0..10 {
        assert!(client.poll(Duration::from_millis(50)).unwrap().is_none(), "no copy was synced");
    }
    let status = cluster.status(0).expect("it runs");
    assert!(status.commit <= before && status.peers[0].durable <= before, "{status:?}");
    disk.release();
    let mut is_answered = false;
    wait_until("it is answered", || {
        is_answered |= client.poll(Duration::from_millis(50)).unwrap().is_some();
        is_answered
    });
    settle(&cluster, 0);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_standby_whose_disk_hangs_holds_a_window_and_an_epoch_overtakes_it() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(2);
    cluster.restart_on(2, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    settle(&cluster, 0);
    disk.hold(Operation::SegmentSync);
    // The other two are enough.
    load(&mut client, 1, 20);
    wait_until("node 1 has everything", || {
        let all = cluster.status(0).expect("it runs");
        cluster.status(1).is_some_and(|status| status.durable == all.end)
    });
    let (all, held) = (cluster.status(0).unwrap(), cluster.status(2).expect("it answers"));
    let in_memory = held.end - held.durable;
    assert!((4..=12).contains(&in_memory), "{in_memory} MiB are held, {held:?}");

    cluster.stop(0);
    // A sync goes on now and then: the grant does not wait for all that is held.
    let epoch = std::thread::scope(|scope| {
        let asked = scope.spawn(|| promoted(&cluster, 1));
        let mut seen = all.epoch;
        wait_until("the promotion is granted", || {
            let epoch = cluster.status(2).expect("it answers").epoch;
            if epoch > seen && disk.waits_now() {
                seen = epoch;
                disk.pass();
            }
            asked.is_finished()
        });
        asked.join().unwrap()
    });
    assert!(persisted_epoch(&cluster, 2) >= epoch);
    disk.release();
    assert!(transfer(&mut client, 1_000_000));
    settle(&cluster, 1);
    cluster.restart(0);
    settle(&cluster, 1);
    cluster.stop_all();
    let digests: Vec<_> = (0..3).map(|node| digest_of(cluster.data(node))).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_standby_without_room_grants_answers_and_gives_up_what_nobody_acknowledged() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    let disks: [Arc<Disk>; 3] = Default::default();
    for node in [0, 2] {
        cluster.stop(node);
        cluster.restart_on(node, &disks[node]);
    }
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    settle(&cluster, 0);
    disks[2].set_full(true);
    let has_no_room = |cluster: &Cluster| {
        let not_ready = cluster.status(2).and_then(|status| status.not_ready);
        not_ready.is_some_and(|reason| reason.contains("no room"))
    };
    let mut requests = 0;
    while !has_no_room(&cluster) {
        assert!(requests < 40, "there is always room");
        load(&mut client, 1 + requests * 10_000, 1);
        requests += 1;
    }
    assert!(transfer(&mut client, 1_000_000), "the other two are enough");
    wait_until("node 1 has everything", || {
        let all = cluster.status(0).expect("it runs");
        all.commit == all.end && cluster.status(1).is_some_and(|status| status.durable == all.end)
    });
    let acknowledged = cluster.status(1).unwrap().end;
    wait_until("node 2 has received it", || {
        cluster.status(2).expect("it answers").end == acknowledged
    });
    assert!(cluster.status(2).unwrap().durable < acknowledged);

    // An entry that only node 0, which dies, and the memory of node 2 ever had.
    cluster.stop(1);
    fixture::submit_transfers(&mut client, 2_000_000, 1);
    client.flush();
    wait_until("node 2 has received one more", || {
        cluster.status(2).expect("it answers").end > acknowledged
    });
    disks[0].fail_syncs();
    fixture::submit_transfers(&mut client, 3_000_000, 1);
    client.flush();
    cluster.end(0).expect_err("its disk failed");
    drop(client);

    cluster.restart(1);
    promoted(&cluster, 1);
    wait_until("node 2 has cut what it never wrote, and has no room again", || {
        let status = cluster.status(1).expect("it runs");
        let follows = status.peers.iter().any(|peer| peer.node == 2 && peer.received > 0);
        follows && has_no_room(&cluster)
    });
    // Without room it stops when it is told to, and follows when there is room.
    cluster.stop(2);
    cluster.restart_on(2, &disks[2]);
    disks[2].set_full(false);
    let mut client = cluster.client();
    assert!(transfer(&mut client, 4_000_000));
    let found = client.lookup_transfers(&[1_000_000, 2_000_000, 3_000_000]).unwrap();
    assert_eq!(found.iter().map(|transfer| transfer.id).collect::<Vec<_>>(), [1_000_000]);
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(1)), digest_of(cluster.data(2)));
}

/// A standby that lacks what its full disk did not take is refused, its primary goes on, and with room it is promoted.
fn refuse_without_room(count: usize) {
    let mut cluster = Cluster::start(count, Policy::TwoDisks);
    let disk = Arc::new(Disk::default());
    cluster.stop(1);
    cluster.restart_on(1, &disk);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    settle(&cluster, 0);
    disk.set_full(true);
    let events = client.events_max();
    let (mut submitted, mut answered) = (0, 0);
    wait_until("there is no room", || {
        if client.can_submit(events) {
            fixture::submit_transfers(&mut client, 1 + submitted * u128::from(events), events);
            submitted += 1;
        }
        answered += u128::from(client.poll(Duration::from_millis(50)).unwrap().is_some());
        let not_ready = cluster.status(1).and_then(|status| status.not_ready);
        not_ready.is_some_and(|reason| reason.contains("no room"))
    });
    let before = cluster.status(0).expect("it runs").epoch;
    for _ in 0..2 {
        let reply = cluster.ask(1, &promote(false));
        let AdminReply::Refused { name, text } = reply else { panic!("{reply:?}") };
        assert_eq!(name, "no-room", "{text}");
        let (leading, asked) = (cluster.status(0).expect("it runs"), cluster.status(1).unwrap());
        assert_eq!(
            (leading.role.as_str(), leading.epoch, asked.epoch),
            ("primary", before, before)
        );
    }
    disk.set_full(false);
    wait_until("the primary goes on and answers everything", || {
        answered += u128::from(client.poll(Duration::from_millis(50)).unwrap().is_some());
        answered == submitted
    });
    settle(&cluster, 0);
    promoted(&cluster, 1);
    assert!(transfer(&mut client, u128::MAX >> 1));
    settle(&cluster, 1);
    cluster.stop_all();
    assert_eq!(digest_of(cluster.data(0)), digest_of(cluster.data(1)));
}

#[test]
fn a_standby_of_three_without_room_for_the_log_is_not_promoted_and_the_primary_goes_on() {
    refuse_without_room(3);
}

#[test]
fn a_standby_of_two_without_room_for_the_log_is_not_promoted_and_the_primary_goes_on() {
    refuse_without_room(2);
}

#[test]
fn a_primary_that_is_stopped_grants_nothing_that_it_does_not_write_down() {
    let mut cluster = Cluster::start(3, Policy::TwoDisks);
    // With one of three gone, every promotion of node 0 or 1 needs the other's grant.
    cluster.stop(2);
    let mut primary = 0;
    cluster.promote(primary, &promote(false));
    for round in 0..10u64 {
        let other = 1 - primary;
        let mut client = cluster.client();
        if round == 0 {
            fixture::accounts(&mut client);
        }
        assert!(transfer(&mut client, u128::from(round) + 1));
        drop(client);
        // The question meets each of the steps of the stop in some round.
        let asked = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(1_500 * round));
                cluster.ask_meanwhile(other, promote(false))
            });
            cluster.tell_to_stop(primary);
            asked.join().unwrap()
        });
        cluster.stop(primary);
        let persisted = persisted_epoch(&cluster, primary);
        // Without its grant the other stands, or was refused; with it, it was promoted while this one was stopped.
        wait_until("it is known whether the epoch was granted", || {
            let is_gone = |status: &ClusterStatus| status.peers.iter().all(|it| !it.is_connected);
            let stands = |status: &ClusterStatus| status.role == "candidate" && is_gone(status);
            asked.is_finished() || cluster.status(other).is_some_and(|status| stands(&status))
        });
        let status = cluster.status(other).expect("it answers");
        if status.role == "primary" {
            let epoch = status.epoch;
            assert!(persisted >= epoch, "round {round}: granted {epoch}, persisted {persisted}");
        }
        cluster.restart(primary);
        let reply = asked.join().unwrap().unwrap();
        if !matches!(reply, AdminReply::Promoted { .. }) {
            promoted(&cluster, other);
        }
        primary = other;
    }
    cluster.stop_all();
}
