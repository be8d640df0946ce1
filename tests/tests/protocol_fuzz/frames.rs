//! Frames to send: sound ones with events at the edges, sound ones with one thing wrong, and what is no frame at all.

use crate::extremes::events;
use crate::extremes::random::Random;
use mizan_wire::frame::{
    Error, HELLO_OPERATOR, HELLO_READ_ONLY, Hello, HelloReply, Ping, Pong, Reply, Request,
};
use mizan_wire::limits::{BODY_SIZE_MAX, HEADER_SIZE};
use mizan_wire::trading::InstrumentCommand;
use mizan_wire::{
    CreateCode, CreateLedger, Operation, SessionKey, SessionsQuery, TransferFlags, frame_checksum,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What the sender of a frame knows where it sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) client: u128,
    pub(crate) cluster: u128,
    pub(crate) session: u64,
    /// The number of the next write.
    pub(crate) next: u64,
    /// Replies that have been received.
    pub(crate) received: u64,
    /// Whether it keeps to the protocol.
    pub(crate) is_sound: bool,
    /// Whether it may leave replies behind that nobody asks for any more.
    pub(crate) may_write: bool,
    /// Clients and their sessions.
    pub(crate) keys: &'a [(u128, u64)],
    /// An account that is none of the fuzzer's.
    pub(crate) foreign: u128,
    pub(crate) clock: u64,
}

/// A frame, and whether it is a write with the next number.
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_next: bool,
}

impl Frame {
    const fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, is_next: false }
    }
}

/// Header and body as one.
fn joined(head: [u8; HEADER_SIZE], body: &[u8]) -> Vec<u8> {
    [&head[..], body].concat()
}

/// A hello of this client, as an honest one would say it.
pub(crate) fn hello(place: &Place<'_>, flags: u8) -> Vec<u8> {
    let client = if flags & HELLO_READ_ONLY != 0 { 0 } else { place.client };
    Hello { client, cluster: place.cluster, flags, ..Hello::default() }.seal(&[]).to_vec()
}

/// Whatever comes next on a connection. `large` is how many frames of the largest size may still be sent.
pub(crate) fn next(random: &mut Random, place: &Place<'_>, large: &mut u64) -> Frame {
    let is_large = *large > 0 && random.once_in(60);
    *large -= u64::from(is_large);
    match random.below(if place.is_sound { 84 } else { 100 }) {
        0..68 => request(random, place, is_large),
        68..74 => with_another_header(random, place),
        74..80 => with_another_body(random, place),
        80..84 => Frame::of(ping(random).seal(&[]).to_vec()),
        84..88 => Frame::of(any_hello(random, place)),
        88 => Frame::of(joined(ping(random).seal(&[1, 2, 3]), &[1, 2, 3])),
        89 => Frame::of(from_the_other_side(random)),
        90..93 => with_bytes_over_the_header(random, place),
        93..95 => with_a_wrong_checksum(random, place),
        95..97 => with_another_size(random, place),
        _ => Frame::of(noise(random)),
    }
}

fn ping(random: &mut Random) -> Ping {
    Ping { nonce: random.edge_u64(), ..Ping::default() }
}

fn operation(random: &mut Random, place: &Place<'_>) -> Operation {
    let operation = match random.below(10) {
        0..3 => Operation::CreateTransfers,
        3 | 4 => Operation::SubmitOrders,
        5 => random.pick(&[Operation::AmendOrders, Operation::CreateAccounts]),
        _ => random.pick(&Operation::ALL),
    };
    let is_final = operation == Operation::CloseSession && !random.once_in(6);
    if is_final || !operation.is_read() && !place.may_write {
        return Operation::LookupTransfers;
    }
    operation
}

/// A request as a client makes it.
fn sound(random: &mut Random, place: &Place<'_>, is_large: bool) -> (Request, Vec<u8>) {
    let operation = operation(random, place);
    let (least, most) = operation.event_count_range();
    let count = match is_large {
        true => most,
        false => least + (random.below(5) as u32).min(most - least),
    };
    let mut body = Vec::new();
    for _ in 0..count {
        body.extend(event(random, place, operation));
    }
    if random.once_in(4) {
        disturb(random, &mut body);
    }
    let request = Request {
        request: if operation.is_read() { random.edge_u64() } else { place.next },
        session: place.session,
        replies_received: if random.once_in(3) { place.received } else { 0 },
        min_sequence: if random.once_in(8) { random.edge_u64() } else { 0 },
        operation: operation.number(),
        event_size: operation.event_size() as u16,
        event_count: count,
        release: random.edge_u64() as u32,
        ..Request::default()
    };
    (request, body)
}

