//! A little ledger behind the native protocol: sessions with stored replies, accounts, transfers, and faults on demand.
//!
//! It keeps everything in maps under one lock and makes nothing durable.
#![allow(unreachable_pub)]

use mizan_wire::frame::{
    self, HELLO_READ_ONLY, Header, Hello, HelloReply, NodeLimits, REPLY_COMPACT, REPLY_REPLAYED,
    Request,
};
use mizan_wire::limits::{EVENTS_MAX, FRAME_SIZE_MAX, HEADER_SIZE};
use mizan_wire::{
    Account, CreateAccountStatus, CreateTransferStatus, Operation, RequestStatus, ResultException,
    Transfer, TransferFlags,
};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, IntoBytes};

/// The epoch in which it is primary.
const EPOCH: u64 = 1;

/// What goes wrong, and when; counts are of executed batches of transfers, 0 for never.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Every so many transfers one lacks funds.
    pub refuse_every: u64,
    /// After every so many batches the connection breaks before the reply.
    pub break_every: u64,
    /// The reply to this batch is never sent, nor is anything else on its connection.
    pub silent_at: u64,
    /// With this batch one unit too much is credited.
    pub skim_at: u64,
    /// With this batch everything stands still for so long, before anything of it is executed.
    pub stall_at: u64,
    /// See above; in milliseconds.
    pub stall_ms: u64,
    /// Every so many batches a wrong thing is done, if there is occasion for it.
    pub wrong_every: u64,
    /// Which.
    pub wrong: Wrong,
}

/// What a wrong ledger does while it answers as if all were well.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wrong {
    #[default]
    Nothing,
    /// A post moves nothing.
    PostMovesNothing,
    /// A post in part keeps the rest reserved.
    PartialPostKeepsTheRest,
    /// A void gives nothing back.
    VoidKeepsTheHold,
    /// A hold moves the money at once.
    HoldMovesAtOnce,
    /// Chains are taken apart: what is possible is created.
    ChainsTakenApart,
    /// A failed chain is answered as such, but its money has moved.
    FailedChainMoves,
    /// An impossible transfer is answered as created, and so is its chain.
    ImpossibleIsCreated,
    /// A lookup finds one account less.
    LookupLosesOne,
    /// A lookup gives the accounts in another order.
    LookupReverses,
    /// A lookup finds empty accounts.
    LookupFindsEmpty,
}

#[derive(Default)]
struct Session {
    number: u64,
    replies: BTreeMap<u64, (frame::Reply, Vec<u8>)>,
    request_last: u64,
}

#[derive(Default)]
struct State {
    accounts: HashMap<u128, Account>,
    transfers: HashMap<u128, Transfer>,
    sessions: HashMap<u128, Session>,
    sessions_closed: u64,
    sequence: u64,
    timestamp: u64,
    batches: u64,
    reads: u64,
    transfers_seen: u64,
}

#[derive(Clone)]
pub struct FakeLedger {
    pub address: SocketAddr,
    faults: Faults,
    state: Arc<Mutex<State>>,
}

enum Next {
    Reply(frame::Reply, Vec<u8>),
    Break,
    Silence,
}

