//! Sessions: who writes, up to which number, and the replies that may have to be given again.
//!
//! They are part of the deterministic state, so a repeated request is recognised after a restart and after failover.
//!
//! Invariants: a session's numbers have no gaps; a request is executed once; a stored reply is dropped only when its
//! client has said that it arrived, or when the session ends; what is stored is bounded in replies and in bytes.
//!
//! A full table makes room at the cost of clients that are not there; which ones those are, entries of the log say.
//!
//! What is absent: connections themselves, authentication, and any reply's body other than the results of a write.

use crate::id_table::IdTable;
use mizan_memory::reserve_touched;
use mizan_wire::limits::SESSION_LOST_GRACE_NS;
use mizan_wire::{
    Genesis, RegisterRecord, RequestFlags, RequestHeader, RequestStatus, SessionKey, SessionRecord,
};
use std::collections::VecDeque;

/// The reply to an executed write.
#[derive(Clone, Debug)]
pub(crate) struct StoredReply {
    pub(crate) request: u64,
    pub(crate) request_checksum: u128,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u64,
    pub(crate) event_count: u32,
    /// The body, of records of one size.
    pub(crate) body: Box<[u8]>,
    pub(crate) result_size: u16,
    /// `REPLY_COMPACT` or none.
    pub(crate) flags: u32,
}

impl StoredReply {
    fn size(&self) -> u64 {
        self.body.len() as u64
    }
}

/// What an open session knows; a free place has client 0.
#[derive(Clone, Debug, Default)]
struct Session {
    client: u128,
    number: u64,
    request_last: u64,
    /// Replies up to this request have arrived.
    mark: u64,
    last_activity: u64,
    /// When its connection was lost; 0 while it has one.
    lost_at: u64,
    replies_size: u64,
    replies: VecDeque<StoredReply>,
}

impl Session {
    fn record(&self) -> SessionRecord {
        SessionRecord {
            client: self.client,
            session: self.number,
            request_last: self.request_last,
            last_activity: self.last_activity,
            lost_at: self.lost_at,
            reply_bytes: self.replies_size,
            reply_count: self.replies.len() as u32,
            reserved: 0,
        }
    }

    fn drop_received(&mut self, replies_received: u64) {
        self.mark = self.mark.max(replies_received.min(self.request_last));
        while self.replies.front().is_some_and(|reply| reply.request <= self.mark) {
            let dropped = self.replies.pop_front();
            self.replies_size -= dropped.map_or(0, |reply| reply.size());
        }
    }
}

/// What to do with a client's write.
#[derive(Debug)]
pub(crate) enum Admission<'a> {
    /// Execute it, then [`Sessions::store`] its reply at this place.
    Execute(u32),
    /// It was executed before: give this reply again.
    Replay(&'a StoredReply),
    /// Do nothing.
    Refuse(RequestStatus),
}

/// See the module.
pub(crate) struct Sessions {
    table: IdTable,
    places: Vec<Session>,
    free: Vec<u32>,
    count_max: usize,
    /// Of these, places that are kept for operators.
    operator_count: usize,
    idle_ns: u64,
    window_requests: usize,
    window_size: u64,
}

impl Sessions {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let count_max = genesis.session_count_max as usize;
        Self {
            table: IdTable::new(count_max, genesis.hash_seed ^ 2),
            places: Vec::with_capacity(count_max),
            free: reserve_touched(count_max),
            count_max,
            operator_count: genesis.operator_session_count() as usize,
            idle_ns: genesis.session_idle_ns,
            window_requests: genesis.window_requests as usize,
            window_size: genesis.window_bytes.into(),
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.table.count()
    }

    fn find(&self, client: u128) -> Option<u32> {
        if client == 0 {
            return None;
        }
        self.table
            .find(self.table.hash(client), |place| self.places[place as usize].client == client)
    }

    /// Opens or resumes the session of a client; `sequence` becomes the number of a new one.
    ///
    /// # Errors
    /// The refusal; nothing has changed.
    pub(crate) fn register(
        &mut self,
        header: &RequestHeader,
        sequence: u64,
        now: u64,
    ) -> Result<RegisterRecord, RequestStatus> {
        let client = header.client;
        if client == 0 {
            return Err(RequestStatus::ClientIdInvalid);
        }
        if let Some(place) = self.find(client) {
            let session = &mut self.places[place as usize];
            if header.session != 0 && header.session != session.number {
                return Err(RequestStatus::SessionUnknown);
            }
            session.last_activity = now;
            session.lost_at = 0;
            return Ok(RegisterRecord {
                session: session.number,
                request_last: session.request_last,
                resumed: 1,
                ..RegisterRecord::default()
            });
        }
        if header.session != 0 {
            return Err(RequestStatus::SessionUnknown);
        }
        let is_operator = header.flags & RequestFlags::OPERATOR != 0;
        let kept = if is_operator { 0 } else { self.operator_count };
        if self.count() + kept >= self.count_max {
            self.make_room(now)?;
        }
        self.open(Session { client, number: sequence, last_activity: now, ..Session::default() });
        Ok(RegisterRecord { session: sequence, ..RegisterRecord::default() })
    }

