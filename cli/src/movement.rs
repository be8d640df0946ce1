//! One transfer that a person asked for: balances before, the request, balances after, and what to say about it.
//!
//! Shared by `transfer`, `hold`, `post` and `void`. A repetition with the same content is a success, because the
//! person's wish is fulfilled; with other content it is refused, and the field that differs is named.

use crate::Context;
use crate::balance::Balance;
use crate::error::CliError;
use crate::exit;
use crate::names::{self, Ledger, id_text};
use crate::output::Table;
use crate::units::timestamp_text;
use mizan_client::{Client, ClientError};
use mizan_wire::{Account, CREATED, CreateResult, CreateTransferStatus, Status, Transfer};
use serde_json::{Value, json};

/// One of the two accounts, as the person called it.
pub(crate) struct Party {
    pub(crate) id: u128,
    pub(crate) label: String,
}

/// Which balances are of interest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Columns {
    /// Posted, before and after.
    BeforeAndAfter,
    /// Posted, held, incoming and available, after.
    Apart,
}

/// A transfer that a person asked for.
pub(crate) struct Movement {
    /// What is sent.
    pub(crate) transfer: Transfer,
    /// Of both accounts.
    pub(crate) ledger: Ledger,
    /// Whose debits grow.
    pub(crate) debit: Party,
    /// Whose credits grow.
    pub(crate) credit: Party,
    /// What has been done if it succeeds, for people: `transferred 25.00 USD from alice to bob`.
    pub(crate) done: String,
    /// The amount, as it is shown.
    pub(crate) amount: u128,
    /// Whether the person chose the id or can derive it, so that a repetition is recognised anyway.
    pub(crate) is_repeatable: bool,
    /// How the balances are shown.
    pub(crate) columns: Columns,
}

/// What a status means to the person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Done now.
    Created,
    /// Done before, with the same content.
    Duplicate,
    /// The id was used before, with other content; the field that differs.
    Different(&'static str),
    /// Not done.
    Refused,
}

impl Verdict {
    pub(crate) fn of(status: u32) -> Self {
        let known = CreateTransferStatus::from_number(status);
        match known {
            Some(CreateTransferStatus::Created) => Self::Created,
            Some(CreateTransferStatus::Exists) => Self::Duplicate,
            Some(other) => other
                .name()
                .strip_prefix("exists_with_different_")
                .map_or(Self::Refused, Self::Different),
            None => Self::Refused,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Duplicate => "duplicate",
            Self::Different(_) => "duplicate_different",
            Self::Refused => "refused",
        }
    }

    /// A refusal for want of room has a code of its own.
    const fn exit_code(self, status: u32) -> u8 {
        match self {
            Self::Created | Self::Duplicate => exit::OK,
            Self::Different(_) => exit::PROBLEM,
            Self::Refused => exit::of_refusal(status),
        }
    }
}

/// Name and meaning of a status of `create_transfers`; numbers of a later release have neither.
pub(crate) fn describe(status: u32) -> (String, &'static str) {
    CreateTransferStatus::from_number(status).map_or_else(
        || (format!("status {status}"), "This release does not know the status; use a later one."),
        |known| (known.name().to_owned(), known.meaning()),
    )
}

/// Sends the transfer and shows what became of it. Nothing is sent if an account is missing, because that would
/// spend the transfer's id.
///
/// # Errors
/// Those of the client: a refusal is not an error but exit code 1.
pub(crate) fn perform(
    context: &mut Context,
    client: &mut Client,
    movement: &Movement,
) -> Result<u8, CliError> {
    let before = look_up(client, movement)?;
    if let Some(refusal) = refusal_in_advance(movement, before) {
        return refuse_in_advance(context, movement, before, &refusal);
    }
    let sent = client.create_transfers(&[movement.transfer]);
    let results = sent.map_err(|error| with_id(&error, movement))?;
    let result = results.first().copied().ok_or_else(|| {
        CliError::failed(exit::VERSION, "the node answered a transfer without a result")
    })?;
    let after = look_up(client, movement)?;
    let verdict = Verdict::of(result.status);
    let code = verdict.exit_code(result.status);
    if context.output.is_json() {
        let value = with_error(as_json(movement, result, verdict, before, after), code);
        if let Some(message) = value["error"]["message"].as_str() {
            context.output.note(message)?;
        }
        context.output.json(&value)?;
    } else {
        show(context, movement, result, verdict, before, after)?;
    }
    Ok(code)
}

