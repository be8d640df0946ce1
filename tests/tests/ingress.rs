//! What strangers and slow clients can do to a real node on a real port: nothing that others would notice in their
//! results. Times and ratios are printed and never asserted.

mod extremes {
    pub(crate) mod events;
    pub(crate) mod random;
}
mod protocol_fuzz;

use mizan_tests::binary::{NodeProcess, format_small};
use mizan_tests::ledger::{
    LEDGER, LedgerView, PATIENCE, client, create_accounts, pay, reader, wait_until,
};
use mizan_tests::raw::{Answer, RawConnection, request_frame};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Account, Operation, RequestStatus, Status};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// Blocks of requests with and without the dribbler, in turn.
const BLOCKS: usize = 12;
/// Requests in a block.
const BLOCK_REQUESTS: usize = 150;
/// Connections that stay idle, if the system has descriptors for them.
const IDLE_CONNECTIONS: usize = 10_000;
/// Descriptors that the test needs besides.
const OTHER_DESCRIPTORS: usize = 500;
/// Resident bytes that an idle connection may cost the node.
const IDLE_CONNECTION_BYTES_MAX: u64 = 16 * 1024;
/// Clients that ask and never read.
const SLOW_READERS: usize = 4;
/// Requests of a slow reader, of 128 KiB each, with replies of 1 MiB: more than both ends' socket buffers take.
const SLOW_REQUESTS: usize = 192;
/// Resident bytes that a slow reader may cost: its replies (8 MiB) in a buffer that doubles, and a full request.
const SLOW_READER_BYTES_MAX: u64 = 17 << 20;
/// Resident bytes that the node's own rings may take when they are used for the first time.
const RING_BYTES: u64 = 48 << 20;

fn start() -> (TempDir, NodeProcess) {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    // Segments so large that none ends within a test: a change of segments costs some requests milliseconds, and it
    // would be counted against whoever is compared just then.
    let limits = ["--transfers", "200000", "--holds", "100", "--segment-size", "32MiB"];
    format_small(&data, &limits);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    (directory, node)
}

/// Sends one large request in small pieces, again from the start on a new connection when it is cut off.
struct Dribbler {
    address: SocketAddr,
    client: u128,
    connection: RawConnection,
    frame: Vec<u8>,
    sent: usize,
    cut_off: u64,
}

impl Dribbler {
    fn new(address: SocketAddr, client: u128) -> Self {
        let (connection, hello) = RawConnection::open(address, client);
        Self {
            address,
            client,
            connection,
            frame: large_request(hello.session),
            sent: 0,
            cut_off: 0,
        }
    }

    /// Sends the next piece. Gives the answer if the request is complete.
    fn drip(&mut self, piece: usize) -> Option<Answer> {
        if self.connection.has_answer() {
            // Nothing can have been answered but that the request takes too long.
            match self.connection.receive() {
                Answer::Error(RequestStatus::PartialRequestTimeout, _) => self.cut_off += 1,
                other => panic!("{other:?} answers a part of a request"),
            }
            let cut_off = self.cut_off;
            *self = Self { cut_off, ..Self::new(self.address, self.client) };
        }
        let end = (self.sent + piece).min(self.frame.len());
        // A node that has just hung up is found by the next call.
        let _ = self.connection.send(&self.frame[self.sent..end]);
        self.sent = end;
        (end == self.frame.len()).then(|| self.connection.receive())
    }
}

/// A request of the largest size: accounts that do not exist yet.
fn large_request(session: u64) -> Vec<u8> {
    let accounts: Vec<Account> = (0..u128::from(EVENTS_MAX))
        .map(|index| Account {
            id: 1_000_000 + index,
            ledger: LEDGER,
            code: 1,
            ..Account::default()
        })
        .collect();
    request_frame(session, 1, Operation::CreateAccounts, accounts.as_bytes())
}

