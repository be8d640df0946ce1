//! A node under load that fills its rings, and with more to do at once than fits into one entry.

use crate::common::{
    Running, account, accounts_of_the_largest_request, assert_sound, complete, formatted, transfer,
    wait_until,
};
use mizan_client::{Client, Outcome};
use mizan_node::Layout;
use mizan_wire::{CREATED, Operation, RequestHeader, Transfer, TransferFlags};
use std::path::Path;
use std::time::{Duration, SystemTime};
use zerocopy::IntoBytes;

/// Entries with digests among them, which become durable long before those that follow.
const FIRST: u64 = 40;
/// More entries than the engine remembers digests for, at the smallest interval.
const FLOOD: u64 = 3_000;

/// Submits transfers with these ids, and waits until all are applied.
fn submit(node: &Running, client: &mut Client, ids: std::ops::Range<u64>) {
    let cells = 2 * (ids.end - ids.start);
    let before = node.cursors.get().published;
    for id in ids {
        client.submit(Operation::CreateTransfers, transfer(u128::from(id)).as_bytes()).unwrap();
    }
    wait_until("all transfers are applied", || {
        assert!(client.poll(Duration::ZERO).unwrap().is_none());
        node.switch.sync_waits() && node.cursors.get().applied >= before + cells
    });
}

fn a_digest_that_comes_late_does_not_end_the_node(layout: Layout) {
    let directory = formatted();
    let node = Running::start_without_inline_commit(directory.path(), layout);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    node.switch.hold_syncs(true);
    // One waits for its sync; those that have come until then are the next group; the flood is behind it.
    submit(&node, &mut client, 1..2);
    submit(&node, &mut client, 2..FIRST);
    node.switch.pass_sync();
    wait_until("the next group waits", || {
        let now = node.cursors.get();
        node.switch.sync_waits() && now.journaled == now.published
    });
    let mut completed = complete(&mut client, 1).len();
    submit(&node, &mut client, FIRST..FLOOD);
    node.switch.pass_sync();
    completed += complete(&mut client, FIRST as usize - 2).len();
    // Now the front knows of digests that are older than the flood; it has time to record one.
    client.ping().unwrap();
    client.ping().unwrap();
    node.switch.hold_syncs(false);
    for completion in complete(&mut client, FLOOD as usize - 1 - completed) {
        assert!(matches!(completion.outcome, Outcome::Reply(_)), "{completion:?}");
    }
    for id in 0..40 {
        client.create_transfers(&[transfer(id + 1_000_000)]).unwrap();
    }
    node.stop().unwrap();
    let report = assert_sound(directory.path());
    assert_eq!(report.engine.transfer_count, FLOOD - 1 + 40);
    assert!(report.digests_confirmed > 0, "digests go on afterwards");
}

#[test]
fn a_digest_that_comes_late_does_not_end_the_node_fused() {
    a_digest_that_comes_late_does_not_end_the_node(Layout::Fused);
}

#[test]
fn a_digest_that_comes_late_does_not_end_the_node_split() {
    a_digest_that_comes_late_does_not_end_the_node(Layout::Split);
}

/// Requests and replies of the largest size, several times round both rings.
fn the_largest_requests_and_replies_pass(layout: Layout) {
    const ROUNDS: usize = 24;
    let directory = formatted();
    let node = Running::start(directory.path(), layout);
    let mut client = node.client();
    let accounts = accounts_of_the_largest_request();
    let ids: Vec<u8> = (1u128..=8_189).flat_map(u128::to_le_bytes).collect();
    for _ in 0..ROUNDS {
        client.submit(Operation::CreateAccounts, &accounts).unwrap();
        client.submit(Operation::LookupAccounts, &ids).unwrap();
    }
    let completions = complete(&mut client, 2 * ROUNDS);
    for completion in &completions {
        let Outcome::Reply(reply) = &completion.outcome else { panic!("{completion:?}") };
        if reply.operation == Operation::LookupAccounts {
            let found = reply.accounts();
            assert_eq!(found.len(), 8_189);
            assert!((1..).zip(&found).all(|(id, account)| account.id == id));
        } else {
            assert_eq!(reply.create_results().len(), 8_189);
        }
    }
    node.stop().unwrap();
    assert_sound(directory.path());
}

#[test]
fn the_largest_requests_and_replies_pass_fused() {
    the_largest_requests_and_replies_pass(Layout::Fused);
}

#[test]
fn the_largest_requests_and_replies_pass_split() {
    the_largest_requests_and_replies_pass(Layout::Split);
}

