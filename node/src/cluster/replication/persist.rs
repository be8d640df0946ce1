//! What is written down beside the log: epochs, and the cluster's record.

use super::{Replication, Seat};
use crate::cluster::held::EpochWriter;
use crate::cluster::worker::ended;
use crate::error::NodeError;
use mizan_journal::Storage;
use mizan_replica::{Led, Starts};
use std::sync::Arc;

impl<S: Storage> Replication<S> {
    /// Has an epoch persisted; everything behind it in the row waits for that.
    pub(super) fn persist_epoch(&mut self, epoch: u64) -> Result<(), NodeError> {
        self.held.wait_for(epoch);
        match &self.seat {
            Seat::Standby { worker, .. } => worker.note_epoch(epoch),
            Seat::Primary { journal, adopted } => {
                // No reply leaves under an epoch that is over, however long the disk takes.
                self.state.fence();
                // One of a lower epoch that is still at work is followed by another.
                if self.epoch_writer.is_none() {
                    let (journal, adopted) = (journal.clone(), adopted.clone());
                    let record = self.record_of_leading(self.replica.status().end.epoch);
                    let (before, waker) = (self.record_writer.take(), self.links.waker());
                    let writer =
                        EpochWriter::start(epoch, record, before, journal, adopted, waker)?;
                    self.epoch_writer = Some(writer);
                }
            }
            Seat::Empty => return Err(ended()),
        }
        Ok(())
    }

    pub(super) fn persist_starts(&mut self, starts: Starts) -> Result<(), NodeError> {
        let record = self.operators.note_starts(starts);
        if let Seat::Standby { worker, .. } = &self.seat {
            worker.note_record_later(record);
            return Ok(());
        }
        self.is_record_due = true;
        self.write_record()
    }

    /// Has a primary's record written if it has changed. One that is fenced writes it with the epoch that ended it.
    pub(super) fn write_record(&mut self) -> Result<(), NodeError> {
        if let Some(writer) = self.record_writer.take_if(|writer| writer.has_ended()) {
            writer.finish()?;
        }
        let Seat::Primary { journal: Some(journal), adopted } = &self.seat else { return Ok(()) };
        let is_free = self.record_writer.is_none() && self.epoch_writer.is_none();
        if is_free && std::mem::take(&mut self.is_record_due) {
            let (record, waker) = (self.operators.record(), self.links.waker());
            let (journal, adopted) = (Some(Arc::clone(journal)), adopted.clone());
            // No epoch is lower, so it stays.
            let writer = EpochWriter::start(0, record, None, journal, adopted, waker)?;
            self.record_writer = Some(writer);
        }
        Ok(())
    }

    /// The cluster's record as it is once this node no longer leads. Frames that are still on their way to the disk were
    /// not acknowledged, and that must be known when they are found there.
    pub(super) fn record_of_leading(&mut self, epoch: u64) -> Vec<u8> {
        let acknowledged = self.replica.acknowledged_at_most();
        self.operators.note_led(Led { epoch, acknowledged })
    }
}
