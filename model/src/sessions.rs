//! Sessions: who may write, which request comes next, and the replies that may still be asked for again.
//!
//! Invariant: the stored replies of a session are those of the requests after its mark (`replies_received`) up to its
//! last one, without gaps.

use mizan_wire::limits::{BODY_SIZE_MAX, SESSION_LOST_GRACE_NS};
use mizan_wire::{
    CREATED, Genesis, Operation, RegisterRecord, RequestFlags, RequestHeader, RequestStatus,
    SessionKey, SessionRecord, Status,
};
use std::collections::BTreeMap;

/// What an executed request left behind, so that a repetition gets the same reply.
#[derive(Clone, Debug)]
pub(crate) struct StoredReply {
    pub(crate) request_checksum: u128,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u64,
    pub(crate) event_count: u32,
    /// `REPLY_COMPACT` or none.
    pub(crate) flags: u32,
    pub(crate) result_size: u16,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Session {
    number: u64,
    request_last: u64,
    /// The mark: replies up to here are not stored any longer.
    replies_received: u64,
    /// By request number.
    replies: BTreeMap<u64, StoredReply>,
    last_activity: u64,
    /// When the connection was lost, if it is.
    lost_at: Option<u64>,
}

/// What a session has to say to a write.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Refuse(RequestStatus),
    Replay(StoredReply),
    Execute,
}

/// All sessions, by client.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    genesis: Genesis,
    sessions: BTreeMap<u128, Session>,
}

/// Since when a session may make room; `None` if it may not.
type Since<'a> = dyn Fn(&Session) -> Option<u64> + 'a;

impl Session {
    /// The mark as it stands once the request has said which replies have arrived.
    fn mark(&self, header: &RequestHeader) -> u64 {
        self.replies_received.max(header.replies_received.min(self.request_last))
    }

    fn window_is_full(&self, mark: u64, size_max: u64, genesis: &Genesis) -> bool {
        let kept: Vec<_> = self.replies.range(mark + 1..).map(|(_, reply)| reply).collect();
        let stored: usize = kept.iter().map(|reply| reply.body.len()).sum();
        let bytes = stored as u64 + size_max;
        kept.len() == genesis.window_requests as usize || bytes > u64::from(genesis.window_bytes)
    }
}

impl Sessions {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self { genesis: *genesis, sessions: BTreeMap::new() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.sessions.len() as u32
    }

    /// Opens or resumes a session; `first` is the entry's timestamp, and its last one, too.
    pub(crate) fn register(
        &mut self,
        header: &RequestHeader,
        sequence: u64,
        first: u64,
    ) -> Result<RegisterRecord, RequestStatus> {
        if header.client == 0 {
            return Err(RequestStatus::ClientIdInvalid);
        }
        if let Some(session) = self.sessions.get_mut(&header.client) {
            if header.session != 0 && header.session != session.number {
                return Err(RequestStatus::SessionUnknown);
            }
            session.last_activity = first;
            session.lost_at = None;
            let (session, request_last) = (session.number, session.request_last);
            return Ok(RegisterRecord { session, request_last, resumed: 1, ..Default::default() });
        }
        if header.session != 0 {
            return Err(RequestStatus::SessionUnknown);
        }
        let is_operator = header.flags & RequestFlags::OPERATOR != 0;
        let kept = if is_operator { 0 } else { self.genesis.operator_session_count() };
        if self.count() >= self.genesis.session_count_max - kept {
            self.evict(first)?;
        }
        let session = Session {
            number: sequence,
            request_last: 0,
            replies_received: 0,
            replies: BTreeMap::new(),
            last_activity: first,
            lost_at: None,
        };
        self.sessions.insert(header.client, session);
        Ok(RegisterRecord { session: sequence, ..Default::default() })
    }

