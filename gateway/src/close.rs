//! How connections end: in order with a last frame, at once, or because their time is over.
//!
//! In order: the last frame is appended, our side is shut once it is written, and what still comes is read and dropped
//! until the peer hangs up or the linger time is over. A close with unread bytes would make the system send a reset,
//! and the peer would lose the frame that says why.

use crate::common::Common;
use crate::config::{
    BUFFER_FULL_SIZE, BUFFER_SMALL_SIZE, EXTRA_HELLO_NS, HELLO_GRACE_NS, REFUSED_COUNT_MAX,
};
use crate::connection::{Connection, Phase};
use crate::gateway::Gateway;
use crate::intake::Intake;
use crate::take::Farewell;
use mizan_wire::RequestStatus;

impl Gateway {
    /// Ends a connection in order. Its requests in flight go on; their replies will find nobody.
    pub(crate) fn begin_close(&mut self, slot: u32, farewell: Farewell) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.phase == Phase::Closing {
            return;
        }
        self.intake.forget(connection);
        self.common.leave(connection);
        if let Farewell::Error(status, request) = farewell {
            self.common.push_error(connection, status, request);
        }
        connection.phase = Phase::Closing;
        connection.is_blocked = false;
        let now_ns = self.common.now_ns;
        self.common.closing.set(slot, &mut connection.closing_since, Some(now_ns));
        self.common.make_ready(connection);
        self.common.make_dirty(connection);
    }

    /// Ends a connection at once.
    pub(crate) fn destroy(&mut self, slot: u32) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        self.intake.forget(&mut connection);
        self.common.leave(&mut connection);
        self.common.extra_count -= usize::from(connection.is_extra);
        self.common.stalled.set(slot, &mut connection.stalled_since, None);
        self.common.closing.set(slot, &mut connection.closing_since, None);
        self.common.unsent_bytes -= connection.outbox.len();
        if connection.outbox.capacity() > 0 {
            self.common.recycle_outbox(&mut connection);
        }
        // The watch ends with the descriptor in any case.
        let _ = self.poll.registry().deregister(&mut connection.stream);
    }

    /// Nothing more comes from a connection. What is owed to it is still sent.
    pub(crate) fn end_input(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if !connection.is_ended || connection.is_done() {
            self.destroy(slot);
            return;
        }
        self.intake.forget(connection);
        self.common.partials.set(slot, &mut connection.partial_since, None);
    }

    /// Ends the connections whose time is over.
    pub(crate) fn expire(&mut self) {
        let (now_ns, times) = (self.common.now_ns, self.common.times);
        while let Some(slot) = self.common.partials.expired(now_ns, times.partial_ns) {
            self.expire_partial(slot);
        }
        while let Some(slot) = self.common.stalled.expired(now_ns, times.slow_ns) {
            self.cut_off_slow(slot);
        }
        while let Some(slot) = self.common.closing.expired(now_ns, times.linger_ns) {
            self.destroy(slot);
        }
        while let Some(slot) = self.common.extras.expired(now_ns, EXTRA_HELLO_NS) {
            self.refuse_extra(slot);
        }
        if let Some(hello_ns) = times.hello_ns {
            while let Some(slot) = self.common.fresh.expired(now_ns, hello_ns) {
                self.expire_fresh(slot);
            }
        }
        if let Some(idle_ns) = times.idle_ns {
            while let Some(slot) = self.longest_idle(idle_ns) {
                self.begin_close(slot, Farewell::Error(RequestStatus::IdleTimeout, 0));
            }
        }
    }

    fn expire_fresh(&mut self, slot: u32) {
        if !self.lacks_room {
            self.begin_close(slot, Farewell::Error(RequestStatus::HelloTimeout, 0));
        } else if let Some(connection) = self.connections.get_mut(slot) {
            // Nothing can be taken, so a hello that has come may not have been read.
            let now_ns = self.common.now_ns;
            self.common.fresh.set(slot, &mut connection.fresh_since, Some(now_ns));
        }
    }

    /// The open connection that has been silent for longest, if for at least so long. A connection that was heard of, or
    /// is owed something, finds its later place in the queue here, so that requests cost it nothing.
    fn longest_idle(&mut self, idle_ns: u64) -> Option<u32> {
        let now_ns = self.common.now_ns;
        while let Some(slot) = self.common.idle.expired(now_ns, idle_ns) {
            let connection = self.connections.get_mut(slot)?;
            let heard_ns = if connection.is_owed_nothing() { connection.heard_ns } else { now_ns };
            if connection.idle_since.is_none_or(|since_ns| since_ns >= heard_ns) {
                return Some(slot);
            }
            self.common.idle.set(slot, &mut connection.idle_since, Some(heard_ns));
        }
        None
    }

    /// Ends one of the connections that can best be missed, if there is one: a connection at its end, one that does not
    /// say hello, or the one that has been silent for longest.
    pub(crate) fn make_room(&mut self) {
        let Self { common, connections, .. } = self;
        let now_ns = common.now_ns;
        let is_general = |slot: &u32| connections.get_mut(*slot).is_some_and(|c| !c.is_extra);
        let closing = common.closing.all_expired(now_ns, 0).find(is_general);
        if let Some(slot) = closing {
            self.destroy(slot);
        } else if let Some(slot) = self.common.fresh.expired(now_ns, HELLO_GRACE_NS) {
            self.end_now(slot, RequestStatus::HelloTimeout);
        } else if let Some(slot) = self.longest_idle(self.common.times.idle_grace_ns.max(1)) {
            self.end_now(slot, RequestStatus::IdleTimeout);
        }
    }

    /// Whether there is a place for a connection that may turn out to be an operator's: others that have not said so
    /// make room, the oldest first.
    pub(crate) fn make_room_for_extra(&mut self) -> bool {
        let common = &self.common;
        if common.extra_count - common.operators < REFUSED_COUNT_MAX {
            return true;
        }
        let Self { common, connections, .. } = self;
        let is_extra = |slot: &u32| connections.get_mut(*slot).is_some_and(|c| c.is_extra);
        let closing = common.closing.all_expired(common.now_ns, 0).find(is_extra);
        if let Some(slot) = closing {
            self.destroy(slot);
        } else if let Some((_, slot)) = self.common.extras.oldest() {
            self.refuse_extra(slot);
        } else {
            return false;
        }
        true
    }

    /// Ends a connection that came when all places were taken and does not say that it is an operator's.
    fn refuse_extra(&mut self, slot: u32) {
        self.common.counters.refused_connections += 1;
        self.end_now(slot, RequestStatus::TooManyConnections);
    }

    /// Ends a connection without waiting for its peer: its place is needed. It is told why if its socket takes that.
    fn end_now(&mut self, slot: u32, status: RequestStatus) {
        if let Some(connection) = self.connections.get_mut(slot) {
            self.intake.forget(connection);
            self.common.push_error(connection, status, 0);
            // What the socket does not take is lost with the connection.
            let _ = self.common.write_out(connection);
        }
        self.destroy(slot);
    }

    fn expire_partial(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        // Bytes that have come and were not read are not the client's delay.
        if connection.is_readable && self.common.times.partial_ns > 0 {
            let now_ns = self.common.now_ns;
            self.common.partials.set(slot, &mut connection.partial_since, Some(now_ns));
        } else {
            self.cut_off_partial(slot);
        }
    }

    fn cut_off_partial(&mut self, slot: u32) {
        self.common.counters.cut_off_partial += 1;
        self.begin_close(slot, Farewell::Error(RequestStatus::PartialRequestTimeout, 0));
    }

    /// Ends a connection that takes no replies. There is no last frame: it would not be read either.
    pub(crate) fn cut_off_slow(&mut self, slot: u32) {
        self.common.counters.cut_off_slow += 1;
        self.common.counters.refusals.note(RequestStatus::SlowReader as u32);
        self.destroy(slot);
    }

    /// Finds buffers for those who wait for one, at the cost of those who hold one and do not go on.
    pub(crate) fn relieve(&mut self) {
        let mut needs = [BUFFER_SMALL_SIZE, BUFFER_FULL_SIZE].map(|size| (size, false));
        for (_, bytes) in &self.intake.waiting {
            needs[usize::from(*bytes > BUFFER_SMALL_SIZE)].1 = true;
        }
        for (bytes, is_needed) in needs {
            if is_needed && !self.intake.pool.has(bytes) {
                self.cut_off_hoarder(bytes);
            }
        }
    }

    /// One at a time: the others may still complete what they have begun.
    fn cut_off_hoarder(&mut self, bytes: usize) {
        let Self { common, connections, .. } = self;
        let (now_ns, grace_ns) = (common.now_ns, common.times.grace_ns);
        let mut holds = |slot: &u32| {
            let held = connections.get_mut(*slot).and_then(|found| found.held.as_ref());
            held.is_some_and(|held| held.buffer.size() >= bytes)
        };
        let partial = common.partials.all_expired(now_ns, grace_ns).find(&mut holds);
        let stalled = common.stalled.all_expired(now_ns, grace_ns).find(&mut holds);
        match (partial, stalled) {
            (Some(slot), _) => self.cut_off_partial(slot),
            (None, Some(slot)) => self.cut_off_slow(slot),
            (None, None) => {}
        }
    }

    /// Gives a turn to those whose buffer is there now.
    pub(crate) fn wake_waiting(&mut self) {
        let Self { intake, common, connections, .. } = self;
        let Intake { pool, waiting, .. } = intake;
        waiting.retain(|(slot, bytes)| {
            let found = connections.get_mut(*slot).filter(|found| found.waits_for_buffer);
            let Some(connection) = found else { return false };
            if !pool.has(*bytes) {
                return true;
            }
            connection.waits_for_buffer = false;
            common.make_ready(connection);
            false
        });
    }
}

impl Common {
    /// The connection has said hello, or ends.
    pub(crate) fn leave_fresh(&mut self, connection: &mut Connection) {
        let queue = if connection.is_extra { &mut self.extras } else { &mut self.fresh };
        queue.set(connection.token.slot(), &mut connection.fresh_since, None);
    }

    /// The connection is open from now on.
    pub(crate) fn enter_idle(&mut self, connection: &mut Connection) {
        let slot = connection.token.slot();
        self.idle.set(slot, &mut connection.idle_since, Some(self.now_ns));
    }

    /// Takes a connection off everything that only live ones are on.
    fn leave(&mut self, connection: &mut Connection) {
        let slot = connection.token.slot();
        if self.sessions.get(&connection.client) == Some(&connection.token) {
            self.sessions.remove(&connection.client);
            self.disconnects.lose(connection.client);
            if !connection.is_sessionless {
                self.losses.lose(connection.client, connection.session);
            }
        }
        self.leave_fresh(connection);
        self.idle.set(slot, &mut connection.idle_since, None);
        self.operators -= usize::from(std::mem::take(&mut connection.is_operator));
        self.partials.set(slot, &mut connection.partial_since, None);
        connection.waits_for_buffer = false;
        self.recycle_in_flight(connection);
    }
}
