//! Every refusal has its own number: those that end the connection, and those that only answer a request.

mod common;

use common::*;
use mizan_gateway::{Accepting, GatewayConfig, Submission};
use mizan_wire::frame::{HELLO_READ_ONLY, Pong};
use mizan_wire::limits::{ERROR_TEXT_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{Operation, RequestStatus, Status, frame_checksum};

/// Changes bytes of a frame's header and makes its checksum fit again.
fn resealed(mut frame: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut frame);
    let sum = frame_checksum(&frame[16..HEADER_SIZE]);
    frame[..16].copy_from_slice(&sum.to_le_bytes());
    frame
}

#[test]
fn every_status_has_a_text_that_fits_an_error_frame() {
    for status in RequestStatus::PRECEDENCE {
        let size = status.meaning().len();
        assert!(size <= ERROR_TEXT_SIZE_MAX, "{} has {size} bytes", status.name());
    }
}

#[test]
fn a_frame_that_is_none_ends_the_connection_with_the_reason() {
    let mut bed = Bed::new();
    let frame = || write_of(0, 1, 1);
    let cases: Vec<(RequestStatus, Vec<u8>)> = vec![
        (RequestStatus::BadMagic, vec![b'G'; 200]),
        (RequestStatus::BadMagic, b"GET / HTTP/1.1\r\nHost: 127.0.0.1:7117\r\n\r\n".to_vec()),
        (RequestStatus::HeaderChecksumMismatch, {
            let mut bytes = frame();
            bytes[60] ^= 1;
            bytes
        }),
        (RequestStatus::ProtocolUnsupported, resealed(frame(), |bytes| bytes[41] = 2)),
        (RequestStatus::FrameKindUnknown, resealed(frame(), |bytes| bytes[40] = 99)),
        (RequestStatus::FrameKindUnknown, Pong::default().seal(&[]).to_vec()),
        (
            RequestStatus::FrameSizeInvalid,
            resealed(frame(), |bytes| (bytes[36], bytes[37]) = (127, 0)),
        ),
        (RequestStatus::FrameSizeInvalid, resealed(frame(), |bytes| bytes[39] = 0xFF)),
        (RequestStatus::ReservedNotZero, resealed(frame(), |bytes| bytes[47] = 1)),
        (RequestStatus::HelloExpected, frame()),
        (RequestStatus::BodyChecksumMismatch, resealed(ping(1), |bytes| bytes[16] ^= 1)),
    ];
    let count = cases.len() as u64;
    for (status, bytes) in cases {
        let mut client = bed.connect();
        client.send(&bytes);
        let (error, text) = bed.error(&mut client);
        assert_eq!(error.status, status.number(), "{}", status.name());
        assert_eq!(text, status.meaning());
    }
    assert_eq!(bed.counters().frame_errors, count);
    assert!(bed.sink.submitted.is_empty());
}

#[test]
fn a_body_that_does_not_match_its_checksum_ends_the_connection_and_is_not_submitted() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    let mut bytes = write_of(client.session, 9, 2);
    bytes[HEADER_SIZE + 130] ^= 1;
    client.send(&bytes);
    let (error, _) = bed.error(&mut client);
    assert_eq!(error.status, RequestStatus::BodyChecksumMismatch.number());
    assert_eq!(error.request, 9);
    assert_eq!(bed.sink.submitted.len(), 1, "only the hello");
}

#[test]
fn a_second_hello_ends_the_connection() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    client.send(&hello(1, |_| ()));
    assert_eq!(bed.error(&mut client).0.status, RequestStatus::HelloRepeated.number());
}

#[test]
fn a_refused_hello_is_answered_with_its_status_and_the_connection_ends() {
    let mut bed = Bed::new();
    let cases = [
        (RequestStatus::ClusterMismatch, hello(1, |hello| hello.cluster = 5)),
        (RequestStatus::AuthMethodUnsupported, hello(1, |hello| hello.auth_method = 1)),
        (RequestStatus::CredentialsRefused, hello_with(1, b"let me in", |_| ())),
        (RequestStatus::ClientIdInvalid, hello(0, |_| ())),
    ];
    for (status, bytes) in cases {
        let mut client = bed.connect();
        client.send(&bytes);
        let reply = bed.hello_reply(&mut client);
        assert_eq!((reply.status, reply.session), (status.number(), 0), "{}", status.name());
        bed.end(&mut client);
    }
    assert!(bed.sink.submitted.is_empty());
    bed.sink.register_status = RequestStatus::SessionsFull;
    let mut client = bed.connect();
    client.send(&hello(1, |_| ()));
    assert_eq!(bed.hello_reply(&mut client).status, RequestStatus::SessionsFull.number());
    bed.end(&mut client);
    assert_eq!(bed.counters().hellos_refused, 5);
    drop(client);
    bed.until("all are gone", |bed| bed.counters().connections == 0);
}

