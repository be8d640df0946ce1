//! Sending batches: accounts first, then their transfers, several requests in flight.
//!
//! Invariant: a transfer is sent only after the node said that both its accounts are there, because a transfer that is
//! refused for a missing account spends its id, and could not be imported by the next attempt. An attempt
//! of a line is sent only after the node said that the id of the one before is spent, whatever the file says: so of all
//! attempts at most one is ever paid.

use super::Talk;
use super::ledgers::Ledgers;
use super::rejects::Kept;
use super::report::Tally;
use super::rows::{Row, Side};
use crate::args::ImportArgs;
use crate::error::CliError;
use crate::exit;
use crate::movement::describe;
use crate::names::{self, Ledger};
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
    pub(super) ledgers: Vec<PlanOfLedger>,
    pub(super) from_prefix: String,
    pub(super) to_prefix: String,
    creates_accounts: bool,
    account_code: u16,
    account_flags: u16,
}

/// What depends on the row's ledger.
pub(super) struct PlanOfLedger {
    pub(super) number: u32,
    pub(super) namespace: Option<String>,
    /// The account that was given for the whole file.
    pub(super) own: Option<u128>,
}

impl Plan {
    /// # Errors
    /// The account of the whole file is no account.
    pub(super) fn new(args: &ImportArgs, ledgers: &Ledgers) -> Result<Self, CliError> {
        let account_flags =
            if args.no_overdraft { AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 };
        let is_statement = args.account.is_some();
        let prefix = |text: &String| {
            if is_statement { args.other_prefix.clone() } else { text.clone() }
        };
        let of_ledger = |ledger: &Ledger| {
            let number = ledger.number;
            let namespace = args.id_namespace.clone();
            let own = args.own().map(|text| names::account_id(number, text)).transpose()?;
            Ok::<_, CliError>(PlanOfLedger { number, namespace, own })
        };
        Ok(Self {
            ledgers: ledgers.all().iter().map(of_ledger).collect::<Result<_, _>>()?,
            from_prefix: prefix(&args.from_prefix),
            to_prefix: prefix(&args.to_prefix),
            creates_accounts: args.create_accounts,
            account_code: args.account_code,
            account_flags,
        })
    }

    /// What is sent for a row.
    pub(super) fn transfer(&self, row: &Row) -> Result<Transfer, NameError> {
        let plan = &self.ledgers[row.ledger];
        let account = |side: Side, prefix: &str, name: &str| match plan.own {
            Some(id) if row.own == Some(side) => Ok(id),
            _ => mizan_client::names::account_id(plan.number, &format!("{prefix}{name}")),
        };
        let id = match &plan.namespace {
            Some(namespace) => mizan_client::names::transfer_id(&format!("{namespace}/{}", row.id)),
            None => mizan_client::names::transfer_id(&row.id),
        }?;
        Ok(Transfer {
            id,
            debit_account_id: account(Side::From, &self.from_prefix, &row.from)?,
            credit_account_id: account(Side::To, &self.to_prefix, &row.to)?,
            amount: row.amount,
            user_data_128: row.user_data_128,
            user_data_64: row.user_data_64,
            user_data_32: row.user_data_32,
            ledger: plan.number,
            code: row.code,
            ..Transfer::default()
        })
    }

    fn account(&self, (id, ledger): (u128, u32)) -> Account {
        let (code, flags) = (self.account_code, self.account_flags);
        Account { id, ledger, code, flags, ..Account::default() }
    }
}

/// The id of a line's attempt: the first has the line's own.
pub(super) fn attempt_id(id: u128, attempt: u32) -> u128 {
    match attempt {
        0 => id,
        _ => names::own_transfer_id(&format!("attempt {attempt} of {}", names::id_text(id))),
    }
}

/// A line that was sent.
struct Sent {
    line: u64,
    ledger: usize,
    kept: Option<Kept>,
    /// The line's own id.
    id: u128,
    /// Which attempt it is...
    attempt: u32,
    /// ... and the last one that the file allows.
    attempt_max: u32,
}

/// Transfers of one request, with their lines.
struct Batch {
    lines: Vec<Sent>,
    transfers: Vec<Transfer>,
}

