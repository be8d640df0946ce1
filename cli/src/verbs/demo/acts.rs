//! The acts, one function each. Later acts are added, none removed.

use super::{Act, Said, Stage, counted};
use crate::error::CliError;
use crate::exit;
use crate::files::count_text;
use crate::money::wide_text;
use crate::names::own_account_id;
use crate::recorded_load::RecordedLoad;
use crate::verbs::{bench, dev, verify as verifier};
use mizan_client::{Client, ClientConfig};
use mizan_loadgen::BenchOptions;
use mizan_wire::{CREATED, CreateLedger, EngineStatus, read_name};
use serde_json::json;
use std::time::{Duration, Instant};

/// The ledger of the payments: US dollars with two decimal places.
const USD: u32 = dev::LEDGERS[0].0;
/// The ledgers of the loads.
const LOAD_LEDGER: u32 = 7;
const CRASH_LEDGER: u32 = 8;
/// Accounts of the measured load.
const LOAD_ACCOUNTS: u64 = 10_000;
/// How long the load runs before the node is killed.
const CRASH_AFTER: Duration = Duration::from_secs(2);
/// Acknowledged batches that are sent once more after the crash.
const REPEATED_BATCHES: usize = 10;

/// Posted debits and credits, held debits and credits, in smallest units.
type Sums = [u128; 4];

fn act(name: &'static str, is_right: bool, outcome: String, figures: serde_json::Value) -> Act {
    Act { name, outcome, figures, is_right }
}

/// Act 1: a node in a process of its own.
pub(super) fn start(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage.headline("1  a node: formatted, started, furnished")?;
    let ready = stage.node.start(stage.signals)?;
    let address = stage.node.address();
    dev::furnish(address)?;
    name_ledgers(stage)?;
    let process = stage.node.process_id().unwrap_or_default();
    stage.say(format!(
        "process {process} listens at {address}, ready in {} ms",
        ready.as_millis()
    ))?;
    stage.say(format!("files in {}", stage.node.data().display()))?;
    let outcome = format!("ready in {} ms", ready.as_millis());
    let figures = json!({ "ready_ms": ready.as_millis() as u64 });
    Ok(vec![act("format and start", true, outcome, figures)])
}

/// Gives the ledgers of the loads a name and decimal places.
fn name_ledgers(stage: &Stage<'_>) -> Result<(), CliError> {
    let ledgers = [(LOAD_LEDGER, "LOAD"), (CRASH_LEDGER, "CRASH")].map(|(number, currency)| {
        CreateLedger::new(number, 2, currency, currency).expect("invariant: the names fit")
    });
    let mut client = Client::connect(ClientConfig::at(stage.node.address()))?;
    let results = client.create_ledgers(&ledgers)?;
    client.close()?;
    if results.iter().all(|result| result.status == CREATED) {
        Ok(())
    } else {
        Err(CliError::Problem(format!("a ledger of the loads was refused: {results:?}")))
    }
}

/// Acts 2 to 4: a payment, the same again, the same with another amount, a hold.
pub(super) fn payments(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    let mut acts = Vec::new();
    let before = sums(stage, "alice")?;

    stage.headline("2  a payment")?;
    let said = stage.type_line("transfer alice bob 25.00 USD --id lunch-17")?;
    let after = sums(stage, "alice")?;
    let is_right = said.code == exit::OK && after == moved(before, 2_500, 0);
    acts.push(typed("a payment", is_right, "25.00 USD moved", &said));

    stage.headline("3  the same payment again, as after a lost reply; then with another amount")?;
    let said = stage.type_line("transfer alice bob 25.00 USD --id lunch-17")?;
    let is_right = said.code == exit::OK
        && said.text.contains("duplicate: original result")
        && sums(stage, "alice")? == after;
    acts.push(typed(
        "the same again",
        is_right,
        "duplicate: original result; nothing moved",
        &said,
    ));
    let said = stage.type_line("transfer alice bob 26.00 USD --id lunch-17")?;
    let is_right = said.code == exit::PROBLEM
        && said.text.contains("duplicate_different (amount)")
        && sums(stage, "alice")? == after;
    let outcome = "refused: duplicate_different (amount); nothing moved";
    acts.push(typed("with another amount", is_right, outcome, &said));

    stage.headline("4  a hold: posted, held and available are three things")?;
    let held = stage.type_line("hold alice merchant 40.00 USD --id booking-9")?;
    let is_held = held.code == exit::OK && sums(stage, "alice")? == moved(after, 0, 4_000);
    let posted = stage.type_line("post booking-9 30.00")?;
    let is_right =
        is_held && posted.code == exit::OK && sums(stage, "alice")? == moved(after, 3_000, 0);
    acts.push(typed(
        "a hold, posted in part",
        is_right,
        "40.00 held, 30.00 posted, 10.00 released",
        &posted,
    ));
    Ok(acts)
}

fn typed(name: &'static str, is_right: bool, outcome: &str, said: &Said) -> Act {
    let outcome = if is_right {
        outcome.to_owned()
    } else {
        format!("exit {}: {}", said.code, said.text.trim())
    };
    act(name, is_right, outcome, json!({ "exit": said.code }))
}

