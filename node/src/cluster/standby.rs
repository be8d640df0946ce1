//! The gateway of a node that is not primary: it says so, and nothing else.

use crate::clock::Reading;
use crate::cluster::replication::Handover;
use crate::cluster::state::ClusterState;
use crate::error::NodeError;
use crate::layout::StopHandle;
use crate::status::ClusterCounters;
use crossbeam::channel::{Receiver, TryRecvError};
use mizan_gateway::{Accepting, Clock, Gateway, NodeView, RequestSink, Submission};
use mizan_journal::Storage;
use mizan_ring::Signal;
use mizan_wire::frame::NodeLimits;
use mizan_wire::limits::{BODY_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{RequestHeader, RequestStatus};
use std::time::Duration;

/// Longest wait for sockets.
const BLOCK_MAX: Duration = Duration::from_millis(100);
/// Role of a standby in a hello's reply.
const ROLE_STANDBY: u8 = 2;

/// Why the wait ended.
pub(crate) enum StandbyEnd<S: Storage> {
    /// This node is primary now.
    Promoted(Box<Handover<S>>),
    /// The node is to stop.
    Stopped,
    /// The replication thread has ended; it says why.
    Ended,
}

/// What a standby tells its clients, and where it shows that it lives.
pub(crate) struct StandbyService {
    pub(crate) cluster: u128,
    pub(crate) limits: NodeLimits,
    pub(crate) counters: ClusterCounters,
}

/// Refuses everything.
struct NotHere;

impl RequestSink for NotHere {
    fn room_bytes(&self) -> usize {
        BODY_SIZE_MAX + HEADER_SIZE
    }

    fn submit(&mut self, _: &RequestHeader, _: &[u8]) -> Submission {
        Submission::Refused(RequestStatus::NotPrimary)
    }
}

/// Answers clients until the node is promoted, stopped, or replication has ended.
///
/// # Errors
/// Failing sockets of the listener.
pub(crate) fn serve_standby<S: Storage>(
    gateway: &mut Gateway,
    service: &StandbyService,
    state: &ClusterState,
    front: &Signal,
    stop: &StopHandle,
    handover: &Receiver<Handover<S>>,
) -> Result<StandbyEnd<S>, NodeError> {
    loop {
        let key = front.prepare_wait();
        if stop.is_stopping() {
            return Ok(StandbyEnd::Stopped);
        }
        match handover.try_recv() {
            Ok(handover) => return Ok(StandbyEnd::Promoted(Box::new(handover))),
            Err(TryRecvError::Disconnected) => return Ok(StandbyEnd::Ended),
            Err(TryRecvError::Empty) => {}
        }
        let status = state.status();
        let view = NodeView {
            cluster: service.cluster,
            epoch: status.epoch,
            commit: status.commit,
            role: ROLE_STANDBY,
            limits: service.limits,
            accepting: Accepting::Nothing(RequestStatus::NotPrimary),
        };
        let reading = Reading::now();
        let clock = Clock { monotonic_ns: reading.monotonic_ns, realtime_ns: reading.realtime_ns };
        gateway.poll(Some(BLOCK_MAX), &view, &clock, &mut NotHere)?;
        gateway.flush();
        service.counters.beat(&gateway.counters());
        drop(key);
    }
}
