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

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_replica::{Config, Led, Policy, Starts};
    use mizan_wire::SEMANTICS_VERSION;

    /// Without it a node that was fenced would stop at its next start, for entries that nobody was told of.
    #[test]
    fn what_a_node_wrote_down_of_its_leading_bounds_what_its_log_is_taken_for() {
        let genesis = Genesis {
            account_count_max: 64,
            transfer_count_max: 512,
            hold_count_max: 8,
            session_idle_ns: 1_000,
            semantics_version: SEMANTICS_VERSION,
            digest_interval: 4,
            ledger_count_max: 3,
            code_count_max: 2,
            session_count_max: 2,
            window_requests: 3,
            window_bytes: 8_189 * 16,
            ..Genesis::default()
        };
        let config = Config { min_sync: 1, ..Config::new(2, Policy::TwoDisks) };
        let epoch = config.next_epoch(0, 0).expect("there is one");
        let mut nobody = |_: RecoveryProgress| {};
        let mut alone = |led| {
            let starts = Starts::default();
            let record =
                ClusterRecord { node: 0, config, secret_hash: None, to_give: 0, led, starts };
            let mut replay = LogReplay::new(&genesis, &record, &mut nobody).expect("it fits");
            replay.learned.records.push(epoch, 9, None);
            replay.learned.records.alone()
        };
        assert_eq!(alone(Led { epoch, acknowledged: 5 }), 5);
        assert_eq!(alone(Led::default()), 9);
    }
}