/// The pipeline of one import.
pub(super) struct Sender<'a> {
    pub(super) client: &'a mut Client,
    pub(super) plan: &'a Plan,
    pub(super) tally: Tally,
    in_flight: HashMap<RequestId, Batch>,
    /// Accounts that the node has.
    known: HashSet<u128>,
    /// Accounts that cannot be used, and why.
    unusable: HashMap<u128, String>,
    /// Ids of earlier releases under which there is no account.
    pub(super) without_earlier: HashSet<u128>,
    /// Lines whose ids the node has as spent, with their next attempts.
    again: Vec<(Sent, Transfer)>,
    failure: Option<CliError>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(client: &'a mut Client, plan: &'a Plan, tally: Tally) -> Self {
        Self {
            client,
            plan,
            tally,
            in_flight: HashMap::new(),
            known: HashSet::new(),
            unusable: HashMap::new(),
            without_earlier: HashSet::new(),
            again: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Sends rows; their results are counted by later calls.
    pub(super) fn send(&mut self, rows: Vec<Row>, talk: &mut Talk<'_>) -> Result<(), CliError> {
        let mut all: Vec<(Row, Transfer)> = Vec::with_capacity(rows.len());
        for row in rows {
            match self.plan.transfer(&row) {
                Ok(transfer) => all.push((row, transfer)),
                Err(error) => self.bad(&row, &error.to_string(), talk)?,
            }
        }
        self.settle_accounts(all.iter().map(|(_, transfer)| transfer), talk)?;
        let mut lines = Vec::with_capacity(all.len());
        let mut transfers = Vec::with_capacity(all.len());
        for (row, transfer) in all {
            if let Some(reason) = self.unusable_account(&row, &transfer) {
                self.bad(&row, &reason, talk)?;
            } else {
                let (id, attempt_max) = (transfer.id, row.attempt);
                let (line, ledger, kept) = (row.line, row.ledger, row.kept);
                lines.push(Sent { line, ledger, kept, id, attempt: 0, attempt_max });
                transfers.push(transfer);
            }
        }
        self.send_all(lines, transfers, talk)?;
        self.send_again(talk)
    }

    /// Sends the next attempts of lines whose ids are spent.
    fn send_again(&mut self, talk: &mut Talk<'_>) -> Result<(), CliError> {
        let (lines, transfers) = std::mem::take(&mut self.again).into_iter().unzip();
        self.send_all(lines, transfers, talk)
    }

    fn send_all(
        &mut self,
        mut lines: Vec<Sent>,
        mut transfers: Vec<Transfer>,
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let size_max = self.client.events_max().max(1) as usize;
        while !transfers.is_empty() {
            let rest = size_max.min(transfers.len());
            let (more_lines, more) = (lines.split_off(rest), transfers.split_off(rest));
            while self.in_flight.len() >= IN_FLIGHT_MAX {
                self.wait(talk)?;
            }
            if self.failure.is_some() {
                return self.settle(talk);
            }
            let id = self.submit(Operation::CreateTransfers, transfers.as_bytes(), talk)?;
            self.in_flight.insert(id, Batch { lines, transfers });
            (lines, transfers) = (more_lines, more);
        }
        Ok(())
    }

    /// Counts a row that cannot be sent.
    fn bad(&mut self, row: &Row, reason: &str, talk: &mut Talk<'_>) -> Result<(), CliError> {
        self.tally.bad += 1;
        talk.reject(&mut self.tally, row.line, reason, row.kept.as_ref(), false)
    }

    /// Sends what is left, and waits until everything is counted.
    pub(super) fn finish(&mut self, talk: &mut Talk<'_>) -> Result<(), CliError> {
        self.settle(talk)?;
        while !self.again.is_empty() {
            self.send_again(talk)?;
            self.settle(talk)?;
        }
        Ok(())
    }

    /// Waits until everything in flight is counted.
    fn settle(&mut self, talk: &mut Talk<'_>) -> Result<(), CliError> {
        while !self.in_flight.is_empty() {
            self.wait(talk)?;
        }
        match self.failure.take() {
            None => Ok(()),
            Some(failure) => Err(self.why(failure)),
        }
    }

    /// What ended the client, if something did: a request in flight knows only that its fate is unknown.
    fn why(&mut self, failure: CliError) -> CliError {
        match self.client.poll(Duration::ZERO) {
            Err(error) if error.is_final() => error.into(),
            _ => failure,
        }
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
                    unsettled.push((id, transfer.ledger));
                }
            }
        }
        let size_max = self.client.events_max().max(1) as usize;
        for accounts in unsettled.chunks(size_max) {
            if self.plan.creates_accounts {
                self.create_accounts(accounts, talk)?;
            } else {
                let ids: Vec<u128> = accounts.iter().map(|(id, _)| *id).collect();
                self.look_accounts_up(&ids, talk)?;
            }
        }
        Ok(())
    }

    fn create_accounts(
        &mut self,
        wanted: &[(u128, u32)],
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let accounts: Vec<Account> = wanted.iter().map(|pair| self.plan.account(*pair)).collect();
        let reply = self.ask(Operation::CreateAccounts, accounts.as_bytes(), talk)?;
        for ((id, _), result) in std::iter::zip(wanted, reply.create_results()) {
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
    pub(super) fn ask(
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
            Some(failure) if self.in_flight.is_empty() => Err(self.why(failure)),
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
        for ((sent, transfer), result) in std::iter::zip(lines, reply.create_results()) {
            let known = CreateTransferStatus::from_number(result.status);
            let is_last = sent.attempt >= sent.attempt_max;
            if known == Some(CreateTransferStatus::IdAlreadyFailed) && !is_last {
                let attempt = sent.attempt + 1;
                let transfer = Transfer { id: attempt_id(sent.id, attempt), ..transfer };
                self.again.push((Sent { attempt, ..sent }, transfer));
                continue;
            }
            let sums = &mut self.tally.sums[sent.ledger];
            if result.status == CREATED {
                sums.imported.add(transfer.amount);
            } else if known == Some(CreateTransferStatus::Exists) {
                sums.already_there.add(transfer.amount);
            } else {
                let (name, meaning) = describe(result.status);
                // Else the file allows another attempt already.
                let is_spent = is_last && known.is_some_and(is_spent);
                self.tally.spent += u64::from(is_spent);
                let reason = format!("refused ({name}): {}", advice(meaning, is_spent));
                let kept = sent.kept.as_ref();
                talk.reject(&mut self.tally, sent.line, &reason, kept, is_spent)?;
                *self.tally.refused.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// Whether a refused transfer's id can never be paid: another attempt needs another one.
const fn is_spent(status: CreateTransferStatus) -> bool {
    status.is_transient() || matches!(status, CreateTransferStatus::IdAlreadyFailed)
}

/// The meaning of a refusal for a line of a file. A single transfer is tried again under another id; a line is not: with
/// another id it would be another payment, and the file that has it under its own id would pay it once more.
fn advice(meaning: &str, is_spent: bool) -> String {
    let clauses = [
        " Use a new transfer id",
        ", and use a new transfer id",
        "; use a new transfer id",
        " Try again with a new id",
        ": use a new id",
    ];
    let end = clauses.iter().filter_map(|clause| meaning.find(clause)).min();
    let Some(said) = end.map(|end| meaning[..end].trim_end_matches('.')) else {
        return meaning.to_owned();
    };
    if is_spent {
        format!(
            "{said}. Mend the cause, leave the line's id as it is, and import the file of rejects"
        )
    } else {
        format!("{said}. Another id would make it another payment: leave it unless this is one")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_have_ids_of_their_own_that_never_change() {
        let id = names::own_transfer_id("ledger-1/r-2");
        assert_eq!(attempt_id(id, 0), id);
        // Anybody can derive them: that is what keeps an attempt from being paid twice.
        let first = mizan_client::names::transfer_id(&format!("attempt 1 of {id:#x}"));
        let first = first.expect("a name");
        assert_eq!(attempt_id(id, 1), first);
        assert_ne!(attempt_id(id, 2), first);
    }

    #[test]
    fn an_id_counts_as_spent_exactly_if_the_engine_spends_it_or_has_spent_it() {
        for status in CreateTransferStatus::PRECEDENCE {
            let expected = status.is_transient() || status.name() == "id_already_failed";
            assert_eq!(is_spent(*status), expected, "{}", status.name());
        }
        assert!(!is_spent(CreateTransferStatus::ExistsWithDifferentAmount));
        assert!(!is_spent(CreateTransferStatus::AccountsMustBeDifferent));
        assert!(is_spent(CreateTransferStatus::ExceedsCredits));
    }

    #[test]
    fn no_reason_for_a_line_asks_for_another_id() {
        for status in CreateTransferStatus::PRECEDENCE {
            let said = advice(status.meaning(), is_spent(*status));
            for word in ["new id", "new transfer id", "this one is spent"] {
                assert!(!said.contains(word), "{}: {said}", status.name());
            }
            if is_spent(*status) {
                assert!(said.contains("leave the line's id as it is"), "{}: {said}", status.name());
            }
        }
        let funds = advice(CreateTransferStatus::ExceedsCredits.meaning(), true);
        assert!(funds.starts_with("Not enough funds: "), "{funds}");
    }
}
