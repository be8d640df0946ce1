//! A cable between two processes that can be cut in either direction: a proxy in this process, over std.
//!
//! What a dropped direction does is what a network does that loses every packet: nothing arrives, neither bytes nor the
//! end of a connection, and nobody is told; what was underway arrives when the cable is whole again, as the sender's
//! retransmissions would. A closed cable ends connections at once, as a process that dies does.
//!
//! Invariant: bytes are never lost, changed or put into another order within a connection. What is absent: any idea of
//! what the bytes mean.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes passed on at once.
const CHUNK_SIZE: usize = 64 << 10;

/// Where bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    /// From whoever connects to whoever listens.
    Up,
    /// Back.
    Down,
}

#[derive(Debug, Default)]
struct State {
    target: Option<SocketAddr>,
    drops_up: bool,
    drops_down: bool,
    is_closed: bool,
    has_ended: bool,
    /// Both ends of every connection since the last closing.
    streams: Vec<TcpStream>,
}

impl State {
    const fn drops(&self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.drops_up,
            Direction::Down => self.drops_down,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// See the module. Its threads end with it and with their connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port. Until it has a target, connections end at once.
    ///
    /// # Errors
    /// The system has no port.
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.state().has_ended {
                    break;
                }
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where to connect to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes new connections on to this address.
    pub(crate) fn set_target(&self, target: SocketAddr) {
        self.shared.state().target = Some(target);
    }

    /// Drops everything in this direction without a word.
    pub(crate) fn drop_silently(&self, direction: Direction) {
        let mut state = self.shared.state();
        match direction {
            Direction::Up => state.drops_up = true,
            Direction::Down => state.drops_down = true,
        }
    }

    /// Ends all connections, and every new one, at once.
    pub(crate) fn close(&self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        end_all(&mut state);
        self.shared.changed.notify_all();
    }

    /// Passes everything on again.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.state();
        (state.drops_up, state.drops_down, state.is_closed) = (false, false, false);
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.heal();
        let mut state = self.shared.state();
        state.has_ended = true;
        end_all(&mut state);
        drop(state);
        // Wakes the thread that accepts; it ends by itself if that fails.
        let _ = TcpStream::connect(self.address);
    }
}

fn end_all(state: &mut State) {
    for stream in state.streams.drain(..) {
        // An error says that it has ended already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a direction passes again; false if the cable is closed.
    fn wait_to_pass(&self, direction: Direction) -> bool {
        let mut state = self.state();
        while state.drops(direction) && !state.is_closed && !state.has_ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.is_closed && !state.has_ended
    }

    fn serve(self: Arc<Self>, client: TcpStream) {
        // The first packet is dropped like any other.
        if !self.wait_to_pass(Direction::Up) {
            return;
        }
        let target = self.state().target;
        let Some(node) = target.and_then(|target| TcpStream::connect(target).ok()) else { return };
        let clones = (client.try_clone(), node.try_clone(), client.try_clone(), node.try_clone());
        let (Ok(client_too), Ok(node_too), Ok(client_kept), Ok(node_kept)) = clones else { return };
        {
            let mut state = self.state();
            if state.is_closed || state.has_ended {
                return;
            }
            state.streams.extend([client_kept, node_kept]);
        }
        let up = Arc::clone(&self);
        std::thread::spawn(move || up.pass(Direction::Up, client_too, node_too));
        self.pass(Direction::Down, node, client);
    }

    fn pass(&self, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        // Whoever cannot do it is only slower.
        let _ = to.set_nodelay(true);
        let mut chunk = vec![0; CHUNK_SIZE];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            if !self.wait_to_pass(direction) || to.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        // The end of a connection is a packet, too.
        self.wait_to_pass(direction);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::time::Duration;

    /// How long something may take to arrive on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// How long is waited for what must not arrive.
    const SILENCE: Duration = Duration::from_millis(50);

    fn pair() -> (Proxy, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let proxy = Proxy::start().expect("a port");
        proxy.set_target(listener.local_addr().expect("an address"));
        let client = TcpStream::connect(proxy.address()).expect("the proxy listens");
        let (node, _) = listener.accept().expect("passed on");
        (proxy, client, node)
    }

    fn arrives(stream: &mut TcpStream, expected: &[u8]) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut bytes = vec![0; expected.len()];
        stream.read_exact(&mut bytes).expect("bytes");
        assert_eq!(bytes, expected);
    }

    fn is_silent(stream: &mut TcpStream) {
        stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
        let kind = stream.read(&mut [0]).expect_err("nothing").kind();
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    }

    #[test]
    fn bytes_pass_in_both_directions() {
        let (_proxy, mut client, mut node) = pair();
        client.write_all(b"question").expect("written");
        arrives(&mut node, b"question");
        node.write_all(b"answer").expect("written");
        arrives(&mut client, b"answer");
    }

    #[test]
    fn a_dropped_direction_is_silent_and_the_other_one_passes_until_the_cable_is_whole() {
        let (proxy, mut client, mut node) = pair();
        proxy.drop_silently(Direction::Down);
        node.write_all(b"late").expect("written");
        client.write_all(b"in time").expect("written");
        arrives(&mut node, b"in time");
        is_silent(&mut client);
        proxy.heal();
        arrives(&mut client, b"late");
    }

    #[test]
    fn the_end_of_a_connection_is_dropped_like_everything_else() {
        let (proxy, mut client, node) = pair();
        proxy.drop_silently(Direction::Down);
        drop(node);
        is_silent(&mut client);
        proxy.heal();
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
    }

    #[test]
    fn a_closed_cable_ends_connections_and_new_ones() {
        let (proxy, mut client, _node) = pair();
        proxy.close();
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        let mut late = TcpStream::connect(proxy.address()).expect("the proxy listens");
        late.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(late.read(&mut [0]).unwrap_or(0), 0);
    }
}
