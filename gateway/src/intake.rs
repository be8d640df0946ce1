//! A connection's turn: reads once, takes what is whole, and finds a place for what is not.
//!
//! The usual turn is a bulk read into the shared scratch, from which requests go straight to the sink. It needs a free
//! full buffer, because any frame may stay incomplete; the rest of that frame is then read into its buffer directly.
//! Without a free full buffer a turn reads a header only, into the connection; then what it says it needs: nothing, a
//! small buffer, or, if the frame is small and has arrived whole, the scratch again. So small requests pass, however
//! many connections leave large ones incomplete.

use crate::common::Common;
use crate::config::{BUFFER_SMALL_SIZE, READ_BYTES_MIN, WRITE_FRAME_SIZE_MIN};
use crate::connection::{Connection, Held, Phase};
use crate::interface::RequestSink;
use crate::pool::Pool;
use crate::take::{Block, Farewell, Stop, is_blocked, pass_over, take_all};
use mizan_wire::limits::{FRAME_SIZE_MAX, HEADER_SIZE};
use std::io::{ErrorKind, Read};
use std::net::Shutdown;

/// What became of a connection's turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// The socket has nothing more for now.
    Drained,
    /// There may be more.
    Again,
    /// The sink has no room: so is everybody else's turn over.
    NoRoom,
    /// A buffer for a frame of so many bytes is needed.
    NoBuffer(usize),
    /// Replies must be sent first.
    Blocked,
    /// To be closed.
    Close(Farewell),
    /// Nothing more comes: the peer has ended its side, or is lost.
    Gone,
}

/// The receive side: scratch and buffers.
pub(crate) struct Intake {
    /// A header's worth in front, for what a connection kept of a header; then what is read.
    scratch: Box<[u8]>,
    pub(crate) pool: Pool,
    /// Connections that wait for a buffer, with the bytes needed.
    pub(crate) waiting: Vec<(u32, usize)>,
}

enum Received {
    Bytes(usize),
    Nothing,
    Gone,
}

impl Intake {
    pub(crate) fn new(read_bytes_max: usize, pool: Pool) -> Self {
        // Large enough for a small frame whatever the bulk read is limited to.
        let size = HEADER_SIZE + read_bytes_max.max(BUFFER_SMALL_SIZE);
        Self { scratch: vec![0; size].into_boxed_slice(), pool, waiting: Vec::new() }
    }

    /// Gives a connection its turn.
    pub(crate) fn turn(
        &mut self,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        connection.has_completed = false;
        let turn = if connection.phase == Phase::Closing {
            self.discard(connection, common)
        } else if let Some(held) = connection.held.take() {
            self.turn_held(held, connection, common, sink)
        } else if usize::from(connection.head_size) == HEADER_SIZE {
            self.turn_head(connection, common, sink)
        } else if !connection.is_readable {
            Turn::Drained
        } else if is_blocked(connection, common) {
            Turn::Blocked
        } else if self.pool.has(FRAME_SIZE_MAX) {
            self.turn_bulk(connection, common, sink)
        } else {
            self.turn_header_first(connection, common, sink)
        };
        note_partial(turn, connection, common);
        turn
    }

    /// Gives back the buffer of a connection that is at its end.
    pub(crate) fn forget(&mut self, connection: &mut Connection) {
        if let Some(held) = connection.held.take() {
            self.pool.release(held.buffer);
        }
        connection.head_size = 0;
        connection.skip = 0;
    }

