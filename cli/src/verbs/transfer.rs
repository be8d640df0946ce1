//! `mizan transfer`: moves money, and shows both balances before and after.

use crate::Context;
use crate::args::TransferArgs;
use crate::connection::with_session;
use crate::error::CliError;
use crate::money::{self, DecimalMark};
use crate::movement::{Columns, Movement, Party, perform};
use crate::names::{self, Ledger};
use mizan_client::Client;
use mizan_wire::Transfer;

/// Runs the verb; exit 1 if the node refuses.
///
/// # Errors
/// The line makes no sense, an account is missing, or the node cannot be asked.
pub fn run(context: &mut Context, args: &TransferArgs) -> Result<u8, CliError> {
    let id = transfer_id(args.id.as_deref())?;
    with_session(context, &args.connect, |context, client| {
        let mark = args.decimal.decimal;
        let asked = Asked::read(client, &args.from, &args.to, &args.amount, &args.currency, mark)?;
        let transfer = Transfer { id, code: args.code, ..asked.transfer() };
        let done = asked.sentence("transferred");
        let is_repeatable = args.id.is_some();
        let movement = asked.movement(transfer, done, is_repeatable, Columns::BeforeAndAfter);
        perform(context, client, &movement)
    })
}

/// The typed id, or a fresh one.
pub(crate) fn transfer_id(typed: Option<&str>) -> Result<u128, CliError> {
    typed.map_or_else(|| Ok(mizan_client::id()), names::transfer_id)
}

/// Two accounts, an amount and a currency, as typed and as understood.
pub(crate) struct Asked {
    ledger: Ledger,
    amount: u128,
    debit: Party,
    credit: Party,
}

impl Asked {
    pub(crate) fn read(
        client: &mut Client,
        from: &str,
        to: &str,
        amount: &str,
        currency: &str,
        mark: Option<DecimalMark>,
    ) -> Result<Self, CliError> {
        let ledger = names::resolve_ledger(&client.ledgers()?, currency)?;
        let party = |label: &str| {
            Ok::<Party, CliError>(Party {
                id: names::account_id(ledger.number, label)?,
                label: label.to_owned(),
            })
        };
        let (debit, credit) = (party(from)?, party(to)?);
        let amount = money::parse(amount, ledger.scale, mark)?;
        Ok(Self { ledger, amount, debit, credit })
    }

    pub(crate) fn transfer(&self) -> Transfer {
        Transfer {
            debit_account_id: self.debit.id,
            credit_account_id: self.credit.id,
            amount: self.amount,
            ledger: self.ledger.number,
            ..Transfer::default()
        }
    }

    pub(crate) fn sentence(&self, verb: &str) -> String {
        let amount = self.ledger.amount_text(self.amount);
        format!("{verb} {amount} from {} to {}", self.debit.label, self.credit.label)
    }

    pub(crate) fn movement(
        self,
        transfer: Transfer,
        done: String,
        is_repeatable: bool,
        columns: Columns,
    ) -> Movement {
        Movement {
            transfer,
            ledger: self.ledger,
            debit: self.debit,
            credit: self.credit,
            done,
            amount: self.amount,
            is_repeatable,
            columns,
        }
    }
}
