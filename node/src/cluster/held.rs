//! What may not leave before an epoch is durable, and who makes it so on a primary.
//!
//! Whatever follows upon a higher epoch, a grant, an acknowledgement, a role, rests on its being written down. The
//! replication thread does not wait for that: it goes on with sockets, operators and time, and what the state machine
//! says meanwhile stands here, in order. Invariant: there is no way past an epoch that was not written. A journal that
//! was closed, or never came, ends the node's turn instead.

use crate::commit::SharedJournal;
use crate::error::NodeError;
use crossbeam::channel::Receiver;
use mio::Waker;
use mizan_journal::Storage;
use mizan_replica::Output;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Outputs in order, behind an epoch that is being persisted.
#[derive(Default)]
pub(crate) struct Held {
    epoch: Option<u64>,
    outputs: VecDeque<Output>,
}

impl Held {
    /// From now on nothing leaves until this epoch is durable.
    pub(crate) fn wait_for(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(Some(epoch));
    }

    /// The epoch that is waited for.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// This epoch is durable.
    pub(crate) fn note_durable(&mut self, epoch: u64) {
        if self.epoch.is_some_and(|awaited| awaited <= epoch) {
            self.epoch = None;
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// The next output, if nothing is waited for.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        if self.epoch.is_some() { None } else { self.outputs.pop_front() }
    }

    /// The connection to a peer is gone, and what was to be sent on it goes with it.
    pub(crate) fn forget_peer(&mut self, gone: u8) {
        self.outputs.retain(|output| !matches!(output, Output::Send { peer, .. } if *peer == gone));
    }
}

/// What became of an epoch in a primary's journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Noted {
    /// It is durable.
    Durable(u64),
    /// The journal was closed, or the pipeline never took it over: the node is stopping, and grants nothing any more.
    Closed,
}

/// The thread that persists an epoch in the journal of a primary: it may have to wait for a sync, or for the pipeline to
/// begin.
pub(crate) struct EpochWriter {
    thread: JoinHandle<Result<Noted, NodeError>>,
}

impl EpochWriter {
    /// Starts the thread, which also writes down the cluster's record; `waker` is used at its end. What `before` is still
    /// writing comes first, so that no older record follows.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start<S: Storage>(
        epoch: u64,
        record: Vec<u8>,
        before: Option<Self>,
        journal: Option<SharedJournal<S>>,
        adopted: Receiver<SharedJournal<S>>,
        waker: Arc<Waker>,
    ) -> Result<Self, NodeError> {
        let thread = std::thread::Builder::new()
            .name("mizan-epoch".to_owned())
            .spawn(move || {
                let written = before.map_or(Ok(()), |before| before.finish().map(drop));
                let outcome = written.and_then(|()| note_epoch(epoch, &record, journal, &adopted));
                // A lost wake only costs the time until the next tick.
                let _ = waker.wake();
                outcome
            })
            .map_err(|source| NodeError::Io {
                what: "failed to start the thread mizan-epoch".to_owned(),
                source,
            })?;
        Ok(Self { thread })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// A failing disk.
    pub(crate) fn finish(self) -> Result<Noted, NodeError> {
        let lost = |_| NodeError::Options("the thread mizan-epoch ended without a word".to_owned());
        self.thread.join().map_err(lost)?
    }
}

fn note_epoch<S: Storage>(
    epoch: u64,
    record: &[u8],
    journal: Option<SharedJournal<S>>,
    adopted: &Receiver<SharedJournal<S>>,
) -> Result<Noted, NodeError> {
    let Some(journal) = journal.or_else(|| adopted.recv().ok()) else {
        return Ok(Noted::Closed);
    };
    let mut stage = journal.lock();
    let Some(stage) = stage.as_mut() else { return Ok(Noted::Closed) };
    stage.note_epoch(epoch, record)?;
    Ok(Noted::Durable(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::bounded;
    use mizan_journal::sim::SimStorage;
    use parking_lot::Mutex;

    fn sent(peer: u8) -> Output {
        Output::Send { peer, bytes: vec![peer] }
    }

    #[test]
    fn nothing_passes_an_epoch_and_everything_behind_it_keeps_its_order() {
        let mut held = Held::default();
        held.wait_for(7);
        for output in [sent(1), Output::Commit(4), sent(2)] {
            held.push(output);
        }
        held.wait_for(9);
        held.push(sent(1));
        held.note_durable(7);
        assert_eq!((held.pop(), held.epoch()), (None, Some(9)));
        held.forget_peer(1);
        held.note_durable(9);
        assert_eq!(held.pop(), Some(Output::Commit(4)));
        assert_eq!(held.pop(), Some(sent(2)));
        assert_eq!((held.pop(), held.epoch()), (None, None));
    }

    #[test]
    fn a_journal_that_was_closed_or_never_taken_over_persists_nothing_and_says_so() {
        let closed: SharedJournal<SimStorage> = Arc::new(Mutex::new(None));
        let (adopt, adopted) = bounded(1);
        let known = Some(Arc::clone(&closed));
        assert_eq!(note_epoch(9, &[], known, &adopted).unwrap(), Noted::Closed);
        adopt.send(closed).unwrap();
        assert_eq!(note_epoch(9, &[], None, &adopted).unwrap(), Noted::Closed);
        drop(adopt);
        assert_eq!(note_epoch(9, &[], None, &adopted).unwrap(), Noted::Closed);
    }
}