    fn turn_bulk(
        &mut self,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        let mut room = sink.room_bytes();
        // An entry takes at most twice the bytes of its frame.
        if room / 2 < HEADER_SIZE + READ_BYTES_MIN {
            return Turn::NoRoom;
        }
        let kept = usize::from(connection.head_size);
        let limit = bulk_limit(connection, common).min(room / 2 - kept);
        self.scratch[HEADER_SIZE - kept..HEADER_SIZE].copy_from_slice(&connection.head[..kept]);
        let target = &mut self.scratch[HEADER_SIZE..HEADER_SIZE + limit];
        let count = match receive(connection, common, target) {
            Received::Bytes(count) => count,
            Received::Nothing => return Turn::Drained,
            Received::Gone => return Turn::Gone,
        };
        connection.head_size = 0;
        let bytes = &self.scratch[HEADER_SIZE - kept..HEADER_SIZE + count];
        let (taken, stop) = take_all(connection, common, &mut room, sink, bytes);
        if let Stop::Close(farewell) = stop {
            return Turn::Close(farewell);
        }
        keep(&mut self.pool, connection, &bytes[taken..], stop);
        after(stop, connection)
    }

    fn turn_header_first(
        &mut self,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        if connection.skip > 0 {
            let size = self.scratch.len().min(connection.skip as usize);
            return match receive(connection, common, &mut self.scratch[..size]) {
                Received::Bytes(count) => {
                    pass_over(connection, count);
                    again(connection)
                }
                Received::Nothing => Turn::Drained,
                Received::Gone => Turn::Gone,
            };
        }
        let kept = usize::from(connection.head_size);
        let mut head = connection.head;
        let received = receive(connection, common, &mut head[kept..]);
        connection.head = head;
        match received {
            Received::Bytes(count) => connection.head_size += count as u8,
            Received::Nothing => return Turn::Drained,
            Received::Gone => return Turn::Gone,
        }
        if usize::from(connection.head_size) < HEADER_SIZE {
            return again(connection);
        }
        self.turn_head(connection, common, sink)
    }

    /// A whole header lies in the connection: looks what its body needs.
    fn turn_head(
        &mut self,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        let mut room = sink.room_bytes();
        let head = connection.head;
        let size = match take_all(connection, common, &mut room, sink, &head).1 {
            Stop::End => {
                connection.head_size = 0;
                return again(connection);
            }
            Stop::Incomplete(size) => size,
            stop => return after(stop, connection),
        };
        let Some(buffer) = self.pool.acquire(size) else {
            return self.take_if_whole(size, connection, common, sink);
        };
        self.pool.bytes_mut(&buffer)[..HEADER_SIZE].copy_from_slice(&head);
        connection.head_size = 0;
        let incomplete = Some(size as u32);
        let held = Held { buffer, start: 0, end: HEADER_SIZE as u32, incomplete };
        self.turn_held(held, connection, common, sink)
    }

