//! A server that does nothing: the gateway in front of a sink that answers at once.
//!
//! It shows what client, protocol and sockets cost by themselves: it is a node's own gateway, so every frame is read,
//! checked by both its checksums, held against its session, and answered, as on a node. Every create is answered as created, every lookup
//! finds nothing; sessions are counted, so that a client's numbers are taken without gaps.
//!
//! What is absent: ring, journal, engine, and any memory of what was asked.

use crate::error::CliError;
use crate::exit;
use mizan_gateway::{
    Accepting, Clock, Gateway, GatewayConfig, NodeView, OutgoingReply, RequestSink, Submission,
};
use mizan_node::FormatOptions;
use mizan_wire::frame::{NodeLimits, REPLY_COMPACT};
use mizan_wire::limits::FRAME_SIZE_MAX;
use mizan_wire::{Operation, RegisterRecord, RequestHeader, RequestStatus, Status};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Bytes of entries that the sink offers room for: several of the largest.
const ROOM_BYTES: usize = 4 * FRAME_SIZE_MAX;
/// Looks at the sockets in vain before the server blocks: as a node does, whose being woken would cost its clients 20 us.
const IDLE_ROUNDS_MAX: u32 = 1_000;
/// The longest wait for sockets; whoever stops the server does not wait for it.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// A null server on a thread of its own; it ends with this value.
pub struct NullServer {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    wake: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

impl NullServer {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// No socket is to be had.
    pub fn start() -> Result<Self, CliError> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = GatewayConfig { listen, ..GatewayConfig::default() };
        let gateway = Gateway::bind(config).map_err(|error| {
            CliError::failed(exit::RESOURCE, format!("the null server cannot listen: {error}"))
        })?;
        let address = gateway.local_addr();
        let waker = gateway.waker();
        let wake = Box::new(move || {
            // A waker that fails only lengthens the last wait.
            let _ = waker.wake();
        });
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopping);
        let thread = std::thread::spawn(move || serve(gateway, &stop));
        Ok(Self { address, is_stopping, wake, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        (self.wake)();
        if let Some(thread) = self.thread.take() {
            // A server that panicked has said so, and its clients have noticed.
            let _ = thread.join();
        }
    }
}

/// Requests that are to be answered, in their order.
#[derive(Default)]
struct NullSink {
    requests: Vec<RequestHeader>,
    sequence: u64,
}

impl RequestSink for NullSink {
    fn room_bytes(&self) -> usize {
        ROOM_BYTES
    }

    fn submit(&mut self, header: &RequestHeader, _body: &[u8]) -> Submission {
        self.requests.push(*header);
        Submission::Accepted
    }
}

fn serve(mut gateway: Gateway, is_stopping: &AtomicBool) {
    let started = Instant::now();
    let mut sink = NullSink::default();
    let mut idle_rounds = 0;
    while !is_stopping.load(Ordering::Acquire) {
        let monotonic_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let clock = Clock { monotonic_ns, realtime_ns: monotonic_ns };
        let timeout = if idle_rounds < IDLE_ROUNDS_MAX { Duration::ZERO } else { WAIT_MAX };
        let mut worked = match gateway.poll(Some(timeout), &view(sink.sequence), &clock, &mut sink)
        {
            Ok(worked) => worked,
            Err(error) => {
                tracing::error!("the null server has failed: {error}");
                break;
            }
        };
        let requests = std::mem::take(&mut sink.requests);
        for request in &requests {
            sink.sequence += 1;
            answer(&mut gateway, request, sink.sequence);
        }
        sink.requests = requests;
        sink.requests.clear();
        worked |= gateway.flush();
        idle_rounds = if worked { 0 } else { idle_rounds.saturating_add(1) };
        if !worked && idle_rounds < IDLE_ROUNDS_MAX {
            std::thread::yield_now();
        }
    }
    gateway.close_all();
}

fn answer(gateway: &mut Gateway, request: &RequestHeader, sequence: u64) {
    let Some(operation) = request.operation() else { return };
    // Every registration opens a new session, whose number is that of its request.
    let record = RegisterRecord { session: sequence, ..RegisterRecord::default() };
    let body = if operation == Operation::Register { record.as_bytes() } else { &[] };
    gateway.reply(&OutgoingReply {
        origin: request.origin,
        client: request.client,
        session: request.session,
        request: request.request,
        operation,
        status: RequestStatus::Ok.number(),
        flags: if operation.is_create() { REPLY_COMPACT } else { 0 },
        sequence,
        epoch: 1,
        commit: sequence,
        timestamp: sequence << 16,
        event_count: request.event_count,
        result_size: operation.result_size() as u16,
        result_count: u32::from(operation == Operation::Register),
        copies_durable: 0,
        body,
    });
}

/// The limits are those of a node, so that a client may have as much in flight.
fn view(commit: u64) -> NodeView {
    let node = FormatOptions::new("");
    NodeView {
        cluster: 1,
        epoch: 1,
        commit,
        role: 1,
        limits: NodeLimits {
            events_max: mizan_wire::limits::EVENTS_MAX,
            window_requests: node.window_requests,
            window_bytes: node.window_bytes,
            account_count_max: node.account_count_max,
            transfer_count_max: node.transfer_count_max,
            ..NodeLimits::default()
        },
        accepting: Accepting::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_client::{Client, ClientConfig};
    use mizan_wire::{CREATED, Transfer};

    #[test]
    fn a_client_finds_everything_created_and_nothing_kept() {
        let server = NullServer::start().expect("a server");
        for _ in 0..3 {
            let mut client = Client::connect(ClientConfig::at(server.address())).expect("a client");
            for size in [1, 100, 8_189] {
                let results = client.create_transfers(&vec![Transfer::default(); size]);
                let results = results.expect("results");
                assert_eq!(results.len(), size);
                assert!(results.iter().all(|result| result.status == CREATED));
            }
            assert_eq!(client.lookup_transfers(&[1, 2]).expect("none"), []);
            client.close().expect("an end");
        }
    }
}
