//! The protocol's document says what the code does: bytes of the worked example, places of all fields, all statuses.

use mizan_wire::frame::{
    Error, Header, Hello, HelloReply, NodeLimits, Ping, Pong, Prefix, REPLY_COMPACT, Reply, Request,
};
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{
    CREATED, CreateTransferStatus, Operation, RequestStatus, ResultException, Status, Transfer,
    expand_results,
};
use std::mem::offset_of;
use zerocopy::{FromBytes, IntoBytes};

const DOCUMENT: &str = include_str!("../../docs/reference/wire-protocol.md");

/// The bytes of the block that begins with this comment.
fn documented(name: &str) -> Vec<u8> {
    let marker = format!("```hex\n# {name}\n");
    let (_, block) = DOCUMENT.split_once(&marker).unwrap_or_else(|| panic!("no block {name}"));
    let (block, _) = block.split_once("```").expect("the block has an end");
    let digits: Vec<u8> = block.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn shown(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).map(|line| {
        line.chunks(4)
            .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .collect::<Vec<_>>()
            .join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_documented(name: &str, bytes: &[u8]) {
    assert!(documented(name) == bytes, "the bytes of {name} are\n{}", shown(bytes));
}

fn transfer(id: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount,
        ledger: 7,
        code: 1,
        ..Transfer::default()
    }
}

#[test]
fn the_worked_example_has_these_very_bytes() {
    let hello = Hello { client: 0x0102_0304, release: 0x0001_0000, ..Hello::default() };
    assert_documented("hello", &hello.seal(&[]));

    let transfers = [transfer(101, 500), transfer(102, 999_999), transfer(103, 25)];
    let body = transfers.as_bytes();
    let request = Request {
        request: 1,
        session: 12,
        operation: Operation::CreateTransfers.number(),
        event_size: 128,
        event_count: 3,
        release: 0x0001_0000,
        ..Request::default()
    };
    assert_documented("request", &[&request.seal(body), body].concat());

    let exception = ResultException {
        timestamp: 1_700_000_000_000_000_002,
        index: 1,
        status: CreateTransferStatus::ExceedsCredits.number(),
    };
    let reply = Reply {
        request: 1,
        sequence: 13,
        epoch: 1,
        timestamp: 1_700_000_000_000_000_003,
        commit: 13,
        operation: Operation::CreateTransfers.number(),
        result_size: 16,
        result_count: 1,
        event_count: 3,
        flags: REPLY_COMPACT,
        copies_durable: 1,
        ..Reply::default()
    };
    let body = exception.as_bytes();
    assert_documented("reply", &[&reply.seal(body), body].concat());
}

#[test]
fn the_documented_reply_expands_to_the_documented_results() {
    let bytes = documented("reply");
    let header = Header::parse(bytes.first_chunk::<HEADER_SIZE>().unwrap()).unwrap();
    header.check_body(&bytes[HEADER_SIZE..]).unwrap();
    let Header::Reply(reply) = header else { panic!("not a reply") };
    let exception = ResultException::read_from_bytes(&bytes[HEADER_SIZE..]).unwrap();
    for result in expand_results(reply.timestamp, reply.event_count, &[exception]) {
        let name = if result.status == CREATED { "created" } else { "exceeds_credits" };
        let row = format!("| {} | {} `{name}` |", result.timestamp, result.status);
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}

/// The text between a heading and the next.
fn section(heading: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("# {heading}\n")).expect(heading);
    rest.split_once("\n#").map_or(rest, |(section, _)| section)
}

macro_rules! check_fields {
    ($heading:literal, $record:ty: $($field:ident)*) => {{
        let record = <$record>::default();
        $(
            let (offset, size) = (offset_of!($record, $field), size_of_val(&record.$field));
            let row = format!("| {offset} | {size} | `{}` |", stringify!($field));
            assert!(section($heading).contains(&row), "{}: {row}", $heading);
        )*
    }};
}

#[test]
fn every_field_stands_in_the_document_at_its_place() {
    check_fields!("The common part", Prefix: checksum checksum_body magic size kind protocol reserved);
    check_fields!("Hello (kind 1)", Hello: client cluster session features release auth_method flags reserved);
    check_fields!("HelloReply (kind 2)", HelloReply:
        client cluster session request_last epoch commit role resumed reserved status features);
    check_fields!("NodeLimits", NodeLimits:
        frame_size_max events_max window_requests window_bytes partial_timeout_ms slow_reader_timeout_ms
        reply_bytes_max reserved account_count_max transfer_count_max alarms reserved_2 primary_hint);
    check_fields!("Request (kind 3)", Request:
        request session replies_received min_sequence operation event_version reserved flags event_size
        reserved_2 event_count release reserved_3);
    check_fields!("Reply (kind 4)", Reply:
        request sequence epoch timestamp commit operation result_size result_count event_count status flags
        copies_durable reserved);
    check_fields!("Error (kind 5)", Error: status reserved request reserved_2);
    check_fields!("Ping (kind 6)", Ping: nonce reserved);
    check_fields!("Pong (kind 7)", Pong: nonce commit reserved);
    check_fields!("Compact replies", ResultException: timestamp index status);
}

#[test]
fn every_status_of_requests_stands_in_the_document() {
    for status in RequestStatus::PRECEDENCE {
        let row = format!("| {} | `{}` |", status.number(), status.name());
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}

#[test]
fn every_operation_of_clients_stands_in_the_document_with_its_sizes() {
    for operation in Operation::ALL.into_iter().filter(|operation| operation.is_for_clients()) {
        let (least, most) = operation.event_count_range();
        let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let row = format!(
            "| {} | `{}` | {} | {} | {count} | {} |",
            operation.number(),
            operation.name(),
            if operation.is_read() { "read" } else { "write" },
            operation.event_size(),
            operation.result_size(),
        );
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}