fn p99(latencies: &mut [Duration]) -> Duration {
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

#[test]
fn a_request_that_dribbles_in_delays_nobody_elses_requests() {
    let (_directory, node) = start();
    let mut clients = [(); 3].map(|()| client(node.address()));
    create_accounts(&mut clients[0], 2);
    let mut next_id = 1;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // A node's first requests are slow whoever else is there; they count for neither side.
    for request in 0..BLOCK_REQUESTS {
        pay(&mut clients[request % 3], next_id, 1).expect("the node answers");
        next_id += 1;
    }
    let mut cut_off = 0;
    for block in 0..BLOCKS {
        let mut dribbler =
            (block % 2 == 0).then(|| Dribbler::new(node.address(), 0xD0 + block as u128));
        for request in 0..BLOCK_REQUESTS {
            if let Some(dribbler) = &mut dribbler {
                assert!(dribbler.drip(1 + request % 3).is_none(), "the request is not complete");
            }
            let begin = Instant::now();
            let client = &mut clients[request % 3];
            pay(client, next_id, 1).expect("the node answers");
            let latencies = if dribbler.is_some() { &mut with } else { &mut without };
            latencies.push(begin.elapsed());
            next_id += 1;
        }
        cut_off += dribbler.map_or(0, |dribbler| dribbler.cut_off);
    }
    let accounts = clients[0].lookup_accounts(&[1]).expect("the node answers");
    assert_eq!(accounts[0].debits_posted, next_id - 1, "every request moved its money once");
    let (with, without) = (p99(&mut with), p99(&mut without));
    let _ = writeln!(
        std::io::stderr(),
        "p99 with a dribbler {} us, without {} us, ratio {:.2}; dribblers cut off: {cut_off}",
        with.as_micros(),
        without.as_micros(),
        with.as_secs_f64() / without.as_secs_f64()
    );
}

#[test]
fn a_large_request_in_many_pieces_is_executed_once_it_is_whole() {
    let (_directory, node) = start();
    let mut client = client(node.address());
    create_accounts(&mut client, 2);
    let mut dribbler = Dribbler::new(node.address(), 0xD1);
    let mut next_id = 1;
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        // A machine that is too slow for small pieces within the node's time gets larger ones.
        let piece = 2_111 << dribbler.cut_off.min(8);
        if let Some(answer) = dribbler.drip(piece) {
            break answer;
        }
        assert!(Instant::now() < until, "the request never got through");
        pay(&mut client, next_id, 1).expect("others go on");
        next_id += 1;
    };
    let Answer::Reply(reply, body) = answer else { panic!("{answer:?} answers a whole request") };
    assert_eq!(reply.status, RequestStatus::Ok.number());
    assert!(body.is_empty(), "all accounts were created");
    let status = client.engine_status().expect("the node answers");
    assert_eq!(status.account_count, 2 + u64::from(EVENTS_MAX));
    assert_eq!(u128::from(status.transfer_count), next_id - 1);
}

/// How many idle connections this system has descriptors for; raises the process's own limit.
fn idle_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (IDLE_CONNECTIONS + OTHER_DESCRIPTORS) as u64;
    let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = limit.current.is_some_and(|present| present >= current)
        || setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum })
            .is_ok();
    let available = if raised { current } else { limit.current.unwrap_or(current) };
    (available as usize).saturating_sub(OTHER_DESCRIPTORS).min(IDLE_CONNECTIONS)
}

#[test]
fn ten_thousand_idle_connections_cost_little_memory_and_disturb_nobody() {
    let count = idle_connections();
    if count < IDLE_CONNECTIONS {
        println!("ten_thousand_idle_connections: only {count}, there are no more descriptors");
    }
    let (_directory, node) = start();
    let mut client = client(node.address());
    create_accounts(&mut client, 2);
    for id in 1..=200 {
        pay(&mut client, id, 1).expect("the node answers");
    }
    let before_bytes = node.resident_bytes();
    // Every second one is a reader that has said hello, the others have said nothing.
    let idle: Vec<RawConnection> = (0..count)
        .map(|index| {
            if index % 2 == 0 {
                RawConnection::connect(node.address())
            } else {
                RawConnection::open_reader(node.address())
            }
        })
        .collect();
    wait_until("the node has accepted all", || node.descriptors() >= count);
    for id in 201..=600 {
        pay(&mut client, id, 1).expect("the node answers");
    }
    let bytes = node.resident_bytes().saturating_sub(before_bytes);
    let _ = writeln!(
        std::io::stderr(),
        "{count} idle connections cost {} KiB, {} bytes each",
        bytes >> 10,
        bytes / count as u64
    );
    assert!(bytes <= IDLE_CONNECTION_BYTES_MAX * count as u64, "{bytes} bytes for {count}");
    assert!(idle.iter().all(|connection| !connection.has_answer()), "nobody was cut off");
    let accounts = client.lookup_accounts(&[1]).expect("the node answers");
    assert_eq!(accounts[0].debits_posted, 600);
}

