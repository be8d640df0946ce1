//! Many requests at once: pipelining, order, fairness, and every reason to stop reading.

mod common;

use common::*;
use mizan_gateway::{GatewayConfig, Submission};
use mizan_wire::Operation;
use mizan_wire::frame::HELLO_READ_ONLY;
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX, HEADER_SIZE};

fn writes(session: u64, numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    numbers.flat_map(|number| write_of(session, number, 1)).collect()
}

fn submitted_numbers(bed: &Bed) -> Vec<u64> {
    let entries = bed.sink.submitted.iter().map(|(entry, _)| entry);
    entries
        .filter(|entry| entry.operation != Operation::Register.number())
        .map(|entry| entry.request)
        .collect()
}

#[test]
fn many_requests_in_one_write_are_answered_in_order() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    client.send(&writes(client.session, 1..=5000));
    for number in 1..=5000u64 {
        let (reply, body) = bed.reply(&mut client);
        assert_eq!(reply.request, number);
        assert_eq!(body[..8], number.to_le_bytes());
    }
    assert_eq!(submitted_numbers(&bed), (1..=5000).collect::<Vec<_>>());
    bed.until("nothing is held", |bed| bed.counters().unsent_bytes == 0);
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
}

#[test]
fn requests_of_every_size_arrive_whole() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    let counts = [1, 62, 63, 64, 65, 500, 2047, 4096, 8188, EVENTS_MAX, 1, EVENTS_MAX];
    let frames: Vec<Vec<u8>> =
        (1..).zip(counts).map(|(number, count)| write_of(client.session, number, count)).collect();
    client.send(&frames.concat());
    for (number, _) in (1..).zip(counts) {
        assert_eq!(bed.reply(&mut client).0.request, number);
    }
    for ((_, body), frame) in bed.sink.submitted[1..].iter().zip(&frames) {
        assert!(body == &frame[HEADER_SIZE..]);
    }
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
}

#[test]
fn a_refusal_waits_for_the_replies_before_it() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.answers = false;
    let session = client.session;
    let refused = |number| write_of(session + 1, number, 1);
    let bytes = [writes(session, 1..=2), refused(3), refused(4), writes(session, 5..=5)].concat();
    client.send(&bytes);
    bed.until("three are in flight", |bed| bed.gateway.in_flight() == 3);
    bed.answer(1);
    assert_eq!(bed.reply(&mut client).0.request, 1);
    assert_eq!(bed.counters().requests_refused, 2);
    bed.answer(1);
    let numbers: Vec<u64> = (0..3).map(|_| bed.reply(&mut client).0.request).collect();
    assert_eq!(numbers, [2, 3, 4]);
    bed.answer(1);
    assert_eq!(bed.reply(&mut client).0.request, 5);
}

#[test]
fn what_is_sent_behind_a_hello_waits_for_its_reply() {
    let mut bed = Bed::new();
    bed.answers = false;
    let mut client = bed.connect();
    // The first session of a fresh sink has this number.
    client.send(&[hello(1, |_| ()), writes(1001, 1..=3), ping(9)].concat());
    bed.until("the hello is submitted", |bed| bed.gateway.in_flight() == 1);
    bed.settle();
    assert_eq!(bed.sink.submitted.len(), 1);
    bed.answers = true;
    bed.answer(1);
    assert_eq!(bed.hello_reply(&mut client).session, 1001);
    bed.until("the requests follow", |bed| submitted_numbers(bed) == [1, 2, 3]);
    let mut frames = Vec::new();
    for _ in 0..4 {
        frames.push(bed.receive(&mut client).expect("a frame").0);
    }
    assert!(frames.iter().any(|frame| matches!(frame, mizan_wire::frame::Header::Pong(_))));
}

#[test]
fn a_byte_at_a_time_makes_the_same_request() {
    let mut bed = Bed::new();
    let mut client = bed.connect();
    for byte in [hello(1, |_| ()), write_of(1001, 1, 2), ping(3)].concat() {
        client.send(&[byte]);
        bed.turn();
    }
    assert_eq!(bed.hello_reply(&mut client).session, 1001);
    assert_eq!(bed.reply(&mut client).0.request, 1);
    assert_eq!(bed.pong(&mut client).nonce, 3);
    assert!(bed.sink.submitted[1].1 == write_of(1001, 1, 2)[HEADER_SIZE..]);
}

#[test]
fn a_large_request_in_small_pieces_does_not_hold_up_another_client() {
    let mut bed = Bed::new();
    let mut dribbler = bed.session(1);
    let mut other = bed.session(2);
    let bytes = large(dribbler.session, 1);
    let (most, last) = bytes.split_at(bytes.len() - 1);
    for (count, piece) in most.chunks(1000).enumerate() {
        dribbler.send(piece);
        bed.assert_served(&mut other);
        assert_eq!(bed.sink.submitted.len(), 3 + count, "the large one is not there yet");
    }
    dribbler.send(last);
    assert_eq!(bed.reply(&mut dribbler).0.request, 1);
    assert!(bed.sink.submitted.iter().any(|(_, body)| body[..] == bytes[HEADER_SIZE..]));
}

