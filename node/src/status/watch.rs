//! The alarms that follow from the figures: what is nearly full.
//!
//! They are judged ten times a second by a thread beside the stages, whatever the node's role, so that no stage spends
//! time on them. Another thread writes into the log when any alarm begins and ends.

use super::alarm::{Alarm, Alarms};
use super::snapshot::NodeStatus;

/// Hundredths from which there is time to plan.
pub const FILLING_PERCENT: u64 = 80;
/// Hundredths from which there is little time left.
pub const NEARLY_FULL_PERCENT: u64 = 95;

impl NodeStatus {
    /// Hundredths of the journal's disk that are used, rounded down; `None` if that is not known.
    #[must_use]
    pub fn disk_percent(&self) -> Option<u64> {
        let (free, total) = (self.journal.disk_free_bytes, self.journal.disk_total_bytes);
        let used = u128::from(total.saturating_sub(free));
        let percent = (used * 100).checked_div(u128::from(total))?;
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }

    /// The alarms that follow from how full it is.
    #[must_use]
    pub fn fullness_alarms(&self) -> Alarms {
        let any = |least: u64, of_all: bool| {
            self.limits
                .iter()
                .any(|limit| limit.percent() >= least && (of_all || limit.grows_with_use()))
        };
        let disk = self.disk_percent().unwrap_or(0);
        Alarms::NONE
            .with(Alarm::TablesFilling, any(FILLING_PERCENT, true))
            .with(Alarm::TablesNearlyFull, any(NEARLY_FULL_PERCENT, false))
            .with(Alarm::DiskFilling, disk >= FILLING_PERCENT)
            .with(Alarm::DiskNearlyFull, disk >= NEARLY_FULL_PERCENT)
    }
}

/// What is nearly full, one line each; nothing while there is room.
#[must_use]
pub fn warnings(status: &NodeStatus) -> Vec<String> {
    let filling = status.limits.iter().filter(|limit| limit.percent() >= FILLING_PERCENT);
    let mut lines: Vec<String> = filling
        .map(|limit| {
            format!(
                "{} of {} {} are used ({} %)",
                limit.used,
                limit.max,
                limit.name,
                limit.percent()
            )
        })
        .collect();
    if let Some(percent) = status.disk_percent().filter(|percent| *percent >= FILLING_PERCENT) {
        lines.push(format!(
            "{percent} % of the disk of the data directory are used, {} bytes are free",
            status.journal.disk_free_bytes
        ));
    }
    lines
}

/// Writes into the log what began and what ended between two looks.
pub(super) fn log_changes(before: Alarms, now: Alarms) {
    for alarm in Alarm::ALL {
        match (before.contains(alarm), now.contains(alarm)) {
            (false, true) => {
                tracing::warn!("alarm {} begins: {}", alarm.name(), alarm.advice());
            }
            (true, false) => tracing::info!("alarm {} ends", alarm.name()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Limit, metrics_page, readiness};
    use crate::status::{Moment, Phase};
    use std::sync::{Arc, Mutex};

    fn filled(name: &'static str, used: u64) -> NodeStatus {
        NodeStatus { limits: vec![Limit { name, used, max: 1_000 }], ..NodeStatus::default() }
    }

    fn raised(status: &NodeStatus) -> Vec<Alarm> {
        status.fullness_alarms().iter().collect()
    }

    #[test]
    fn every_table_is_told_of_from_four_fifths_on_and_again_before_it_is_full() {
        for name in ["accounts", "transfers", "holds", "sessions", "orders", "open_orders"] {
            assert_eq!(raised(&filled(name, 799)), [], "{name}");
            assert_eq!(raised(&filled(name, 800)), [Alarm::TablesFilling], "{name}");
            assert_eq!(raised(&filled(name, 949)), [Alarm::TablesFilling], "{name}");
            let both = [Alarm::TablesFilling, Alarm::TablesNearlyFull];
            assert_eq!(raised(&filled(name, 950)), both, "{name}");
            let lines = warnings(&filled(name, 950));
            assert_eq!(lines, [format!("950 of 1000 {name} are used (95 %)")]);
            assert!(warnings(&filled(name, 799)).is_empty(), "it ends with its cause");
        }
        for name in ["ledgers", "instruments"] {
            assert_eq!(raised(&filled(name, 1_000)), [Alarm::TablesFilling], "a choice: {name}");
        }
        assert_eq!(raised(&NodeStatus::default()), []);
        let huge = Limit { name: "orders", used: u64::MAX, max: 1 };
        assert_eq!(huge.percent(), u64::MAX);
    }

    #[test]
    fn the_disk_is_told_of_in_the_same_way() {
        let with_free = |free| {
            let mut status = NodeStatus::default();
            (status.journal.disk_free_bytes, status.journal.disk_total_bytes) = (free, 1_000);
            status
        };
        assert_eq!(raised(&with_free(201)), []);
        assert_eq!(raised(&with_free(200)), [Alarm::DiskFilling]);
        assert_eq!(raised(&with_free(50)), [Alarm::DiskFilling, Alarm::DiskNearlyFull]);
        assert!(warnings(&with_free(50))[0].starts_with("95 % of the disk"));
        assert_eq!(NodeStatus::default().disk_percent(), None, "not known is not full");
    }

    #[test]
    fn a_node_whose_transfers_are_full_is_not_ready() {
        let now = Moment::default();
        let running = |used| NodeStatus { phase: Phase::Running, ..filled("transfers", used) };
        let is_told = |used| {
            readiness(&running(used), &now)
                .iter()
                .any(|line| line.contains("places for transfers are full"))
        };
        assert!(is_told(1_000) && !is_told(999));
    }

    /// A subscriber that keeps what is logged.
    struct Kept(Arc<Mutex<Vec<String>>>);

    struct Text(String);

    impl tracing::field::Visit for Text {
        fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0 = format!("{value:?}");
        }
    }

    impl tracing::Subscriber for Kept {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().expect("not poisoned").push(text.0);
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn every_alarm_is_logged_when_it_begins_and_when_it_ends_and_shown_between() {
        for alarm in Alarm::ALL {
            let lines = Arc::new(Mutex::new(Vec::new()));
            let stands = Alarms::NONE.with(alarm, true);
            tracing::subscriber::with_default(Kept(Arc::clone(&lines)), || {
                log_changes(Alarms::NONE, stands);
                log_changes(stands, stands);
                log_changes(stands, Alarms::NONE);
            });
            let begins = format!("alarm {} begins: {}", alarm.name(), alarm.advice());
            let expected = [begins, format!("alarm {} ends", alarm.name())];
            assert_eq!(*lines.lock().expect("not poisoned"), expected);
            let shown = |alarms| {
                let status = NodeStatus { alarms, ..NodeStatus::default() };
                let line = format!("mizan_alarm{{alarm=\"{}\"}} 1\n", alarm.name());
                metrics_page(&status, &Moment::default()).contains(&line)
            };
            assert!(shown(stands) && !shown(Alarms::NONE), "{alarm:?}");
            assert_eq!(Alarm::from_name(&alarm.name().replace('_', "-")), Some(alarm));
        }
    }
}