    /// There is no buffer for a frame, but a small one that has arrived whole needs none: it is taken from a copy of
    /// what the socket holds, and then read.
    fn take_if_whole(
        &mut self,
        size: usize,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        if size > BUFFER_SMALL_SIZE || !connection.is_readable {
            return Turn::NoBuffer(size);
        }
        self.scratch[..HEADER_SIZE].copy_from_slice(&connection.head);
        match connection.stream.peek(&mut self.scratch[HEADER_SIZE..size]) {
            Ok(0) => return ended(connection),
            Ok(count) if count == size - HEADER_SIZE => {}
            // The socket stays readable: what it holds raises no further event. The next turn comes with the next
            // bytes, or with a buffer.
            Ok(_) => return Turn::NoBuffer(size),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.is_readable = false;
                return Turn::NoBuffer(size);
            }
            Err(_) => return Turn::Gone,
        }
        let mut room = sink.room_bytes();
        let bytes = &self.scratch[..size];
        let (taken, stop) = take_all(connection, common, &mut room, sink, bytes);
        if taken < size {
            return after(stop, connection);
        }
        connection.head_size = 0;
        match receive(connection, common, &mut self.scratch[HEADER_SIZE..size]) {
            Received::Bytes(count) if count == size - HEADER_SIZE => again(connection),
            _ => Turn::Gone,
        }
    }

    /// Bytes lie in a pooled buffer: takes what is whole, then reads what is missing of the frame at the end.
    fn turn_held(
        &mut self,
        mut held: Held,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        let mut room = sink.room_bytes();
        let Some(size) = held.incomplete else {
            return self.turn_stash(held, connection, common, sink);
        };
        let size = size as usize;
        if !connection.is_readable {
            connection.held = Some(held);
            return Turn::Drained;
        }
        if room < size.next_multiple_of(HEADER_SIZE) {
            connection.held = Some(held);
            return Turn::NoRoom;
        }
        let target = &mut self.pool.bytes_mut(&held.buffer)[held.end as usize..size];
        match receive(connection, common, target) {
            Received::Bytes(count) => held.end += count as u32,
            Received::Nothing => {
                connection.held = Some(held);
                return Turn::Drained;
            }
            Received::Gone => {
                self.pool.release(held.buffer);
                return Turn::Gone;
            }
        }
        if (held.end as usize) < size {
            connection.held = Some(held);
            return again(connection);
        }
        let bytes = &self.pool.bytes(&held.buffer)[..size];
        let (taken, stop) = take_all(connection, common, &mut room, sink, bytes);
        if taken == size || matches!(stop, Stop::Close(_)) {
            self.pool.release(held.buffer);
        } else {
            held.incomplete = None;
            connection.held = Some(held);
        }
        after(stop, connection)
    }

    /// Frames lie in a pooled buffer because something stood in their way.
    fn turn_stash(
        &mut self,
        mut held: Held,
        connection: &mut Connection,
        common: &mut Common,
        sink: &mut impl RequestSink,
    ) -> Turn {
        let mut room = sink.room_bytes();
        let bytes = &self.pool.bytes(&held.buffer)[held.start as usize..held.end as usize];
        let (taken, stop) = take_all(connection, common, &mut room, sink, bytes);
        held.start += taken as u32;
        let left = (held.end - held.start) as usize;
        match stop {
            Stop::Blocked(_) => connection.held = Some(held),
            Stop::Close(_) => self.pool.release(held.buffer),
            Stop::End | Stop::Incomplete(_) if left < HEADER_SIZE => {
                keep_head(connection, &bytes[taken..]);
                self.pool.release(held.buffer);
            }
            Stop::End => unreachable!("invariant: at the end nothing is left"),
            Stop::Incomplete(size) => return self.settle(size, held, connection),
        }
        after(stop, connection)
    }

    /// What is left in a buffer is one incomplete frame: makes room for all of it.
    fn settle(&mut self, size: usize, mut held: Held, connection: &mut Connection) -> Turn {
        let (start, end) = (held.start as usize, held.end as usize);
        if size > held.buffer.size() {
            let Some(larger) = self.pool.acquire(size) else {
                connection.held = Some(held);
                return Turn::NoBuffer(size);
            };
            // Only a small buffer can be too small.
            let mut left = [0; BUFFER_SMALL_SIZE];
            left[..end - start].copy_from_slice(&self.pool.bytes(&held.buffer)[start..end]);
            self.pool.bytes_mut(&larger)[..end - start].copy_from_slice(&left[..end - start]);
            self.pool.release(std::mem::replace(&mut held.buffer, larger));
        } else {
            self.pool.bytes_mut(&held.buffer).copy_within(start..end, 0);
        }
        held.start = 0;
        held.end = (end - start) as u32;
        held.incomplete = Some(size as u32);
        connection.held = Some(held);
        again(connection)
    }

    /// A connection at its end: what still comes is read, so that the last frame is not lost to a reset.
    fn discard(&mut self, connection: &mut Connection, common: &mut Common) -> Turn {
        match receive(connection, common, &mut self.scratch) {
            Received::Bytes(_) => again(connection),
            Received::Nothing => Turn::Drained,
            Received::Gone => Turn::Gone,
        }
    }

    /// Reads and drops what has come, then hangs up: a close with unread bytes would destroy the last replies.
    pub(crate) fn hang_up(&mut self, connection: &mut Connection, common: &mut Common) {
        for _ in 0..HANG_UP_READS_MAX {
            if !matches!(receive(connection, common, &mut self.scratch), Received::Bytes(_)) {
                break;
            }
        }
        // Whether the peer is still there makes no difference now.
        let _ = connection.stream.shutdown(Shutdown::Write);
    }
}