impl FakeLedger {
    /// Listens on a free port until the process ends.
    pub fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Self { address, faults, state: Arc::default() };
        let acceptor = ledger.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let ledger = acceptor.clone();
                std::thread::spawn(move || ledger.serve(stream.unwrap()));
            }
        });
        ledger
    }

    pub fn transfer_count(&self) -> usize {
        self.state.lock().unwrap().transfers.len()
    }

    pub fn has_transfer(&self, id: u128) -> bool {
        self.state.lock().unwrap().transfers.contains_key(&id)
    }

    /// Sessions that are open, and sessions that were closed.
    pub fn sessions(&self) -> (usize, u64) {
        let state = self.state.lock().unwrap();
        (state.sessions.len(), state.sessions_closed)
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).unwrap();
        let (Header::Hello(hello), _) = read_frame(&mut stream)? else { panic!("no hello") };
        self.greet(&mut stream, &hello)?;
        loop {
            let (header, body) = read_frame(&mut stream)?;
            let Header::Request(request) = header else { panic!("no request: {header:?}") };
            match self.answer(hello.client, &request, &body) {
                Next::Reply(reply, body) => send(&mut stream, &reply.seal(&body), &body)?,
                Next::Break => return None,
                Next::Silence => while read_frame(&mut stream).is_some() {},
            }
        }
    }

    fn greet(&self, stream: &mut TcpStream, hello: &Hello) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        let (client, epoch) = (hello.client, EPOCH);
        let cluster = 1;
        let mut reply = HelloReply { client, epoch, cluster, role: 1, ..HelloReply::default() };
        if hello.flags & HELLO_READ_ONLY == 0 {
            state.sequence += 1;
            let number = state.sequence;
            let session = state.sessions.entry(hello.client).or_default();
            reply.resumed = u8::from(session.number != 0);
            if session.number == 0 {
                session.number = number;
            }
            reply.session = session.number;
            reply.request_last = session.request_last;
        }
        let limits = NodeLimits {
            frame_size_max: FRAME_SIZE_MAX as u32,
            events_max: EVENTS_MAX,
            window_requests: 64,
            window_bytes: 1 << 22,
            ..NodeLimits::default()
        };
        send(stream, &reply.seal(limits.as_bytes()), limits.as_bytes())
    }

    fn answer(&self, client: u128, request: &Request, body: &[u8]) -> Next {
        let state = &mut *self.state.lock().unwrap();
        let operation = request.check().unwrap();
        if operation.is_read() {
            let records = state.read(operation, body, self.faults);
            return Next::Reply(state.reply(request, operation.result_size(), &records), records);
        }
        let session = state.sessions.get_mut(&client).expect("a write needs a session");
        session.replies.retain(|number, _| *number > request.replies_received);
        if let Some((reply, body)) = session.replies.get(&request.request) {
            let reply = frame::Reply { flags: reply.flags | REPLY_REPLAYED, ..*reply };
            return Next::Reply(reply, body.clone());
        }
        assert_eq!(request.request, session.request_last + 1, "a gap");
        session.request_last += 1;
        self.execute(state, client, operation, request, body)
    }

    fn execute(
        &self,
        state: &mut State,
        client: u128,
        operation: Operation,
        request: &Request,
        body: &[u8],
    ) -> Next {
        state.sequence += 1;
        if operation == Operation::CloseSession {
            state.sessions.remove(&client);
            state.sessions_closed += 1;
            return Next::Reply(state.reply(request, 0, &[]), Vec::new());
        }
        let exceptions = match operation {
            Operation::CreateAccounts => state.create_accounts(body),
            Operation::CreateTransfers => {
                state.batches += 1;
                if self.faults.stall_at == state.batches {
                    // The lock is held meanwhile: whoever comes, waits.
                    let until = Instant::now() + Duration::from_millis(self.faults.stall_ms);
                    while let Some(rest) = until.checked_duration_since(Instant::now()) {
                        std::thread::park_timeout(rest.max(Duration::from_micros(1)));
                    }
                }
                state.create_transfers(body, self.faults)
            }
            other => panic!("{other:?} is not part of a run"),
        };
        let body = exceptions.as_bytes().to_vec();
        let mut reply = state.reply(request, 16, &body);
        reply.flags = REPLY_COMPACT;
        let session = state.sessions.get_mut(&client).unwrap();
        session.replies.insert(request.request, (reply, body.clone()));
        let is_transfers = operation == Operation::CreateTransfers;
        let Faults { break_every, silent_at, .. } = self.faults;
        if is_transfers && break_every != 0 && state.batches.is_multiple_of(break_every) {
            Next::Break
        } else if is_transfers && silent_at == state.batches {
            Next::Silence
        } else {
            Next::Reply(reply, body)
        }
    }
}

impl State {
    fn reply(&self, request: &Request, result_size: usize, body: &[u8]) -> frame::Reply {
        frame::Reply {
            request: request.request,
            sequence: self.sequence,
            epoch: EPOCH,
            timestamp: self.timestamp,
            commit: self.sequence,
            operation: request.operation,
            result_size: result_size as u16,
            result_count: (body.len() / result_size.max(1)) as u32,
            event_count: request.event_count,
            copies_durable: 1,
            ..frame::Reply::default()
        }
    }

    fn read(&mut self, operation: Operation, body: &[u8], faults: Faults) -> Vec<u8> {
        let ids = body.chunks_exact(16).map(|id| u128::read_from_bytes(id).unwrap());
        match operation {
            Operation::LookupAccounts => {
                let mut found: Vec<Account> =
                    ids.filter_map(|id| self.accounts.get(&id).copied()).collect();
                self.reads += 1;
                if faults.wrong_every != 0 && self.reads.is_multiple_of(faults.wrong_every) {
                    match faults.wrong {
                        Wrong::LookupLosesOne => {
                            found.pop();
                        }
                        Wrong::LookupReverses => found.reverse(),
                        Wrong::LookupFindsEmpty => found.iter_mut().for_each(|account| {
                            (account.debits_posted, account.credits_posted) = (0, 0);
                        }),
                        _ => {}
                    }
                }
                found.as_bytes().to_vec()
            }
            Operation::LookupTransfers => ids
                .filter_map(|id| self.transfers.get(&id))
                .flat_map(|transfer| transfer.as_bytes().to_vec())
                .collect(),
            other => panic!("{other:?} is not part of a run"),
        }
    }

