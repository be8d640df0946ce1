//! Sessions against a real node: what a client gets when connections break, requests come twice, or the node is killed.

use mizan_client::{Client, ClientConfig, ClientError, Completion, Outcome};
use mizan_journal::constants::SEGMENTS_AHEAD_MAX;
use mizan_tests::binary::{NodeProcess, format_small};
use mizan_tests::ledger::{
    LedgerView, PATIENCE, client, create_accounts, pay, reader, transfer, wait_until,
};
use mizan_tests::proxy::{Direction, Proxy};
use mizan_tests::raw::{Answer, RawConnection, is_replayed, request_frame};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{CREATED, CreateTransferStatus, Operation, RequestStatus, Status, Transfer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// Every so many bytes a connection is cut; not a divisor of any size in the protocol.
const CUT_STEP: usize = 53;

struct Setup {
    directory: TempDir,
    node: NodeProcess,
}

impl Setup {
    fn new(further: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut options = vec!["--transfers", "50000", "--accounts", "1000", "--holds", "100"];
        options.extend(further);
        format_small(&directory.path().join("data"), &options);
        let node = NodeProcess::start(&directory.path().join("data"), "127.0.0.1:0");
        Self { directory, node }
    }

    fn address(&self) -> SocketAddr {
        self.node.address()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

fn reply_of(completion: Completion) -> mizan_client::Reply {
    match completion.outcome {
        Outcome::Reply(reply) => reply,
        other => panic!("no reply: {other:?}"),
    }
}

#[test]
fn pipelined_requests_are_executed_in_the_order_of_their_submission() {
    let setup = Setup::new(&[]);
    let mut client = client(setup.address());
    create_accounts(&mut client, 2);
    let count = 200u128;
    let ids: Vec<_> = (1..=count)
        .map(|id| {
            client
                .submit(Operation::CreateTransfers, transfer(id, 1).as_bytes())
                .expect("the window has room")
        })
        .collect();
    let mut sequence_last = 0;
    for id in ids {
        let completion = client.poll(PATIENCE).expect("the node answers").expect("in time");
        assert_eq!(completion.id, id, "replies come in the order of the requests");
        let reply = reply_of(completion);
        assert!(reply.sequence > sequence_last, "{} follows {sequence_last}", reply.sequence);
        sequence_last = reply.sequence;
        assert_eq!(reply.create_results()[0].status, CREATED);
    }
    let accounts = client.lookup_accounts(&[1, 2]).expect("the node answers");
    assert_eq!((accounts[0].debits_posted, accounts[1].credits_posted), (count, count));
}

/// Sends batches of two good transfers and one bad one, and cuts each one's connection after another byte.
fn cut_everywhere(direction: Direction, size: usize) -> u64 {
    let setup = Setup::new(&[]);
    let proxy = Proxy::start(setup.address());
    let mut through = client(proxy.address());
    create_accounts(&mut through, 2);
    let (mut replayed, mut expected) = (0, BTreeMap::new());
    let mut next_id = 1u128;
    let places = (0..size).step_by(CUT_STEP).chain([HEADER_SIZE - 1, HEADER_SIZE, size - 1, size]);
    let places: Vec<usize> = places.collect();
    for place in &places {
        let bad = Transfer { credit_account_id: 1, ..transfer(next_id + 2, 1) };
        let batch = [transfer(next_id, 1), transfer(next_id + 1, 2), bad];
        next_id += 3;
        // Nothing passes at 0 bytes: the connection ends with the first one.
        proxy.cut_after(direction, *place);
        through.submit(Operation::CreateTransfers, batch.as_bytes()).expect("the window has room");
        let reply = reply_of(through.poll(PATIENCE).expect("the client goes on").expect("in time"));
        let results = reply.create_results();
        let same = CreateTransferStatus::AccountsMustBeDifferent.number();
        let statuses: Vec<u32> = results.iter().map(|result| result.status).collect();
        assert_eq!(statuses, [CREATED, CREATED, same], "cut at byte {place} {direction:?}");
        replayed += u64::from(reply.replayed);
        for (sent, result) in batch.iter().zip(&results).take(2) {
            expected.insert(sent.id, result.timestamp);
        }
    }
    // A cut behind the last byte may not be noticed until more follows.
    assert!(proxy.cuts() >= places.len() as u64 - 1, "{} cuts", proxy.cuts());

    let ids: Vec<u128> = (1..next_id).collect();
    let found = through.lookup_transfers(&ids).expect("the node answers");
    let found: BTreeMap<u128, u64> = found.iter().map(|t| (t.id, t.timestamp)).collect();
    assert_eq!(found, expected, "every transfer is there with its acknowledged timestamp");
    let accounts = through.lookup_accounts(&[1, 2]).expect("the node answers");
    let moved = places.len() as u128 * 3;
    assert_eq!((accounts[0].debits_posted, accounts[1].credits_posted), (moved, moved));
    replayed
}

#[test]
fn a_request_cut_at_any_byte_is_resent_and_applied_once() {
    let size = HEADER_SIZE + 3 * size_of::<Transfer>();
    let replayed = cut_everywhere(Direction::Up, size);
    println!("{replayed} of the requests had been executed before they were sent again");
}

#[test]
fn a_reply_cut_at_any_byte_is_repeated_and_not_executed_again() {
    // One result of three is not "created": one exception of 16 bytes.
    let replayed = cut_everywhere(Direction::Down, HEADER_SIZE + 16);
    assert!(replayed >= 3, "only {replayed} replies were repeated");
}

#[test]
fn a_number_sent_again_with_other_content_is_refused_and_with_the_same_content_repeated() {
    let setup = Setup::new(&[]);
    create_accounts(&mut client(setup.address()), 2);
    let (mut raw, hello) = RawConnection::open(setup.address(), 0x51);
    let frame = |transfer: Transfer| {
        request_frame(hello.session, 1, Operation::CreateTransfers, transfer.as_bytes())
    };
    let (first, first_body) = raw.request(&frame(transfer(9, 5)));
    assert_eq!(first.status, RequestStatus::Ok.number());
    assert!(!is_replayed(&first));
    let before = LedgerView::of(&mut reader(setup.address()));

    let (other, other_body) = raw.request(&frame(transfer(10, 5)));
    assert_eq!(other.status, RequestStatus::RequestMismatch.number());
    assert!(other_body.is_empty());
    let (again, again_body) = raw.request(&frame(transfer(9, 5)));
    assert!(is_replayed(&again), "the reply says that it is a repetition");
    assert_eq!(
        (again.status, again.sequence, again.timestamp, again_body),
        (first.status, first.sequence, first.timestamp, first_body)
    );
    let after = LedgerView::of(&mut reader(setup.address()));
    assert_eq!(after.0, before.0, "nothing moved");

    let gap =
        request_frame(hello.session, 3, Operation::CreateTransfers, transfer(11, 1).as_bytes());
    let (gap, _) = raw.request(&gap);
    assert_eq!(gap.status, RequestStatus::RequestNumberGap.number());
}

/// Segments of the journal.
fn segment_count(setup: &Setup) -> usize {
    let entries = std::fs::read_dir(setup.data()).expect("the data directory is there");
    let names = entries.map(|entry| entry.expect("a name").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

#[test]
fn refused_writes_leave_nothing_in_the_log_and_repeated_ones_a_header() {
    const TIMES: u64 = 100;
    // A digest would be an entry of the log that nobody asked for.
    let setup = Setup::new(&["--digest-interval", "1000000"]);
    create_accounts(&mut client(setup.address()), 2);
    let (mut raw, hello) = RawConnection::open(setup.address(), 0x52);
    let large: Vec<Transfer> = (1..=8_189).map(|id| transfer(id, 1)).collect();
    let frame = |number: u64, count: usize| {
        let events = large[..count].as_bytes();
        request_frame(hello.session, number, Operation::CreateTransfers, events)
    };
    let (first, first_body) = raw.request(&frame(1, 8_189));
    assert_eq!(first.status, RequestStatus::Ok.number());
    let sequence = |setup: &Setup| {
        let status = reader(setup.address()).engine_status();
        status.expect("the node answers").sequence
    };
    let (before, segments) = (sequence(&setup), segment_count(&setup));
    for (number, status) in [
        (0, RequestStatus::ReplyDiscarded),
        (3, RequestStatus::RequestNumberGap),
        (u64::MAX, RequestStatus::RequestNumberGap),
    ] {
        for _ in 0..TIMES {
            let (reply, _) = raw.request(&frame(number, 8_189));
            assert_eq!((reply.status, reply.sequence), (status.number(), 0));
        }
    }
    assert_eq!(sequence(&setup), before, "what is out of order gets no place in the log");
    let others = frame(1, 8_188);
    for _ in 0..TIMES {
        let (again, body) = raw.request(&frame(1, 8_189));
        assert!(is_replayed(&again));
        assert_eq!((again.sequence, &body), (first.sequence, &first_body));
        let (other, _) = raw.request(&others);
        assert_eq!(other.status, RequestStatus::RequestMismatch.number());
    }
    assert_eq!(sequence(&setup), before + 2 * TIMES);
    // Their bodies would have filled a hundred segments of 2 MiB. How many are made ahead of need by now is a matter of the
    // disk's speed; there is a limit to it.
    let segments_max = segments + SEGMENTS_AHEAD_MAX + 2;
    assert!(segment_count(&setup) <= segments_max, "a repetition is kept without its body");
    let (next, _) = raw.request(&request_frame(
        hello.session,
        2,
        Operation::CreateTransfers,
        transfer(20_000, 1).as_bytes(),
    ));
    assert_eq!(next.status, RequestStatus::Ok.number(), "the session goes on");
}

#[test]
fn a_full_session_table_refuses_newcomers_until_a_session_is_closed() {
    let setup = Setup::new(&["--sessions", "2"]);
    let address = setup.address();
    let first = client(address);
    let _second = client(address);
    let refused = RawConnection::connect(address).hello(0x33);
    assert_eq!(refused.status, RequestStatus::SessionsFull.number());
    let error = Client::connect(ClientConfig::at(address)).expect_err("there is no place");
    assert_eq!(error, ClientError::Refused(RequestStatus::SessionsFull));
    reader(address).engine_status().expect("readers need no place");

    first.close().expect("the session closes");
    let (_third, hello) = RawConnection::open(address, 0x33);
    assert_eq!(hello.resumed, 0);
    let status = reader(address).engine_status().expect("the node answers");
    assert_eq!((status.session_count, status.session_count_max), (2, 2));
}

#[test]
fn sessions_whose_connections_are_gone_keep_nobody_out() {
    let mut setup = Setup::new(&["--sessions", "8"]);
    let crash = |address, from: u128| {
        for number in 0..40 {
            let mut raw = RawConnection::connect(address);
            wait_until("there is a place", || {
                let is_open = raw.hello(from + number).status == RequestStatus::Ok.number();
                if !is_open {
                    raw = RawConnection::connect(address);
                }
                is_open
            });
        }
    };
    // Clients that say hello and are gone, more than there are places.
    crash(setup.address(), 0x100);
    client(setup.address()).close().expect("a newcomer finds a place");
    // A restart leaves none of the sessions a connection.
    setup.node.kill9();
    setup.node = NodeProcess::start(&setup.data(), "127.0.0.1:0");
    crash(setup.address(), 0x200);
    client(setup.address()).close().expect("a newcomer finds a place");
}

#[test]
fn stored_replies_survive_kill_9_and_are_repeated_to_the_same_client() {
    let mut setup = Setup::new(&[]);
    create_accounts(&mut client(setup.address()), 2);
    let (mut raw, hello) = RawConnection::open(setup.address(), 0x77);
    let frame = |number: u64| {
        // Every second one has a result that is not "created".
        let second = if number.is_multiple_of(2) { 1_000 } else { u128::from(number) * 10 + 1 };
        let batch = [transfer(u128::from(number) * 10, 3), transfer(second, number.into())];
        request_frame(hello.session, number, Operation::CreateTransfers, batch.as_bytes())
    };
    let replies: Vec<_> = (1..=8).map(|number| raw.request(&frame(number))).collect();
    assert!(replies.iter().any(|(_, body)| !body.is_empty()), "some replies have exceptions");
    let before = LedgerView::of(&mut reader(setup.address()));
    setup.node.kill9();
    assert!(matches!(raw.receive(), Answer::End));

    setup.node = NodeProcess::start(&setup.data(), "127.0.0.1:0");
    let after = LedgerView::of(&mut reader(setup.address()));
    assert_eq!(after.0, before.0);
    let (mut raw, resumed) = RawConnection::open(setup.address(), 0x77);
    assert_eq!((resumed.session, resumed.resumed, resumed.request_last), (hello.session, 1, 8));
    for (number, (reply, body)) in (1..=8).zip(&replies) {
        let (again, again_body) = raw.request(&frame(number));
        assert!(is_replayed(&again), "request {number} is not executed again");
        assert_eq!(&again_body, body, "request {number}");
        assert_eq!(
            (again.status, again.sequence, again.timestamp, again.event_count),
            (reply.status, reply.sequence, reply.timestamp, reply.event_count),
            "request {number}"
        );
    }
    let after = LedgerView::of(&mut reader(setup.address()));
    assert_eq!(after.0, before.0, "repeating moved nothing");
    let (next, _) = raw.request(&frame(9));
    assert_eq!((next.status, is_replayed(&next)), (RequestStatus::Ok.number(), false));
}

#[test]
fn a_write_whose_reply_does_not_come_is_unknown_and_never_called_failed() {
    let setup = Setup::new(&[]);
    let mut direct = client(setup.address());
    create_accounts(&mut direct, 2);
    let proxy = Proxy::start(setup.address());
    let mut through = Client::connect(ClientConfig {
        request_timeout: Duration::from_millis(400),
        connect_timeout: PATIENCE,
        ..ClientConfig::at(proxy.address())
    })
    .expect("the node answers");
    proxy.stall_after(Direction::Down, 0);
    let error = pay(&mut through, 1, 5).expect_err("no reply can come");
    assert_eq!(error, ClientError::Unknown);
    assert!(!error.is_final(), "the client can go on");
    wait_until("the transfer is executed all the same", || {
        direct.lookup_transfers(&[1]).expect("the node answers").len() == 1
    });

    proxy.release(setup.address());
    // The client's own timeout is short, so the next call may time out on a busy machine, too.
    wait_until("the client goes on", || match pay_once(&mut through, 2) {
        Ok(()) => true,
        Err(ClientError::Unknown | ClientError::NotSent) => false,
        Err(error) => panic!("{error}"),
    });
    let accounts = direct.lookup_accounts(&[1]).expect("the node answers");
    assert_eq!(accounts[0].debits_posted, 6, "each transfer moved once");
}

/// Makes the transfer, or finds that an earlier attempt made it.
fn pay_once(client: &mut Client, id: u128) -> Result<(), ClientError> {
    let status = client.create_transfers(&[transfer(id, 1)])?[0].status;
    assert!([CREATED, CreateTransferStatus::Exists.number()].contains(&status), "{status}");
    Ok(())
}

#[test]
fn a_write_that_no_node_was_there_to_take_is_reported_as_not_sent() {
    let mut setup = Setup::new(&[]);
    let mut client = Client::connect(ClientConfig {
        request_timeout: Duration::from_millis(400),
        ..ClientConfig::at(setup.address())
    })
    .expect("the node answers");
    setup.node.kill9();
    // The first request finds out that the connection is gone, and may have reached the kernel before.
    let first = client.create_transfers(&[transfer(1, 1)]).expect_err("nobody is there");
    assert!(matches!(first, ClientError::Unknown | ClientError::NotSent), "{first}");
    let error = client.create_transfers(&[transfer(2, 1)]).expect_err("nobody is there");
    assert_eq!(error, ClientError::NotSent);
}
