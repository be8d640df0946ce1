//! Clients that dribble, hoard, stall or do not read: each costs itself, and nobody else.

mod common;

use common::*;
use mizan_gateway::GatewayConfig;
use mizan_wire::limits::FRAME_SIZE_MAX;
use mizan_wire::{Operation, RequestStatus};
use std::time::Duration;

const PARTIAL: u32 = RequestStatus::PartialRequestTimeout as u32;

fn small_pool() -> GatewayConfig {
    GatewayConfig { buffer_small_count: 8, buffer_full_count: 2, ..config() }
}

#[test]
fn an_incomplete_frame_is_cut_off_when_its_time_is_over() {
    for part in [1, 127, 128, 200, 9000] {
        let mut bed = Bed::new();
        let mut client = bed.session(1);
        let mut on_time = bed.session(2);
        let write = write_of(on_time.session, 1, 1);
        let (first, rest) = write.split_at(100);
        client.send(&large(client.session, 1)[..part]);
        on_time.send(first);
        bed.settle();
        bed.advance(10 * SECOND - 1);
        bed.settle();
        assert_eq!(bed.counters().cut_off_partial, 0, "{part} bytes, a moment before");
        on_time.send(rest);
        assert_eq!(bed.reply(&mut on_time).0.status, 0);
        bed.advance(1);
        assert_eq!(bed.error(&mut client).0.status, PARTIAL, "{part} bytes");
        assert_eq!((bed.counters().buffers_small, bed.counters().buffers_full), (0, 0));
        bed.assert_served(&mut on_time);
    }
}

#[test]
fn every_frame_has_its_own_time() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    for number in 1..=5 {
        let bytes = write_of(client.session, number, 2);
        client.send(&bytes[..300]);
        bed.settle();
        bed.advance(9 * SECOND);
        // The rest of this frame, and the beginning of the next.
        client.send(&bytes[300..]);
        assert_eq!(bed.reply(&mut client).0.request, number);
    }
    assert_eq!(bed.counters().cut_off_partial, 0);
}

#[test]
fn the_rest_of_a_refused_body_must_come_in_time_too() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    client.send(&large(client.session + 1, 1)[..5000]);
    assert_eq!(bed.reply(&mut client).0.status, RequestStatus::SessionUnknown as u32);
    bed.settle();
    bed.advance(10 * SECOND);
    assert_eq!(bed.error(&mut client).0.status, PARTIAL);
}

#[test]
fn a_delay_that_is_the_nodes_own_does_not_count() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    let bytes = large(client.session, 1);
    client.send(&bytes[..5000]);
    bed.settle();
    bed.sink.room_bytes = 0;
    client.send(&bytes[5000..10_000]);
    bed.settle();
    bed.advance(11 * SECOND);
    bed.settle();
    assert_eq!(bed.counters().cut_off_partial, 0);
    bed.sink.room_bytes = 1 << 22;
    client.send(&bytes[10_000..]);
    assert_eq!(bed.reply(&mut client).0.request, 1);
}

#[test]
fn a_hundred_dribblers_exhaust_the_pool_and_nobody_elses_requests_wait() {
    let mut bed = Bed::with(small_pool());
    let mut other = bed.session(1);
    let mut dribblers: Vec<Client> = (0..100).map(|number| bed.session(100 + number)).collect();
    for dribbler in &mut dribblers {
        dribbler.send(&large(dribbler.session, 1)[..20_000]);
    }
    bed.settle();
    assert_eq!(bed.counters().buffers_full, 2);
    // Small requests pass with the clock standing still: nobody needs to be cut off for them.
    for _ in 0..100 {
        bed.assert_served(&mut other);
    }
    let small: Vec<u8> = (1..=200)
        .flat_map(|number| write_of(other.session, other.number + number, 1 + number as u32 % 60))
        .collect();
    other.send(&small);
    for _ in 1..=200 {
        assert_eq!(bed.reply(&mut other).0.status, 0);
    }
    assert_eq!(bed.counters().cut_off_partial, 0);
    // A large one needs a buffer: after the grace a dribbler has to give up his.
    other.send(&large(other.session, 999));
    bed.settle();
    bed.until("the large request is through", |bed| {
        bed.advance(101 * MILLISECOND);
        other.pump();
        !other.inbox.is_empty()
    });
    assert_eq!(bed.reply(&mut other).0.request, 999);
    assert!(bed.counters().cut_off_partial > 0);
}

#[test]
fn dribblers_of_small_requests_cannot_keep_small_requests_out_either() {
    let mut bed = Bed::with(small_pool());
    let mut other = bed.session(1);
    let mut dribblers: Vec<Client> = (0..50).map(|number| bed.session(100 + number)).collect();
    for dribbler in &mut dribblers {
        dribbler.send(&write_of(dribbler.session, 1, 10)[..600]);
    }
    bed.settle();
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (2, 8));
    for _ in 0..100 {
        bed.assert_served(&mut other);
    }
    assert_eq!(bed.counters().cut_off_partial, 0);
    // Who goes on gets through, pool or no pool.
    let mut last = dribblers.pop().unwrap();
    last.send(&write_of(last.session, 1, 10)[600..]);
    assert_eq!(bed.reply(&mut last).0.request, 1);
    bed.until("all others are cut off in the end", |bed| {
        bed.advance(SECOND);
        bed.counters().cut_off_partial == 49
    });
    bed.assert_served(&mut other);
    bed.assert_served(&mut last);
}

