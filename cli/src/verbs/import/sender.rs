//! Sending batches: accounts first, then their transfers, several requests in flight.
//!
//! Invariant: a transfer is sent only after the node said that both its accounts are there, because a transfer that is
//! refused for a missing account spends its id, and could not be imported by the next attempt.

use super::Talk;
use super::report::Tally;
use super::rows::Row;
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::exit;
use crate::movement::describe;
use crate::names::Ledger;
use mizan_client::names::NameError;
use mizan_client::{Client, ClientError, Completion, Outcome, Reply, RequestId};
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateAccountStatus, CreateTransferStatus, Operation, Status,
    Transfer,
};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use zerocopy::IntoBytes;

/// Requests in flight at the most: enough to hide a flush of the journal behind the next ones.
const IN_FLIGHT_MAX: usize = 8;
/// How long one poll may wait; the client's own deadline ends a request.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// What an import does with every row.
pub(super) struct Plan {
    ledger: u32,
    code: u16,
    namespace: String,
    from_prefix: String,
    to_prefix: String,
    creates_accounts: bool,
    account_code: u16,
    account_flags: u16,
}

impl Plan {
    pub(super) fn new(args: &ImportArgs, ledger: &Ledger) -> Self {
        let namespace = args.id_namespace.clone();
        let account_flags =
            if args.no_overdraft { AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 };
        Self {
            ledger: ledger.number,
            code: args.code,
            namespace: namespace.unwrap_or_else(|| format!("ledger-{}", ledger.number)),
            from_prefix: args.from_prefix.clone(),
            to_prefix: args.to_prefix.clone(),
            creates_accounts: args.create_accounts,
            account_code: args.account_code,
            account_flags,
        }
    }

    fn transfer(&self, row: &Row) -> Result<Transfer, NameError> {
        let account = |prefix: &str, name: &str| {
            mizan_client::names::account_id(self.ledger, &format!("{prefix}{name}"))
        };
        let id = format!("{}/{}", self.namespace, row.id);
        Ok(Transfer {
            id: mizan_client::names::transfer_id(&id)?,
            debit_account_id: account(&self.from_prefix, &row.from)?,
            credit_account_id: account(&self.to_prefix, &row.to)?,
            amount: row.amount,
            user_data_128: row.user_data_128,
            user_data_64: row.user_data_64,
            user_data_32: row.user_data_32,
            ledger: self.ledger,
            code: self.code,
            ..Transfer::default()
        })
    }

    fn account(&self, id: u128) -> Account {
        let (ledger, code, flags) = (self.ledger, self.account_code, self.account_flags);
        Account { id, ledger, code, flags, ..Account::default() }
    }
}

/// Transfers of one request, with their lines.
struct Batch {
    lines: Vec<u64>,
    transfers: Vec<Transfer>,
}