/// Reads before a hang-up at the most: about what a socket holds.
const HANG_UP_READS_MAX: usize = 16;

/// How much to read, so that little of it must be set aside because of the connection's own limits.
fn bulk_limit(connection: &Connection, common: &Common) -> usize {
    let config = &common.config;
    let requests = config.in_flight_max - connection.in_flight.len();
    // The reply to a write is never larger than the write.
    let reply_bytes = config.reply_bytes_max - connection.pending_reply_bytes();
    config
        .read_bytes_max
        .min(requests.saturating_mul(WRITE_FRAME_SIZE_MIN))
        .min(reply_bytes)
        .max(READ_BYTES_MIN)
}

/// Keeps what could not be taken: in the connection if it is less than a header, else in a buffer.
fn keep(pool: &mut Pool, connection: &mut Connection, rest: &[u8], stop: Stop) {
    if rest.len() < HEADER_SIZE {
        keep_head(connection, rest);
        return;
    }
    let incomplete = match stop {
        Stop::Incomplete(size) => Some(size),
        _ => None,
    };
    let buffer = pool
        .acquire(incomplete.unwrap_or(0).max(rest.len()))
        .expect("invariant: a full buffer was free before the read");
    pool.bytes_mut(&buffer)[..rest.len()].copy_from_slice(rest);
    let incomplete = incomplete.map(|size| size as u32);
    connection.held = Some(Held { buffer, start: 0, end: rest.len() as u32, incomplete });
}

fn keep_head(connection: &mut Connection, rest: &[u8]) {
    connection.head[..rest.len()].copy_from_slice(rest);
    connection.head_size = rest.len() as u8;
}

fn again(connection: &Connection) -> Turn {
    if connection.is_readable { Turn::Again } else { Turn::Drained }
}

fn after(stop: Stop, connection: &Connection) -> Turn {
    match stop {
        Stop::End | Stop::Incomplete(_) => again(connection),
        Stop::Blocked(Block::Room) => Turn::NoRoom,
        Stop::Blocked(Block::Replies) => Turn::Blocked,
        Stop::Close(farewell) => Turn::Close(farewell),
    }
}

/// Keeps the time since which the connection's client owes the rest of a frame.
fn note_partial(turn: Turn, connection: &mut Connection, common: &mut Common) {
    let is_owing = matches!(turn, Turn::Drained | Turn::Again) && connection.has_incomplete_frame();
    let since_ns = if !is_owing {
        None
    } else if connection.has_completed {
        Some(common.now_ns)
    } else {
        connection.partial_since.or(Some(common.now_ns))
    };
    let slot = connection.token.slot();
    common.partials.set(slot, &mut connection.partial_since, since_ns);
}

fn receive(connection: &mut Connection, common: &mut Common, target: &mut [u8]) -> Received {
    loop {
        match connection.stream.read(target) {
            Ok(0) => {
                ended(connection);
                return Received::Gone;
            }
            Ok(count) => {
                // Less than asked for: the socket is empty, and what comes later raises a new event. Only the end is
                // not announced again.
                connection.is_readable = count == target.len() || connection.is_ending;
                connection.heard_ns = common.now_ns;
                common.counters.bytes_in += count as u64;
                return Received::Bytes(count);
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => {
                    connection.is_readable = false;
                    return Received::Nothing;
                }
                _ => return Received::Gone,
            },
        }
    }
}

/// The peer sends nothing more, but may still read.
fn ended(connection: &mut Connection) -> Turn {
    connection.is_ended = true;
    connection.is_readable = false;
    Turn::Gone
}
