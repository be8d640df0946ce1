//! Appending what another node wrote, byte for byte, and noting epochs.

use super::Journal;
use crate::error::{JournalError, Result};
use crate::frame::Position;
use crate::shared::SharedHeader;
use crate::storage::Storage;

impl<S: Storage> Journal<S> {
    /// Appends a frame that another node wrote, under that node's epoch; the chain stays the same. It is durable
    /// after the next sync. `commit` is the highest committed sequence known here.
    ///
    /// # Errors
    /// `InvalidFrame`, `OutOfOrder`: the frame does not follow upon the last one, nothing was appended. `NoSpace`,
    /// `Io`: as [`Journal::begin`].
    pub fn append_received(
        &mut self,
        header: &SharedHeader,
        payload: &[u8],
        commit: u64,
    ) -> Result<Position> {
        self.check()?;
        let refuse = |reason: String| Err(JournalError::InvalidFrame { reason });
        if header.cluster != self.chain.cluster {
            return refuse("a frame of another cluster".to_owned());
        }
        if header.previous != self.chain.previous {
            return refuse(format!("frame {} names another frame before it", header.sequence));
        }
        if header.length as usize != payload.len() {
            return refuse(format!("frame {} has another length than it says", header.sequence));
        }
        let (epoch, version) = (self.chain.epoch, self.semantics_version);
        // Before `begin`: a segment that is begun for this frame is of the frame's epoch.
        self.chain.epoch = header.epoch;
        self.semantics_version = header.semantics_version;
        let appended = self.begin(header.sequence, payload.len()).and_then(|mut frame| {
            frame.put(payload)?;
            frame.finish(header.count, commit)
        });
        self.semantics_version = version;
        if appended.is_err() {
            self.chain.epoch = epoch;
        }
        appended
    }

    /// Persists `epoch` as the highest seen; frames go on in the epoch that they are in. A lower one changes nothing.
    ///
    /// # Errors
    /// `Io`: fatal.
    pub fn note_epoch(&mut self, epoch: u64) -> Result<()> {
        if epoch <= self.superblock.highest_epoch {
            return Ok(());
        }
        self.update_superblock(|superblock| superblock.highest_epoch = epoch)
    }

    /// As [`Journal::note_epoch`], and replaces the config record in the same write.
    ///
    /// # Errors
    /// `InvalidOptions` when the record is too long; `Io`: fatal.
    pub fn note_epoch_and_config(&mut self, epoch: u64, config: &[u8]) -> Result<()> {
        let config = config.to_vec();
        self.update_superblock(|superblock| {
            superblock.highest_epoch = superblock.highest_epoch.max(epoch);
            superblock.config = config;
        })
    }
}
