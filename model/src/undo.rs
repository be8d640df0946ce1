//! How to take back what the events of an open chain have changed.

use crate::ledger::HoldState;
use mizan_wire::Account;

/// One change, with what is needed to take it back.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    AccountAdded,
    AccountUpdated { old: Account },
    TransferAdded { id: u128 },
    HoldSet { id: u128, old: Option<HoldState> },
}

/// The changes of the open chain, in their order; nothing is noted while no chain is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeLog {
    changes: Option<Vec<Change>>,
}

impl ChangeLog {
    pub(crate) fn begin(&mut self) {
        assert!(self.changes.is_none(), "a chain inside a chain");
        self.changes = Some(Vec::new());
    }

    pub(crate) fn note(&mut self, change: Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change);
        }
    }

    pub(crate) fn end(&mut self) -> Vec<Change> {
        self.changes.take().expect("invariant: a chain is open")
    }
}
