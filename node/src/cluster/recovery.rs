//! What a node of a cluster learns from its files: the state up to what it knows to be committed, the frames behind it,
//! the ends of its epochs, and the last config record.

use crate::cluster::pending::Pending;
use crate::cluster::record::ClusterRecord;
use crate::error::NodeError;
use crate::recover::{RecoveryProgress, Replay};
use mizan_engine::{Engine, Output};
use mizan_journal::{Frame, RecoveryVisitor, VisitorError};
use mizan_replica::{Control, FrameEnd, LogIndex, LogRecords};
use mizan_wire::Genesis;

/// See the module.
pub(crate) struct LogReplay<'p> {
    replay: Replay<'p>,
    learned: Learned,
}

/// What the log says beside the state.
pub(crate) struct Learned {
    pub(crate) log: LogIndex,
    pub(crate) records: LogRecords,
    pub(crate) commit: u64,
    pub(crate) pending: Pending,
    output: Output,
}

impl<'p> LogReplay<'p> {
    pub(crate) fn new(
        genesis: &Genesis,
        record: &ClusterRecord,
        progress: &'p mut dyn FnMut(RecoveryProgress),
    ) -> Result<Self, NodeError> {
        Ok(Self {
            replay: Replay::new(genesis, progress)?,
            learned: Learned {
                log: LogIndex::default(),
                records: LogRecords::new(record.node, record.config).with_led(record.led),
                commit: 0,
                pending: Pending::default(),
                output: Output::default(),
            },
        })
    }

    pub(crate) fn finish(self) -> (Engine, Learned) {
        (self.replay.engine, self.learned)
    }
}

impl RecoveryVisitor for LogReplay<'_> {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), VisitorError> {
        let learned = &mut self.learned;
        let last = frame.last_sequence();
        learned.log.push(FrameEnd { epoch: frame.epoch, sequence: last, hash: frame.hash });
        let control = Control::from_payload(frame.count, frame.payload);
        learned.records.push(frame.epoch, last, control);
        learned.pending.push(frame.sequence, frame.count, frame.payload);
        if frame.commit > learned.commit {
            learned.commit = frame.commit;
            learned.pending.apply_to(frame.commit, &mut self.replay.engine, &mut learned.output)?;
        }
        Ok(())
    }

    fn progress(&mut self, bytes_done: u64, bytes_total: u64) {
        self.replay.progress(bytes_done, bytes_total);
    }
}
