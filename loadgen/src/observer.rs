//! How a run can be watched while it goes on.

/// What a run is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Accounts are created or found.
    Accounts,
    /// Transfers are made; only this phase is measured.
    Transfers,
    /// Balances are looked up and compared.
    Verification,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Accounts or transfers that are done.
    pub done: u64,
    /// Accounts or transfers that there are.
    pub total: u64,
}

/// A batch whose reply has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// The client that sent it, from 0.
    pub client_index: u32,
    /// The number of the batch within the run, from 0.
    pub batch_index: u64,
    /// The id of its first transfer; with ids in sequence the others follow without a gap.
    pub first_id: u128,
    /// Transfers in the batch.
    pub count: u32,
    /// How many of them were created.
    pub created: u32,
    /// Its place in the node's log.
    pub sequence: u64,
    /// Whether the reply repeated an earlier one that did not arrive.
    pub replayed: bool,
}

/// Someone who watches. Called on the driving threads, so it must be quick.
pub trait Observer: Sync {
    /// A few times a second at the most, and once at the end of each phase.
    fn on_progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// After each batch of transfers that was answered, before the next one of the same client is submitted.
    fn on_acknowledged(&self, acknowledged: &Acknowledged) {
        let _ = acknowledged;
    }
}

/// Watches nothing.
impl Observer for () {}

/// A function watches the progress.
impl<F: Fn(&Progress) + Sync> Observer for F {
    fn on_progress(&self, progress: &Progress) {
        self(progress);
    }
}
