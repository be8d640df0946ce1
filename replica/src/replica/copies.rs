//! Copies of a disk that run beside the original: found, refused, and never counted.
//!
//! A connection is judged before it displaces another one. A start that `starts` says to be a copy's is refused. A later
//! start is what a restart looks like, and also what a copy of a running node's directory looks like: if another process
//! of that node is still connected, the new one waits. If the older one then goes on answering, both live, and the new one is refused.
//! Every heartbeat carries what its sender knows of all starts, so a copy is found also by a node that only heard of
//! the other one. A primary also finds by the end of the log a disk that lacks what it acknowledged to this primary.
//!
//! Invariants: whoever is refused is told why, is disconnected, and counts for nothing; it stops, unless it leads, or
//! is refused only as long as another process answers. A connection whose process answers is not given up for another process.

use super::{Replica, State, faulty};
use crate::connection::Connection;
use crate::constants::{COPY_TOLD_INTERVAL_NS, NODES_MAX, RIVAL_ANSWERS_NS};
use crate::handshake::Session;
use crate::log::FrameEnd;
use crate::message::Message;
use crate::output::{Alarm, Output};
use crate::starts::{Copied, KnownStart, Starts};

/// What becomes of a connection whose peer has proved itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is the peer's from now on; an older one is to be closed.
    Take,
    /// It is to be closed without a word: another process of this node is connected, and may be gone. The peer
    /// tries again.
    Wait,
    /// It is to be closed when these bytes are sent.
    Refuse(Vec<u8>),
}

/// What this process knows of copies of each peer.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// While another process than the connected one shows itself: when that began, and when it was seen last.
    rivals: [Option<(u64, u64)>; NODES_MAX],
    /// The process that was refused for something that only its log shows.
    refused: [Option<(u64, Copied)>; NODES_MAX],
    /// The last alarm, and when it was raised.
    told: [Option<(Copied, u64)>; NODES_MAX],
    /// The process whose start is the last one known, and what was known before.
    before: [Option<(u64, KnownStart)>; NODES_MAX],
    /// What each peer's disk acknowledged in this epoch of what is committed, with its incarnation.
    held: [(u64, u64); NODES_MAX],
}

impl Replica {
    /// What this node knows of starts, its own included.
    #[must_use]
    pub const fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Judges a connection on which the peer has proved itself, before it displaces another one. `has_older`: there is
    /// one.
    pub fn judge_connection(&mut self, session: &Session, has_older: bool, now_ns: u64) -> Verdict {
        let peer = session.peer();
        let place = usize::from(peer);
        if place >= NODES_MAX || faulty!(self, TakeCopies) {
            return Verdict::Take;
        }
        let was_refused = self.copies.refused[place].filter(|it| it.0 == session.peer_process);
        if let Some((_, copied)) = was_refused {
            return self.refusal(session, copied, now_ns);
        }
        if let Err(copied) = self.starts.judge(peer, &session.known_start()) {
            return self.refusal(session, copied, now_ns);
        }
        let is_another =
            self.peer(peer).is_some_and(|known| known.connection.process() != session.peer_process);
        if !has_older || !is_another {
            return Verdict::Take;
        }
        if self.both_live(peer, now_ns) {
            return self.refusal(session, Copied::Running, now_ns);
        }
        Verdict::Wait
    }

    fn refusal(&mut self, session: &Session, copied: Copied, now_ns: u64) -> Verdict {
        self.tell_of_copy(session.peer(), copied, now_ns);
        let mut connection = Connection::new(session.clone(), now_ns);
        let refused = Message::Refused { copied };
        Verdict::Refuse(connection.send(self.options.cluster, self.highest_epoch, &refused))
    }

    /// Another process than the connected one shows itself: whether the connected one has gone on answering since.
    fn both_live(&mut self, peer: u8, now_ns: u64) -> bool {
        let rival = &mut self.copies.rivals[usize::from(peer)];
        let is_recent = |(_, last): &(u64, u64)| now_ns.saturating_sub(*last) < RIVAL_ANSWERS_NS;
        let since_ns = rival.filter(is_recent).map_or(now_ns, |(since_ns, _)| since_ns);
        *rival = Some((since_ns, now_ns));
        self.peer(peer).is_some_and(|known| {
            known.connection.last_heard_ns.saturating_sub(since_ns) >= RIVAL_ANSWERS_NS
        })
    }

    /// The connection to a peer is gone, and with it what another process was measured by.
    pub(super) fn forget_rival(&mut self, peer: u8) {
        if let Some(rival) = self.copies.rivals.get_mut(usize::from(peer)) {
            *rival = None;
        }
    }

    /// What was acknowledged counts only within an epoch: another primary's log may lack it by an operator's word.
    pub(super) fn forget_held(&mut self) {
        self.copies.held = Default::default();
    }

    /// Remembers the start of a peer that is connected. Who has no admitted disk does not displace one that has.
    pub(super) fn note_start(&mut self, peer: u8) {
        let Some(known) = self.peer(peer) else { return };
        let (found, process) = (known.connection.known_start(), known.connection.process());
        let known = self.starts.known[usize::from(peer)];
        let admitted = self.config.incarnations[usize::from(peer)];
        let is_same_disk = known.incarnation == found.incarnation;
        let is_news = known != found && (!is_same_disk || found.start.number > known.start.number);
        let may_replace = is_same_disk || found.incarnation == admitted || known.incarnation == 0;
        if is_news && may_replace {
            self.copies.before[usize::from(peer)] = Some((process, known));
            self.learn_start(peer, found);
        }
    }

