//! Behaviour of sessions: registration, repetition, windows, eviction; and of entries that no log can have.

mod common;

use common::*;
use mizan_engine::{ApplyError, Resolved};
use mizan_wire::frame::{REPLY_COMPACT, REPLY_REPLAYED};
use mizan_wire::limits::{NS_PER_S, SESSION_LOST_GRACE_NS};
use mizan_wire::{
    DigestRecord, Genesis, Operation, RegisterRecord, RequestFlags, RequestHeader, RequestStatus,
    ResultException, SessionKey, SessionRecord, SessionsQuery, Transfer,
};
use zerocopy::IntoBytes;

/// A log with accounts 1 and 2, and a client with a session.
struct Client {
    log: Log,
    session: u64,
}

impl Client {
    fn new(genesis: &Genesis) -> Self {
        let mut log = Log::with(genesis);
        log.accounts(&[account(1), account(2)]);
        let session = log.register(77, 0).unwrap().session;
        Self { log, session }
    }

    fn header(&self, operation: Operation, request: u64, events: &[Transfer]) -> RequestHeader {
        RequestHeader {
            client: 77,
            session: self.session,
            request,
            request_checksum: events.first().map_or(0, |event| event.id),
            ..self.log.header(operation, events.len(), size_of_val(events))
        }
    }

    fn send(&mut self, request: u64, received: u64, events: &[Transfer]) -> RequestStatus {
        let header = self.header(Operation::CreateTransfers, request, events);
        let header = RequestHeader { replies_received: received, ..header };
        self.log.apply(&header, events.as_bytes()).unwrap();
        self.log.output.status
    }

    fn close(&mut self, request: u64) -> RequestStatus {
        let header = self.header(Operation::CloseSession, request, &[]);
        self.log.apply(&header, &[]).unwrap();
        self.log.output.status
    }
}

#[test]
fn a_session_is_opened_once_and_resumed_by_its_client() {
    let mut log = Log::new();
    let opened = log.register(5, 0).unwrap();
    assert_eq!(opened, RegisterRecord { session: 2, ..RegisterRecord::default() });
    let resumed = RegisterRecord { resumed: 1, ..opened };
    assert_eq!(log.register(5, 0), Ok(resumed));
    assert_eq!(log.register(5, 2), Ok(resumed));
    assert_eq!(log.register(5, 3), Err(RequestStatus::SessionUnknown));
    assert_eq!(log.register(6, 2), Err(RequestStatus::SessionUnknown));
    assert_eq!(log.register(0, 0), Err(RequestStatus::ClientIdInvalid));
    assert_eq!(log.engine.status().session_count, 1);
}

#[test]
fn only_an_idle_session_makes_room_and_the_idlest_goes_first() {
    let mut log = Log::new();
    log.register(1, 0).unwrap();
    log.register(2, 0).unwrap();
    log.register(1, 0).unwrap();
    assert_eq!(log.register(3, 0), Err(RequestStatus::SessionsFull));
    log.clock_ns = log.engine.timestamp() + 998;
    assert_eq!(log.register(3, 0).map(|record| record.resumed), Ok(0));
    assert_eq!(log.register(1, 0).map(|record| record.resumed), Ok(1));
    assert_eq!(log.register(2, 0), Err(RequestStatus::SessionsFull));
}

#[test]
fn a_repeated_request_gets_the_original_reply_and_moves_nothing() {
    let mut client = Client::new(&small_genesis());
    let events = [transfer(1, 1, 2, 5), transfer(2, 1, 1, 5), transfer(3, 1, 2, 6)];
    assert_eq!(client.send(1, 0, &events), RequestStatus::Ok);
    let original = client.log.output.clone();
    assert_eq!((original.flags, original.result_count), (REPLY_COMPACT, 1));
    assert_eq!(client.send(2, 0, &[transfer(4, 1, 2, 1)]), RequestStatus::Ok);
    assert_eq!(client.send(1, 0, &events), RequestStatus::Ok);
    let replayed = &client.log.output;
    assert_eq!(replayed.flags, REPLY_COMPACT | REPLY_REPLAYED);
    assert_eq!(replayed.body(), original.body());
    assert_eq!(
        (replayed.sequence, replayed.timestamp, replayed.event_count),
        (original.sequence, original.timestamp, original.event_count)
    );
    assert_eq!((replayed.result_size, replayed.result_count), (16, 1));
    assert_eq!(client.log.balances(1), [0, 12, 0, 0]);
    assert_eq!(client.send(1, 0, &[transfer(9, 1, 2, 5)]), RequestStatus::RequestMismatch);
    assert_eq!(client.log.output.event_count, 0);
}

