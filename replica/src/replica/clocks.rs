//! What time it is for the node that is to be promoted: timestamps only rise, so an hour too many is never taken back.
//!
//! Invariant: it is settled before an epoch is seen or asked for, so that a refusal changes nothing.

use super::Replica;
use crate::constants::{CLOCK_AHEAD_MAX_NS, CLOCK_HEARD_WITHIN_NS, NODES_MAX};
use crate::output::Refusal;

impl Replica {
    /// The time that was agreed on when this node stood for its last epoch, and when that was by the clock of the calls.
    /// `None`: it has not stood, or nobody gave a reading.
    #[must_use]
    pub const fn agreed_clock(&self) -> Option<(u64, u64)> {
        self.agreed_clock
    }

    /// The median of the clocks: the own one, and those that peers told in heartbeats not long ago. Of an even number
    /// the earlier one of the middle: what expires too late can still be ended, and what expired too early is gone.
    ///
    /// # Errors
    /// No peer tells the time, and the own clock is too far ahead of the log.
    pub(super) fn agree_on_clock(
        &self,
        log_timestamp: Option<u64>,
        now_ns: u64,
    ) -> Result<Option<(u64, u64)>, Refusal> {
        let own = self.clock_reading;
        let mut readings = [0; NODES_MAX];
        let mut count = 0;
        for peer in 0..self.config.node_count {
            let told = self.peer(peer).and_then(|known| known.clock);
            let Some((reading, heard_ns)) = told else { continue };
            let since_ns = now_ns.saturating_sub(heard_ns);
            if since_ns <= CLOCK_HEARD_WITHIN_NS {
                readings[count] = reading.saturating_add(since_ns);
                count += 1;
            }
        }
        if count == 0
            && let Some(log_timestamp) = log_timestamp
            && own > log_timestamp.saturating_add(CLOCK_AHEAD_MAX_NS)
        {
            return Err(Refusal::ClockAhead { clock: own, log_timestamp });
        }
        if own > 0 {
            readings[count] = own;
            count += 1;
        }
        let readings = &mut readings[..count];
        readings.sort_unstable();
        let median = count.checked_sub(1).map(|last| readings[last / 2]);
        Ok(median.map(|median| (median, now_ns)))
    }
}
