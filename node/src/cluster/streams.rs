//! What is read from the log for other nodes, and whether it can be read.
//!
//! Invariants: each node is read for by a reader of its own, which stays where that node's stream is; whether the log can
//! be read is known for each node by itself, because one may need a frame that another one has.

use crate::cluster::status::AlarmView;
use mizan_journal::{LogReader, Storage};

/// Name of the alarm that the log cannot be read.
const LOG_UNREADABLE: &str = "log-unreadable";

/// What was done for other nodes since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct StreamFigures {
    /// Bytes read from segments.
    pub(crate) bytes_read: u64,
    /// Bytes of frames that came of it, each as often as it was read for a node.
    pub(crate) bytes_sent: u64,
    /// Reads that found no intact frame.
    pub(crate) failures: u64,
    /// Whether a node lacks what cannot be read.
    pub(crate) is_unreadable: bool,
}

struct Stream<S: Storage> {
    reader: LogReader<S>,
    /// The last read failed.
    alarm: Option<AlarmView>,
}

/// See the module.
pub(crate) struct Streams<S: Storage> {
    streams: Vec<Stream<S>>,
    bytes_sent: u64,
    failures: u64,
}

impl<S: Storage> Streams<S> {
    /// Streams to so many nodes; `reader` makes a reader.
    pub(crate) fn new(nodes: usize, reader: impl Fn() -> LogReader<S>) -> Self {
        let streams = (0..nodes).map(|_| Stream { reader: reader(), alarm: None }).collect();
        Self { streams, bytes_sent: 0, failures: 0 }
    }

    /// Reads for a node as [`LogReader::read_after`] does. `None`: it cannot be read, and an alarm says so until it can;
    /// `out` is then as it was.
    pub(crate) fn read(
        &mut self,
        peer: u8,
        after: u64,
        up_to: u64,
        size_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let stream = self.streams.get_mut(usize::from(peer))?;
        let begin = out.len();
        match stream.reader.read_after(after, up_to, size_max, out) {
            Ok(last) => {
                self.bytes_sent += (out.len() - begin) as u64;
                if stream.alarm.take().is_some() {
                    tracing::info!("alarm over: node {peer} is sent the log again");
                }
                Some(last)
            }
            Err(error) => {
                out.truncate(begin);
                self.failures += 1;
                let text = format!(
                    "node {peer} cannot be sent what follows sequence {after}: {error}; verify this node's files; promote a node that has the whole log, then give this one a new disk"
                );
                // It is tried again with every heartbeat.
                if stream.alarm.as_ref().is_none_or(|known| known.text != text) {
                    tracing::error!("alarm: {text}");
                    stream.alarm = Some(AlarmView { name: LOG_UNREADABLE.to_owned(), text });
                }
                None
            }
        }
    }

    /// The alarms that hold now.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = &AlarmView> {
        self.streams.iter().filter_map(|stream| stream.alarm.as_ref())
    }

    pub(crate) fn figures(&self) -> StreamFigures {
        StreamFigures {
            bytes_read: self.streams.iter().map(|stream| stream.reader.bytes_read()).sum(),
            bytes_sent: self.bytes_sent,
            failures: self.failures,
            is_unreadable: self.alarms().next().is_some(),
        }
    }
}
