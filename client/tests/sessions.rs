//! Hello, pipelining, windows, refusals and the end of a session, on a connection that holds.

mod common;

use common::{
    CLUSTER, FakeNode, PATIENCE, SESSION, completion, end, executed, failure, limits, submit,
};
use mizan_client::{Client, ClientConfig, ClientError, NodeLimits, Outcome};
use mizan_wire::frame::{Header, Pong, Reply};
use mizan_wire::{
    Account, CREATED, CreateTransferStatus, Operation, RequestStatus, ResultException,
};
use std::net::SocketAddr;
use std::time::Duration;
use zerocopy::IntoBytes;

#[test]
fn a_session_is_opened_used_and_closed() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        assert_eq!((hello.client, hello.session, hello.flags), (9, 0, 0));
        peer.welcome(&hello, 0);
        let (request, body) = peer.request();
        assert_eq!((request.request, request.session, request.event_count), (1, SESSION, 2));
        assert_eq!(body.len(), 256);
        peer.execute(&request);
        let (request, _) = peer.request();
        assert_eq!(request.operation, Operation::CloseSession.number());
        assert_eq!((request.request, request.replies_received), (2, 1));
        peer.reply(&Reply { flags: 0, ..executed(&request) }, &[]);
        peer.expect_end();
    });
    let config = ClientConfig { client_id: 9, cluster: CLUSTER, ..node.config() };
    let mut client = Client::connect(config).unwrap();
    assert_eq!((client.cluster(), client.session(), client.epoch()), (CLUSTER, SESSION, 1));
    assert_eq!(client.limits(), &limits());
    let results = client.create_transfers(&common::transfers(1, 2)).unwrap();
    assert_eq!(
        results.iter().map(|r| (r.timestamp, r.status)).collect::<Vec<_>>(),
        [(999, CREATED), (1_000, CREATED)]
    );
    client.close().unwrap();
    node.join();
}

#[test]
fn many_requests_are_in_flight_before_the_first_reply() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let requests = peer.requests(10);
        for (index, (request, body)) in requests.iter().enumerate() {
            assert_eq!(request.request, index as u64 + 1);
            assert_eq!(body[..16], (index as u128 * 100 + 1).to_le_bytes());
            assert_eq!(request.replies_received, 0);
            peer.execute(request);
        }
        let (request, _) = peer.request();
        assert_eq!((request.request, request.replies_received), (11, 10));
        peer.execute(&request);
    });
    let mut client = node.connect();
    let ids: Vec<_> = (0..10).map(|index| submit(&mut client, index * 100 + 1, 3)).collect();
    assert_eq!(client.in_flight(), 10);
    for (index, id) in ids.into_iter().enumerate() {
        let completion = completion(&mut client);
        assert_eq!((completion.id, completion.request), (id, index as u64 + 1));
        let Outcome::Reply(reply) = completion.outcome else { panic!("{completion:?}") };
        assert_eq!((reply.event_count, reply.replayed), (3, false));
    }
    submit(&mut client, 5_000, 1);
    completion(&mut client);
    assert_eq!(client.in_flight(), 0);
    node.join();
}

#[test]
fn a_full_window_refuses_further_writes_until_replies_come() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        peer.limits = NodeLimits { window_requests: 3, window_bytes: 16 * 8, ..limits() };
        let hello = peer.hello();
        peer.welcome(&hello, 0);
        for (request, _) in peer.requests(3) {
            peer.execute(&request);
        }
        let (request, _) = peer.request();
        peer.execute(&request);
    });
    let mut client = node.connect();
    assert_eq!(client.events_max(), 8);
    assert!(client.can_submit(8) && !client.can_submit(9));
    submit(&mut client, 1, 6);
    assert!(client.can_submit(2) && !client.can_submit(3));
    let events = common::transfers(10, 3);
    let refused = client.submit(Operation::CreateTransfers, events.as_bytes());
    assert_eq!(refused, Err(ClientError::WouldExceedWindow));
    submit(&mut client, 20, 1);
    submit(&mut client, 30, 1);
    assert!(!client.can_submit(0));
    // A blocking call waits for room instead.
    assert_eq!(client.create_transfers(&events).unwrap().len(), 3);
    assert_eq!(client.in_flight(), 0);
    node.join();
}