/// The pipeline of one import.
pub(super) struct Sender<'a> {
    client: &'a mut Client,
    plan: &'a Plan,
    pub(super) tally: Tally,
    in_flight: HashMap<RequestId, Batch>,
    /// Accounts that the node has.
    known: HashSet<u128>,
    /// Accounts that cannot be used, and why.
    unusable: HashMap<u128, String>,
    failure: Option<CliError>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(client: &'a mut Client, plan: &'a Plan) -> Self {
        Self {
            client,
            plan,
            tally: Tally::default(),
            in_flight: HashMap::new(),
            known: HashSet::new(),
            unusable: HashMap::new(),
            failure: None,
        }
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Sends rows; their results are counted by later calls.
    pub(super) fn send(&mut self, rows: &[Row], talk: &mut Talk<'_>) -> Result<(), CliError> {
        let mut all: Vec<(&Row, Transfer)> = Vec::with_capacity(rows.len());
        for row in rows {
            match self.plan.transfer(row) {
                Ok(transfer) => all.push((row, transfer)),
                Err(error) => {
                    self.tally.bad += 1;
                    talk.line(&mut self.tally, row.line, &error.to_string())?;
                }
            }
        }
        self.settle_accounts(all.iter().map(|(_, transfer)| transfer), talk)?;
        let mut lines = Vec::with_capacity(rows.len());
        let mut transfers = Vec::with_capacity(rows.len());
        for (row, transfer) in all {
            if let Some(reason) = self.unusable_account(row, &transfer) {
                self.tally.bad += 1;
                talk.line(&mut self.tally, row.line, &reason)?;
            } else {
                lines.push(row.line);
                transfers.push(transfer);
            }
        }
        let size_max = self.client.events_max().max(1) as usize;
        for (lines, transfers) in std::iter::zip(lines.chunks(size_max), transfers.chunks(size_max))
        {
            while self.in_flight.len() >= IN_FLIGHT_MAX {
                self.wait(talk)?;
            }
            if self.failure.is_some() {
                return self.finish(talk);
            }
            let id = self.submit(Operation::CreateTransfers, transfers.as_bytes(), talk)?;
            let batch = Batch { lines: lines.to_vec(), transfers: transfers.to_vec() };
            self.in_flight.insert(id, batch);
        }
        Ok(())
    }

    /// Waits until everything in flight is counted.
    pub(super) fn finish(&mut self, talk: &mut Talk<'_>) -> Result<(), CliError> {
        while !self.in_flight.is_empty() {
            self.wait(talk)?;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Makes sure that each account is either known or unusable.
    fn settle_accounts<'t>(
        &mut self,
        transfers: impl Iterator<Item = &'t Transfer>,
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let mut unsettled = Vec::new();
        let mut seen = HashSet::new();
        for transfer in transfers {
            for id in [transfer.debit_account_id, transfer.credit_account_id] {
                let is_settled = self.known.contains(&id) || self.unusable.contains_key(&id);
                if !is_settled && seen.insert(id) {
                    unsettled.push(id);
                }
            }
        }
        let size_max = self.client.events_max().max(1) as usize;
        for ids in unsettled.chunks(size_max) {
            if self.plan.creates_accounts {
                self.create_accounts(ids, talk)?;
            } else {
                self.look_accounts_up(ids, talk)?;
            }
        }
        Ok(())
    }

    fn create_accounts(&mut self, ids: &[u128], talk: &mut Talk<'_>) -> Result<(), CliError> {
        let accounts: Vec<Account> = ids.iter().map(|id| self.plan.account(*id)).collect();
        let reply = self.ask(Operation::CreateAccounts, accounts.as_bytes(), talk)?;
        for (id, result) in std::iter::zip(ids, reply.create_results()) {
            match CreateAccountStatus::from_number(result.status) {
                Some(CreateAccountStatus::Created) => {
                    self.tally.accounts_created += 1;
                    self.known.insert(*id);
                }
                Some(status) if is_there(status) => {
                    self.known.insert(*id);
                }
                known => {
                    let name = known.map_or("unknown status", CreateAccountStatus::name);
                    self.unusable.insert(*id, format!("could not be created: {name}"));
                }
            }
        }
        Ok(())
    }

    fn look_accounts_up(&mut self, ids: &[u128], talk: &mut Talk<'_>) -> Result<(), CliError> {
        let reply = self.ask(Operation::LookupAccounts, ids.as_bytes(), talk)?;
        self.known.extend(reply.accounts().iter().map(|account| account.id));
        for id in ids.iter().filter(|id| !self.known.contains(id)) {
            let reason = "does not exist; --create-accounts would create it";
            self.unusable.insert(*id, reason.to_owned());
        }
        Ok(())
    }

    fn unusable_account(&self, row: &Row, transfer: &Transfer) -> Option<String> {
        let reason = |id: u128, role: &str, name: &str| {
            let why = self.unusable.get(&id)?;
            Some(format!("the {role} account {name} {why}"))
        };
        reason(transfer.debit_account_id, "paying", &row.from)
            .or_else(|| reason(transfer.credit_account_id, "paid", &row.to))
    }

    /// Submits a request as soon as the node's window has room for it.
    fn submit(
        &mut self,
        operation: Operation,
        events: &[u8],
        talk: &mut Talk<'_>,
    ) -> Result<RequestId, CliError> {
        loop {
            match self.client.submit(operation, events) {
                Ok(id) => {
                    self.client.flush();
                    return Ok(id);
                }
                Err(ClientError::WouldExceedWindow) if !self.in_flight.is_empty() => {
                    self.wait(talk)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends one request and waits for its reply; others that finish meanwhile are counted.
    fn ask(
        &mut self,
        operation: Operation,
        events: &[u8],
        talk: &mut Talk<'_>,
    ) -> Result<Reply, CliError> {
        let wanted = self.submit(operation, events, talk)?;
        loop {
            match self.client.poll(POLL_TIMEOUT)? {
                Some(completion) if completion.id == wanted => return reply_of(completion),
                Some(completion) => self.count(completion, talk)?,
                None => {}
            }
        }
    }

    /// Waits for one request to finish and counts its results.
    fn wait(&mut self, talk: &mut Talk<'_>) -> Result<(), CliError> {
        match self.client.poll(POLL_TIMEOUT) {
            Ok(Some(completion)) => self.count(completion, talk)?,
            Ok(None) => {}
            Err(error) => {
                // The client has given everything that it had in flight; nothing more will come.
                let left = self.in_flight.drain().map(|(_, batch)| batch.lines.len() as u64);
                self.tally.fate_unknown += left.sum::<u64>();
                return Err(error.into());
            }
        }
        match self.failure.take() {
            Some(failure) if self.in_flight.is_empty() => Err(failure),
            failure => {
                self.failure = failure;
                Ok(())
            }
        }
    }

    fn count(&mut self, completion: Completion, talk: &mut Talk<'_>) -> Result<(), CliError> {
        let Some(batch) = self.in_flight.remove(&completion.id) else { return Ok(()) };
        if matches!(completion.outcome, Outcome::Unknown) {
            self.tally.fate_unknown += batch.lines.len() as u64;
        }
        let reply = match reply_of(completion) {
            Ok(reply) => reply,
            Err(error) => {
                // What else is in flight may have succeeded: it is counted before the import ends.
                self.failure.get_or_insert(error);
                return Ok(());
            }
        };
        let lines = std::iter::zip(batch.lines, batch.transfers);
        for ((line, transfer), result) in std::iter::zip(lines, reply.create_results()) {
            if result.status == CREATED {
                self.tally.imported.add(transfer.amount);
            } else if result.status == CreateTransferStatus::Exists.number() {
                self.tally.already_there.add(transfer.amount);
            } else {
                let (name, meaning) = describe(result.status);
                talk.line(&mut self.tally, line, &format!("refused ({name}): {meaning}"))?;
                *self.tally.refused.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// Whether an account can be used although it was not created now: other flags or user data do not matter.
fn is_there(status: CreateAccountStatus) -> bool {
    use CreateAccountStatus as S;
    matches!(
        status,
        S::Exists
            | S::ExistsWithDifferentFlags
            | S::ExistsWithDifferentUserData128
            | S::ExistsWithDifferentUserData64
            | S::ExistsWithDifferentUserData32
            | S::ExistsWithDifferentCode
    )
}

fn reply_of(completion: Completion) -> Result<Reply, CliError> {
    match completion.outcome {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::Refused(status) => Err(ClientError::Refused(status).into()),
        Outcome::NotSent => Err(ClientError::NotSent.into()),
        Outcome::Unknown => {
            Err(CliError::failed(exit::UNREACHABLE, ClientError::Unknown.to_string()))
        }
    }
}
