//! What all connections share, apart from the receive buffers.

use crate::age::AgeQueue;
use crate::config::{GatewayConfig, SPARE_BYTES_MAX, SPARES_MAX, nanoseconds};
use crate::connection::{Connection, InFlight};
use crate::disconnect::Disconnects;
use crate::interface::{Accepting, GatewayCounters, NodeView};
use crate::losses::Losses;
use crate::outbox::Outbox;
use crate::slots::Token;
use mizan_wire::RequestStatus;
use mizan_wire::frame::NodeLimits;
use std::collections::{HashMap, VecDeque};

/// The configuration's times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) partial_ns: u64,
    pub(crate) grace_ns: u64,
    pub(crate) slow_ns: u64,
    pub(crate) linger_ns: u64,
    pub(crate) hello_ns: Option<u64>,
    pub(crate) idle_ns: Option<u64>,
    pub(crate) idle_grace_ns: u64,
}

impl Times {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        Self {
            partial_ns: nanoseconds(config.partial_timeout),
            grace_ns: nanoseconds(config.partial_grace),
            slow_ns: nanoseconds(config.slow_reader_timeout),
            linger_ns: nanoseconds(config.linger_timeout),
            hello_ns: config.hello_timeout.map(nanoseconds),
            idle_ns: config.idle_timeout.map(nanoseconds),
            idle_grace_ns: nanoseconds(config.idle_grace),
        }
    }
}

pub(crate) struct Common {
    pub(crate) config: GatewayConfig,
    pub(crate) times: Times,
    pub(crate) now_ns: u64,
    pub(crate) view: NodeView,
    pub(crate) is_shutting_down: bool,
    /// The connection on which each client's session lives.
    pub(crate) sessions: HashMap<u128, Token>,
    /// Connections whose session has just moved to a newer one.
    pub(crate) taken_over: Vec<Token>,
    /// Orders that end with a connection.
    pub(crate) disconnects: Disconnects,
    /// Sessions without a connection that the log does not know of yet.
    pub(crate) losses: Losses,
    /// Connections to be read, in turn.
    pub(crate) ready: VecDeque<u32>,
    /// Connections with something to send.
    pub(crate) dirty: Vec<u32>,
    pub(crate) fresh: AgeQueue,
    /// Connections that came when all places were taken, and have not said that they are an operator's.
    pub(crate) extras: AgeQueue,
    /// Open connections, by a time at which something was heard of them; what came later is not noted before it matters.
    pub(crate) idle: AgeQueue,
    pub(crate) partials: AgeQueue,
    pub(crate) stalled: AgeQueue,
    pub(crate) closing: AgeQueue,
    /// Connections beyond the places that all have, those at their end included.
    pub(crate) extra_count: usize,
    /// When the last of them came: no two have the same time.
    pub(crate) extra_last_ns: u64,
    /// Those of them that are an operator's.
    pub(crate) operators: usize,
    pub(crate) counters: GatewayCounters,
    pub(crate) unsent_bytes: usize,
    pub(crate) in_flight: usize,
    spare_outboxes: Vec<Outbox>,
    spare_queues: Vec<VecDeque<InFlight>>,
}

impl Common {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        let view = NodeView {
            cluster: 0,
            epoch: 0,
            commit: 0,
            role: 0,
            limits: NodeLimits::default(),
            accepting: Accepting::Nothing(RequestStatus::ShuttingDown),
        };
        Self {
            times: Times::new(&config),
            config,
            now_ns: 0,
            view,
            is_shutting_down: false,
            sessions: HashMap::new(),
            taken_over: Vec::new(),
            disconnects: Disconnects::default(),
            losses: Losses::default(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            fresh: AgeQueue::default(),
            extras: AgeQueue::default(),
            idle: AgeQueue::default(),
            extra_count: 0,
            extra_last_ns: 0,
            operators: 0,
            partials: AgeQueue::default(),
            stalled: AgeQueue::default(),
            closing: AgeQueue::default(),
            counters: GatewayCounters::default(),
            unsent_bytes: 0,
            in_flight: 0,
            spare_outboxes: Vec::new(),
            spare_queues: Vec::new(),
        }
    }

    /// The status that refuses a request now, if one does.
    pub(crate) const fn refusal(&self, is_read: bool) -> Option<RequestStatus> {
        match self.view.accepting {
            Accepting::Nothing(status) => Some(status),
            _ if is_read => None,
            _ if self.is_shutting_down => Some(RequestStatus::ShuttingDown),
            Accepting::ReadsOnly(status) => Some(status),
            Accepting::All => None,
        }
    }

    /// Gives the connection a turn in the next round.
    pub(crate) fn make_ready(&mut self, connection: &mut Connection) {
        if !connection.is_in_ready {
            connection.is_in_ready = true;
            self.ready.push_back(connection.token.slot());
        }
    }

    /// Lets a connection go on that waited for its replies to be sent.
    pub(crate) fn unblock(&mut self, connection: &mut Connection) {
        if connection.is_blocked {
            connection.is_blocked = false;
            self.make_ready(connection);
        }
    }

    pub(crate) fn spare_outbox(&mut self) -> Outbox {
        self.spare_outboxes.pop().unwrap_or_default()
    }

    /// Takes back what a connection does not need while it is idle, so that memory follows activity.
    pub(crate) fn recycle_outbox(&mut self, connection: &mut Connection) {
        let mut outbox = std::mem::take(&mut connection.outbox);
        if self.spare_outboxes.len() < SPARES_MAX && outbox.capacity() <= SPARE_BYTES_MAX {
            outbox.clear();
            self.spare_outboxes.push(outbox);
        }
    }

    // Inlined, so that the entry is written once, and not copied from where it has just been written.
    #[inline(always)]
    pub(crate) fn push_in_flight(&mut self, connection: &mut Connection, entry: InFlight) {
        if connection.in_flight.capacity() == 0 {
            connection.in_flight = self.spare_queues.pop().unwrap_or_default();
        }
        connection.reserved_bytes += entry.reserve as usize;
        connection.in_flight.push_back(entry);
    }

    pub(crate) fn recycle_in_flight(&mut self, connection: &mut Connection) {
        let mut queue = std::mem::take(&mut connection.in_flight);
        connection.reserved_bytes = 0;
        if self.spare_queues.len() < SPARES_MAX && queue.capacity() > 0 {
            queue.clear();
            self.spare_queues.push(queue);
        }
    }
}