/// Adds the error that every verb tells in the same way, if it is one.
fn with_error(mut value: Value, code: u8) -> Value {
    if code != exit::OK {
        let (name, message) = (value["status"].clone(), value["meaning"].clone());
        value["error"] = json!({ "code": code, "name": name, "message": message });
    }
    value
}

/// What the node would refuse anyway, with words that fit the case.
struct Refusal {
    status: CreateTransferStatus,
    text: String,
}

fn refusal_in_advance(movement: &Movement, accounts: [Option<Account>; 2]) -> Option<Refusal> {
    use CreateTransferStatus as S;
    let parties = [
        (&movement.debit, accounts[0], S::DebitAccountNotFound),
        (&movement.credit, accounts[1], S::CreditAccountNotFound),
    ];
    let ledger = &movement.ledger;
    parties.into_iter().find_map(|(party, account, status)| match account {
        None => Some(Refusal { status, text: missing_account(party, ledger) }),
        Some(account) if account.ledger != ledger.number => Some(Refusal {
            status: S::TransferMustHaveTheSameLedgerAsAccounts,
            text: format!(
                "account {} belongs to ledger {}, not to {}",
                party.label, account.ledger, ledger.currency
            ),
        }),
        Some(_) => None,
    })
}

fn refuse_in_advance(
    context: &mut Context,
    movement: &Movement,
    before: [Option<Account>; 2],
    refusal: &Refusal,
) -> Result<u8, CliError> {
    if context.output.is_json() {
        let result = CreateResult { status: refusal.status.number(), ..CreateResult::default() };
        let mut value = as_json(movement, result, Verdict::Refused, before, before);
        value["meaning"] = Value::from(refusal.text.as_str());
        value["timestamp"] = Value::Null;
        value["timestamp_ns"] = Value::Null;
        context.output.json(&with_error(value, exit::PROBLEM))?;
    } else {
        context.output.line(format!("refused: {}", refusal.status.name()))?;
    }
    context.output.note(format!("{}; nothing was sent, and the id is not spent", refusal.text))?;
    Ok(exit::PROBLEM)
}

/// What is to be known before an account is made without the flag that a hint proposes.
pub(crate) const WITHOUT_A_LIMIT: &str =
    "Without the flag it may go below zero, and an account's flags never change";

fn missing_account(party: &Party, ledger: &Ledger) -> String {
    let (label, number) = (&party.label, ledger.number);
    let is_name = if names::is_number(label) {
        format!("; a number is taken as an id, so write name:{label} if it is a name")
    } else {
        String::new()
    };
    let name = names::quoted(label);
    let currency = if ledger.is_registered { &ledger.currency } else { &number.to_string() };
    let currency = names::quoted(currency);
    format!(
        "there is no account {label} in {}; create it with `mizan accounts create {name} {currency} --flags debits_must_not_exceed_credits`. {WITHOUT_A_LIMIT}{is_name}",
        ledger.currency
    )
}

/// An error after which the transfer may have happened must tell how to find out.
fn with_id(error: &ClientError, movement: &Movement) -> CliError {
    let id = id_text(movement.transfer.id);
    let hint = if movement.is_repeatable {
        "run the same command again: it moves nothing twice".to_owned()
    } else {
        format!("run it again with --id {id}: it moves nothing twice")
    };
    CliError::failed(
        exit::of_client_error(error),
        format!("{error}. The transfer's id is {id}; {hint}"),
    )
}

