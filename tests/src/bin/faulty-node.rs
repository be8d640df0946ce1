//! A real node on real files that kills itself at a chosen place of the journal's I/O.
//!
//! `faulty-node DIR ADDRESS PLACE N` serves like `mizan start` and sends itself SIGKILL the Nth time it gets to PLACE:
//! `partial-frame` (half of a write to the segment is done), `synced` (a group is synced, its replies are not sent yet),
//! `segment` (the header of a new segment is written, nothing else in it).
#![forbid(unsafe_code)]

use mizan_journal::FileStorage;
use mizan_journal::fault::{Call, FaultStorage, Faults, Operation, Verdict};
use mizan_node::{Node, NodeOptions};
use rustix::process::{Signal, getpid, kill_process};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes of payload are at least this large; headers are written in halves of 128 bytes.
const PAYLOAD_WRITE_MIN: u64 = 256;
const ANY_ERRNO: i32 = 5;

#[derive(Clone, Copy, PartialEq)]
enum Place {
    PartialFrame,
    Synced,
    Segment,
}

struct KillAt {
    place: Place,
    left: AtomicU64,
}

impl KillAt {
    fn is_now(&self, hit: bool) -> bool {
        hit && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

fn die() {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    loop {
        std::thread::park();
    }
}

impl Faults for KillAt {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let is_payload = call.operation == Operation::SegmentWrite
            && call.offset > 0
            && call.length >= PAYLOAD_WRITE_MIN;
        if self.is_now(self.place == Place::PartialFrame && is_payload) {
            return Verdict::Cut { length: call.length / 2, errno: ANY_ERRNO };
        }
        Verdict::Proceed
    }

    fn after(&self, call: &Call<'_>) {
        match self.place {
            // The cut was done: the counter has run out exactly once.
            Place::PartialFrame => {
                if self.left.load(Ordering::Relaxed) == 0
                    && call.operation == Operation::SegmentWrite
                {
                    die();
                }
            }
            Place::Synced => {
                if self.is_now(call.operation == Operation::SegmentSync) {
                    die();
                }
            }
            Place::Segment => {
                if self.is_now(call.operation == Operation::SegmentWrite && call.offset == 0) {
                    die();
                }
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, address, place, count] = &arguments[..] else {
        return Err("usage: faulty-node DIR ADDRESS partial-frame|synced|segment N".into());
    };
    let place = match place.as_str() {
        "partial-frame" => Place::PartialFrame,
        "synced" => Place::Synced,
        "segment" => Place::Segment,
        other => return Err(format!("unknown place {other}").into()),
    };
    let faults = Arc::new(KillAt { place, left: AtomicU64::new(count.parse()?) });
    let storage = Arc::new(FaultStorage::new(FileStorage::new(directory), faults));
    let options = NodeOptions::new(directory, address.parse()?);
    let node = Node::open_storage(storage, &options, &mut |_| ())?;
    println!("listening {}", node.local_addr());
    node.run()?;
    Ok(())
}