fn request(random: &mut Random, place: &Place<'_>, is_large: bool) -> Frame {
    let (request, body) = sound(random, place, is_large);
    let is_read = Operation::from_number(request.operation).is_some_and(Operation::is_read);
    Frame { bytes: joined(request.seal(&body), &body), is_next: !is_read }
}

/// One field of the header is at an edge.
fn with_another_header(random: &mut Random, place: &Place<'_>) -> Frame {
    let (mut request, body) = sound(random, place, false);
    let (edge, wide) = (random.edge_u64(), random.below(11));
    match wide {
        0 => request.request = edge,
        1 => request.session = edge,
        2 => request.replies_received = edge,
        3 => request.min_sequence = edge,
        4 => request.event_count = edge as u32,
        5 => request.event_size = edge as u16,
        6 => request.flags = edge as u32,
        7 => request.event_version = edge as u8,
        8 => request.operation = random.pick(&[0, 1, 139, 142, 255, 276, 372, 511, 517, 519]),
        9 => request.operation = edge as u16,
        // A number that was given out before.
        _ => request.request = place.next.saturating_sub(1 + random.below(4)),
    }
    Frame::of(joined(request.seal(&body), &body))
}

/// The body is not what the header counts.
fn with_another_body(random: &mut Random, place: &Place<'_>) -> Frame {
    let (mut request, mut body) = sound(random, place, false);
    match random.below(6) {
        0 => request.event_count = 0,
        1 => request.event_count = u32::MAX,
        2 => body.clear(),
        3 => body.push(0),
        4 => body.truncate(body.len().saturating_sub(1)),
        _ => body.resize(random.below(BODY_SIZE_MAX as u64 / 64) as usize, 0xA5),
    }
    Frame::of(joined(request.seal(&body), &body))
}

fn any_hello(random: &mut Random, place: &Place<'_>) -> Vec<u8> {
    let mut hello = Hello {
        client: if place.may_write { place.client } else { random.edge_u128() },
        cluster: random.pick(&[0, place.cluster, place.cluster ^ 1]),
        session: random.pick(&[0, place.session, place.session, random.clone().edge_u64()]),
        features: random.edge_u64(),
        release: random.edge_u64() as u32,
        ..Hello::default()
    };
    let mut credential = Vec::new();
    match random.below(6) {
        0 => hello.auth_method = random.edge_u64() as u8,
        1 => hello.flags = random.below(8) as u8,
        2 => credential = vec![7; random.pick(&[1, 255, 256, 257, 5_000])],
        3 => (hello.client, hello.flags) = (random.edge_u128(), HELLO_READ_ONLY),
        4 => (hello.client, hello.flags) = (0, HELLO_OPERATOR),
        _ => {}
    }
    joined(hello.seal(&credential), &credential)
}

fn from_the_other_side(random: &mut Random) -> Vec<u8> {
    let edge = random.edge_u64();
    match random.below(4) {
        0 => HelloReply { session: edge, ..HelloReply::default() }.seal(&[]).to_vec(),
        1 => Reply { request: edge, ..Reply::default() }.seal(&[]).to_vec(),
        2 => Error { request: edge, ..Error::default() }.seal(&[]).to_vec(),
        _ => Pong { nonce: edge, ..Pong::default() }.seal(&[]).to_vec(),
    }
}

/// Anything stands anywhere behind the checksum, which is right.
fn with_bytes_over_the_header(random: &mut Random, place: &Place<'_>) -> Frame {
    let mut bytes = request(random, place, false).bytes;
    let at = 16 + random.below(HEADER_SIZE as u64 - 16) as usize;
    match random.below(3) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[36..40].copy_from_slice(&(random.edge_u64() as u32).to_le_bytes()),
        _ => disturb(random, &mut bytes[16..HEADER_SIZE]),
    }
    reseal(&mut bytes);
    Frame::of(bytes)
}

fn reseal(bytes: &mut [u8]) {
    let sum = frame_checksum(&bytes[16..HEADER_SIZE]);
    bytes[..16].copy_from_slice(sum.as_bytes());
}

fn with_a_wrong_checksum(random: &mut Random, place: &Place<'_>) -> Frame {
    let mut bytes = request(random, place, false).bytes;
    let at = random.below(bytes.len() as u64) as usize;
    bytes[at] ^= 1 << random.below(8);
    Frame::of(bytes)
}

/// The header says that less or more follows than does.
fn with_another_size(random: &mut Random, place: &Place<'_>) -> Frame {
    let mut bytes = request(random, place, false).bytes;
    let size = u64::from(u32::from_le_bytes([bytes[36], bytes[37], bytes[38], bytes[39]]));
    let other = match random.below(3) {
        0 => size.saturating_sub(1 + random.below(200)),
        1 => size + 1 + random.below(9_000),
        _ => random.edge_u64(),
    };
    bytes[36..40].copy_from_slice(&(other as u32).to_le_bytes());
    reseal(&mut bytes);
    Frame::of(bytes)
}

