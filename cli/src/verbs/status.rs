//! `mizan status`: who the node is, how far it is, how full it is, how fast it answers.
//!
//! With `--data` it reads the files of a node that does not run.

use crate::Context;
use crate::args::StatusArgs;
use crate::config::{Key, Target};
use crate::connection::with_reader;
use crate::error::CliError;
use crate::names::id_text;
use crate::output::Table;
use crate::units::timestamp_text;
use crate::verbs::inspect;
use crate::verbs::verify::output_hash;
use crate::verdict;
use mizan_client::{Client, NodeInfo};
use mizan_node::status::{Alarm, Alarms};
use mizan_wire::EngineStatus;
use serde_json::{Value, json};
use std::time::Duration;

/// Pings whose round trips are measured.
const PINGS: usize = 16;

/// Runs the verb.
///
/// # Errors
/// The node cannot be asked, or the files cannot be read.
pub fn run(context: &mut Context, args: &StatusArgs) -> Result<u8, CliError> {
    if let Some(replica) = &args.replica {
        let nodes = context.settings.address_list(Key::Replica, Some(replica))?;
        let nodes = nodes.unwrap_or_default();
        return crate::verbs::cluster::run_status(context, &nodes, args.secret_file.as_deref());
    }
    let address = args.connect.address.as_deref();
    match context.settings.target(address, args.data.as_deref())? {
        Target::Files(directory) => inspect::status(context, &directory),
        Target::Node(_) => with_reader(context, &args.connect, |context, client| {
            let report = Report::gather(client)?;
            if context.output.is_json() {
                context.output.json(&report.json())?;
            } else {
                show(context, &report)?;
            }
            Ok(verdict::of_alarms(report.alarms()))
        }),
    }
}

struct Report {
    node: NodeInfo,
    engine: EngineStatus,
    commit: u64,
    round_trip_min: Duration,
    round_trip_median: Duration,
}

impl Report {
    fn gather(client: &mut Client) -> Result<Self, CliError> {
        let engine = client.engine_status()?;
        let mut round_trips = Vec::with_capacity(PINGS);
        let mut commit = 0;
        for _ in 0..PINGS {
            let reply = client.ping()?;
            commit = reply.commit;
            round_trips.push(reply.round_trip);
        }
        round_trips.sort_unstable();
        Ok(Self {
            node: *client.node(),
            engine,
            commit,
            round_trip_min: round_trips[0],
            round_trip_median: round_trips[PINGS / 2],
        })
    }

    fn role(&self) -> &'static str {
        if self.node.is_primary() { "primary" } else { "standby" }
    }

    /// What is used, and what fits.
    fn limits(&self) -> Vec<(&'static str, u64, u64)> {
        let engine = &self.engine;
        let spent = engine.transfers_taken();
        let mut limits = vec![
            ("accounts", engine.account_count, engine.account_count_max),
            ("transfers and spent ids", spent, engine.transfer_count_max),
            ("open holds", engine.hold_count, engine.hold_count_max),
            ("ledgers", engine.ledger_count.into(), engine.ledger_count_max.into()),
            ("sessions", engine.session_count.into(), engine.session_count_max.into()),
        ];
        if engine.has_trading() {
            let open_max = engine.open_order_count_max.into();
            let levels = engine.book_level_count_taken.into();
            limits.extend([
                ("instruments", engine.instrument_count.into(), engine.instrument_count_max.into()),
                ("orders", engine.order_count, engine.order_count_max),
                ("open orders", engine.open_order_count.into(), open_max),
                ("orders of the books", engine.open_order_count_taken.into(), open_max),
                ("levels of the books", levels, engine.book_level_count_max.into()),
            ]);
        }
        limits
    }

    /// The alarms that stood when the node answered.
    const fn alarms(&self) -> Alarms {
        Alarms::from_bits(self.node.limits.alarms)
    }

    fn json(&self) -> Value {
        let engine = &self.engine;
        let limits: serde_json::Map<String, Value> = self
            .limits()
            .iter()
            .map(|(name, used, max)| (name.replace(' ', "_"), json!({ "used": used, "max": max })))
            .collect();
        json!({
            "address": self.node.address.to_string(),
            "role": self.role(),
            "epoch": self.node.epoch,
            "commit": self.commit,
            "sequence": engine.sequence,
            "cluster": id_text(engine.cluster),
            "timestamp": timestamp_text(engine.timestamp),
            "digest": format!("{:#034x}", engine.digest),
            "output_hash": output_hash(engine),
            "semantics_version": engine.semantics_version,
            "transfers": engine.transfer_count,
            "spent_ids": engine.burnt_id_count,
            "limits": limits,
            "alarms": self.alarms().iter().map(Alarm::name).collect::<Vec<_>>(),
            "ping_us": {
                "min": micros(self.round_trip_min),
                "p50": micros(self.round_trip_median),
                "samples": PINGS,
            },
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn show(context: &mut Context, report: &Report) -> Result<(), CliError> {
    let engine = &report.engine;
    let output = &mut context.output;
    let facts = [
        ("node", report.node.address.to_string()),
        ("role", report.role().to_owned()),
        ("cluster", id_text(engine.cluster)),
        ("epoch", report.node.epoch.to_string()),
        ("commit", report.commit.to_string()),
        ("last entry", format!("{} at {}", engine.sequence, timestamp_text(engine.timestamp))),
        ("digest", format!("{:#034x}", engine.digest)),
        (
            "ping",
            format!(
                "{} us median, {} us least of {PINGS}",
                micros(report.round_trip_median),
                micros(report.round_trip_min)
            ),
        ),
    ];
    let output_hash = output_hash(engine).map(|hash| ("output hash", hash));
    for (name, value) in facts.into_iter().chain(output_hash) {
        output.line(format!("{name:<11} {value}"))?;
    }
    output.line("")?;
    let mut table = Table::new(&["limit", "used", "of", "percent"], 1);
    for (name, used, max) in report.limits() {
        table.row([name.to_owned(), used.to_string(), max.to_string(), percent(used, max)]);
    }
    output.table(&table)?;
    for alarm in report.alarms().iter() {
        output.line(format!("alarm {}: {}", alarm.name(), alarm.advice()))?;
    }
    Ok(())
}

/// With one decimal place, by whole numbers.
fn percent(used: u64, max: u64) -> String {
    let per_mille = u128::from(used) * 1_000 / u128::from(max.max(1));
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact_to_one_place_and_survive_empty_limits() {
        assert_eq!(percent(0, 10), "0.0");
        assert_eq!(percent(1, 8), "12.5");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0");
        assert_eq!(percent(0, 0), "0.0");
    }
}