/// Ticks in the log.
fn ticks(data: &Path) -> usize {
    let mut ticks = 0;
    let mut count = |_, header: &RequestHeader, _: &[u8]| {
        ticks += usize::from(header.operation() == Some(Operation::Tick));
        Ok(())
    };
    mizan_node::offline::for_each_log_entry(data, &mut count, &mut |_| ()).unwrap();
    ticks
}

#[test]
fn more_holds_than_one_tick_releases_end_by_two_ticks_and_without_any_request() {
    const HOLDS: u128 = 9_000;
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Split);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    let pending = |id| Transfer { timeout: 1, flags: TransferFlags::PENDING, ..transfer(id) };
    let holds: Vec<Transfer> = (1..=HOLDS).map(pending).collect();
    for batch in holds.chunks(HOLDS as usize / 2) {
        assert!(client.create_transfers(batch).unwrap().iter().all(|it| it.status == CREATED));
    }
    node.stop().unwrap();
    let ticks_before = ticks(directory.path());
    let due = SystemTime::now() + Duration::from_secs(1);
    wait_until("all holds are due", || SystemTime::now() > due);

    let node = Running::start(directory.path(), Layout::Split);
    let mut client = node.client();
    wait_until("all holds have ended", || {
        client.lookup_accounts(&[1]).unwrap()[0].debits_pending == 0
    });
    node.stop().unwrap();
    assert_eq!(ticks(directory.path()), ticks_before + 2);
    assert_sound(directory.path());
}

#[test]
fn a_node_that_is_stopped_before_it_runs_ends_at_once_and_in_order() {
    let directory = formatted();
    for layout in [Layout::Fused, Layout::Split] {
        Running::start(directory.path(), layout).stop().unwrap();
        assert!(mizan_node::offline::superblock(directory.path()).unwrap().clean);
    }
}

/// Large replies that wait for the client's socket.
const UNREAD: usize = 6;

/// A client that has asked for more than sockets hold, and read nothing of it.
fn with_unread_replies(node: &Running) -> Client {
    let mut client = node.client();
    client.call(Operation::CreateAccounts, &accounts_of_the_largest_request()).unwrap();
    let ids: Vec<u8> = (1u128..=8_189).flat_map(u128::to_le_bytes).collect();
    let before = node.cursors.get().published;
    for _ in 0..UNREAD {
        client.submit(Operation::LookupAccounts, &ids).unwrap();
    }
    wait_until("all replies are released", || {
        client.flush();
        let now = node.cursors.get();
        now.published >= before + UNREAD as u64 * 1_025 && now.commit == now.published
    });
    client
}

#[test]
fn a_stop_waits_until_replies_are_read() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    let mut client = with_unread_replies(&node);
    node.stop.stop();
    for completion in complete(&mut client, UNREAD) {
        assert!(matches!(completion.outcome, Outcome::Reply(_)), "{completion:?}");
    }
    node.end().unwrap();
}

#[test]
fn a_stop_ends_although_replies_are_never_read() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Split);
    let client = with_unread_replies(&node);
    node.stop().unwrap();
    drop(client);
    assert_sound(directory.path());
}

/// Groups so far, and those of them that the front synced itself.
fn groups(node: &Running) -> (u64, u64) {
    let now = node.cursors.get();
    (now.groups, now.groups_inline)
}

#[test]
fn a_lone_request_is_made_durable_by_the_front_itself_and_a_full_batch_is_not() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    let mut id = 0;
    // A slow sync sends the next groups to the journal's thread, but not all that follow.
    wait_until("the front commits", || {
        id += 1;
        client.create_transfers(&[transfer(id)]).unwrap();
        groups(&node).1 > 0
    });
    let before = groups(&node);
    let batch: Vec<Transfer> = (1..=1_000).map(|offset| transfer(id + offset)).collect();
    assert!(client.create_transfers(&batch).unwrap().iter().all(|it| it.status == CREATED));
    let after = groups(&node);
    assert!(after.0 > before.0 && after.1 == before.1, "{before:?} {after:?}");
    node.stop().unwrap();
    assert_eq!(assert_sound(directory.path()).engine.transfer_count, id as u64 + 1_000);
}

#[test]
fn the_front_never_commits_where_it_is_told_not_to() {
    for layout in [Layout::Fused, Layout::Split] {
        let directory = formatted();
        let node = Running::start_without_inline_commit(directory.path(), layout);
        let mut client = node.client();
        client.create_accounts(&[account(1), account(2)]).unwrap();
        for id in 1..=20 {
            client.create_transfers(&[transfer(id)]).unwrap();
        }
        let (groups, inline) = groups(&node);
        assert!(groups > 0 && inline == 0, "{layout:?}: {groups} {inline}");
        node.stop().unwrap();
    }
}
