//! The gateway: one poll is one look at the clock, the sockets, and every connection that has something to say.

use crate::common::Common;
use crate::config::{ACCEPT_PAUSE_NS, EVENTS_PER_POLL, EXTRA_HELLO_NS, GatewayConfig};
use crate::connection::Phase;
use crate::door::{Door, LISTENER, WAKER, connection_count_max, slot_of};
use crate::error::GatewayError;
use crate::intake::{Intake, Turn};
use crate::interface::{Clock, GatewayCounters, NodeView, RequestSink};
use crate::pool::Pool;
use crate::slots::Slots;
use crate::take::Farewell;
use mio::{Events, Waker};
use mizan_wire::RequestStatus;
use mizan_wire::trading::OrderResult;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Owns the listener and all connections. Lives on one thread.
pub struct Gateway {
    pub(crate) poll: mio::Poll,
    events: Events,
    waker: Arc<Waker>,
    local_addr: SocketAddr,
    pub(crate) door: Option<Door>,
    pub(crate) connections: Slots,
    pub(crate) common: Common,
    pub(crate) intake: Intake,
    /// The last round ended because the sink had no room.
    pub(crate) lacks_room: bool,
}

impl Gateway {
    /// Listens. Raises the process's limit of descriptors as far as the system lets it.
    ///
    /// # Errors
    /// An option outside its limits; an address that is not to be had.
    pub fn bind(mut config: GatewayConfig) -> Result<Self, GatewayError> {
        config.check()?;
        config.connection_count_max = connection_count_max(&config);
        let wait = |doing| move |source| GatewayError::Wait { doing, source };
        let poll = mio::Poll::new().map_err(wait("opening"))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(wait("opening"))?;
        let door = Door::open(config.listen, &poll)?;
        let local_addr = door.local_addr().map_err(wait("opening"))?;
        let pool = Pool::new(config.buffer_small_count, config.buffer_full_count);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            waker: Arc::new(waker),
            local_addr,
            door: Some(door),
            connections: Slots::default(),
            intake: Intake::new(config.read_bytes_max, pool),
            common: Common::new(config),
            lacks_room: false,
        })
    }

    /// The address that clients reach.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections at the most: as configured, or as many as the system lets the process have.
    #[must_use]
    pub const fn connection_count_max(&self) -> usize {
        self.common.config.connection_count_max
    }

    /// Ends a poll that waits, from any thread.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Accepts, reads, and submits. Waits for at most `timeout` (`None`: for ever) if there is nothing to do.
    ///
    /// Returns whether it did something. If the sink had no room, it may wait although clients have sent requests: who
    /// makes room then uses the waker. What was written meanwhile is flushed before a wait.
    ///
    /// # Errors
    /// Waiting for sockets failed; no connection can cause that.
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        view: &NodeView,
        clock: &Clock,
        sink: &mut impl RequestSink,
    ) -> Result<bool, GatewayError> {
        self.common.now_ns = clock.monotonic_ns;
        self.common.view = *view;
        self.expire();
        self.wake_waiting();
        let mut has_cancelled = self.cancel_lost(sink);
        let mut timeout = self.wait_time(timeout);
        if timeout != Some(Duration::ZERO) {
            // A socket that takes nothing any more ends its connection.
            self.flush();
            has_cancelled |= self.cancel_lost(sink);
        }
        if has_cancelled {
            // What was submitted is not to wait for sockets.
            timeout = Some(Duration::ZERO);
        }
        self.wait(timeout)?;
        let accepted = self.accept();
        let worked = self.round(sink);
        self.relieve();
        Ok(accepted || worked || has_cancelled)
    }

    /// To be called before the first poll of a node that has orders from before it, and when a node becomes the
    /// primary: whoever entered them has lost the connection.
    pub fn cancel_orders_of_all_sessions(&mut self) {
        self.common.disconnects.lose_all();
    }

    /// To be called before the first poll of a node that has sessions from before it, and when a node becomes the primary:
    /// they have no connection.
    pub fn lose_all_sessions(&mut self) {
        self.common.losses.lose_all();
    }

    /// The node's own mass cancel, the oldest that has no result yet, has this one.
    pub fn note_mass_cancel(&mut self, result: &OrderResult) {
        self.common.disconnects.go_on(result);
    }

    /// Submits what lost sessions entail, if the node takes writes; says whether there was something.
    fn cancel_lost(&mut self, sink: &mut impl RequestSink) -> bool {
        let common = &mut self.common;
        let is_due = common.disconnects.is_due() || common.losses.is_due();
        if !is_due || common.refusal(false).is_some() {
            return false;
        }
        let cancels = common.disconnects.submit(sink);
        let losses = common.losses.submit(sink);
        common.counters.disconnect_cancels += cancels;
        common.counters.connection_losses += losses;
        cancels + losses > 0
    }

    /// Requests at the sink whose reply has not come.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.common.in_flight
    }

    /// What was done so far, and what is held now.
    #[must_use]
    pub const fn counters(&self) -> GatewayCounters {
        let (buffers_small, buffers_full) = self.intake.pool.in_use();
        GatewayCounters {
            connections: self.connections.len() as u64,
            in_flight: self.common.in_flight as u64,
            unsent_bytes: self.common.unsent_bytes as u64,
            buffers_small: buffers_small as u64,
            buffers_full: buffers_full as u64,
            ..self.common.counters
        }
    }

    /// From now on: no new connections, and new writes are refused as shutting down. Reads are a matter of the view.
    pub fn begin_shutdown(&mut self) {
        self.common.is_shutting_down = true;
        self.door = None;
    }

    /// Tells every connection that the node is stopping, writes what the sockets take, and closes them all.
    pub fn close_all(&mut self) {
        self.begin_shutdown();
        for slot in self.connections.occupied() {
            self.begin_close(slot, Farewell::Error(RequestStatus::ShuttingDown, 0));
        }
        self.flush();
        for slot in self.connections.occupied() {
            if let Some(connection) = self.connections.get_mut(slot) {
                self.intake.hang_up(connection, &mut self.common);
            }
            self.destroy(slot);
        }
    }

    /// How long to wait for sockets: not beyond the next moment at which something is due.
    fn wait_time(&self, timeout: Option<Duration>) -> Option<Duration> {
        let common = &self.common;
        let (now_ns, times) = (common.now_ns, common.times);
        let has_ready = !common.ready.is_empty() && !self.lacks_room;
        let door = self.door.as_ref().filter(|door| door.is_ready);
        if has_ready || door.is_some_and(|door| door.paused_until_ns <= now_ns) {
            return Some(Duration::ZERO);
        }
        let due = |oldest: Option<(u64, u32)>, timeout_ns: u64| {
            let (since_ns, _) = oldest?;
            Some(since_ns.saturating_add(timeout_ns).saturating_sub(now_ns))
        };
        let waits = [
            timeout.map(crate::config::nanoseconds),
            due(common.partials.oldest(), times.partial_ns),
            due(common.stalled.oldest(), times.slow_ns),
            due(common.closing.oldest(), times.linger_ns),
            times.hello_ns.and_then(|hello_ns| due(common.fresh.oldest(), hello_ns)),
            due(common.extras.oldest(), EXTRA_HELLO_NS),
            times.idle_ns.and_then(|idle_ns| due(common.idle.oldest(), idle_ns)),
            door.map(|_| ACCEPT_PAUSE_NS),
            // Who is to be cut off for a buffer may reach the end of its grace.
            (!self.intake.waiting.is_empty()).then_some(times.grace_ns),
        ];
        waits.into_iter().flatten().min().map(Duration::from_nanos)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), GatewayError> {
        if let Err(source) = self.poll.poll(&mut self.events, timeout)
            && source.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(GatewayError::Wait { doing: "polling", source });
        }
        for event in &self.events {
            match event.token() {
                WAKER => {}
                LISTENER => {
                    if let Some(door) = &mut self.door {
                        door.is_ready = true;
                    }
                }
                watch => {
                    let found = self.connections.get_mut(slot_of(watch));
                    let Some(connection) = found else { continue };
                    // The end is announced once, with the last bytes or alone.
                    connection.is_ending |= event.is_read_closed() || event.is_error();
                    if event.is_readable() || connection.is_ending {
                        connection.is_readable = true;
                        self.common.make_ready(connection);
                    }
                    if event.is_writable() || event.is_error() {
                        connection.is_writable = true;
                        if !connection.outbox.is_empty() {
                            self.common.make_dirty(connection);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// One turn for every connection that was ready at the beginning of the round.
    fn round(&mut self, sink: &mut impl RequestSink) -> bool {
        let done = |counters: &GatewayCounters| {
            (counters.bytes_in, counters.requests, counters.disconnect_cancels)
        };
        let before = done(&self.common.counters);
        self.lacks_room = false;
        for _ in 0..self.common.ready.len() {
            // The turn before may have ended a connection whose client has come by another one already.
            self.cancel_lost(sink);
            if self.common.disconnects.is_due() && self.common.refusal(false).is_none() {
                self.lacks_room = true;
                break;
            }
            let Some(slot) = self.common.ready.pop_front() else { break };
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            connection.is_in_ready = false;
            let turn = self.intake.turn(connection, &mut self.common, sink);
            self.after_turn(slot, turn);
            if self.lacks_room {
                break;
            }
        }
        before != done(&self.common.counters)
    }

    fn after_turn(&mut self, slot: u32, turn: Turn) {
        let Self { connections, common, intake, .. } = self;
        let Some(connection) = connections.get_mut(slot) else { return };
        let waited = std::mem::replace(&mut connection.waits_for_buffer, false);
        connection.is_blocked = turn == Turn::Blocked;
        if connection.phase != Phase::Fresh {
            common.leave_fresh(connection);
        }
        match turn {
            Turn::Drained | Turn::Blocked => {}
            Turn::Again => common.make_ready(connection),
            Turn::NoRoom => {
                self.lacks_room = true;
                connection.is_in_ready = true;
                common.ready.push_front(slot);
            }
            Turn::NoBuffer(bytes) => {
                connection.waits_for_buffer = true;
                if !waited {
                    intake.waiting.push((slot, bytes));
                }
            }
            Turn::Close(farewell) => {
                if matches!(farewell, Farewell::Error(..)) {
                    common.counters.frame_errors += 1;
                }
                self.begin_close(slot, farewell);
            }
            Turn::Gone => self.end_input(slot),
        }
        self.end_taken_over();
    }

    /// Tells the older connections of clients that came by a newer one.
    fn end_taken_over(&mut self) {
        while let Some(token) = self.common.taken_over.pop() {
            if self.connections.by_token(token).is_some() {
                self.common.counters.taken_over += 1;
                let status = RequestStatus::SessionTakenOver;
                self.begin_close(token.slot(), Farewell::Error(status, 0));
            }
        }
    }
}