/// The sums of a named account, asked for by another client than the one that moved the money.
fn sums(stage: &Stage<'_>, name: &str) -> Result<Sums, CliError> {
    let mut client = reader(stage)?;
    let accounts = client.lookup_accounts(&[own_account_id(USD, name)])?;
    let account = accounts
        .first()
        .ok_or_else(|| CliError::Problem(format!("account {name} is not there")))?;
    Ok([
        account.debits_posted,
        account.credits_posted,
        account.debits_pending,
        account.credits_pending,
    ])
}

fn reader(stage: &Stage<'_>) -> Result<Client, CliError> {
    let config = ClientConfig { read_only: true, ..ClientConfig::at(stage.node.address()) };
    Ok(Client::connect(config)?)
}

/// The sums after so much was paid and so much is held.
const fn moved(before: Sums, paid: u128, held: u128) -> Sums {
    [before[0] + paid, before[1], before[2] + held, before[3]]
}

/// Act 5: two traders, a book, and a trade that settles in the ledger.
pub(super) fn market(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage
        .headline("5  a market: what an order holds, and a trade that settles in the same step")?;
    let mut is_right = true;
    for line in [
        "instrument list",
        "order sell ACME 6 @ 18.90 --account bob --client-order-id ask-1",
        "order buy ACME 4 @ 18.80 --account alice --client-order-id bid-1",
        "book ACME",
    ] {
        is_right &= stage.type_line(line)?.code == exit::OK;
    }
    let before = sums(stage, "alice")?;
    let said =
        stage.type_line("order buy ACME 5 @ 19.00 --account alice --client-order-id bid-2")?;
    // 5 at 18.90, the maker's price, and the fee; the bid that rests still holds 4 at 18.80 and the fee.
    is_right &= said.code == exit::OK
        && said.text.contains("filled at 18.90 USD on average")
        && sums(stage, "alice")? == moved(before, 9_450 + 100, 0);
    is_right &= stage.type_line("reports alice")?.code == exit::OK;
    let outcome = "5 ACME at 18.90 USD: money, shares and fee in one step; 76.20 held for the rest";
    Ok(vec![typed("a trade that settles", is_right, outcome, &said)])
}

/// Act 6: a load, measured.
pub(super) fn load(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage.headline("6  a load: one client, full batches, every reply durable before it is sent")?;
    let options = BenchOptions {
        addresses: vec![stage.node.address()],
        accounts: LOAD_ACCOUNTS,
        transfers: stage.transfers,
        seed: stage.seed,
        ledger: LOAD_LEDGER,
        own_pids: stage.node.process_id().into_iter().collect(),
        ..BenchOptions::default()
    };
    let report = bench::measure(&options, stage.output, stage.signals)?;
    let latency = report.latency_us;
    let outcome = format!(
        "{} in {:.1} s: {} per second; batch p50 {:.1} ms, p99 {:.1} ms",
        counted(report.acknowledged, "transfers"),
        report.duration_s,
        count_text(report.transfers_per_s as u64),
        latency.p50 as f64 / 1e3,
        latency.p99 as f64 / 1e3,
    );
    stage.say(&outcome)?;
    stage.say("every balance was looked up afterwards: as acknowledged")?;
    let is_right = report.errors == 0 && report.acknowledged == stage.transfers;
    Ok(vec![act("a load", is_right, outcome, bench::as_json(&report)?)])
}

/// Acts 7 and 8: kill -9 in the middle of a load; what was acknowledged is there, once.
pub(super) fn crash(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage.headline(
        "7  kill -9 in the middle of a load; acknowledgements are recorded outside the node",
    )?;
    let mut load = RecordedLoad::start(stage.node.address(), CRASH_LEDGER, stage.seed)?;
    run_until_crash(stage, &mut load)?;
    let (acknowledged, unanswered) = (load.acknowledged(), load.unanswered());
    stage.node.kill9()?;
    let outcome = format!(
        "{} acknowledged, {} unanswered",
        counted(acknowledged, "transfers"),
        count_text(unanswered)
    );
    stage.say(format!("killed: {outcome}"))?;
    let figures = json!({ "acknowledged": acknowledged, "unanswered": unanswered });
    let killed = act("kill -9 in mid-load", acknowledged > 0 && unanswered > 0, outcome, figures);

    stage.headline(
        "8  restart: every acknowledged transfer is looked up, the others are sent again",
    )?;
    let recovery = stage.node.start(stage.signals)?;
    stage.say(format!("recovered and listening in {} ms", recovery.as_millis()))?;
    while !load.settle()? {
        stage.signals.check()?;
    }
    Ok(vec![killed, after_crash(stage, load, acknowledged, unanswered, recovery)?])
}

fn run_until_crash(stage: &mut Stage<'_>, load: &mut RecordedLoad) -> Result<(), CliError> {
    let bar = stage.output.progress(CRASH_AFTER.as_millis() as u64, "load until the kill");
    let begin = Instant::now();
    // Whoever is killed must have something to lose: replies given, and requests under way.
    while begin.elapsed() < CRASH_AFTER || load.acknowledged() == 0 || load.unanswered() == 0 {
        if load.acknowledged() + load.unanswered() >= stage.crash_transfers_max() {
            break;
        }
        stage.signals.check()?;
        load.pump()?;
        bar.set_position(begin.elapsed().as_millis() as u64);
    }
    load.send()?;
    bar.finish_and_clear();
    Ok(())
}

