//! `mizan hold`, `mizan post` and `mizan void`: money that is reserved, then moved or given back.
//!
//! A post or void without an id of its own gets one that is made from the hold's and the verb, so that the same
//! command twice is a duplicate and not a second attempt.

use crate::Context;
use crate::args::{HoldArgs, PostArgs, VoidArgs};
use crate::connection::with_session;
use crate::error::CliError;
use crate::money;
use crate::movement::{Columns, Movement, Party, perform};
use crate::names::{self, Ledger, id_text};
use crate::units::parse_duration;
use crate::verbs::transfer::{Asked, transfer_id};
use mizan_client::Client;
use mizan_wire::{Transfer, TransferFlags};

/// Reserves money; exit 1 if the node refuses.
///
/// # Errors
/// The line makes no sense, an account is missing, or the node cannot be asked.
pub fn run_hold(context: &mut Context, args: &HoldArgs) -> Result<u8, CliError> {
    let id = transfer_id(args.id.as_deref())?;
    let timeout = args.timeout.as_deref().map_or(Ok(0), timeout_seconds)?;
    with_session(context, &args.connect, |context, client| {
        let mark = args.decimal.decimal;
        let asked = Asked::read(client, &args.from, &args.to, &args.amount, &args.currency, mark)?;
        let flags = TransferFlags::PENDING;
        let transfer = Transfer { id, code: args.code, timeout, flags, ..asked.transfer() };
        let done = asked.sentence("held");
        let movement = asked.movement(transfer, done, args.id.is_some(), Columns::Apart);
        perform(context, client, &movement)
    })
}

/// Moves what a hold reserved, or a part of it; exit 1 if the node refuses.
///
/// # Errors
/// The line makes no sense, there is no such hold, or the node cannot be asked.
pub fn run_post(context: &mut Context, args: &PostArgs) -> Result<u8, CliError> {
    let hold_id = names::transfer_id(&args.hold)?;
    let id = resolution_id(args.id.as_deref(), "post", hold_id)?;
    with_session(context, &args.connect, |context, client| {
        let hold = Hold::find(client, hold_id, &args.hold)?;
        let typed = args.amount.as_deref();
        let read = |text| money::parse(text, hold.ledger.scale, args.decimal.decimal);
        let amount = typed.map(read).transpose()?;
        let transfer = Transfer {
            id,
            pending_id: hold_id,
            // The largest amount stands for all that is held.
            amount: amount.unwrap_or(u128::MAX),
            flags: TransferFlags::POST_PENDING,
            ..Transfer::default()
        };
        let movement = hold.movement(transfer, "posted", amount);
        perform(context, client, &movement)
    })
}

/// Gives back what a hold reserved; exit 1 if the node refuses.
///
/// # Errors
/// There is no such hold, or the node cannot be asked.
pub fn run_void(context: &mut Context, args: &VoidArgs) -> Result<u8, CliError> {
    let hold_id = names::transfer_id(&args.hold)?;
    let id = resolution_id(args.id.as_deref(), "void", hold_id)?;
    with_session(context, &args.connect, |context, client| {
        let hold = Hold::find(client, hold_id, &args.hold)?;
        let transfer = Transfer {
            id,
            pending_id: hold_id,
            flags: TransferFlags::VOID_PENDING,
            ..Transfer::default()
        };
        let movement = hold.movement(transfer, "voided", None);
        perform(context, client, &movement)
    })
}

fn resolution_id(typed: Option<&str>, verb: &str, hold_id: u128) -> Result<u128, CliError> {
    let derived = || names::own_transfer_id(&format!("{verb} of {}", id_text(hold_id)));
    typed.map_or_else(|| Ok(derived()), names::transfer_id)
}

fn timeout_seconds(text: &str) -> Result<u32, CliError> {
    let duration = parse_duration(text)
        .map_err(|error| CliError::Usage(format!("--timeout is `{text}`: {error}")))?;
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| *seconds > 0 && duration.subsec_nanos() == 0)
        .ok_or_else(|| {
            CliError::Usage(format!(
                "--timeout is `{text}`: a hold lapses after 1 to 4294967295 whole seconds"
            ))
        })
}

/// A hold that a person named.
struct Hold {
    label: String,
    record: Transfer,
    ledger: Ledger,
}

impl Hold {
    /// Looks the hold up first: a post or void of one that does not exist would spend its own id.
    fn find(client: &mut Client, id: u128, label: &str) -> Result<Self, CliError> {
        let found = client.lookup_transfers(&[id])?;
        let Some(record) = found.first().copied() else {
            return Err(CliError::Problem(format!(
                "there is no hold {label} (id {}); nothing was sent. The id is the one that was given to `mizan hold`",
                id_text(id)
            )));
        };
        let ledger = Ledger::of_number(&client.ledgers()?, record.ledger);
        Ok(Self { label: label.to_owned(), record, ledger })
    }

    fn movement(self, transfer: Transfer, verb: &str, amount: Option<u128>) -> Movement {
        let party = |id| Party { id, label: id_text(id) };
        let amount = amount.unwrap_or(self.record.amount);
        Movement {
            transfer,
            debit: party(self.record.debit_account_id),
            credit: party(self.record.credit_account_id),
            done: format!("{verb} {} of hold {}", self.ledger.amount_text(amount), self.label),
            ledger: self.ledger,
            amount,
            is_repeatable: true,
            columns: Columns::Apart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_lapses_after_whole_seconds_only() {
        assert_eq!(timeout_seconds("60s").expect("whole"), 60);
        assert_eq!(timeout_seconds("2h").expect("whole"), 7_200);
        assert_eq!(timeout_seconds("2000ms").expect("whole"), 2);
        for text in ["0s", "500ms", "60", "50000d"] {
            let error = timeout_seconds(text).expect_err("refused");
            assert_eq!(error.exit_code(), crate::exit::USAGE, "{text}");
        }
    }

    #[test]
    fn post_and_void_of_the_same_hold_have_ids_of_their_own_that_never_change() {
        let id = |typed, verb| resolution_id(typed, verb, 7).expect("an id");
        assert_eq!(id(None, "post"), id(None, "post"));
        assert_ne!(id(None, "post"), id(None, "void"));
        assert_eq!(id(Some("0x9"), "post"), 9);
        assert_ne!(id(Some("9"), "post"), 9, "digits are text, as in a file");
    }
}