#[test]
fn what_no_node_would_take_is_refused_before_it_is_sent() {
    let node = FakeNode::run(|door| door.welcome(0).expect_end());
    let mut client = node.connect();
    let too_many = client.create_transfers(&common::transfers(1, 8_190));
    assert_eq!(too_many, Err(ClientError::TooManyEvents { count: 8_190, max: 8_189 }));
    let invalid = [
        (Operation::CreateTransfers, &[0u8; 127][..]),
        (Operation::CreateTransfers, &[]),
        (Operation::GetLedgers, &[0; 16]),
        (Operation::CloseSession, &[]),
        (Operation::Tick, &[]),
    ];
    for (operation, events) in invalid {
        let error = client.submit(operation, events).unwrap_err();
        assert!(matches!(error, ClientError::Invalid(_)), "{operation:?}: {error}");
    }
    assert_eq!(client.in_flight(), 0);
    assert_eq!(client.create_accounts(&[]).unwrap(), []);
    drop(client);
    node.join();
}

#[test]
fn a_reply_to_a_later_write_than_the_oldest_ends_the_client() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let requests = peer.requests(2);
        peer.execute(&requests[1].0);
        peer.expect_end();
    });
    let mut client = node.connect();
    submit(&mut client, 1, 1);
    submit(&mut client, 2, 1);
    for _ in 0..2 {
        assert!(matches!(completion(&mut client).outcome, Outcome::Unknown));
    }
    let error = failure(&mut client);
    assert!(error.to_string().contains("write 2 was answered before write 1"), "{error}");
    assert!(client.submit(Operation::GetLedgers, &[]).is_err_and(|again| again == error));
    node.join();
}

#[test]
fn refused_writes_are_sent_again_in_order_under_the_same_numbers() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let first = peer.requests(3);
        peer.refuse(&first[0].0, RequestStatus::Overloaded);
        peer.refuse(&first[1].0, RequestStatus::RequestNumberGap);
        peer.refuse(&first[2].0, RequestStatus::RequestNumberGap);
        let second = peer.requests(3);
        for (before, after) in first.iter().zip(&second) {
            assert_eq!(before, after);
            peer.execute(&after.0);
        }
    });
    let mut client = node.connect();
    let ids = [1, 2, 3].map(|id| submit(&mut client, id, 1));
    for id in ids {
        let completion = completion(&mut client);
        assert_eq!(completion.id, id);
        assert!(matches!(completion.outcome, Outcome::Reply(_)), "{completion:?}");
    }
    node.join();
}

#[test]
fn a_write_that_is_refused_for_good_gives_its_number_to_the_next() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let first = peer.requests(2);
        peer.refuse(&first[0].0, RequestStatus::RequestFlagsInvalid);
        peer.refuse(&first[1].0, RequestStatus::RequestNumberGap);
        let (request, body) = peer.request();
        assert_eq!((request.request, &body), (1, &first[1].1));
        peer.execute(&request);
    });
    let mut client = node.connect();
    let refused = submit(&mut client, 1, 1);
    let executed = submit(&mut client, 2, 1);
    let first = completion(&mut client);
    assert_eq!(first.id, refused);
    assert!(matches!(first.outcome, Outcome::Refused(RequestStatus::RequestFlagsInvalid)));
    let second = completion(&mut client);
    assert_eq!(second.id, executed);
    assert!(matches!(second.outcome, Outcome::Reply(_)), "{second:?}");
    node.join();
}

#[test]
fn a_node_that_refuses_until_the_timeout_is_reported_as_refusing() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        while let Some((header, _)) = peer.frame_or_end() {
            let Header::Request(request) = header else { panic!("{header:?}") };
            peer.refuse(&request, RequestStatus::JournalSpaceLow);
        }
    });
    let request_timeout = Duration::from_millis(150);
    let config = ClientConfig { request_timeout, ..node.config() };
    let mut client = Client::connect(config).unwrap();
    let refused = Err(ClientError::Refused(RequestStatus::JournalSpaceLow));
    assert_eq!(client.create_transfers(&common::transfers(1, 1)), refused);
    drop(client);
    node.join();
}

