//! Sessions: who may write, which request comes next, and the replies that may still be asked for again.
//!
//! Invariant: the stored replies of a session are those of the requests after its mark (`replies_received`) up to its
//! last one, without gaps.

use mizan_wire::{Genesis, Operation, RegisterRecord, RequestHeader, RequestStatus};
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
            let (session, request_last) = (session.number, session.request_last);
            return Ok(RegisterRecord { session, request_last, resumed: 1, ..Default::default() });
        }
        if header.session != 0 {
            return Err(RequestStatus::SessionUnknown);
        }
        if self.count() >= self.genesis.session_count_max {
            self.evict(first)?;
        }
        let session = Session {
            number: sequence,
            request_last: 0,
            replies_received: 0,
            replies: BTreeMap::new(),
            last_activity: first,
        };
        self.sessions.insert(header.client, session);
        Ok(RegisterRecord { session: sequence, ..Default::default() })
    }

    fn evict(&mut self, now: u64) -> Result<(), RequestStatus> {
        let idlest =
            self.sessions.iter().min_by_key(|(_, session)| (session.last_activity, session.number));
        let (client, session) = idlest.expect("invariant: sessions are full, so there is one");
        if now - session.last_activity < self.genesis.session_idle_ns {
            return Err(RequestStatus::SessionsFull);
        }
        let client = *client;
        self.sessions.remove(&client);
        Ok(())
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
