//! Calls that block until their reply. They may be mixed with pipelined requests, whose completions are kept for poll.

use crate::ClientError;
use crate::client::{Client, PendingPing};
use crate::config::after;
use crate::reply::{Completion, Outcome, Reply, RequestId};
use mizan_wire::limits::BODY_SIZE_MAX;
use mizan_wire::{
    Account, CreateCode, CreateLedger, CreateResult, EngineStatus, Operation, SessionKey,
    SessionRecord, SessionsQuery, Transfer, TrialBalanceRow,
};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// The longest sleep within a blocking call; deadlines and sockets end it earlier.
const ROUND_MAX: Duration = Duration::from_secs(1);

/// Sessions that a reply holds.
const SESSIONS_PER_PAGE: usize = BODY_SIZE_MAX / size_of::<SessionRecord>();

/// Sessions that no node has more of.
const SESSIONS_MAX: usize = 1 << 16;

/// The answer to a ping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PingReply {
    /// The node's commit sequence.
    pub commit: u64,
    /// From the sending of the ping to the arrival of its answer.
    pub round_trip: Duration,
}

/// # Errors of all calls
/// `Refused` and `NotSent`: nothing was executed. `Unknown`: no reply within the request timeout; what was sent may be
/// executed yet. `TooManyEvents` and `Invalid`: nothing was sent. Any other error has ended the client, and leaves the
/// fate of the call open if it writes.
impl Client {
    /// Opens accounts; one result per account, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn create_accounts(
        &mut self,
        accounts: &[Account],
    ) -> Result<Vec<CreateResult>, ClientError> {
        self.create(Operation::CreateAccounts, accounts.as_bytes())
    }

    /// Moves or reserves money; one result per transfer, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn create_transfers(
        &mut self,
        transfers: &[Transfer],
    ) -> Result<Vec<CreateResult>, ClientError> {
        self.create(Operation::CreateTransfers, transfers.as_bytes())
    }

    /// Registers ledgers; one result per ledger, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn create_ledgers(
        &mut self,
        ledgers: &[CreateLedger],
    ) -> Result<Vec<CreateResult>, ClientError> {
        self.create(Operation::CreateLedgers, ledgers.as_bytes())
    }

    /// Registers account codes; one result per code, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn create_codes(&mut self, codes: &[CreateCode]) -> Result<Vec<CreateResult>, ClientError> {
        self.create(Operation::CreateCodes, codes.as_bytes())
    }

    /// Finds accounts; those that do not exist are left out. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn lookup_accounts(&mut self, ids: &[u128]) -> Result<Vec<Account>, ClientError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(Operation::LookupAccounts, ids.as_bytes())?.accounts())
    }

    /// Finds transfers; those that do not exist are left out. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn lookup_transfers(&mut self, ids: &[u128]) -> Result<Vec<Transfer>, ClientError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(Operation::LookupTransfers, ids.as_bytes())?.transfers())
    }

    /// All registered ledgers, ascending.
    ///
    /// # Errors
    /// See above.
    pub fn ledgers(&mut self) -> Result<Vec<CreateLedger>, ClientError> {
        Ok(self.call(Operation::GetLedgers, &[])?.ledgers())
    }

    /// All registered account codes, ascending.
    ///
    /// # Errors
    /// See above.
    pub fn codes(&mut self) -> Result<Vec<CreateCode>, ClientError> {
        Ok(self.call(Operation::GetCodes, &[])?.codes())
    }

    /// The sums of all accounts, one row per ledger, ascending.
    ///
    /// # Errors
    /// See above.
    pub fn trial_balance(&mut self) -> Result<Vec<TrialBalanceRow>, ClientError> {
        Ok(self.call(Operation::TrialBalance, &[])?.trial_balance())
    }

    /// Counters, limits and digest of the engine.
    ///
    /// # Errors
    /// See above.
    pub fn engine_status(&mut self) -> Result<EngineStatus, ClientError> {
        let reply = self.call(Operation::GetEngineStatus, &[])?;
        let missing = || ClientError::Protocol("an engine's status without a record".to_owned());
        reply.engine_status().ok_or_else(missing)
    }

    /// All sessions, by number, in as many requests as that takes.
    ///
    /// # Errors
    /// See above.
    pub fn sessions(&mut self) -> Result<Vec<SessionRecord>, ClientError> {
        let mut all: Vec<SessionRecord> = Vec::new();
        loop {
            let after = all.last().map_or(0, |last| last.session);
            let query = SessionsQuery { after, reserved: 0 };
            let page = self.call(Operation::GetSessions, query.as_bytes())?.sessions();
            // A node that does not go on in its list would be asked for ever.
            if !page.is_sorted_by(|one, next| one.session < next.session)
                || page.first().is_some_and(|first| first.session <= after)
                || all.len() + page.len() > SESSIONS_MAX
            {
                let text = "a list of sessions is out of order, or longer than can be".to_owned();
                return Err(ClientError::Protocol(text));
            }
            let is_whole = page.len() < SESSIONS_PER_PAGE;
            all.extend(page);
            if is_whole {
                return Ok(all);
            }
        }
    }

    /// Ends sessions of others; one result per session, in order. An empty list asks nothing.
    ///
    /// # Errors
    /// See above.
    pub fn close_sessions(
        &mut self,
        keys: &[SessionKey],
    ) -> Result<Vec<CreateResult>, ClientError> {
        self.create(Operation::CloseSessions, keys.as_bytes())
    }

    /// Sends one request, however it is made, and waits for its reply.
    ///
    /// # Errors
    /// See above; `WouldExceedWindow` if pipelined requests left no room within the request timeout.
    pub fn call(&mut self, operation: Operation, events: &[u8]) -> Result<Reply, ClientError> {
        let give_up_at = after(self.config.request_timeout);
        loop {
            match self.submit(operation, events) {
                Ok(id) => return self.wait_for(id),
                Err(ClientError::WouldExceedWindow) if Instant::now() < give_up_at => {
                    self.round_for_room(give_up_at);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks whether the node is there; passes neither ring nor engine.
    ///
    /// # Errors
    /// `Unreachable` if there is no answer within the request timeout; the error that ended the client.
    pub fn ping(&mut self) -> Result<PingReply, ClientError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let started = Instant::now();
        let give_up_at = after(self.config.request_timeout);
        let nonce = crate::id::random_u128() as u64;
        self.ping = Some(PendingPing { nonce, sent: false, commit: None });
        let result = loop {
            self.round_for_room(give_up_at);
            if let Some(commit) = self.ping.as_ref().and_then(|ping| ping.commit) {
                break Ok(PingReply { commit, round_trip: started.elapsed() });
            }
            if let Some(failure) = &self.failure {
                break Err(failure.clone());
            }
            if Instant::now() >= give_up_at {
                break Err(self.no_pong());
            }
        };
        self.ping = None;
        result
    }

    /// A late pong could be taken for nonsense, so the connection is given up with the ping.
    fn no_pong(&mut self) -> ClientError {
        let address = self.info.address;
        let error = ClientError::Unreachable(address, "no answer to a ping in time".to_owned());
        if self.is_connected() {
            let trouble =
                crate::error::Trouble::Passing { error: error.clone(), primary_hint: None };
            self.trouble(trouble);
        }
        error
    }

    /// Waits for everything in flight, drops the results, and closes the session, so that the node need not keep it.
    ///
    /// A client that is dropped without this leaves its session to be resumed, or evicted when idle for long.
    ///
    /// # Errors
    /// See above. A session that the node no longer knows counts as closed.
    pub fn close(mut self) -> Result<(), ClientError> {
        while self.in_flight() > 0 && self.failure.is_none() {
            self.completions.clear();
            self.round(after(ROUND_MAX));
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.config.read_only {
            return Ok(());
        }
        if !self.writes.has_room(Operation::CloseSession, 0, &self.info.limits) {
            return Err(ClientError::WouldExceedWindow);
        }
        let id = self.enqueue(Operation::CloseSession, 0, 0, |_| ());
        match self.wait_for(id) {
            Ok(_) | Err(ClientError::SessionLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn create(
        &mut self,
        operation: Operation,
        events: &[u8],
    ) -> Result<Vec<CreateResult>, ClientError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call(operation, events)?.create_results())
    }

    fn wait_for(&mut self, id: RequestId) -> Result<Reply, ClientError> {
        loop {
            if let Some(completion) = self.take_completion(id) {
                return match (completion.outcome, &self.failure) {
                    (Outcome::Reply(reply), _) => Ok(reply),
                    (Outcome::Refused(status), _) => Err(ClientError::Refused(status)),
                    (_, Some(failure)) => Err(failure.clone()),
                    (Outcome::NotSent, None) => Err(ClientError::NotSent),
                    (Outcome::Unknown, None) => Err(ClientError::Unknown),
                };
            }
            self.progress(after(ROUND_MAX));
        }
    }

    fn take_completion(&mut self, id: RequestId) -> Option<Completion> {
        let position = self.completions.iter().position(|completion| completion.id == id)?;
        self.completions.remove(position)
    }

    fn round_for_room(&mut self, until: Instant) {
        self.progress(until.min(after(ROUND_MAX)));
    }

    /// One round that waits even though completions of other requests lie ready for poll.
    fn progress(&mut self, until: Instant) {
        let ready = std::mem::take(&mut self.completions);
        self.round(until);
        let fresh = std::mem::replace(&mut self.completions, ready);
        self.completions.extend(fresh);
    }
}
