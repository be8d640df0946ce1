//! How often each status was given to a client instead of what it asked for.

use mizan_wire::{RequestStatus, Status};

/// The lowest number that is counted.
const STATUS_FIRST: u32 = RequestStatus::BadMagic as u32;
/// Numbers that are counted, from the lowest one on.
const STATUSES: usize = 64;

/// A count for each status of a request that is not ok.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusals([u64; STATUSES]);

impl Default for Refusals {
    fn default() -> Self {
        Self([0; STATUSES])
    }
}

impl Refusals {
    /// Counts a status by its number; ok is none, and neither is a number beyond those that there are.
    pub(crate) fn note(&mut self, status: u32) {
        let place = status.wrapping_sub(STATUS_FIRST) as usize;
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    /// How often the status was given.
    #[must_use]
    pub fn of(&self, status: RequestStatus) -> u64 {
        let place = status.number().wrapping_sub(STATUS_FIRST) as usize;
        self.0.get(place).copied().unwrap_or(0)
    }

    /// All counts, that of the status 1000 first.
    #[must_use]
    pub const fn counts(&self) -> &[u64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_but_ok_has_a_count_of_its_own() {
        for status in RequestStatus::PRECEDENCE {
            let mut refusals = Refusals::default();
            refusals.note(status.number());
            let is_refusal = *status != RequestStatus::Ok;
            assert_eq!(refusals.of(*status), u64::from(is_refusal), "{}", status.name());
            assert_eq!(refusals.counts().iter().sum::<u64>(), u64::from(is_refusal));
        }
        let mut refusals = Refusals::default();
        refusals.note(STATUS_FIRST + STATUSES as u32);
        assert_eq!(refusals, Refusals::default());
    }
}