fn noise(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".to_vec(),
        1 => (0..1 + random.below(600)).map(|_| random.next() as u8).collect(),
        _ => vec![random.pick(&[0, 0xFF, b'M']); 1 + random.below(300) as usize],
    }
}

/// Writes numbers at their edges over some fields.
fn disturb(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..1 + random.below(3) {
        let width = random.pick(&[1, 2, 4, 8, 16]);
        let Some(last) = bytes.len().checked_sub(width) else { continue };
        let at = random.below((last / width) as u64 + 1) as usize * width;
        let value = match random.below(4) {
            // Patterns of numbers that are none: infinities and NaNs of both widths.
            0 => random.pick(&[0x7FF0_u128 << 48, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FC0_0000]),
            _ => random.edge_u128(),
        };
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// One event of an operation; nothing for those that have none.
fn event(random: &mut Random, place: &Place<'_>, operation: Operation) -> Vec<u8> {
    fn bytes(record: &(impl IntoBytes + Immutable)) -> Vec<u8> {
        record.as_bytes().to_vec()
    }
    let clock = place.clock;
    match operation {
        Operation::LookupAccounts | Operation::LookupTransfers => bytes(&random.edge_u128()),
        Operation::CreateAccounts => {
            let mut account = events::account(random, clock);
            if random.once_in(9) {
                account.id = place.foreign;
            }
            bytes(&account)
        }
        Operation::CreateTransfers => {
            let mut transfer = events::transfer(random, clock);
            if random.once_in(30) {
                transfer.debit_account_id = place.foreign;
            }
            if random.once_in(6) {
                transfer.id = random.edge_u128();
                transfer.flags &= !TransferFlags::LINKED;
            }
            bytes(&transfer)
        }
        Operation::CreateInstruments => {
            let id = 1 + random.below(3) as u32;
            bytes(&events::instrument(random, id))
        }
        Operation::SubmitOrders => bytes(&events::order(random, clock)),
        Operation::AmendOrders => bytes(&events::amend(random)),
        Operation::CancelOrders => bytes(&events::cancel(random)),
        Operation::MassCancelOrders => bytes(&events::mass_cancel(random)),
        Operation::SetTradingStates => bytes(&events::command(random, 3)),
        Operation::CloseTradingSessions => {
            let command: InstrumentCommand = events::command(random, 1);
            bytes(&command)
        }
        Operation::GetOpenOrders | Operation::GetExecutionReports | Operation::GetDepth => loop {
            let (found, query) = events::read(random);
            if found == operation {
                break query;
            }
        },
        Operation::CloseSessions | Operation::ConnectionLost => {
            let (client, session) = match random.once_in(3) || place.keys.is_empty() {
                true => (random.edge_u128(), random.edge_u64()),
                false => random.pick(place.keys),
            };
            bytes(&SessionKey { client, session, reserved: 0 })
        }
        Operation::GetSessions => bytes(&SessionsQuery { after: random.edge_u64(), reserved: 0 }),
        Operation::CreateLedgers => bytes(&ledger(random)),
        Operation::CreateCodes => bytes(&code(random)),
        _ => (0..operation.event_size()).map(|_| random.next() as u8).collect(),
    }
}

fn ledger(random: &mut Random) -> CreateLedger {
    let record = [0; size_of::<CreateLedger>()];
    let blank = CreateLedger::read_from_bytes(&record).expect("a record of zeros");
    let named = CreateLedger::new(1 + random.below(3) as u32, 2, "USD", "US dollars");
    let mut ledger = named.unwrap_or(blank);
    if random.once_in(3) {
        ledger.name = [random.next() as u8; 64];
        ledger.scale = random.edge_u64() as u8;
    }
    ledger
}

fn code(random: &mut Random) -> CreateCode {
    let record = [0; size_of::<CreateCode>()];
    let mut code = CreateCode::read_from_bytes(&record).expect("a record of zeros");
    code.code = random.edge_u64() as u16;
    code.class = random.below(7) as u8;
    code.name[..4].copy_from_slice(&random.pick(&[*b"cash", *b"fees", [0xFF; 4], [0; 4]]));
    code
}

/// Another request under the same number.
pub(crate) fn change_events(frame: &mut [u8]) {
    let Some(last) = frame.get_mut(HEADER_SIZE..).and_then(<[u8]>::last_mut) else { return };
    *last ^= 1;
    let sum = frame_checksum(&frame[HEADER_SIZE..]);
    frame[16..32].copy_from_slice(sum.as_bytes());
    reseal(frame);
}
