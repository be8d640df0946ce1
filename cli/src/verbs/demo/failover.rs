//! The act in which a standby takes over: a drill of two nodes, and its table.

use super::{Act, Stage, counted};
use crate::error::CliError;
use crate::files::count_text;
use crate::output::Table;
use crate::verbs::drill;
use serde_json::json;
use std::time::Duration;

/// Act 9: two nodes under load, kill -9 of the primary, promotion of the other one.
pub(super) fn take_over(stage: &mut Stage<'_>) -> Result<Vec<Act>, CliError> {
    stage.headline(
        "10  a standby takes over: two nodes under load, kill -9 of the primary, promote --solo",
    )?;
    let report = drill::two_nodes(stage.signals, stage.seed)?;
    let nothing_shown = || CliError::Problem("the drill of two nodes showed nothing".to_owned());
    let (_, failover) = report.failovers.first().ok_or_else(nothing_shown)?;
    let verdict = report.verdicts.first().ok_or_else(nothing_shown)?;
    if !stage.output.is_json() {
        let mut table = Table::new(&["from the kill to the first acknowledgement", "ms"], 1);
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        table.row(["detection".to_owned(), ms(failover.detect)]);
        table.row(["promotion".to_owned(), ms(failover.promote)]);
        table.row(["reconnect".to_owned(), ms(failover.reconnect)]);
        table.row(["in all".to_owned(), ms(failover.total())]);
        stage.output.table(&table)?;
    }
    stage.say(format!(
        "{} acknowledged: lost {}, doubled {}; {} equal on both nodes",
        count_text(verdict.acknowledged),
        verdict.lost,
        verdict.doubled,
        counted(verdict.digests_compared, "digests"),
    ))?;
    let outcome = format!(
        "first acknowledgement {:.0} ms after the kill; lost {}, doubled {}; {} equal",
        failover.total().as_secs_f64() * 1e3,
        verdict.lost,
        verdict.doubled,
        counted(verdict.digests_compared, "digests"),
    );
    let figures = json!(report.as_json());
    Ok(vec![Act { name: "a standby takes over", outcome, figures, is_right: report.has_passed() }])
}