    fn learn_start(&mut self, peer: u8, found: KnownStart) {
        self.starts.known[usize::from(peer)] = found;
        self.output(Output::PersistStarts(self.starts));
    }

    /// What heartbeats tell of all nodes: the own start in its place.
    pub(super) fn told_starts(&self) -> [KnownStart; NODES_MAX] {
        let mut starts = self.starts.known;
        starts[usize::from(self.options.index)] =
            KnownStart { incarnation: self.options.incarnation, start: self.starts.own };
        starts
    }

    /// A heartbeat came: this node's start was taken there, and this is what the sender knows of others.
    pub(super) fn hear_starts(
        &mut self,
        sender: u8,
        starts: &[KnownStart; NODES_MAX],
        now_ns: u64,
    ) {
        if !self.starts.is_confirmed {
            self.starts.is_confirmed = true;
            self.output(Output::PersistStarts(self.starts));
        }
        for node in (0..self.config.node_count).filter(|node| *node != sender) {
            let told = starts[usize::from(node)];
            if node == self.options.index {
                self.hear_own_start(sender, &told, now_ns);
            } else {
                self.hear_start(node, told, now_ns);
            }
            if matches!(self.state, State::Stopped) {
                return;
            }
        }
    }

    fn hear_own_start(&mut self, sender: u8, told: &KnownStart, now_ns: u64) {
        if told.incarnation != self.options.incarnation || told.start == self.starts.own {
            return;
        }
        let (known, found) = (told.start.number, self.starts.own.number);
        if known > found {
            self.hear_refused(sender, Copied::Older { known, found }, now_ns);
        } else if known == found {
            self.hear_refused(sender, Copied::Other { number: found }, now_ns);
        }
    }

    fn hear_start(&mut self, node: u8, told: KnownStart, now_ns: u64) {
        let known = self.starts.known[usize::from(node)];
        if told.incarnation != known.incarnation || told == known {
            return;
        }
        if told.start.number < known.start.number {
            return;
        }
        if told.start.number == known.start.number {
            return self.tell_of_copy(node, Copied::Other { number: told.start.number }, now_ns);
        }
        // A restart that another node saw first, unless the earlier process goes on answering here.
        let is_connected = self
            .peer(node)
            .is_some_and(|known| known.connection.known_start().incarnation == told.incarnation);
        if !is_connected {
            self.learn_start(node, told);
        } else if self.both_live(node, now_ns) {
            self.tell_of_copy(node, Copied::Running, now_ns);
        }
    }

    /// A peer acknowledged up to here.
    pub(super) fn note_held(&mut self, peer: u8, durable: u64) {
        let Some(incarnation) =
            self.peer(peer).map(|known| known.connection.known_start().incarnation)
        else {
            return;
        };
        let held = &mut self.copies.held[usize::from(peer)];
        if held.0 != incarnation {
            *held = (incarnation, 0);
        }
        held.1 = held.1.max(durable.min(self.commit));
    }

    /// Whether a peer's log lacks what its disk acknowledged in this epoch. Then it is refused.
    pub(super) fn lacks_held(&mut self, peer: u8, end: &FrameEnd, now_ns: u64) -> bool {
        let Some(known) = self.peer(peer) else { return false };
        let (incarnation, process) =
            (known.connection.known_start().incarnation, known.connection.process());
        let (disk, acknowledged) = self.copies.held[usize::from(peer)];
        let lacks = disk == incarnation && end.sequence < acknowledged;
        if !lacks || faulty!(self, TakeCopies) {
            return false;
        }
        let copied = Copied::Lacking { acknowledged, end: end.sequence };
        self.copies.refused[usize::from(peer)] = Some((process, copied));
        // Its start is none of that disk: the one that has everything may come with the same number.
        let before = self.copies.before[usize::from(peer)].filter(|it| it.0 == process);
        if let Some((_, before)) = before {
            self.learn_start(peer, before);
        }
        self.send(peer, &Message::Refused { copied });
        self.output(Output::Disconnect { peer });
        self.tell_of_copy(peer, copied, now_ns);
        true
    }

    /// Raises the alarm, and now and then again as long as it goes on.
    fn tell_of_copy(&mut self, peer: u8, copied: Copied, now_ns: u64) {
        if self.is_told_lately(peer, copied, now_ns) {
            return;
        }
        self.output(Output::Alarm(Alarm::DiskCopied { peer, copied }));
    }

    fn is_told_lately(&mut self, of: u8, copied: Copied, now_ns: u64) -> bool {
        let told = &mut self.copies.told[usize::from(of)];
        let is_lately = told.is_some_and(|(known, told_ns)| {
            known == copied && now_ns.saturating_sub(told_ns) < COPY_TOLD_INTERVAL_NS
        });
        if !is_lately {
            *told = Some((copied, now_ns));
        }
        is_lately
    }

    /// A peer takes this node for a copy. A primary goes on with those that take it: nothing that it acknowledges rests on
    /// the others. Nor does a node stop because another process seems to answer: that may be what a process sent
    /// before it ended, held up on the way. The peer goes on refusing it as long as anything comes, and then takes it.
    pub(super) fn hear_refused(&mut self, by: u8, copied: Copied, now_ns: u64) {
        let may_pass = matches!(copied, Copied::Running);
        if !may_pass && !matches!(self.state, State::Primary(_)) {
            return self.stop(Alarm::CopyRefused { by, copied });
        }
        if !self.is_told_lately(self.options.index, copied, now_ns) {
            self.output(Output::Alarm(Alarm::CopyRefused { by, copied }));
        }
    }
}