#[test]
fn a_client_that_sends_without_end_gets_no_more_than_its_turns() {
    let mut bed = Bed::with(GatewayConfig { read_bytes_max: 4096, ..config() });
    let mut greedy = bed.session(1);
    let mut modest = bed.session(2);
    greedy.send(&writes(greedy.session, 1..=10_000));
    bed.turn();
    modest.number += 1;
    modest.send(&write_of(modest.session, 1, 1));
    let before = submitted_numbers(&bed).len();
    bed.until("the modest one is served", |bed| {
        bed.sink.submitted.iter().any(|(entry, _)| entry.client == 2 && entry.request == 1)
    });
    let between = submitted_numbers(&bed).len() - before;
    assert!(between <= 3 * 4096 / 256 + 1, "{between} requests went before one");
}

#[test]
fn nothing_is_read_beyond_the_limit_of_requests_in_flight() {
    let mut bed = Bed::with(GatewayConfig { in_flight_max: 10, ..config() });
    let mut client = bed.session(1);
    let mut other = bed.session(2);
    bed.answers = false;
    client.send(&writes(client.session, 1..=100));
    bed.until("the limit is reached", |bed| bed.gateway.in_flight() == 10);
    bed.settle();
    assert_eq!(bed.gateway.in_flight(), 10);
    other.send(&write_of(other.session, 1, 1));
    bed.until("the other one is not held up", |bed| bed.gateway.in_flight() == 11);
    bed.answer(3);
    bed.until("three more are taken", |bed| bed.sink.submitted.len() == 2 + 11 + 3);
    bed.settle();
    assert_eq!(bed.gateway.in_flight(), 11);
    bed.answers = true;
    bed.answer(usize::MAX);
    for number in 1..=100 {
        assert_eq!(bed.reply(&mut client).0.request, number);
    }
}

#[test]
fn reads_are_taken_only_as_far_as_their_largest_replies_have_room() {
    let mut bed = Bed::with(GatewayConfig { reply_bytes_max: 3 << 20, ..config() });
    let mut client = bed.reader();
    bed.answers = false;
    let reads = |numbers: std::ops::RangeInclusive<u64>| -> Vec<u8> {
        numbers.flat_map(|tag| request(Operation::TrialBalance, 0, tag, 0, |_| ())).collect()
    };
    client.send(&reads(1..=50));
    bed.until("three could be a mebibyte each", |bed| bed.gateway.in_flight() == 3);
    bed.settle();
    assert_eq!(bed.gateway.in_flight(), 3);
    bed.answers = true;
    bed.answer(usize::MAX);
    for tag in 1..=50 {
        assert_eq!(bed.reply(&mut client).0.request, tag);
    }
    bed.settle();
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
}

#[test]
fn a_sink_without_room_stops_the_reading_and_loses_nothing() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.sink.room_bytes = 0;
    client.send(&writes(client.session, 1..=300));
    let mut late = bed.connect();
    late.send(&hello(2, |_| ()));
    bed.settle();
    assert_eq!(bed.sink.submitted.len(), 1);
    for room_bytes in [128, 500, 768, 1024, 5000] {
        bed.sink.room_bytes = room_bytes;
        for _ in 0..5 {
            bed.turn();
        }
    }
    bed.sink.room_bytes = 1 << 21;
    for number in 1..=300 {
        assert_eq!(bed.reply(&mut client).0.request, number);
    }
    assert_eq!(bed.hello_reply(&mut late).status, 0);
}

#[test]
fn a_large_request_waits_until_the_sink_has_room_for_all_of_it() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.sink.room_bytes = FRAME_SIZE_MAX - 1;
    client.send(&large(client.session, 1));
    for _ in 0..50 {
        client.pump();
        bed.turn();
    }
    assert_eq!(bed.sink.submitted.len(), 1);
    bed.sink.room_bytes = FRAME_SIZE_MAX;
    assert_eq!(bed.reply(&mut client).0.request, 1);
}

#[test]
fn what_a_busy_sink_did_not_take_is_offered_again() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.sink.verdict = Some(Submission::Busy);
    let frames = [writes(client.session, 1..=20), large(client.session, 21)].concat();
    client.send(&frames);
    bed.settle();
    bed.sink.verdict = None;
    for number in 1..=21 {
        assert_eq!(bed.reply(&mut client).0.request, number);
    }
    assert_eq!(submitted_numbers(&bed), (1..=21).collect::<Vec<_>>());
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
}

#[test]
fn a_client_that_only_hangs_up_its_sending_side_gets_all_its_replies() {
    let mut bed = Bed::new();
    let mut client = bed.connect();
    bed.answers = false;
    let reads = request(Operation::GetLedgers, 0, 1, 0, |_| ());
    client.send(&[hello(0, |hello| hello.flags = HELLO_READ_ONLY), reads].concat());
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(bed.hello_reply(&mut client).status, 0);
    bed.settle();
    bed.answer(usize::MAX);
    assert_eq!(bed.reply(&mut client).0.request, 1);
    bed.end(&mut client);
    assert_eq!(bed.counters().connections, 0);
}

#[test]
fn a_waiting_poll_is_ended_by_a_client_and_by_the_waker() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.settle();
    client.send(&write_of(client.session, 1, 1));
    let long = Some(std::time::Duration::from_secs(600));
    let Bed { gateway, sink, clock, view, .. } = &mut bed;
    while sink.submitted.len() < 2 {
        gateway.poll(long, view, clock, sink).unwrap();
    }
    gateway.waker().wake().unwrap();
    assert!(!gateway.poll(long, view, clock, sink).unwrap());
}
