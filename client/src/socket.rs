//! How a client opens its socket. Public, so that what measures bare sockets measures those of a client.
//!
//! What is absent: anything that is sent.

use crate::config::after;
use crate::constants::LOOPBACK_CONGESTION_CONTROL;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Opens a connection that never blocks and never waits to fill a segment.
///
/// Blocks for at most `timeout`, or a millisecond. Within one machine the connection is not paced.
///
/// # Errors
/// Whatever the system says; `TimedOut` if it says nothing in time.
pub fn connect(address: SocketAddr, timeout: Duration) -> std::io::Result<TcpStream> {
    let give_up_at = after(timeout.max(Duration::from_millis(1)));
    let (stream, is_connected) = begin(address)?;
    if !is_connected {
        wait_until_connected(&stream, give_up_at)?;
    }
    // A port from the range of outgoing ones can be connected to itself while nobody listens on it.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Begins to open such a connection, and says whether it is open already. If not, it takes and gives nothing yet, and a
/// refusal is the error of the first attempt to use it.
///
/// # Errors
/// Whatever the system says at once.
pub(crate) fn begin(address: SocketAddr) -> std::io::Result<(TcpStream, bool)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    if address.ip().is_loopback() {
        // Where it is not to be had, the connection is only slower. It cannot be changed later: a socket that was paced
        // once stays so.
        let _ = sockopt::set_tcp_congestion(&socket, LOOPBACK_CONGESTION_CONTROL);
    }
    let is_connected = match net::connect(&socket, &address) {
        Ok(()) => true,
        Err(Errno::INPROGRESS | Errno::INTR) => false,
        Err(error) => return Err(error.into()),
    };
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok((stream, is_connected))
}

fn wait_until_connected(socket: &TcpStream, give_up_at: Instant) -> std::io::Result<()> {
    loop {
        let pause = give_up_at.saturating_duration_since(Instant::now());
        if pause.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        match rustix::event::poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(sockopt::socket_error(socket)??),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn a_connection_within_the_machine_is_not_paced_and_never_blocks() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(listener) = TcpListener::bind(local) else { continue };
            let address = listener.local_addr().unwrap();
            let mut stream = connect(address, Duration::from_secs(10)).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
            assert!(stream.nodelay().unwrap());
            assert_eq!(sockopt::tcp_congestion(&stream).unwrap(), LOOPBACK_CONGESTION_CONTROL);
            let bytes = vec![0; 1 << 20];
            let full = loop {
                if let Err(error) = stream.write(&bytes) {
                    break error.kind();
                }
            };
            assert_eq!(full, ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(address, Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
