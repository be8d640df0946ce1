//! Every verb against a node that lies in the records it sends: an exit code and a reason, never a panic.
//!
//! The node is real; a proxy in front of it writes extreme numbers over parts of its answers. `MIZAN_FUZZ_SEED=N`
//! repeats a case, `MIZAN_FUZZ_SECONDS=N` goes on for so long.

use crate::node::{TestNode, mizan_at};
use mizan_wire::frame::{Header, Reply};
use mizan_wire::limits::HEADER_SIZE;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CASES: u64 = 6;

const LINES: [&str; 19] = [
    "status",
    "status --json",
    "ledgers",
    "ledgers --json",
    "trial-balance",
    "trial-balance --json",
    "account alice",
    "account bob USD --json",
    "transfer alice bob 0.01 USD",
    "hold alice bob 0.01 USD --expires-in 60s",
    "ledger create EUR --scale 2",
    "accounts create carol USD",
    "instrument list",
    "instrument list --json",
    "book ACME",
    "order list --account alice",
    "reports alice",
    "reports alice --json",
    "order buy ACME 1 @ 1.00 --account alice",
];

/// SplitMix64: any seed will do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn extreme(&mut self) -> u128 {
        const EDGES: [u128; 9] = [
            0,
            1,
            u32::MAX as u128,
            i64::MAX as u128,
            1 << 63,
            u64::MAX as u128,
            1 << 64,
            i128::MAX as u128,
            u128::MAX,
        ];
        match self.below(3) {
            0 => u128::from(self.next()) << 64 | u128::from(self.next()),
            1 => self.below(100) as u128,
            _ => EDGES[self.below(EDGES.len())],
        }
    }

    fn disturb(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.below(4) {
            let width = [1, 2, 4, 8, 16][self.below(5)];
            let Some(last) = bytes.len().checked_sub(width) else { continue };
            let at = self.below(last / width + 1) * width;
            let value = self.extreme().to_le_bytes();
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
    }
}

/// Serves connections for as long as the process lives.
fn proxy(node: SocketAddr, seed: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection");
            let server = TcpStream::connect(node).expect("the node listens");
            let mut up = (client.try_clone().expect("clones"), server.try_clone().expect("clones"));
            std::thread::spawn(move || {
                // Whoever ends the connection ends both of its halves.
                let _ = io::copy(&mut up.0, &mut up.1);
                let _ = up.1.shutdown(Shutdown::Both);
            });
            let random = Random(seed.load(Ordering::SeqCst));
            std::thread::spawn(move || {
                let _ = disturb_replies(&server, &client, random);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

fn disturb_replies(
    mut server: &TcpStream,
    mut client: &TcpStream,
    random: Random,
) -> io::Result<()> {
    let mut random = random;
    loop {
        let mut header = [0; HEADER_SIZE];
        server.read_exact(&mut header)?;
        let frame = Header::parse(&header).expect("the node's header is sound");
        let mut body = vec![0; frame.body_size()];
        server.read_exact(&mut body)?;
        if let Header::Reply(reply) = frame {
            let size = usize::from(reply.result_size).max(1);
            for record in body.chunks_exact_mut(size) {
                random.disturb(record);
            }
            let mut reply = Reply { ..reply };
            if random.below(4) == 0 {
                reply.timestamp = random.extreme() as u64;
            }
            header = reply.seal(&body);
        }
        client.write_all(&header)?;
        client.write_all(&body)?;
    }
}

#[test]
fn no_verb_panics_on_what_a_node_says() {
    let node = TestNode::with_market();
    let seed = Arc::new(AtomicU64::new(0));
    let address = proxy(node.address(), Arc::clone(&seed)).to_string();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MIZAN_FUZZ_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let count = if number("MIZAN_FUZZ_SEED").is_some() { 1 } else { CASES };
    let until = number("MIZAN_FUZZ_SECONDS").map(|s| Instant::now() + Duration::from_secs(s));
    let mut case = first;
    while until.map_or(case < first + count, |until| Instant::now() < until) {
        seed.store(case, Ordering::SeqCst);
        for line in LINES {
            let words: Vec<&str> = line.split(' ').collect();
            let result = std::panic::catch_unwind(|| mizan_at(&address, &words));
            let ran = result.unwrap_or_else(|panic| {
                eprintln!("{line}: repeat with MIZAN_FUZZ_SEED={case} cargo test -p mizan-cli --test cli hostile");
                std::panic::resume_unwind(panic)
            });
            assert!(ran.code <= 8, "{line}: {ran:?}");
            let is_shown = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n');
            assert!(is_shown(&ran.data) && is_shown(&ran.talk), "{line}, seed {case}: {ran:?}");
        }
        case += 1;
    }
}