#[test]
fn a_hello_for_the_right_cluster_and_a_known_session_is_resumed() {
    let mut bed = Bed::new();
    let mut first = bed.session(7);
    bed.assert_served(&mut first);
    drop(first);
    let mut again = bed.connect();
    again.send(&hello(7, |hello| (hello.cluster, hello.session) = (CLUSTER, 1001)));
    let reply = bed.hello_reply(&mut again);
    assert_eq!((reply.client, reply.cluster, reply.status), (7, CLUSTER, 0));
    assert_eq!((reply.resumed, reply.request_last, reply.role), (1, 1, 1));
    assert_eq!((reply.epoch, reply.commit > 0), (EPOCH, true));
    let (entry, _) = &bed.sink.submitted[2];
    assert_eq!(entry.operation, Operation::Register.number());
    assert_eq!((entry.client, entry.session, entry.protocol), (7, 1001, 1));
}

#[test]
fn a_refused_request_is_a_reply_and_the_connection_goes_on() {
    use Operation::{CreateTransfers, GetLedgers, LookupAccounts};
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    let session = client.session;
    let cases = [
        (
            RequestStatus::OperationUnknown,
            request(CreateTransfers, session, 1, 1, |r| r.operation = 9),
        ),
        (
            RequestStatus::OperationUnknown,
            request(CreateTransfers, session, 2, 1, |r| r.operation = 512),
        ),
        (
            RequestStatus::EventSizeInvalid,
            request(CreateTransfers, session, 3, 1, |r| r.event_size = 64),
        ),
        (
            RequestStatus::EventSizeInvalid,
            request(CreateTransfers, session, 4, 1, |r| r.event_version = 1),
        ),
        (
            RequestStatus::EventCountInvalid,
            request(CreateTransfers, session, 5, 3, |r| r.event_count = 0),
        ),
        (
            RequestStatus::EventCountInvalid,
            request(GetLedgers, session, 6, 0, |r| r.event_count = 1),
        ),
        (
            RequestStatus::BodySizeInvalid,
            request(CreateTransfers, session, 7, 3, |r| r.event_count = 2),
        ),
        (
            RequestStatus::RequestFlagsInvalid,
            request(CreateTransfers, session, 8, 1, |r| r.flags = 1),
        ),
        (RequestStatus::SessionUnknown, request(CreateTransfers, session + 1, 9, 1, |_| ())),
        (RequestStatus::SessionUnknown, request(LookupAccounts, 0, 10, 1, |_| ())),
    ];
    for (number, (status, bytes)) in (1..).zip(&cases) {
        client.send(bytes);
        let (reply, body) = bed.reply(&mut client);
        assert_eq!((reply.request, reply.status), (number, status.number()), "{}", status.name());
        assert_eq!((body.len(), reply.copies_durable, reply.epoch), (0, 0, EPOCH));
    }
    assert_eq!(bed.sink.submitted.len(), 1, "only the hello");
    assert_eq!(bed.counters().requests_refused, cases.len() as u64);
    bed.assert_served(&mut client);
}

#[test]
fn a_refused_request_of_a_mebibyte_is_passed_over_without_a_buffer() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    let mut bytes = large(client.session + 5, 1);
    let last = bytes.pop().unwrap();
    client.send(&bytes);
    let (reply, _) = bed.reply(&mut client);
    assert_eq!(reply.status, RequestStatus::SessionUnknown.number());
    bed.send_all(&mut client);
    bed.settle();
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
    client.send(&[last]);
    bed.assert_served(&mut client);
}

#[test]
fn a_reader_reads_and_may_not_write() {
    let mut bed = Bed::new();
    let mut client = bed.reader();
    client.send(&write_of(0, 1, 1));
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::SessionRequired.number());
    client.send(&request(Operation::LookupAccounts, 4, 2, 1, |_| ()));
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::SessionUnknown.number());
    let lookup = request(Operation::LookupAccounts, 0, 3, 2, |r| r.min_sequence = 55);
    client.send(&lookup);
    let (reply, body) = bed.reply(&mut client);
    assert_eq!((reply.request, reply.status, body.len()), (3, 0, 16));
    let (entry, _) = bed.sink.submitted.last().unwrap();
    assert_eq!((entry.replies_received, entry.session, entry.event_count), (55, 0, 2));
}

