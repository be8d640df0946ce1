//! Storage that is slow, full or broken under a running node.

use crate::common::{
    Running, account, accounts_of_the_largest_request, assert_sound, complete, formatted, transfer,
    wait_until,
};
use mizan_client::{Client, ClientConfig, ClientError, Outcome};
use mizan_node::{Failure, Layout, NodeError};
use mizan_wire::{CREATED, Operation, RequestStatus};
use std::time::Duration;
use zerocopy::IntoBytes;

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
/// Segments that a node keeps ready ahead, of the smallest size, and the one in use.
const SEGMENTS_READY: usize = 9;
/// Largest requests that fit into the ring at once; each takes a segment of the smallest size for itself.
pub(crate) const LARGEST_IN_RING: usize = 14;
const CELLS_OF_LARGEST: u64 = 8_190;

fn nothing_is_said_before_it_is_durable(layout: Layout) {
    let directory = formatted();
    let node = Running::start(directory.path(), layout);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    let before = node.cursors.get();
    node.switch.hold_syncs(true);
    client.submit(Operation::CreateTransfers, transfer(1).as_bytes()).unwrap();
    client.submit(Operation::LookupTransfers, 1u128.as_bytes()).unwrap();
    client.flush();
    wait_until("both are applied, and the write waits for its sync", || {
        node.switch.sync_waits() && node.cursors.get().applied >= before.published + 4
    });
    assert!(client.poll(Duration::from_millis(50)).unwrap().is_none());
    let now = node.cursors.get();
    assert_eq!((now.commit, now.released), (before.commit, before.released));
    assert_eq!(now.commit_sequence, before.commit_sequence);
    node.switch.hold_syncs(false);
    let completions = complete(&mut client, 2);
    let replies: Vec<_> = completions
        .iter()
        .map(|completion| match &completion.outcome {
            Outcome::Reply(reply) => reply,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(replies[0].create_results()[0].status, CREATED);
    assert_eq!(replies[1].transfers().len(), 1);
    node.stop().unwrap();
}

#[test]
fn nothing_is_said_before_it_is_durable_fused() {
    nothing_is_said_before_it_is_durable(Layout::Fused);
}

#[test]
fn nothing_is_said_before_it_is_durable_split() {
    nothing_is_said_before_it_is_durable(Layout::Split);
}

fn a_failed_sync_ends_the_node_without_a_reply(layout: Layout) {
    let directory = formatted();
    let node = Running::start(directory.path(), layout);
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    node.switch.fail_syncs(Some(EIO));
    client.submit(Operation::CreateTransfers, transfer(1).as_bytes()).unwrap();
    let mut outcome = None;
    wait_until("the request is over", || {
        match client.poll(Duration::from_millis(10)) {
            Ok(completion) => outcome = completion.map(|completion| completion.outcome),
            Err(error) => panic!("{error}"),
        }
        outcome.is_some()
    });
    assert!(matches!(outcome, Some(Outcome::Unknown)), "{outcome:?}");
    let error = node.end().unwrap_err();
    assert!(matches!(error, NodeError::Journal(_)), "{error}");
    assert_sound(directory.path());
    // What the caches hold of the lost group may have reached the disk: then it happened.
    let node = Running::start(directory.path(), layout);
    let found = node.client().lookup_transfers(&[1]).unwrap().len();
    assert!(found <= 1);
    node.stop().unwrap();
}

#[test]
fn a_failed_sync_ends_the_node_without_a_reply_fused() {
    a_failed_sync_ends_the_node_without_a_reply(Layout::Fused);
}

#[test]
fn a_failed_sync_ends_the_node_without_a_reply_split() {
    a_failed_sync_ends_the_node_without_a_reply(Layout::Split);
}

/// A node whose ring is full of requests that its journal has no space for.
pub(crate) fn stalled(node: &Running, client: &mut Client) {
    wait_until("all segments are ready", || node.switch.segments_opened() >= SEGMENTS_READY);
    let before = node.cursors.get().published;
    node.switch.hold_syncs(true);
    let accounts = accounts_of_the_largest_request();
    for _ in 0..LARGEST_IN_RING {
        client.submit(Operation::CreateAccounts, &accounts).unwrap();
    }
    let all = before + LARGEST_IN_RING as u64 * CELLS_OF_LARGEST;
    wait_until("all requests are in the ring", || {
        assert!(client.poll(Duration::ZERO).unwrap().is_none());
        node.cursors.get().published >= all
    });
    node.switch.fail_creates(Some(ENOSPC));
    node.switch.hold_syncs(false);
    wait_until("space runs out", || {
        let now = node.cursors.get();
        now.space_is_low && now.durable > before && now.applied == now.published
    });
}

#[test]
fn a_stop_ends_although_there_is_no_space_for_what_was_accepted() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    let mut client = node.client();
    stalled(&node, &mut client);
    node.stop().unwrap();
    let mut acknowledged = 0;
    let mut unknown = 0;
    wait_until("all requests are over", || {
        match client.poll(Duration::from_millis(10)) {
            Ok(Some(completion)) => match completion.outcome {
                Outcome::Reply(reply) => acknowledged = acknowledged.max(reply.sequence),
                _ => unknown += 1,
            },
            Ok(None) => {}
            Err(_) => return true,
        }
        false
    });
    assert!(unknown > 0, "the journal was never without space");
    let report = assert_sound(directory.path());
    assert!(acknowledged > 0 && report.engine.sequence >= acknowledged);
    let node = Running::start(directory.path(), Layout::Fused);
    assert_eq!(node.client().lookup_accounts(&[8_189]).unwrap().len(), 1);
    node.stop().unwrap();
}

#[test]
fn what_waits_for_space_is_answered_when_there_is_space_again() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Split);
    let mut client = node.client();
    stalled(&node, &mut client);
    node.switch.fail_creates(None);
    let completions = complete(&mut client, LARGEST_IN_RING);
    let sequences: Vec<u64> = completions
        .iter()
        .map(|completion| match &completion.outcome {
            Outcome::Reply(reply) => reply.sequence,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(sequences.is_sorted());
    wait_until("writes are taken again", || !node.cursors.get().space_is_low);
    let again = client.create_accounts(&[account(9_000)]).unwrap();
    assert_eq!(again[0].status, CREATED);
    node.stop().unwrap();
    assert_sound(directory.path());
}

#[test]
fn a_segment_that_can_never_be_made_ends_the_node_and_says_why() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    wait_until("all segments are ready", || node.switch.segments_opened() >= SEGMENTS_READY);
    node.switch.fail_creates(Some(EIO));
    let mut client = node.client();
    let accounts = accounts_of_the_largest_request();
    for _ in 0..3 {
        // The last of them may find the node gone.
        let _ = client.call(Operation::CreateAccounts, &accounts);
    }
    let error = node.end().unwrap_err();
    assert_eq!(error.failure(), Failure::Resource);
    assert!(matches!(error, NodeError::Journal(_)), "{error}");
    assert_sound(directory.path());
}

#[test]
fn a_lack_of_descriptors_is_waited_out() {
    let directory = formatted();
    let node = Running::start(directory.path(), Layout::Fused);
    wait_until("all segments are ready", || node.switch.segments_opened() >= SEGMENTS_READY);
    node.switch.fail_creates(Some(EMFILE));
    let mut client = node.client();
    let accounts = accounts_of_the_largest_request();
    for _ in 0..2 {
        client.call(Operation::CreateAccounts, &accounts).unwrap();
    }
    wait_until("descriptors are missing", || node.cursors.get().is_starved);
    // It is not the disk that is full.
    assert!(!node.cursors.get().space_is_low);
    let config = ClientConfig {
        request_timeout: Duration::from_millis(100),
        ..ClientConfig::at(node.address)
    };
    let error = Client::connect(config).unwrap_err();
    assert!(matches!(error, ClientError::Refused(RequestStatus::Overloaded)), "{error}");
    node.switch.fail_creates(None);
    wait_until("descriptors are there again", || !node.cursors.get().is_starved);
    client.call(Operation::CreateAccounts, &accounts).unwrap();
    node.stop().unwrap();
    assert_sound(directory.path());
}