#[test]
fn no_reply_in_time_means_unknown_and_a_late_reply_is_dropped() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let node = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        let (first, _) = peer.request();
        let (read, _) = peer.request();
        receiver.recv_timeout(PATIENCE).unwrap();
        peer.execute(&first);
        let reply = Reply { flags: 0, ..executed(&read) };
        peer.reply(&reply, &[]);
        let (second, _) = peer.request();
        assert_eq!((second.request, second.replies_received), (2, 1));
        peer.execute(&second);
    });
    let request_timeout = Duration::from_millis(100);
    // Without reconnection a silent connection is kept, so that the late replies come on it.
    let config = ClientConfig { request_timeout, reconnect: false, ..node.config() };
    let mut client = Client::connect(config).unwrap();
    let write = submit(&mut client, 1, 1);
    let read = client.submit(Operation::GetLedgers, &[]).unwrap();
    let unknown = [completion(&mut client), completion(&mut client)];
    assert_eq!(unknown.each_ref().map(|completion| completion.id), [write, read]);
    assert!(unknown.iter().all(|completion| matches!(completion.outcome, Outcome::Unknown)));
    assert_eq!(client.in_flight(), 0);
    sender.send(()).unwrap();
    // The request timeout is short, so the next write is made only when the late replies have surely come.
    let deadline = std::time::Instant::now() + PATIENCE;
    while client.poll(Duration::from_millis(5)).unwrap().is_none() {
        if client.node().commit == 100 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the late replies do not come");
    }
    let next = submit(&mut client, 2, 1);
    let last = completion(&mut client);
    assert_eq!((last.id, last.request), (next, 2));
    node.join();
}

#[test]
fn lookups_exceptions_and_pings_come_back_as_they_were_sent() {
    let account = Account { id: 4, ledger: 1, credits_posted: 25, ..Account::default() };
    let node = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        let status = CreateTransferStatus::ExceedsCredits as u32;
        let exception = ResultException { timestamp: 7, index: 1, status };
        let reply = Reply { result_size: 16, result_count: 1, ..executed(&request) };
        peer.reply(&reply, exception.as_bytes());
        let (request, body) = peer.request();
        assert_eq!(request.request, 1 << 63 | 1);
        assert_eq!((request.min_sequence, request.replies_received), (101, 0));
        assert_eq!(body, [4u128, 5].as_bytes());
        let reply = Reply { result_size: 128, result_count: 1, flags: 0, ..executed(&request) };
        peer.reply(&reply, account.as_bytes());
        let (Header::Ping(ping), _) = peer.frame() else { panic!("no ping") };
        let pong = Pong { nonce: ping.nonce, commit: 12, ..Pong::default() };
        peer.send(&pong.seal(&[]), &[]);
    });
    let mut client = node.connect();
    let results = client.create_transfers(&common::transfers(1, 3)).unwrap();
    assert_eq!(
        results.iter().map(|r| (r.timestamp, r.status)).collect::<Vec<_>>(),
        [(998, CREATED), (7, 54), (1_000, CREATED)]
    );
    assert_eq!(client.lookup_accounts(&[4, 5]).unwrap(), [account]);
    assert_eq!(client.ping().unwrap().commit, 12);
    node.join();
}

#[test]
fn a_reader_opens_no_session_and_cannot_write() {
    let node = FakeNode::run(|door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        assert_eq!((hello.client, hello.flags), (0, 1));
        peer.welcome(&hello, 0);
        peer.expect_end();
    });
    let mut client = Client::connect(ClientConfig { read_only: true, ..node.config() }).unwrap();
    let error = client.create_transfers(&common::transfers(1, 1)).unwrap_err();
    assert!(matches!(error, ClientError::Invalid(_)), "{error}");
    client.close().unwrap();
    node.join();
}

#[test]
fn every_way_to_be_turned_away_has_its_own_error() {
    use RequestStatus as Status;
    type Check = fn(&ClientError) -> bool;
    let cases: [(Status, Check); 7] = [
        (Status::CredentialsRefused, |e| matches!(e, ClientError::RefusedCredentials(_))),
        (Status::AuthMethodUnsupported, |e| matches!(e, ClientError::RefusedCredentials(_))),
        (Status::ClusterMismatch, |e| {
            *e == ClientError::ClusterMismatch { expected: 0, found: CLUSTER }
        }),
        (Status::ProtocolUnsupported, |e| *e == ClientError::VersionMismatch),
        (Status::SessionUnknown, |e| *e == ClientError::SessionLost),
        (Status::SessionsFull, |e| *e == ClientError::Refused(Status::SessionsFull)),
        (Status::NotPrimary, |e| matches!(e, ClientError::NotPrimary { primary: None, .. })),
    ];
    for (status, is_expected) in cases {
        let node = FakeNode::run(move |door| {
            let mut peer = door.accept();
            let hello = peer.hello();
            peer.reject(&hello, status, &limits());
            let mut peer = door.accept();
            peer.hello();
            peer.error(status, "so\x1b[31m there");
        });
        let error = Client::connect(node.config()).unwrap_err();
        assert!(is_expected(&error), "{status:?}: {error}");
        let error = Client::connect(node.config()).unwrap_err();
        if status != Status::ClusterMismatch {
            assert!(is_expected(&error), "{status:?} as an error frame: {error}");
        }
        node.join();
    }
}