#[test]
fn a_client_that_never_reads_is_cut_off_with_bounded_memory_while_others_go_on() {
    let (_directory, node) = start();
    let address = node.address();
    let mut client = client(address);
    let ids: Vec<u128> = (1..=u128::from(EVENTS_MAX)).collect();
    create_accounts(&mut client, u128::from(EVENTS_MAX));
    for _ in 0..8 {
        assert_eq!(client.lookup_accounts(&ids).expect("the node answers").len(), ids.len());
    }
    let before_bytes = node.resident_bytes();
    let requests: Vec<u8> = (0..SLOW_REQUESTS as u64)
        .flat_map(|tag| request_frame(0, tag, Operation::LookupAccounts, ids.as_bytes()))
        .collect();
    let requests = std::sync::Arc::new(requests);
    let slow: Vec<_> = (0..SLOW_READERS)
        .map(|_| {
            let requests = std::sync::Arc::clone(&requests);
            std::thread::spawn(move || {
                let mut connection = RawConnection::open_reader(address);
                // Blocks for as long as the node does not take more, and ends when it hangs up.
                connection.send(&requests)
            })
        })
        .collect();
    let (mut paid, mut bytes_max) = (0, 0);
    while slow.iter().any(|thread| !thread.is_finished()) {
        paid += 1;
        pay(&mut client, paid, 1).expect("others go on");
        bytes_max = bytes_max.max(node.resident_bytes().saturating_sub(before_bytes));
    }
    for thread in slow {
        let is_taken = thread.join().expect("no slow reader panics");
        assert!(!is_taken, "the node took everything from a slow reader");
    }
    let _ = writeln!(
        std::io::stderr(),
        "{SLOW_READERS} slow readers cost at most {} MiB; others made {paid} transfers meanwhile",
        bytes_max >> 20
    );
    assert!(paid > 0);
    assert!(bytes_max <= RING_BYTES + SLOW_READERS as u64 * SLOW_READER_BYTES_MAX, "{bytes_max}");
    let accounts = client.lookup_accounts(&[1]).expect("the node answers");
    assert_eq!(accounts[0].debits_posted, paid);
}

#[test]
fn a_second_hello_of_the_same_client_takes_its_session_over() {
    let (_directory, node) = start();
    create_accounts(&mut client(node.address()), 2);
    let (mut older, first) = RawConnection::open(node.address(), 0xAB);
    let event = mizan_tests::ledger::transfer(1, 5);
    let frame = request_frame(first.session, 1, Operation::CreateTransfers, event.as_bytes());
    assert_eq!(older.request(&frame).0.status, RequestStatus::Ok.number());

    let (mut newer, second) = RawConnection::open(node.address(), 0xAB);
    assert_eq!((second.session, second.resumed, second.request_last), (first.session, 1, 1));
    match older.receive() {
        Answer::Error(RequestStatus::SessionTakenOver, _) => {}
        other => panic!("{other:?} instead of a word about the newer connection"),
    }
    assert!(matches!(older.receive(), Answer::End));
    let event = mizan_tests::ledger::transfer(2, 5);
    let frame = request_frame(second.session, 2, Operation::CreateTransfers, event.as_bytes());
    assert_eq!(newer.request(&frame).0.status, RequestStatus::Ok.number());
}

#[test]
fn clients_of_other_protocols_are_told_that_this_is_none_of_theirs() {
    let (_directory, node) = start();
    let before = LedgerView::of(&mut reader(node.address()));
    let mut http =
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n".to_vec();
    http.extend(b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n");
    // A TLS 1.3 client hello: record header, handshake header, version, random, and so on.
    let mut tls = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];
    tls.extend((0..506u32).map(|index| (index * 31 % 251) as u8));
    for hello in [http, tls] {
        let mut stranger = RawConnection::connect(node.address());
        assert!(stranger.send(&hello));
        match stranger.receive() {
            Answer::Error(RequestStatus::BadMagic, text) => {
                assert!(text.contains("another protocol"), "{text}");
            }
            other => panic!("{other:?} answers another protocol"),
        }
        assert!(matches!(stranger.receive(), Answer::End));
    }
    // Less than a header, and then nothing more: the node hangs up without a word.
    let mut short = RawConnection::connect(node.address());
    assert!(short.send(b"QUIT\r\n"));
    short.finish_sending();
    assert!(matches!(short.receive(), Answer::End));
    assert_eq!(LedgerView::of(&mut reader(node.address())), before);
}
