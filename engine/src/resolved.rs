//! Old records that the caller looked up for one request, so that the engine needs no input of its own.
//!
//! The engine consults them after its own table: for duplicates, for burnt ids, and for pending transfers that were
//! resolved long ago. Open holds never leave the engine, so an old record is always at its end.

use crate::error::ResolvedError;
use mizan_wire::Transfer;

/// What has become of a transfer that was pending.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum PendingState {
    /// The transfer was never pending.
    #[default]
    None = 0,
    /// Its hold is open.
    Pending = 1,
    /// Its hold was posted, in full or in part.
    Posted = 2,
    /// Its hold was given back.
    Voided = 3,
    /// Its hold was released because its time had passed.
    Expired = 4,
}

/// Old transfers and burnt ids, each list in strictly ascending order of ids.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    transfers: &'a [(Transfer, PendingState)],
    burnt: &'a [u128],
}

impl<'a> Resolved<'a> {
    /// Nothing old is needed.
    #[must_use]
    pub const fn none() -> Self {
        Self { transfers: &[], burnt: &[] }
    }

    /// Hands over old records. Cost: one pass over both lists.
    ///
    /// # Errors
    /// A list that is not strictly ascending, or a transfer whose hold is open.
    pub fn new(
        transfers: &'a [(Transfer, PendingState)],
        burnt: &'a [u128],
    ) -> Result<Self, ResolvedError> {
        for (index, pair) in transfers.windows(2).enumerate() {
            if pair[0].0.id >= pair[1].0.id {
                return Err(ResolvedError::NotAscending { index: index + 1 });
            }
        }
        for (index, pair) in burnt.windows(2).enumerate() {
            if pair[0] >= pair[1] {
                return Err(ResolvedError::NotAscending { index: index + 1 });
            }
        }
        match transfers.iter().position(|(_, state)| *state == PendingState::Pending) {
            Some(index) => Err(ResolvedError::HoldOpen { index }),
            None => Ok(Self { transfers, burnt }),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.transfers.is_empty() && self.burnt.is_empty()
    }

    pub(crate) fn find(&self, id: u128) -> Option<&'a (Transfer, PendingState)> {
        let index = self.transfers.binary_search_by_key(&id, |(transfer, _)| transfer.id).ok()?;
        Some(&self.transfers[index])
    }

    pub(crate) fn is_burnt(&self, id: u128) -> bool {
        self.burnt.binary_search(&id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(id: u128, state: PendingState) -> (Transfer, PendingState) {
        (Transfer { id, ..Transfer::default() }, state)
    }

    #[test]
    fn old_records_are_found_by_id() {
        let transfers = [old(3, PendingState::None), old(9, PendingState::Voided)];
        let resolved = Resolved::new(&transfers, &[4, 5]).unwrap();
        assert_eq!(resolved.find(9).unwrap().1, PendingState::Voided);
        assert!(resolved.find(4).is_none());
        assert!(resolved.is_burnt(4));
        assert!(!resolved.is_burnt(3));
        assert!(Resolved::none().find(3).is_none());
    }

    #[test]
    fn lists_out_of_order_and_open_holds_are_refused() {
        let twice = [old(3, PendingState::None), old(3, PendingState::None)];
        assert_eq!(
            Resolved::new(&twice, &[]).unwrap_err(),
            ResolvedError::NotAscending { index: 1 }
        );
        assert_eq!(
            Resolved::new(&[], &[2, 1]).unwrap_err(),
            ResolvedError::NotAscending { index: 1 }
        );
        let open = [old(3, PendingState::Pending)];
        assert_eq!(Resolved::new(&open, &[]).unwrap_err(), ResolvedError::HoldOpen { index: 0 });
    }
}
