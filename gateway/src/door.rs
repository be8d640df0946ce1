//! The listener: accepts connections, and survives it when the system has no descriptor to give.

use crate::common::Common;
use crate::config::{
    ACCEPT_PAUSE_NS, ACCEPTS_PER_POLL, DESCRIPTORS_KEPT, GatewayConfig, KEEPALIVE,
    LOOPBACK_CONGESTION_CONTROL, REFUSED_COUNT_MAX,
};
use crate::connection::Connection;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token as WatchToken};
use rustix::net::sockopt;
use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;

/// The watch of the listener.
pub(crate) const LISTENER: WatchToken = WatchToken(0);
/// The watch of the waker.
pub(crate) const WAKER: WatchToken = WatchToken(1);
/// The watch of the connection in place 0.
const FIRST_CONNECTION: usize = 2;

pub(crate) const fn watch_token(slot: u32) -> WatchToken {
    WatchToken(slot as usize + FIRST_CONNECTION)
}

pub(crate) const fn slot_of(watch: WatchToken) -> u32 {
    (watch.0 - FIRST_CONNECTION) as u32
}

pub(crate) struct Door {
    listener: TcpListener,
    /// Connections may wait.
    pub(crate) is_ready: bool,
    pub(crate) paused_until_ns: u64,
    /// A descriptor in reserve, to accept and close a connection when there is no other.
    spare: Option<File>,
}

impl Door {
    pub(crate) fn open(address: SocketAddr, poll: &mio::Poll) -> Result<Self, GatewayError> {
        let listen = || {
            let mut listener = TcpListener::bind(address)?;
            if address.ip().is_loopback() {
                // Accepted sockets inherit it. Where it is not to be had, replies are only slower.
                let _ = sockopt::set_tcp_congestion(&listener, LOOPBACK_CONGESTION_CONTROL);
            }
            watch_for_lost_peers(&listener);
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| GatewayError::Listen { address, source })?;
        Ok(Self { listener, is_ready: true, paused_until_ns: 0, spare: spare() })
    }

    pub(crate) fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection that waits.
    fn accept(&mut self, common: &mut Common) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept() {
                Ok(accepted) => return Some(accepted),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.is_ready = false;
                        return None;
                    }
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.shed(common);
                        return None;
                    }
                },
            }
        }
    }

    /// The system has no descriptor: gives up the spare one to accept a connection and close it, so that its client
    /// knows, and then pauses.
    fn shed(&mut self, common: &mut Common) {
        common.counters.accept_failures += 1;
        self.paused_until_ns = common.now_ns.saturating_add(ACCEPT_PAUSE_NS);
        self.spare = None;
        drop(self.listener.accept());
        self.spare = spare();
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// A peer whose machine is gone says nothing for ever. Accepted sockets inherit these; where they are not to be had, the
/// idle limit finds the peer later.
fn watch_for_lost_peers(listener: &TcpListener) {
    let (idle, interval, misses) = KEEPALIVE;
    let _ = sockopt::set_socket_keepalive(listener, true);
    let _ = sockopt::set_tcp_keepidle(listener, idle);
    let _ = sockopt::set_tcp_keepintvl(listener, interval);
    let _ = sockopt::set_tcp_keepcnt(listener, misses);
}

/// Connections that may be taken: so many that all of the process's other files still find a descriptor.
pub(crate) fn connection_count_max(config: &GatewayConfig) -> usize {
    raise_descriptor_limit();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let others = DESCRIPTORS_KEPT + (config.operator_count_max + REFUSED_COUNT_MAX) as u64;
    let most = limit.map_or(u64::MAX, |limit| limit.saturating_sub(others).max(1));
    config.connection_count_max.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// A connection is a descriptor, and many systems give a process 1,024 unless it asks for more.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Refused, it stays as it is: accepting then ends sooner, and in order.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

impl Gateway {
    /// Accepts what waits, up to a bound. Whether there was something.
    pub(crate) fn accept(&mut self) -> bool {
        let mut worked = false;
        for _ in 0..ACCEPTS_PER_POLL {
            let Some(door) = &mut self.door else { break };
            if !door.is_ready || self.common.now_ns < door.paused_until_ns {
                break;
            }
            let Some((stream, peer)) = door.accept(&mut self.common) else { break };
            worked = true;
            self.admit(stream, peer);
        }
        worked
    }

    /// Gives a connection a place: one of those that all have, which somebody else may have to leave for it, or one of
    /// those in which only operators stay.
    fn admit(&mut self, mut stream: TcpStream, peer: SocketAddr) {
        self.common.counters.accepted += 1;
        let count_max = self.common.config.connection_count_max;
        let is_full =
            |gateway: &Self| gateway.connections.len() - gateway.common.extra_count >= count_max;
        if is_full(self) {
            self.make_room();
        }
        let is_extra = is_full(self);
        if is_extra && !self.make_room_for_extra() {
            self.common.counters.refused_connections += 1;
            return;
        }
        let token = self.connections.next_token();
        let watch = watch_token(token.slot());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = self.poll.registry().register(&mut stream, watch, interest);
        if watched.and_then(|()| stream.set_nodelay(true)).is_err() {
            // Out of watches, or already gone: in either case this connection is lost and no other.
            self.common.counters.accept_failures += 1;
            return;
        }
        let now_ns = self.common.now_ns;
        let mut connection = Box::new(Connection::new(stream, token));
        connection.is_local = peer.ip().to_canonical().is_loopback();
        connection.is_extra = is_extra;
        connection.heard_ns = now_ns;
        self.common.extra_count += usize::from(is_extra);
        if is_extra {
            // Of those that came in one poll, too, the first is to make room first.
            let since_ns = now_ns.max(self.common.extra_last_ns + 1);
            self.common.extra_last_ns = since_ns;
            self.common.extras.set(token.slot(), &mut connection.fresh_since, Some(since_ns));
        } else {
            self.common.fresh.set(token.slot(), &mut connection.fresh_since, Some(now_ns));
        }
        self.common.make_ready(&mut connection);
        self.connections.insert(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_within_the_machine_are_not_paced() {
        let poll = mio::Poll::new().unwrap();
        let door = Door::open("127.0.0.1:0".parse().unwrap(), &poll).unwrap();
        let _client = std::net::TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let accepted = loop {
            match door.listener.accept() {
                Ok((accepted, _)) => break accepted,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        };
        assert_eq!(sockopt::tcp_congestion(&accepted).unwrap(), LOOPBACK_CONGESTION_CONTROL);
    }
}