#[test]
fn an_entry_carries_what_the_client_said() {
    let mut bed = Bed::new();
    let mut client = bed.session(0xABCD);
    client.send(&request(Operation::CreateAccounts, client.session, 1, 3, |r| {
        (r.replies_received, r.min_sequence, r.release) = (6, 99, 0x10203);
    }));
    bed.reply(&mut client);
    let (entry, body) = bed.sink.submitted.last().unwrap();
    assert_eq!((entry.client, entry.session, entry.request), (0xABCD, client.session, 1));
    assert_eq!((entry.replies_received, entry.release, entry.protocol), (6, 0x10203, 1));
    assert_eq!((entry.event_size, entry.event_count, entry.body_size), (128, 3, 384));
    assert_eq!((entry.clock_reading, entry.origin != 0, body.len()), (0, true, 384));
}

#[test]
fn what_the_node_does_not_take_is_refused_with_the_nodes_status() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.view.accepting = Accepting::ReadsOnly(RequestStatus::JournalSpaceLow);
    client.send(&write_of(client.session, 1, 1));
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::JournalSpaceLow.number());
    client.send(&request(Operation::GetLedgers, client.session, 2, 0, |_| ()));
    assert_eq!(bed.reply(&mut client).0.status, 0);
    let mut late = bed.connect();
    late.send(&hello(2, |_| ()));
    assert_eq!(bed.hello_reply(&mut late).status, RequestStatus::JournalSpaceLow.number());
    let _reader = bed.reader();
    bed.view.accepting = Accepting::Nothing(RequestStatus::NotPrimary);
    client.send(&request(Operation::GetLedgers, client.session, 3, 0, |_| ()));
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::NotPrimary.number());
    let mut late = bed.connect();
    late.send(&hello(0, |hello| hello.flags = HELLO_READ_ONLY));
    assert_eq!(bed.hello_reply(&mut late).status, RequestStatus::NotPrimary.number());
    bed.view.accepting = Accepting::All;
    bed.assert_served(&mut client);
}

#[test]
fn what_the_sink_refuses_is_answered_with_its_status() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.sink.verdict = Some(Submission::Refused(RequestStatus::Overloaded));
    client.send(&write_of(client.session, 1, 1));
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::Overloaded.number());
    let mut late = bed.connect();
    late.send(&hello(2, |_| ()));
    assert_eq!(bed.hello_reply(&mut late).status, RequestStatus::Overloaded.number());
    bed.end(&mut late);
    bed.sink.verdict = None;
    bed.assert_served(&mut client);
}

#[test]
fn a_gateway_that_shuts_down_refuses_writes_answers_what_is_in_flight_and_says_goodbye() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.answers = false;
    client.send(&write_of(client.session, 1, 1));
    bed.until("the request is in flight", |bed| bed.gateway.in_flight() == 1);
    bed.gateway.begin_shutdown();
    client.send(&write_of(client.session, 2, 1));
    client.send(&request(Operation::GetLedgers, client.session, 3, 0, |_| ()));
    bed.until("the read is in flight", |bed| bed.gateway.in_flight() == 2);
    assert!(std::net::TcpStream::connect(bed.gateway.local_addr()).is_err());
    bed.answer(usize::MAX);
    let statuses: Vec<(u64, u32)> = (0..3)
        .map(|_| bed.reply(&mut client).0)
        .map(|reply| (reply.request, reply.status))
        .collect();
    assert_eq!(statuses, [(1, 0), (2, RequestStatus::ShuttingDown.number()), (3, 0)]);
    assert_eq!(bed.gateway.in_flight(), 0);
    bed.gateway.close_all();
    assert_eq!(bed.error(&mut client).0.status, RequestStatus::ShuttingDown.number());
    assert_eq!(bed.counters().connections, 0);
}

#[test]
fn a_hellos_reply_tells_the_limits_of_node_and_gateway() {
    let mut bed = Bed::with(GatewayConfig {
        partial_timeout: std::time::Duration::from_millis(1234),
        ..config()
    });
    let mut client = bed.connect();
    client.send(&hello(3, |_| ()));
    let (_, body) = bed.receive(&mut client).unwrap();
    let limits: mizan_wire::frame::NodeLimits =
        zerocopy::FromBytes::read_from_bytes(&body).unwrap();
    assert_eq!((limits.window_requests, limits.window_bytes), (64, 1 << 20));
    assert_eq!(
        (limits.frame_size_max, limits.events_max),
        (mizan_wire::limits::FRAME_SIZE_MAX as u32, 8189)
    );
    assert_eq!((limits.partial_timeout_ms, limits.slow_reader_timeout_ms), (1234, 10_000));
}

#[test]
fn a_ping_is_answered_at_any_time() {
    let mut bed = Bed::new();
    let mut client = bed.connect();
    client.send(&ping(77));
    assert_eq!(bed.pong(&mut client).nonce, 77);
    client.send(&hello(1, |_| ()));
    assert_eq!(bed.hello_reply(&mut client).status, 0);
    client.send(&ping(78));
    let pong = bed.pong(&mut client);
    assert_eq!((pong.nonce, pong.commit), (78, bed.view.commit));
}