fn after_crash(
    stage: &mut Stage<'_>,
    mut load: RecordedLoad,
    acknowledged: u64,
    unanswered: u64,
    recovery: Duration,
) -> Result<Act, CliError> {
    let replayed = load.replayed();
    let (same, asked) = load.repeat_last(REPEATED_BATCHES)?;
    let audit = load.audit()?;
    load.close()?;
    stage.say(format!(
        "acknowledged {}: lost {}, altered {}; doubled {}; wrong balances {}",
        count_text(acknowledged),
        audit.lost,
        audit.altered,
        audit.doubled,
        audit.wrong_balances
    ))?;
    stage.say(format!(
        "unanswered {}: resent under the same numbers and answered once; {} replies were kept from before the kill",
        count_text(unanswered),
        counted(replayed, "batch")
    ))?;
    stage.say(format!(
        "{} of {} repeated transfers got their original result",
        count_text(same),
        count_text(asked)
    ))?;
    let is_right =
        audit.is_clean() && audit.acknowledged == acknowledged + unanswered && same == asked;
    let outcome = format!(
        "recovery {} ms; lost {}, doubled {}; {} unanswered resent, {} repeated: original results",
        recovery.as_millis(),
        audit.lost + audit.altered,
        audit.doubled + audit.wrong_balances,
        count_text(unanswered),
        count_text(same)
    );
    let figures = json!({
        "recovery_ms": recovery.as_millis() as u64,
        "acknowledged": acknowledged,
        "resent": unanswered,
        "lost": audit.lost,
        "altered": audit.altered,
        "doubled": audit.doubled,
        "wrong_balances": audit.wrong_balances,
        "replayed_batches": replayed,
        "repeated": asked,
        "repeated_with_original_result": same,
    });
    Ok(act("restart and compare", is_right, outcome, figures))
}

/// Act 9: an orderly stop, and the files alone are verified by two implementations.
pub(super) fn verify(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage.headline("9  stop in order; two implementations verify the files alone")?;
    let online = reader(stage)?.engine_status()?;
    let stopped = stage.node.terminate()?;
    stage.say(format!("stopped in {} ms", stopped.as_millis()))?;
    let begin = Instant::now();
    let verdict = verifier::verify(stage.node.data(), true, stage.output)?;
    stage.signals.check()?;
    let report = &verdict.report;
    let seconds = begin.elapsed().as_secs_f64();
    if !stage.output.is_json() {
        stage.output.table(&verifier::trial_balance(&report.trial_balance))?;
    }
    for problem in verdict.problems() {
        stage.say(format!("problem: {problem}"))?;
    }
    let independent = verdict.comparison.as_ref().map_or(0, |comparison| comparison.digest);
    let is_same = independent == report.engine.digest && agrees(&online, &report.engine);
    stage.say(format!("digest of the live node    {:032x}", online.digest))?;
    stage.say(format!("digest of the replay       {:032x}", report.engine.digest))?;
    stage.say(format!("second implementation      {independent:032x}"))?;
    let outcome = format!(
        "{} and {} verified in {seconds:.1} s; {} digests confirmed",
        counted(report.journal.entries, "log entries"),
        counted(report.engine.transfer_count, "transfers"),
        report.digests_confirmed,
    );
    let figures = json!({
        "stop_ms": stopped.as_millis() as u64,
        "verify_s": seconds,
        "entries": report.journal.entries,
        "transfers": report.engine.transfer_count,
        "digests_confirmed": report.digests_confirmed,
        "digest": format!("{:032x}", report.engine.digest),
        "independent_digest": format!("{independent:032x}"),
    });
    let verified = act("verify, independently", verdict.is_sound() && is_same, outcome, figures);
    Ok(vec![verified, trial_balance(&verdict)])
}

/// Whether the live node's digest is that of the replay; a node may add entries of its own after it was asked.
const fn agrees(online: &EngineStatus, replayed: &EngineStatus) -> bool {
    online.sequence != replayed.sequence || online.digest == replayed.digest
}

fn trial_balance(verdict: &verifier::Verdict) -> Act {
    let rows = &verdict.report.trial_balance;
    let is_right = !rows.is_empty() && rows.iter().all(|row| row.is_balanced());
    let of_row = |row: &mizan_wire::TrialBalanceRow| {
        let name = read_name(&row.currency).map_or(format!("ledger {}", row.ledger), str::to_owned);
        format!("{name} {}", wide_text(row.debits_posted, row.scale))
    };
    let outcome = format!(
        "debits - credits = {} in each ledger; debits: {}",
        if is_right { "0" } else { "NOT 0" },
        rows.iter().map(of_row).collect::<Vec<_>>().join(", ")
    );
    act("trial balance", is_right, outcome, json!({ "ledgers": rows.len(), "balanced": is_right }))
}