#[test]
fn the_text_of_an_error_frame_cannot_steer_a_terminal() {
    let node = FakeNode::run(move |door| {
        let mut peer = door.welcome(0);
        peer.error(RequestStatus::SessionTakenOver, "by\x1b[31m another\n");
    });
    let text = "by [31m another".to_owned();
    let expected = ClientError::Connection(RequestStatus::SessionTakenOver, text);
    assert_eq!(end(&node), expected);
    node.join();
}

#[test]
fn another_cluster_than_the_expected_one_is_refused() {
    let node = FakeNode::run(move |door| door.welcome(0).expect_end());
    let error = Client::connect(ClientConfig { cluster: 78, ..node.config() }).unwrap_err();
    assert_eq!(error, ClientError::ClusterMismatch { expected: 78, found: CLUSTER });
    node.join();
}

#[test]
fn a_standbys_hint_at_the_primary_is_followed() {
    let primary = FakeNode::run(|door| door.welcome(0).expect_end());
    let hint = primary.address.to_string();
    let standby = FakeNode::run(move |door| {
        let mut peer = door.accept();
        let hello = peer.hello();
        let mut limits = limits();
        limits.primary_hint.as_flattened_mut()[..hint.len()].copy_from_slice(hint.as_bytes());
        peer.reject(&hello, RequestStatus::NotPrimary, &limits);
    });
    let client = standby.connect();
    assert_eq!(client.node().address, primary.address);
    drop(client);
    standby.join();
    primary.join();
}

#[test]
fn nobody_at_any_address_is_reported_with_the_fault_of_each() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = SocketAddr::from(([127, 0, 0, 1], 1));
    let config = ClientConfig { addresses: vec![first, free], ..ClientConfig::default() };
    let error = Client::connect(config).unwrap_err();
    let refused = |address| ClientError::Unreachable(address, "connection refused".to_owned());
    assert_eq!(error, ClientError::NoneOf(vec![refused(first), refused(free)]));
    let text = error.to_string();
    assert!(text.contains(&first.to_string()) && text.contains(&free.to_string()), "{text}");
}

#[test]
fn timeouts_without_end_are_as_good_as_any() {
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        let (request, _) = peer.request();
        peer.execute(&request);
    });
    let request_timeout = Duration::MAX;
    let mut client = Client::connect(ClientConfig { request_timeout, ..node.config() }).unwrap();
    let id = submit(&mut client, 1, 1);
    assert_eq!(client.poll(Duration::MAX).unwrap().map(|completion| completion.id), Some(id));
    node.join();
}

#[test]
fn events_written_in_place_arrive_whole_however_large_those_were_whose_memory_they_take() {
    const SIZES: [usize; 5] = [3, 1, 5, 2, 4];
    let node = FakeNode::run(|door| {
        let mut peer = door.welcome(0);
        for (round, count) in (1..).zip(SIZES) {
            let (request, body) = peer.request();
            assert_eq!(request.event_count as usize, count);
            assert_eq!(body, vec![round; count * 128]);
            peer.execute(&request);
        }
        peer.expect_end();
    });
    let mut client = Client::connect(node.config()).unwrap();
    for (round, count) in (1..).zip(SIZES) {
        let operation = Operation::CreateTransfers;
        client.submit_with(operation, count * 128, |body| body.fill(round)).unwrap();
        assert!(matches!(completion(&mut client).outcome, Outcome::Reply(_)));
    }
    let refused = client.submit_with(Operation::CreateTransfers, 127, |_| panic!("not called"));
    assert!(matches!(refused, Err(ClientError::Invalid(_))));
    drop(client);
    node.join();
}
