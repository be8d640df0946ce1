//! What is known of a session from what has passed: enough to say of some writes that the engine would refuse them, or
//! that it has executed them before, so that the log need not keep their bodies.
//!
//! Invariant: whatever is answered here would be answered alike by the engine, or is refused for the same cause as the
//! write before it. What is not known for certain goes to the engine, which alone decides.
//!
//! What is absent: replies, and the sizes of those that are stored.

use mizan_wire::{Operation, RegisterRecord, RequestHeader, RequestStatus};
use std::collections::HashMap;
use zerocopy::FromBytes;

/// Sessions that are followed at the most. To forget one costs an entry of the log.
const MIRRORS_MAX: usize = 65_536;

/// What becomes of a write, as far as it is known without the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    /// It may be a new one: the engine decides.
    Nothing,
    /// A write with this number was executed, or is on its way: its header is enough for the engine's answer, which will
    /// be that it has to be sent again if the first one was refused.
    Repeated,
    /// The engine would refuse it.
    Refused(RequestStatus),
}

/// See the module. All numbers are those of writes of the session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) session: u64,
    /// The last one that was handed on, and not refused since.
    handed_on: u64,
    /// All up to this one were executed.
    executed: u64,
    /// Replies of all up to this one were reported as received, by a write that was handed on.
    received: u64,
    /// The engine had no room for another reply while replies up to this one were reported.
    full_at: Option<u64>,
    /// The engine does not know the session any more.
    is_lost: bool,
    /// Writes that were handed on and not answered yet.
    in_flight: u32,
}

impl Mirror {
    /// The session after a hello, which told its last write. Goes on with what was known of the same session before.
    pub(crate) fn open(before: Option<Self>, session: u64, request_last: u64) -> Self {
        let known = before.filter(|known| known.session == session).unwrap_or_default();
        let (handed_on, executed) = (request_last, request_last);
        Self { session, handed_on, executed, is_lost: false, in_flight: 0, ..known }
    }

    /// What is known of a write.
    pub(crate) fn look(&self, request: u64, replies_received: u64) -> Known {
        // The engine takes no report beyond what it has executed.
        let received = self.received.max(replies_received.min(self.executed));
        if self.is_lost {
            Known::Refused(RequestStatus::SessionUnknown)
        } else if request == 0 || request <= received {
            Known::Refused(RequestStatus::ReplyDiscarded)
        } else if request <= self.handed_on {
            Known::Repeated
        } else if request - self.handed_on > 1 {
            Known::Refused(RequestStatus::RequestNumberGap)
        } else if self.full_at.is_some_and(|reported| received <= reported) {
            Known::Refused(RequestStatus::WindowFull)
        } else {
            Known::Nothing
        }
    }

    /// A write was handed on to the engine.
    #[inline]
    pub(crate) fn hand_on(&mut self, request: u64, replies_received: u64) {
        self.received = self.received.max(replies_received.min(self.executed));
        self.handed_on = self.handed_on.max(request);
        self.in_flight += 1;
    }

    /// The engine's answer to a write that was handed on.
    #[inline]
    pub(crate) fn learn(&mut self, request: u64, status: u32) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if status == RequestStatus::Ok as u32 {
            self.executed = self.executed.max(request);
            self.full_at = None;
        } else if status == RequestStatus::SessionUnknown as u32 {
            self.is_lost = true;
        } else if status == RequestStatus::WindowFull as u32 {
            self.full_at = Some(self.received);
        }
        if self.in_flight == 0 {
            self.handed_on = self.executed;
        }
    }
}

/// What is known of all sessions, by client.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    sessions: HashMap<u128, Mirror>,
}

impl Mirrors {
    /// The mirror of the session in which a client writes; none for the node's own entries, reads and hellos.
    #[inline]
    pub(crate) fn of(&mut self, header: &RequestHeader) -> Option<&mut Mirror> {
        if header.client == 0 || header.operation == Operation::Register.number() {
            return None;
        }
        self.sessions.get_mut(&header.client).filter(|mirror| mirror.session == header.session)
    }

