//! A proxy in this process that cuts connections, or stalls them, at a chosen byte.
//!
//! It passes bytes on in both directions until its rule says otherwise. A rule counts the bytes of its direction from
//! the moment at which it was set, over all connections, and works once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client to the node.
    Up,
    /// From the node to the client.
    Down,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    Cut,
    Stall,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    direction: Direction,
    action: Action,
    /// Bytes that still pass.
    left: usize,
}

#[derive(Debug, Default)]
struct State {
    rule: Option<Rule>,
    cuts: u64,
    is_stalled: bool,
    target: Option<SocketAddr>,
}

/// The proxy. Its threads end with the connections.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `target`.
    ///
    /// # Panics
    /// If the system has no port.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State { target: Some(target), ..State::default() };
        let proxy = Self { address, shared: Arc::new((Mutex::new(state), Condvar::new())) };
        let accepting = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                accepting.serve(client);
            }
        });
        proxy
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection after so many more bytes in this direction.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.set(Rule { direction, action: Action::Cut, left: bytes });
    }

    /// Passes nothing on after so many more bytes in this direction, on any connection, until [`Proxy::release`].
    pub fn stall_after(&self, direction: Direction, bytes: usize) {
        self.set(Rule { direction, action: Action::Stall, left: bytes });
    }

    /// Passes everything on again, to this node.
    pub fn release(&self, target: SocketAddr) {
        let mut state = self.state();
        state.rule = None;
        state.is_stalled = false;
        state.target = Some(target);
        self.shared.1.notify_all();
    }

    /// Connections cut so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.state().cuts
    }

    /// Waits until a stall has begun.
    pub fn wait_for_stall(&self) {
        let mut state = self.state();
        while !state.is_stalled {
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, rule: Rule) {
        self.state().rule = Some(rule);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: TcpStream) {
        let target = self.state().target;
        // A node that is down looks like one through the proxy, too: the connection ends.
        let Some(node) = target.and_then(|target| TcpStream::connect(target).ok()) else { return };
        let (Ok(client_too), Ok(node_too)) = (client.try_clone(), node.try_clone()) else { return };
        let (up, down) = (self.clone(), self.clone());
        std::thread::spawn(move || up.pass(Direction::Up, client_too, node_too));
        std::thread::spawn(move || down.pass(Direction::Down, node, client));
    }

    fn pass(&self, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let _ = to.set_nodelay(true);
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let (passing, cut) = self.judge(direction, count);
            if to.write_all(&buffer[..passing]).is_err() || cut {
                break;
            }
            if passing < count {
                self.wait_for_release();
                if to.write_all(&buffer[passing..count]).is_err() {
                    break;
                }
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// How many of so many bytes may pass now, and whether the connection is to be cut behind them.
    fn judge(&self, direction: Direction, count: usize) -> (usize, bool) {
        let mut state = self.state();
        let Some(rule) = state.rule.as_mut().filter(|rule| rule.direction == direction) else {
            return (count, false);
        };
        if count < rule.left || (rule.action == Action::Stall && count == rule.left) {
            rule.left -= count;
            return (count, false);
        }
        let passing = std::mem::take(&mut rule.left);
        if rule.action == Action::Cut {
            state.rule = None;
            state.cuts += 1;
            (passing, true)
        } else {
            state.is_stalled = true;
            self.shared.1.notify_all();
            (passing, false)
        }
    }

    fn wait_for_release(&self) {
        let mut state = self.state();
        while state.is_stalled {
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
