//! The verbs, one module each: what was typed goes in, an exit code comes out.

pub mod account;
pub mod bench;
pub mod book;
pub mod cluster;
pub mod create;
pub mod demo;
pub mod dev;
pub mod drill;
pub mod explain;
pub mod export;
mod files_status;
pub mod format;
pub mod hold;
pub mod import;
pub mod import_orders;
pub mod import_state;
pub mod inspect;
pub mod instrument;
pub mod ledgers;
mod node_status;
pub mod order;
pub mod repl;
pub mod reports;
pub mod sessions;
pub mod sim;
pub mod start;
pub mod status;
pub mod transfer;
pub mod trial_balance;
pub mod verify;

use crate::Context;
use crate::args::{AccountsVerb, InstrumentVerb, LedgerVerb, OrderVerb, SessionsVerb, Verb};
use crate::error::CliError;
use mizan_wire::orders::Side;

/// Whether a verb does nothing but show something: without a reader there is nothing left to do. All others move
/// something, or their exit code is what they are run for.
#[must_use]
pub const fn only_shows(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Account(_)
            | Verb::Book(_)
            | Verb::Explain(_)
            | Verb::Export(_)
            | Verb::Inspect(_)
            | Verb::Ledgers(_)
            | Verb::Reports(_)
    )
}

/// Runs a verb; gives the exit code.
///
/// # Errors
/// Those of the verb.
pub fn dispatch(context: &mut Context, verb: &Verb) -> Result<u8, CliError> {
    match verb {
        Verb::Demo(args) => demo::run(context, args),
        Verb::Dev(args) => dev::run(context, args),
        Verb::Transfer(args) => transfer::run(context, args),
        Verb::Hold(args) => hold::run_hold(context, args),
        Verb::Post(args) => hold::run_post(context, args),
        Verb::Void(args) => hold::run_void(context, args),
        Verb::Account(args) => account::run(context, args),
        Verb::Accounts(args) => match &args.verb {
            AccountsVerb::Create(args) => create::run_accounts(context, args),
        },
        Verb::Ledger(args) => match &args.verb {
            LedgerVerb::Create(args) => create::run_ledger(context, args),
        },
        Verb::Ledgers(args) => ledgers::run(context, args),
        Verb::TrialBalance(args) => trial_balance::run(context, args),
        Verb::Instrument(args) => match &args.verb {
            InstrumentVerb::Create(args) => instrument::run_create(context, args),
            InstrumentVerb::List(args) => instrument::run_list(context, args),
            InstrumentVerb::State(args) => instrument::run_state(context, args),
            InstrumentVerb::Close(args) => instrument::run_close(context, args),
        },
        Verb::Order(args) => match &args.verb {
            OrderVerb::Buy(args) => order::run_enter(context, Side::Buy, args),
            OrderVerb::Sell(args) => order::run_enter(context, Side::Sell, args),
            OrderVerb::Amend(args) => order::run_amend(context, args),
            OrderVerb::Cancel(args) => order::run_cancel(context, args),
            OrderVerb::List(args) => order::run_list(context, args),
        },
        Verb::Book(args) => book::run(context, args),
        Verb::Reports(args) => reports::run(context, args),
        Verb::Explain(args) => explain::run(context, args),
        Verb::Import(args) => import::run(context, args),
        Verb::ImportState(args) => import_state::run(context, args),
        Verb::ImportOrders(args) => import_orders::run(context, args),
        Verb::Repl(args) => repl::run(context, args),
        Verb::Status(args) => status::run(context, args),
        Verb::Sessions(args) => match &args.verb {
            SessionsVerb::List(args) => sessions::run_list(context, args),
            SessionsVerb::Close(args) => sessions::run_close(context, args),
        },
        Verb::Bench(args) => bench::run(context, args),
        Verb::Format(args) => format::run(context, args),
        Verb::Start(args) => start::run(context, args),
        Verb::Promote(args) => cluster::run_promote(context, args),
        Verb::ChangeSecret(args) => format::run_change_secret(context, args),
        Verb::Detach(args) => cluster::run_detach(context, args),
        Verb::Drill(args) => drill::run(context, args),
        Verb::Verify(args) => verify::run(context, args),
        Verb::Export(args) => export::run(context, args),
        Verb::Inspect(args) => inspect::run(context, args),
        Verb::Sim(args) => sim::run_sim(context, args),
    }
}