#[test]
fn numbers_have_no_gaps_and_received_replies_are_gone() {
    let mut client = Client::new(&small_genesis());
    assert_eq!(client.send(0, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::ReplyDiscarded);
    assert_eq!(client.send(2, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::RequestNumberGap);
    assert_eq!(client.send(1, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::Ok);
    // More than was executed cannot have been received.
    assert_eq!(client.send(2, 99, &[transfer(2, 1, 2, 1)]), RequestStatus::Ok);
    assert_eq!(client.send(1, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::ReplyDiscarded);
    assert_eq!(client.send(2, 0, &[transfer(2, 1, 2, 1)]), RequestStatus::Ok);
    assert_eq!(client.log.output.flags & REPLY_REPLAYED, REPLY_REPLAYED);
    let session = client.session;
    client.session = session + 1;
    assert_eq!(client.send(3, 0, &[transfer(3, 1, 2, 1)]), RequestStatus::SessionUnknown);
    client.session = session;
    assert_eq!(client.log.register(77, session).map(|record| record.request_last), Ok(2));
}

#[test]
fn stored_replies_are_bounded_in_number() {
    let mut client = Client::new(&small_genesis());
    for request in 1..=3 {
        assert_eq!(
            client.send(request, 0, &[transfer(request.into(), 1, 2, 1)]),
            RequestStatus::Ok
        );
    }
    assert_eq!(client.send(4, 0, &[transfer(4, 1, 2, 1)]), RequestStatus::WindowFull);
    assert_eq!(client.log.balances(1), [0, 3, 0, 0]);
    assert_eq!(client.send(3, 0, &[transfer(3, 1, 2, 1)]), RequestStatus::Ok);
    assert_eq!(client.send(4, 1, &[transfer(4, 1, 2, 1)]), RequestStatus::Ok);
}

#[test]
fn stored_replies_are_bounded_in_bytes() {
    let mut client = Client::new(&small_genesis());
    let failing: Vec<Transfer> = (1..=8_189).map(|id| transfer(id, 1, 1, 1)).collect();
    assert_eq!(client.send(1, 0, &failing[..8_000]), RequestStatus::Ok);
    assert_eq!(client.send(2, 0, &failing[..190]), RequestStatus::WindowFull);
    assert_eq!(client.send(2, 0, &failing[..189]), RequestStatus::Ok);
    assert_eq!(client.send(3, 0, &failing[..1]), RequestStatus::WindowFull);
    assert_eq!(client.send(3, 2, &failing), RequestStatus::Ok);
    assert_eq!(client.log.output.result_count, 8_189);
}

#[test]
fn a_closed_session_is_gone_with_its_replies() {
    let mut client = Client::new(&small_genesis());
    assert_eq!(client.send(1, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::Ok);
    assert_eq!(client.close(3), RequestStatus::RequestNumberGap);
    assert_eq!(client.close(1), RequestStatus::RequestMismatch);
    assert_eq!(client.close(2), RequestStatus::Ok);
    assert_eq!((client.log.output.event_count, client.log.output.body()), (0, &[][..]));
    assert_eq!(client.close(3), RequestStatus::SessionUnknown);
    assert_eq!(client.send(1, 0, &[transfer(1, 1, 2, 1)]), RequestStatus::SessionUnknown);
    let reopened = client.log.register(77, 0).unwrap();
    assert!(reopened.session > client.session && reopened.resumed == 0);
}

#[test]
fn a_close_needs_no_room_for_a_reply() {
    let mut client = Client::new(&small_genesis());
    for request in 1..=3 {
        client.send(request, 0, &[transfer(request.into(), 1, 2, 1)]);
    }
    assert_eq!(client.close(4), RequestStatus::Ok);
}

#[test]
fn a_read_below_its_sequence_is_not_answered() {
    let mut log = Log::new();
    let header = log.header(Operation::GetEngineStatus, 0, 0);
    let early = RequestHeader { replies_received: 2, ..header };
    log.engine.read(&early, &[], &mut log.output).unwrap();
    assert_eq!(log.output.status, RequestStatus::SequenceNotReached);
    assert!(log.output.body().is_empty());
    log.register(1, 0).unwrap();
    log.engine.read(&early, &[], &mut log.output).unwrap();
    assert_eq!((log.output.status, log.output.result_count), (RequestStatus::Ok, 1));
    assert_eq!((log.output.sequence, log.output.timestamp), (2, log.engine.timestamp()));
}

#[test]
fn entries_that_no_log_can_have_change_nothing() {
    let mut log = Log::new();
    log.accounts(&[account(1), account(2)]);
    let event = transfer(1, 1, 2, 1);
    let good = log.header(Operation::CreateTransfers, 1, 128);
    let tick = log.header(Operation::Tick, 0, 0);
    let unknown = RequestHeader { operation: 9, ..good };
    let read = log.header(Operation::LookupAccounts, 0, 0);
    let padding = log.header(Operation::Padding, 0, 0);
    let narrow = RequestHeader { event_size: 64, event_count: 2, ..good };
    let many = RequestHeader { event_count: 2, ..good };
    let short = RequestHeader { body_size: 64, ..good };
    let dry_run = RequestHeader { flags: 1, ..good };
    let late = RequestHeader { clock_reading: 1 << 63, ..good };
    let foreign = RequestHeader { client: 5, ..tick };
    let genesis = log.header(Operation::Genesis, 0, 128);
    let before = (log.engine.status(), log.visible());
    for header in [unknown, read, padding, narrow, many, short, dry_run, late] {
        log.apply(&header, event.as_bytes()).unwrap_err();
    }
    log.apply(&foreign, &[]).unwrap_err();
    log.apply(&RequestHeader { body_size: 128, ..tick }, event.as_bytes()).unwrap_err();
    log.apply(&genesis, small_genesis().as_bytes()).unwrap_err();
    let too_many = vec![event; 8_190];
    let header = log.header(Operation::CreateTransfers, 8_190, 8_190 * 128);
    log.apply(&header, too_many.as_bytes()).unwrap_err();
    for sequence in [0, 2, 4] {
        let outcome =
            log.engine.apply(sequence, &good, event.as_bytes(), &Resolved::none(), &mut log.output);
        assert_eq!(outcome, Err(ApplyError::SequenceGap { applied: 2, found: sequence }));
    }
    assert_eq!((log.engine.status(), log.visible()), before);
    log.engine.read(&good, event.as_bytes(), &mut log.output).unwrap_err();
    log.apply(&good, event.as_bytes()).unwrap();
}

#[test]
fn a_log_begins_with_its_own_genesis() {
    let mut engine = mizan_engine::Engine::new(&small_genesis()).unwrap();
    let mut output = mizan_engine::Output::new();
    let log = Log::new();
    let mut begin = |header: &RequestHeader, body: &[u8]| {
        engine.apply(1, header, body, &Resolved::none(), &mut output)
    };
    let tick = log.header(Operation::Tick, 0, 0);
    assert_eq!(begin(&tick, &[]), Err(ApplyError::GenesisMisplaced { sequence: 1 }));
    let header = log.header(Operation::Genesis, 0, 128);
    let other = Genesis { cluster: 8, ..small_genesis() };
    assert_eq!(begin(&header, other.as_bytes()), Err(ApplyError::GenesisDiffers));
    assert_eq!(begin(&header, small_genesis().as_bytes()), Ok(()));
}

#[test]
fn a_digest_in_the_log_is_compared_with_the_remembered_one() {
    let mut log = Log::new();
    while log.engine.digest_due().is_none() {
        log.tick(0);
    }
    let due = log.engine.digest_due().unwrap();
    assert_eq!((due.at_sequence, due.digest), (4, log.engine.digest()));
    log.tick(0);
    let header = log.header(Operation::Digest, 0, 32);
    let wrong = DigestRecord { digest: 1, ..due };
    let error = log.apply(&header, wrong.as_bytes()).unwrap_err();
    assert!(matches!(error, ApplyError::DigestDiffers { at_sequence: 4, expected: 1, .. }));
    let unknown = DigestRecord { at_sequence: 3, ..due };
    let error = log.apply(&header, unknown.as_bytes()).unwrap_err();
    assert_eq!(error, ApplyError::DigestUnknown { sequence: 6, at_sequence: 3 });
    assert_eq!(log.engine.digest_due(), Some(due));
    log.apply(&header, due.as_bytes()).unwrap();
    assert_eq!((log.engine.digest_due(), log.engine.sequence()), (None, 6));
}

/// A log with as many sessions as fit, of the clients from 1 on.
fn full(session_count_max: u32) -> Log {
    let genesis =
        Genesis { session_count_max, session_idle_ns: 3_600 * NS_PER_S, ..small_genesis() };
    let mut log = Log::with(&genesis);
    let places = session_count_max - genesis.operator_session_count();
    for client in 1..=places {
        log.register(client.into(), 0).unwrap();
    }
    log
}

fn lose(log: &mut Log, keys: &[SessionKey]) {
    let header = log.header(Operation::ConnectionLost, keys.len(), size_of_val(keys));
    log.apply(&header, keys.as_bytes()).unwrap();
}

fn key(client: u128, session: u64) -> SessionKey {
    SessionKey { client, session, reserved: 0 }
}

#[test]
fn sessions_without_a_connection_and_with_all_replies_make_room_at_once() {
    let mut log = full(8);
    assert_eq!(log.register(100, 0), Err(RequestStatus::SessionsFull));
    // Another session's number is none of the client's.
    lose(&mut log, &[key(3, 999), key(99, 0)]);
    assert_eq!(log.register(100, 0), Err(RequestStatus::SessionsFull));
    lose(&mut log, &[key(5, 0)]);
    lose(&mut log, &[key(3, 4)]);
    assert_eq!(log.register(100, 0).map(|record| record.resumed), Ok(0));
    assert_eq!(log.register(101, 0).map(|record| record.resumed), Ok(0));
    assert_eq!(log.register(102, 0), Err(RequestStatus::SessionsFull));
    // Who was lost for longest went first, and who is connected is still there.
    for (client, resumed) in [(1, 1), (2, 1), (4, 1), (100, 1), (101, 1)] {
        assert_eq!(log.register(client, 0).map(|record| record.resumed), Ok(resumed), "{client}");
    }
    // Who comes back is no longer without a connection.
    lose(&mut log, &[key(1, 0)]);
    log.register(1, 0).unwrap();
    assert_eq!(log.register(102, 0), Err(RequestStatus::SessionsFull));
    lose(&mut log, &[key(0, SessionKey::EVERY_SESSION)]);
    for client in 200..208 {
        assert_eq!(log.register(client, 0).map(|record| record.resumed), Ok(0), "{client}");
    }
    assert_eq!(log.register(300, 0), Err(RequestStatus::SessionsFull));
}

#[test]
fn a_session_with_replies_to_be_asked_for_again_waits_for_its_client_for_a_minute() {
    let genesis = Genesis { session_count_max: 1, ..small_genesis() };
    let genesis = Genesis { session_idle_ns: 3_600 * NS_PER_S, ..genesis };
    let mut client = Client::new(&genesis);
    assert_eq!(client.send(1, 0, &[transfer(1, 1, 2, 5)]), RequestStatus::Ok);
    lose(&mut client.log, &[key(77, client.session)]);
    assert_eq!(client.log.register(5, 0), Err(RequestStatus::SessionsFull));
    client.log.clock_ns = client.log.engine.timestamp() + SESSION_LOST_GRACE_NS - 10;
    assert_eq!(client.log.register(5, 0), Err(RequestStatus::SessionsFull));
    client.log.clock_ns += 10;
    assert_eq!(client.log.register(5, 0).map(|record| record.resumed), Ok(0));
    assert_eq!(client.send(2, 0, &[transfer(2, 1, 2, 5)]), RequestStatus::SessionUnknown);
}

#[test]
fn the_last_places_are_kept_for_operators_who_can_close_sessions() {
    let mut log = full(32);
    assert_eq!(log.register(100, 0), Err(RequestStatus::SessionsFull));
    let flags = RequestFlags::OPERATOR;
    let header = RequestHeader { client: 200, flags, ..log.header(Operation::Register, 0, 0) };
    log.apply(&header, &[]).unwrap();
    assert_eq!(log.output.status, RequestStatus::Ok);
    let session = log.records::<RegisterRecord>()[0].session;
    let query = SessionsQuery { after: 29, reserved: 0 };
    let header = log.header(Operation::GetSessions, 1, 16);
    log.engine.read(&header, query.as_bytes(), &mut log.output).unwrap();
    let listed = log.records::<SessionRecord>();
    let numbers: Vec<(u128, u64)> = listed.iter().map(|one| (one.client, one.session)).collect();
    assert_eq!(numbers, [(29, 30), (30, 31), (200, session)]);
    let keys = [key(29, 30), key(30, 29), key(200, session), key(7, 8)];
    let header = RequestHeader {
        client: 200,
        session,
        request: 1,
        ..log.header(Operation::CloseSessions, keys.len(), size_of_val(&keys))
    };
    log.apply(&header, keys.as_bytes()).unwrap();
    let refused: Vec<(u32, u32)> =
        log.records::<ResultException>().iter().map(|one| (one.index, one.status)).collect();
    let (unknown, own) = (RequestStatus::SessionUnknown as u32, RequestStatus::SessionIsOwn as u32);
    assert_eq!(refused, [(1, unknown), (2, own)]);
    // One of the two places that came free stays kept.
    assert_eq!(log.register(100, 0).map(|record| record.resumed), Ok(0));
    assert_eq!(log.register(101, 0), Err(RequestStatus::SessionsFull));
}