    /// The engine has opened or resumed a session.
    pub(crate) fn open(&mut self, client: u128, body: &[u8]) {
        let Ok(record) = RegisterRecord::read_from_bytes(body) else { return };
        let before = self.sessions.get(&client).copied();
        if before.is_none() && self.sessions.len() >= MIRRORS_MAX {
            self.sessions.clear();
        }
        let mirror = Mirror::open(before, record.session, record.request_last);
        self.sessions.insert(client, mirror);
    }

    /// The engine has answered a write of a client.
    #[inline]
    pub(crate) fn learn(&mut self, client: u128, session: u64, request: u64, status: u32) {
        let mirror = self.sessions.get_mut(&client);
        if let Some(mirror) = mirror.filter(|mirror| mirror.session == session) {
            mirror.learn(request, status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: u32 = RequestStatus::Ok as u32;

    /// A session that has executed three writes, and reported the reply of the first.
    fn mirror() -> Mirror {
        let mut mirror = Mirror::open(None, 9, 0);
        for request in 1..=3 {
            assert_eq!(mirror.look(request, 0), Known::Nothing);
            mirror.hand_on(request, request.min(2) - 1);
            mirror.learn(request, OK);
        }
        mirror
    }

    #[test]
    fn what_the_engine_would_refuse_is_known() {
        let mirror = mirror();
        assert_eq!(mirror.look(4, 0), Known::Nothing);
        assert_eq!(mirror.look(5, 0), Known::Refused(RequestStatus::RequestNumberGap));
        assert_eq!(mirror.look(u64::MAX, 0), Known::Refused(RequestStatus::RequestNumberGap));
        for (request, received) in [(0, 0), (1, 0), (1, u64::MAX), (2, 2), (3, u64::MAX)] {
            let known = mirror.look(request, received);
            assert_eq!(known, Known::Refused(RequestStatus::ReplyDiscarded), "{request}");
        }
        assert_eq!((mirror.look(2, 0), mirror.look(3, 2)), (Known::Repeated, Known::Repeated));
    }

    #[test]
    fn a_number_that_was_refused_is_free_again() {
        let mut mirror = mirror();
        mirror.hand_on(4, 0);
        mirror.hand_on(5, 0);
        assert_eq!((mirror.look(5, 0), mirror.look(6, 0)), (Known::Repeated, Known::Nothing));
        mirror.learn(4, RequestStatus::WindowFull as u32);
        mirror.learn(5, RequestStatus::RequestNumberGap as u32);
        assert_eq!(mirror.look(4, 1), Known::Refused(RequestStatus::WindowFull));
        assert_eq!(mirror.look(5, 1), Known::Refused(RequestStatus::RequestNumberGap));
        assert_eq!(mirror.look(4, 2), Known::Nothing, "a reply was reported");
        mirror.hand_on(4, 2);
        mirror.learn(4, OK);
        assert_eq!(mirror.look(5, 0), Known::Nothing);
    }

    #[test]
    fn what_is_known_of_a_session_outlives_its_connection_and_no_other_session() {
        let mut before = mirror();
        before.hand_on(4, 0);
        before.learn(4, RequestStatus::WindowFull as u32);
        let again = Mirror::open(Some(before), 9, 3);
        assert_eq!(again.look(1, 0), Known::Refused(RequestStatus::ReplyDiscarded));
        assert_eq!(again.look(4, 0), Known::Refused(RequestStatus::WindowFull));
        let other = Mirror::open(Some(before), 10, 3);
        assert_eq!((other.look(1, 0), other.look(4, 0)), (Known::Repeated, Known::Nothing));
    }

    #[test]
    fn a_session_that_is_lost_stays_lost_until_the_next_hello() {
        let mut mirror = mirror();
        mirror.hand_on(4, 0);
        mirror.learn(4, RequestStatus::SessionUnknown as u32);
        assert_eq!(mirror.look(4, 0), Known::Refused(RequestStatus::SessionUnknown));
        let again = Mirror::open(Some(mirror), 9, 3);
        assert_eq!(again.look(4, 0), Known::Nothing);
    }
}