#[test]
fn large_requests_of_many_clients_share_two_buffers() {
    let mut bed = Bed::with(small_pool());
    let mut clients: Vec<Client> = (0..12).map(|number| bed.session(1 + number)).collect();
    for client in &mut clients {
        client.send(&large(client.session, 1));
    }
    bed.until("all are answered", |_| {
        clients.iter_mut().for_each(Client::pump);
        clients.iter().all(|client| !client.inbox.is_empty())
    });
    assert_eq!(bed.counters().cut_off_partial, 0);
    assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
}

#[test]
fn a_vanished_client_gives_its_buffer_back() {
    let mut bed = Bed::with(small_pool());
    for number in 0..10 {
        let mut client = bed.session(1 + number);
        client.send(&large(client.session, 1)[..5000]);
        bed.settle();
        drop(client);
        bed.until("it is gone", |bed| bed.counters().connections == 0);
        assert_eq!((bed.counters().buffers_full, bed.counters().buffers_small), (0, 0));
    }
}

fn big_lookups(session: u64, count: u64) -> Vec<u8> {
    (1..=count)
        .flat_map(|tag| request(Operation::LookupAccounts, session, tag, 8000, |_| ()))
        .collect()
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_its_replies_stay_bounded() {
    let mut bed = Bed::new();
    let mut other = bed.session(1);
    let mut deaf = bed.session(2);
    deaf.is_deaf = true;
    bed.sink.reply_size = Some(1_000_000);
    deaf.send(&big_lookups(deaf.session, 200));
    for _ in 0..300 {
        deaf.pump();
        bed.turn();
        let unsent = bed.counters().unsent_bytes;
        assert!(unsent <= 8 << 20, "{unsent} bytes wait");
    }
    bed.sink.reply_size = None;
    assert!(bed.counters().unsent_bytes > 4 << 20);
    bed.advance(9 * SECOND);
    bed.assert_served(&mut other);
    assert_eq!(bed.counters().cut_off_slow, 0);
    bed.advance(SECOND + 1);
    bed.until("it is cut off", |bed| bed.counters().cut_off_slow == 1);
    assert_eq!((bed.counters().unsent_bytes, bed.counters().connections), (0, 1));
    bed.assert_served(&mut other);
}

#[test]
fn a_client_that_reads_late_but_reads_loses_nothing() {
    let mut bed = Bed::new();
    let mut client = bed.session(1);
    bed.sink.reply_size = Some(1_000_000);
    client.is_deaf = true;
    client.send(&big_lookups(client.session, 30));
    for _ in 0..100 {
        client.pump();
        bed.turn();
    }
    bed.advance(9 * SECOND);
    client.is_deaf = false;
    for tag in 1..=30 {
        let (reply, body) = bed.reply(&mut client);
        assert_eq!((reply.request, body.len()), (tag, 1_000_000));
        assert!(body.iter().all(|byte| *byte == 0xAB));
    }
    assert_eq!(bed.counters().cut_off_slow, 0);
    assert!(bed.counters().unsent_bytes == 0);
}

#[test]
fn when_all_replies_together_are_too_many_the_oldest_unread_go_first() {
    let mut bed = Bed::with(GatewayConfig {
        reply_bytes_max: 4 << 20,
        reply_bytes_total_max: 10 << 20,
        ..config()
    });
    let mut deaf: Vec<Client> = (0..8).map(|number| bed.session(1 + number)).collect();
    bed.sink.reply_size = Some(1_000_000);
    for client in &mut deaf {
        client.is_deaf = true;
        client.send(&big_lookups(client.session, 20));
        for _ in 0..40 {
            client.pump();
            bed.turn();
            bed.advance(1);
            let unsent = bed.counters().unsent_bytes;
            assert!(unsent <= 10 << 20, "{unsent} bytes wait");
        }
    }
    let cut_off = bed.counters().cut_off_slow;
    assert!((1..8).contains(&cut_off), "{cut_off} were cut off");
    let mut ended = Vec::new();
    for client in &mut deaf {
        client.is_deaf = false;
        client.pump();
        ended.push(client.is_ended);
    }
    let first_alive = ended.iter().position(|is_ended| !is_ended).unwrap();
    assert_eq!(first_alive as u64, cut_off, "the first to stall are the first to go: {ended:?}");
}

#[test]
fn a_flood_of_pings_without_reading_is_held_back() {
    let mut bed = Bed::with(GatewayConfig { reply_bytes_max: FRAME_SIZE_MAX, ..config() });
    let mut flood = bed.connect();
    flood.is_deaf = true;
    let pings: Vec<u8> = (0..100_000).flat_map(ping).collect();
    flood.send(&pings);
    for _ in 0..200 {
        flood.pump();
        bed.turn();
        assert!(bed.counters().unsent_bytes <= FRAME_SIZE_MAX as u64);
    }
    flood.is_deaf = false;
    for nonce in 0..100_000 {
        assert_eq!(bed.pong(&mut flood).nonce, nonce);
    }
}

#[test]
fn who_says_no_hello_in_time_is_cut_off_if_the_gateway_is_set_up_so() {
    let hello_timeout = Some(Duration::from_secs(2));
    let mut bed = Bed::with(GatewayConfig { hello_timeout, ..config() });
    let mut silent = bed.connect();
    let mut talking = bed.session(1);
    bed.until("both are there", |bed| bed.counters().connections == 2);
    bed.advance(3 * SECOND);
    let (error, _) = bed.error(&mut silent);
    assert_eq!(error.status, RequestStatus::HelloTimeout as u32);
    bed.assert_served(&mut talking);
}