    fn create_accounts(&mut self, body: &[u8]) -> Vec<ResultException> {
        let mut exceptions = Vec::new();
        for (index, bytes) in body.chunks_exact(128).enumerate() {
            self.timestamp += 1;
            let account = Account::read_from_bytes(bytes).unwrap();
            match self.accounts.entry(account.id) {
                Entry::Vacant(entry) => {
                    entry.insert(account);
                }
                Entry::Occupied(_) => exceptions.push(ResultException {
                    timestamp: 1,
                    index: index as u32,
                    status: CreateAccountStatus::Exists as u32,
                }),
            }
        }
        exceptions
    }

    fn create_transfers(&mut self, body: &[u8], faults: Faults) -> Vec<ResultException> {
        let transfers: Vec<Transfer> =
            body.chunks_exact(128).map(|bytes| Transfer::read_from_bytes(bytes).unwrap()).collect();
        let is_wrong = faults.wrong_every != 0 && self.batches.is_multiple_of(faults.wrong_every);
        let wrong = if is_wrong { faults.wrong } else { Wrong::Nothing };
        let mut exceptions = Vec::new();
        let mut start = 0;
        while start < transfers.len() {
            let is_linked = |transfer: &Transfer| transfer.flags & TransferFlags::LINKED != 0;
            let end = start + 1 + transfers[start..].iter().take_while(|t| is_linked(t)).count();
            assert!(end <= transfers.len(), "an open chain");
            self.create_chain(&transfers, start..end, faults, wrong, &mut exceptions);
            start = end;
        }
        exceptions
    }

    fn create_chain(
        &mut self,
        transfers: &[Transfer],
        places: std::ops::Range<usize>,
        faults: Faults,
        wrong: Wrong,
        exceptions: &mut Vec<ResultException>,
    ) {
        let impossible = |place: usize| {
            transfers[place].debit_account_id == transfers[place].credit_account_id
                && wrong != Wrong::ImpossibleIsCreated
        };
        let fails = places.clone().any(impossible);
        for place in places {
            self.timestamp += 1;
            self.transfers_seen += 1;
            let transfer = transfers[place];
            let lacks_funds =
                faults.refuse_every != 0 && self.transfers_seen.is_multiple_of(faults.refuse_every);
            let status = if impossible(place) {
                CreateTransferStatus::AccountsMustBeDifferent
            } else if fails && wrong != Wrong::ChainsTakenApart {
                if wrong == Wrong::FailedChainMoves {
                    self.move_money(&transfer, wrong);
                }
                CreateTransferStatus::LinkedEventFailed
            } else if lacks_funds {
                CreateTransferStatus::ExceedsCredits
            } else {
                assert!(self.transfers.insert(transfer.id, transfer).is_none(), "created twice");
                self.move_money(&transfer, wrong);
                if faults.skim_at == self.batches && place == 0 {
                    let credited = self.accounts.get_mut(&transfer.credit_account_id).unwrap();
                    credited.credits_posted += 1;
                }
                continue;
            };
            let (timestamp, status) = (self.timestamp, status as u32);
            exceptions.push(ResultException { timestamp, index: place as u32, status });
        }
    }

    fn move_money(&mut self, transfer: &Transfer, wrong: Wrong) {
        let held = self.transfers.get(&transfer.pending_id).map_or(0, |hold| hold.amount);
        let is_partial = transfer.amount < held;
        let mut released = held;
        let (mut pending, mut posted) = (0, 0);
        match transfer.flags {
            TransferFlags::PENDING if wrong == Wrong::HoldMovesAtOnce => posted = transfer.amount,
            TransferFlags::PENDING => pending = transfer.amount,
            TransferFlags::VOID_PENDING if wrong == Wrong::VoidKeepsTheHold => released = 0,
            TransferFlags::VOID_PENDING => {}
            TransferFlags::POST_PENDING if wrong == Wrong::PostMovesNothing => {}
            TransferFlags::POST_PENDING => {
                posted = transfer.amount;
                if is_partial && wrong == Wrong::PartialPostKeepsTheRest {
                    released = posted;
                }
            }
            _ => posted = transfer.amount,
        }
        let debit = self.accounts.get_mut(&transfer.debit_account_id).unwrap();
        debit.debits_pending = debit.debits_pending + pending - released.min(debit.debits_pending);
        debit.debits_posted += posted;
        let credit = self.accounts.get_mut(&transfer.credit_account_id).unwrap();
        credit.credits_pending =
            credit.credits_pending + pending - released.min(credit.credits_pending);
        credit.credits_posted += posted;
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<(Header, Vec<u8>)> {
    let mut bytes = [0; HEADER_SIZE];
    stream.read_exact(&mut bytes).ok()?;
    let header = Header::parse(&bytes).unwrap();
    let mut body = vec![0; header.body_size()];
    stream.read_exact(&mut body).ok()?;
    assert_eq!(header.check_body(&body), Ok::<(), RequestStatus>(()));
    Some((header, body))
}

fn send(stream: &mut TcpStream, header: &[u8], body: &[u8]) -> Option<()> {
    stream.write_all(&[header, body].concat()).ok()
}