fn look_up(client: &mut Client, movement: &Movement) -> Result<[Option<Account>; 2], CliError> {
    let ids = [movement.debit.id, movement.credit.id];
    let found = client.lookup_accounts(&ids)?;
    Ok(ids.map(|id| found.iter().find(|account| account.id == id).copied()))
}

fn show(
    context: &mut Context,
    movement: &Movement,
    result: CreateResult,
    verdict: Verdict,
    before: [Option<Account>; 2],
    after: [Option<Account>; 2],
) -> Result<(), CliError> {
    let output = &mut context.output;
    let (name, meaning) = describe(result.status);
    match verdict {
        Verdict::Created => output.line(&movement.done)?,
        Verdict::Duplicate => {
            output.line("duplicate: original result")?;
            output.line(format!("{} at {}", movement.done, timestamp_text(result.timestamp)))?;
        }
        Verdict::Different(field) => {
            output.line(format!("duplicate_different ({field})"))?;
            output.note(meaning)?;
        }
        Verdict::Refused => {
            output.line(format!("refused: {name}"))?;
            output.note(meaning)?;
        }
    }
    let id = id_text(movement.transfer.id);
    output.line(format!("id {id}"))?;
    if !movement.is_repeatable && verdict == Verdict::Created {
        output.note(format!("to repeat this safely, add --id {id}"))?;
    }
    let is_alone = is_alone(movement, verdict, before, after);
    output.table(&balances(movement, before, after, is_alone))?;
    if !is_alone {
        output.note("other transfers moved these accounts meanwhile: the difference is not this one's amount alone")?;
    }
    Ok(())
}

/// Whether nothing but this transfer moved what the accounts have posted between the two looks at them.
fn is_alone(
    movement: &Movement,
    verdict: Verdict,
    before: [Option<Account>; 2],
    after: [Option<Account>; 2],
) -> bool {
    let ([Some(payer), Some(payee)], [Some(payer_now), Some(payee_now)]) = (before, after) else {
        return true;
    };
    if movement.columns != Columns::BeforeAndAfter {
        return true;
    }
    let amount = if verdict == Verdict::Created { movement.amount } else { 0 };
    payer_now.debits_posted.checked_sub(payer.debits_posted) == Some(amount)
        && payee_now.credits_posted.checked_sub(payee.credits_posted) == Some(amount)
        && payer_now.credits_posted == payer.credits_posted
        && payee_now.debits_posted == payee.debits_posted
}

fn balances(
    movement: &Movement,
    before: [Option<Account>; 2],
    after: [Option<Account>; 2],
    is_alone: bool,
) -> Table {
    let labels = [&movement.debit.label, &movement.credit.label];
    let balance = |account: Option<Account>| account.map(|account| Balance::of(&account));
    let pairs = std::iter::zip(before.map(balance), after.map(balance));
    let headings: &[&str] = match movement.columns {
        Columns::BeforeAndAfter if is_alone => &["account", "before", "after"],
        Columns::BeforeAndAfter => &["account", "before", "now"],
        Columns::Apart => &["account", "posted", "held", "incoming", "available"],
    };
    let mut table = Table::new(headings, 1);
    for (label, (before, after)) in std::iter::zip(labels, pairs) {
        let posted = |balance: Option<Balance>| {
            balance.map_or_else(String::new, |balance| balance.posted.text(movement.ledger.scale))
        };
        let mut cells = vec![label.clone()];
        match movement.columns {
            Columns::BeforeAndAfter => cells.extend([posted(before), posted(after)]),
            Columns::Apart => {
                cells.extend(after.into_iter().flat_map(|balance| balance.cells(&movement.ledger)));
            }
        }
        table.row(cells);
    }
    table
}

