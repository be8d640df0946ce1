//! What this node can tell of its prospects without asking: whether a primary is heard, and whether a promotion of
//! this node would succeed.
//!
//! Both are judged anew from what was heard, so that they end with their cause. Neither decides anything: a promotion
//! asks, and counts what is answered.

use super::{Replica, State};
use crate::constants::SUSPECT_AFTER_NS;
use crate::log::FrameEnd;
use crate::message::PeerRole;
use crate::output::{Alarm, Output, Refusal};

/// When a primary was heard last, and what was said about it.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// The last primary that was heard.
    primary: Option<u8>,
    /// When, or when this node began to listen.
    heard_ns: Option<u64>,
    /// The primary whose silence was told and lasts.
    silent: Option<u8>,
}

impl Replica {
    /// The primary of this node's epoch gave a sign.
    pub(super) fn note_primary(&mut self, peer: u8, now_ns: u64) {
        self.hearing.primary = Some(peer);
        self.hearing.heard_ns = Some(now_ns);
        self.end_silence();
    }

    /// Tells once when no primary is heard for too long, whether its connection stands or is gone, and also when this
    /// node was started into the silence. A cluster that nobody has led yet misses nobody.
    pub(super) fn judge_silence(&mut self, now_ns: u64) {
        if matches!(self.state, State::Primary(_) | State::Stopped) {
            self.hearing.heard_ns = Some(now_ns);
            return self.end_silence();
        }
        let heard_ns = *self.hearing.heard_ns.get_or_insert(now_ns);
        let last_epoch = self.log.last().epoch;
        let has_been_led = last_epoch >= u64::from(self.config.node_count);
        let known = self.hearing.primary;
        let Some(primary) = known.or(has_been_led.then(|| self.config.owner(last_epoch))) else {
            return;
        };
        let is_silent = now_ns.saturating_sub(heard_ns) >= SUSPECT_AFTER_NS;
        if is_silent && self.hearing.silent.is_none() {
            self.hearing.silent = Some(primary);
            self.output(Output::Alarm(Alarm::PrimarySilent(primary)));
        }
    }

    fn end_silence(&mut self) {
        if let Some(primary) = self.hearing.silent.take() {
            self.output(Output::AlarmEnded(Alarm::PrimarySilent(primary)));
        }
    }

    /// Why a promotion of this node would be refused, as far as can be told from what the peers said last; `None` if it
    /// would come through without losing anything. `log_timestamp` is that of [`crate::Command::Promote`].
    #[must_use]
    pub fn foreseen_refusal(&self, log_timestamp: Option<u64>, now_ns: u64) -> Option<Refusal> {
        if matches!(self.state, State::Primary(_) | State::Candidate(_) | State::Stopped) {
            return Some(Refusal::Role);
        }
        if !self.is_admitted_here() {
            return Some(Refusal::NotAdmitted);
        }
        let is_there = |peer: &u8| {
            self.peer(*peer)
                .is_some_and(|it| it.connection.is_proved() && it.role != PeerRole::Stopped)
        };
        let others = || (0..self.config.node_count).filter(|peer| *peer != self.options.index);
        let granters = || others().filter(|peer| is_there(peer) && self.is_admitted(*peer));
        let grants = 1 + granters().count();
        let order = |end: &FrameEnd| (end.epoch, end.sequence);
        let ends = granters().filter_map(|peer| self.peer(peer)).map(|it| it.end);
        let best = ends.fold(
            self.log.last(),
            |best, end| {
                if order(&end) > order(&best) { end } else { best }
            },
        );
        let last_sequence = best.sequence;
        let needed = self.config.grants_needed();
        if grants < needed {
            return Some(Refusal::Grants { grants, needed, last_sequence });
        }
        let lacking = self.lacks_acknowledged(&best);
        lacking
            .map(|acknowledged| Refusal::Acknowledged { acknowledged, last_sequence })
            .or_else(|| self.check_room(&best).err())
            .or_else(|| self.agree_on_clock(log_timestamp, now_ns).err())
    }
}