    fn open(&mut self, session: Session) {
        let hash = self.table.hash(session.client);
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = session;
                place
            }
            None => {
                self.places.push(session);
                self.places.len() as u32 - 1
            }
        };
        self.table.insert(hash, place);
    }

    /// Makes room by ending the session that can best be missed. First come those whose connection is gone and whose
    /// client has all its replies; then those whose connection has been gone for some time; then those that are idle for
    /// as long as was fixed at format. Of one sort, the longest goes first.
    ///
    /// Cost: a look at every session.
    fn make_room(&mut self, now: u64) -> Result<(), RequestStatus> {
        let grace_ns = self.idle_ns.min(SESSION_LOST_GRACE_NS);
        let rank = |session: &Session| {
            let since = |time: u64| now.saturating_sub(time);
            let is_lost = session.lost_at != 0;
            if is_lost && session.replies.is_empty() {
                Some((0, session.lost_at, session.number))
            } else if is_lost && since(session.lost_at) >= grace_ns {
                Some((1, session.lost_at, session.number))
            } else if since(session.last_activity) >= self.idle_ns {
                Some((2, session.last_activity, session.number))
            } else {
                None
            }
        };
        let numbered = (0u32..).zip(&self.places).filter(|(_, session)| session.client != 0);
        let ranked = numbered.filter_map(|(place, session)| Some((rank(session)?, place)));
        let (_, place) = ranked.min().ok_or(RequestStatus::SessionsFull)?;
        self.close(place);
        Ok(())
    }

    /// Notes that sessions have lost their connection. Those that do not exist any more are passed over.
    pub(crate) fn lose(&mut self, keys: &[SessionKey], now: u64) {
        for key in keys {
            if key.client == 0 && key.session == SessionKey::EVERY_SESSION {
                let open = self.places.iter_mut().filter(|session| session.client != 0);
                open.filter(|session| session.lost_at == 0)
                    .for_each(|session| session.lost_at = now);
            } else if let Some(place) = self.find(key.client) {
                let session = &mut self.places[place as usize];
                if key.session == 0 || key.session == session.number {
                    session.lost_at = now;
                }
            }
        }
    }

    /// Ends a session at an operator's wish; not the one of `client`, by which the wish came.
    ///
    /// # Errors
    /// The refusal; nothing has changed.
    pub(crate) fn close_other(
        &mut self,
        key: &SessionKey,
        client: u128,
    ) -> Result<(), RequestStatus> {
        let place = self.find(key.client).ok_or(RequestStatus::SessionUnknown)?;
        if self.places[place as usize].number != key.session {
            return Err(RequestStatus::SessionUnknown);
        }
        if key.client == client {
            return Err(RequestStatus::SessionIsOwn);
        }
        self.close(place);
        Ok(())
    }

    /// The sessions with a number above `after`, ascending, as many as asked for.
    ///
    /// Cost: a look at every session, and the sorting of those that are shown.
    pub(crate) fn list(&self, after: u64, count_max: usize) -> Vec<SessionRecord> {
        let is_shown = |session: &&Session| session.client != 0 && session.number > after;
        let mut shown: Vec<&Session> = self.places.iter().filter(is_shown).collect();
        if shown.len() > count_max {
            shown.select_nth_unstable_by_key(count_max, |session| session.number);
            shown.truncate(count_max);
        }
        shown.sort_unstable_by_key(|session| session.number);
        shown.into_iter().map(Session::record).collect()
    }

    /// Ends a session and forgets its replies.
    pub(crate) fn close(&mut self, place: u32) {
        let session = std::mem::take(&mut self.places[place as usize]);
        self.table.remove(self.table.hash(session.client), place);
        self.free.push(place);
    }

    /// Decides on a client's write. Raises the session's mark; everything else is left to the execution.
    ///
    /// `reply_size_max` is what the stored reply could take; `None` for a request whose reply is not stored.
    pub(crate) fn admit(
        &mut self,
        header: &RequestHeader,
        now: u64,
        reply_size_max: Option<u64>,
    ) -> Admission<'_> {
        let Some(place) = self.find(header.client) else {
            return Admission::Refuse(RequestStatus::SessionUnknown);
        };
        let session = &mut self.places[place as usize];
        if session.number != header.session {
            return Admission::Refuse(RequestStatus::SessionUnknown);
        }
        session.last_activity = now;
        session.drop_received(header.replies_received);
        let request = header.request;
        if request == 0 || request <= session.mark {
            return Admission::Refuse(RequestStatus::ReplyDiscarded);
        }
        if request <= session.request_last {
            return replay(session, header);
        }
        if request > session.request_last + 1 {
            return Admission::Refuse(RequestStatus::RequestNumberGap);
        }
        let is_full = reply_size_max.is_some_and(|size| {
            session.replies.len() >= self.window_requests
                || session.replies_size + size > self.window_size
        });
        if is_full {
            return Admission::Refuse(RequestStatus::WindowFull);
        }
        Admission::Execute(place)
    }

    /// Stores the reply of the write that was admitted to this place and has been executed.
    pub(crate) fn store(&mut self, place: u32, reply: StoredReply) {
        let session = &mut self.places[place as usize];
        session.request_last = reply.request;
        session.last_activity = reply.timestamp;
        session.replies_size += reply.size();
        session.replies.push_back(reply);
    }
}

/// Every executed request above the mark has a stored reply, at the distance of their numbers.
fn replay<'a>(session: &'a Session, header: &RequestHeader) -> Admission<'a> {
    let index = (header.request - session.mark - 1) as usize;
    let reply = session.replies.get(index).expect("invariant: replies above the mark are stored");
    assert!(reply.request == header.request, "invariant: stored replies have no gaps");
    if reply.request_checksum == header.request_checksum {
        Admission::Replay(reply)
    } else {
        Admission::Refuse(RequestStatus::RequestMismatch)
    }
}