fn as_json(
    movement: &Movement,
    result: CreateResult,
    verdict: Verdict,
    before: [Option<Account>; 2],
    after: [Option<Account>; 2],
) -> Value {
    let scale = movement.ledger.scale;
    let balance = |account: Option<Account>| {
        account.map_or(Value::Null, |account| Balance::of(&account).json(scale))
    };
    let party = |party: &Party, index: usize| {
        json!({
            "name": party.label,
            "id": id_text(party.id),
            "before": balance(before[index]),
            "after": balance(after[index]),
        })
    };
    let field = match verdict {
        Verdict::Different(field) => Value::from(field),
        _ => Value::Null,
    };
    let (name, meaning) = describe(result.status);
    json!({
        "outcome": verdict.word(),
        "status": name,
        "status_number": result.status,
        "differs_in": field,
        "meaning": if result.status == CREATED { Value::Null } else { Value::from(meaning) },
        "id": id_text(movement.transfer.id),
        "timestamp": timestamp_text(result.timestamp),
        "timestamp_ns": result.timestamp.to_string(),
        "ledger": movement.ledger.number,
        "currency": movement.ledger.currency,
        "amount": mizan_wire::amount::format_amount(movement.amount, scale),
        "accounts": [party(&movement.debit, 0), party(&movement.credit, 1)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_told_apart_from_a_refusal_and_names_the_field_that_differs() {
        use CreateTransferStatus as S;
        assert_eq!(Verdict::of(CREATED), Verdict::Created);
        assert_eq!(Verdict::of(S::Exists.number()), Verdict::Duplicate);
        let amount = S::ExistsWithDifferentAmount.number();
        assert_eq!(Verdict::of(amount), Verdict::Different("amount"));
        let debit = S::ExistsWithDifferentDebitAccountId.number();
        assert_eq!(Verdict::of(debit), Verdict::Different("debit_account_id"));
        assert_eq!(Verdict::of(S::IdAlreadyFailed.number()), Verdict::Refused);
        assert_eq!(Verdict::of(S::ExceedsCredits.number()), Verdict::Refused);
        assert_eq!(Verdict::of(77_777), Verdict::Refused);
    }

    #[test]
    fn balances_that_others_moved_as_well_are_not_shown_as_what_this_transfer_left() {
        let party = |label: &str| Party { id: 1, label: label.to_owned() };
        let movement = Movement {
            transfer: Transfer::default(),
            ledger: Ledger::unregistered(1),
            debit: party("a"),
            credit: party("b"),
            done: String::new(),
            amount: 100,
            is_repeatable: true,
            columns: Columns::BeforeAndAfter,
        };
        let account = |debits_posted: u128, credits_posted: u128| {
            Some(Account { debits_posted, credits_posted, ..Account::default() })
        };
        let before = [account(5, 0), account(0, 5)];
        for (after, verdict, heading) in [
            ([account(105, 0), account(0, 105)], Verdict::Created, "after"),
            ([account(305, 0), account(0, 105)], Verdict::Created, "now"),
            ([account(105, 1), account(0, 105)], Verdict::Created, "now"),
            ([account(5, 0), account(0, 5)], Verdict::Duplicate, "after"),
            ([account(105, 0), account(0, 105)], Verdict::Duplicate, "now"),
        ] {
            let is_alone = is_alone(&movement, verdict, before, after);
            let table = balances(&movement, before, after, is_alone).lines();
            assert!(table[0].ends_with(heading), "{table:?}");
        }
    }

    #[test]
    fn only_created_and_duplicate_end_in_success() {
        for status in CreateTransferStatus::PRECEDENCE {
            let is_success = Verdict::of(status.number()).exit_code(status.number()) == exit::OK;
            let expected =
                matches!(status, CreateTransferStatus::Created | CreateTransferStatus::Exists);
            assert_eq!(is_success, expected, "{}", status.name());
        }
    }

    #[test]
    fn a_status_of_a_later_release_is_shown_by_its_number() {
        assert_eq!(describe(77_777).0, "status 77777");
        assert_eq!(describe(54).0, "exceeds_credits");
    }
}