    /// The first sort of sessions that has any gives up the one of which this has been so for longest.
    fn evict(&mut self, now: u64) -> Result<(), RequestStatus> {
        let idle_ns = self.genesis.session_idle_ns;
        let grace_ns = idle_ns.min(SESSION_LOST_GRACE_NS);
        let lost = |session: &Session| session.lost_at;
        let answered = |session: &Session| lost(session).filter(|_| session.replies.is_empty());
        let forsaken = |session: &Session| lost(session).filter(|at| now - at >= grace_ns);
        let idle = |session: &Session| Some(session.last_activity).filter(|at| now - at >= idle_ns);
        let sorts: [&Since<'_>; 3] = [&answered, &forsaken, &idle];
        for since in sorts {
            let of_sort = self.sessions.iter().filter(|(_, session)| since(session).is_some());
            let oldest = of_sort.min_by_key(|(_, session)| (since(session), session.number));
            if let Some((client, _)) = oldest {
                let client = *client;
                self.sessions.remove(&client);
                return Ok(());
            }
        }
        Err(RequestStatus::SessionsFull)
    }

    /// Notes which sessions have no connection any more.
    pub(crate) fn lose(&mut self, keys: &[SessionKey], now: u64) {
        for key in keys {
            let is_every = key.client == 0 && key.session == SessionKey::EVERY_SESSION;
            for (client, session) in &mut self.sessions {
                let is_meant =
                    *client == key.client && (key.session == 0 || key.session == session.number);
                if is_meant || (is_every && session.lost_at.is_none()) {
                    session.lost_at = Some(now);
                }
            }
        }
    }

    /// Ends a session of another client than the one that asks; the status of the result.
    pub(crate) fn close_other(&mut self, key: &SessionKey, client: u128) -> u32 {
        match self.sessions.get(&key.client) {
            Some(session) if session.number == key.session => {}
            _ => return RequestStatus::SessionUnknown.number(),
        }
        if key.client == client {
            return RequestStatus::SessionIsOwn.number();
        }
        self.sessions.remove(&key.client);
        CREATED
    }

    /// The sessions above a number, ascending.
    pub(crate) fn list(&self, after: u64) -> Vec<SessionRecord> {
        let shown = self.sessions.iter().filter(|(_, session)| session.number > after);
        let mut records: Vec<SessionRecord> = shown
            .map(|(client, session)| SessionRecord {
                client: *client,
                session: session.number,
                request_last: session.request_last,
                last_activity: session.last_activity,
                lost_at: session.lost_at.unwrap_or(0),
                reply_bytes: session.replies.values().map(|reply| reply.body.len() as u64).sum(),
                reply_count: session.replies.len() as u32,
                reserved: 0,
            })
            .collect();
        records.sort_by_key(|record| record.session);
        records.truncate(BODY_SIZE_MAX / size_of::<SessionRecord>());
        records
    }

    /// What becomes of a client's write. Changes nothing.
    pub(crate) fn decide(&self, header: &RequestHeader, operation: Operation) -> Decision {
        let Some(session) = self.known(header) else {
            return Decision::Refuse(RequestStatus::SessionUnknown);
        };
        let mark = session.mark(header);
        let request = header.request;
        if request == 0 || request <= mark {
            return Decision::Refuse(RequestStatus::ReplyDiscarded);
        }
        if request <= session.request_last {
            let stored = &session.replies[&request];
            if stored.request_checksum != header.request_checksum {
                return Decision::Refuse(RequestStatus::RequestMismatch);
            }
            return Decision::Replay(stored.clone());
        }
        if request > session.request_last + 1 {
            return Decision::Refuse(RequestStatus::RequestNumberGap);
        }
        let size_max = u64::from(header.event_count) * operation.result_size() as u64;
        let stores_a_reply = operation != Operation::CloseSession;
        if stores_a_reply && session.window_is_full(mark, size_max, &self.genesis) {
            return Decision::Refuse(RequestStatus::WindowFull);
        }
        Decision::Execute
    }

    /// Notes that a client's write came, whatever became of it: its mark, and when it was.
    pub(crate) fn touch(&mut self, header: &RequestHeader, timestamp: u64) {
        if self.known(header).is_none() {
            return;
        }
        let session = self.sessions.get_mut(&header.client).expect("invariant: it is known");
        session.replies_received = session.mark(header);
        session.replies = session.replies.split_off(&(session.replies_received + 1));
        session.last_activity = timestamp;
    }

    /// Keeps the reply to a write that was executed.
    pub(crate) fn store(&mut self, header: &RequestHeader, reply: StoredReply) {
        let session = self.sessions.get_mut(&header.client).expect("invariant: it is known");
        session.request_last = header.request;
        session.replies.insert(header.request, reply);
    }

    pub(crate) fn close(&mut self, client: u128) {
        self.sessions.remove(&client);
    }

    fn known(&self, header: &RequestHeader) -> Option<&Session> {
        let session = self.sessions.get(&header.client)?;
        (session.number == header.session).then_some(session)
    }
}
