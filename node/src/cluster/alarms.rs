//! The alarms that the state machine told of, for as long as they stand.
//!
//! An alarm ends when the state machine says so, when its cause is seen to be over, or, if it tells of something that
//! happened once, after a time in which somebody will have looked.

use crate::cluster::status::AlarmView;
use crate::status::Alarm as ShownAlarm;
use mizan_replica::Alarm;

/// How long an alarm stands that tells of something that happened once.
const HAPPENED_SHOWN_NS: u64 = 3_600 * 1_000_000_000;
/// Alarms that are kept at the most.
const ALARMS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AlarmBook {
    /// With the time at which each was raised; the newest last.
    standing: Vec<(Alarm, u64)>,
}

impl AlarmBook {
    /// An alarm begins to stand, or goes on.
    pub(crate) fn raise(&mut self, alarm: Alarm, now_ns: u64) {
        self.standing.retain(|(known, _)| *known != alarm);
        if self.standing.len() == ALARMS_MAX {
            self.standing.remove(0);
        }
        self.standing.push((alarm, now_ns));
    }

    /// It is over; whether it stood.
    pub(crate) fn end(&mut self, alarm: &Alarm) -> bool {
        let count = self.standing.len();
        self.standing.retain(|(known, _)| known != alarm);
        self.standing.len() < count
    }

    /// Ends what happened long ago; says what.
    pub(crate) fn expire(&mut self, now_ns: u64) -> Vec<Alarm> {
        let is_over = |(alarm, raised_ns): &(Alarm, u64)| {
            let happened = matches!(
                alarm,
                Alarm::Admitted(_)
                    | Alarm::EpochRefused { .. }
                    | Alarm::DiskCopied { .. }
                    | Alarm::CopyRefused { .. }
            );
            happened && now_ns.saturating_sub(*raised_ns) >= HAPPENED_SHOWN_NS
        };
        let over = self.standing.iter().filter(|entry| is_over(entry)).map(|(alarm, _)| *alarm);
        let over: Vec<Alarm> = over.collect();
        self.standing.retain(|entry| !is_over(entry));
        over
    }

    /// Those that stand.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.standing.iter().map(|(alarm, _)| alarm)
    }

    /// What the one says that stopped the node: others may have been raised behind it.
    pub(crate) fn text_of_stop(&self) -> String {
        let mut newest_first = self.standing.iter().rev();
        let stop = newest_first.find(|(alarm, _)| stops(alarm));
        stop.map_or_else(String::new, |(alarm, _)| alarm.to_string())
    }
}

/// Whether a node stops with it.
const fn stops(alarm: &Alarm) -> bool {
    match alarm {
        Alarm::AcknowledgedSuffix { .. }
        | Alarm::LogsDiffer { .. }
        | Alarm::StateDiffers(_)
        | Alarm::CopyRefused { .. } => true,
        Alarm::PrimarySilent(_)
        | Alarm::DiskCopied { .. }
        | Alarm::SingleCopy
        | Alarm::EpochRefused { .. }
        | Alarm::Admitted(_) => false,
    }
}

/// The name in an answer to operators.
pub(crate) fn wire_name(alarm: ShownAlarm) -> String {
    alarm.name().replace('_', "-")
}

/// The alarm of the counters that it is.
pub(crate) const fn shown(alarm: &Alarm) -> ShownAlarm {
    match alarm {
        Alarm::PrimarySilent(_) => ShownAlarm::PrimarySilent,
        Alarm::AcknowledgedSuffix { .. } => ShownAlarm::AcknowledgedSuffix,
        Alarm::LogsDiffer { .. } => ShownAlarm::LogsDiffer,
        Alarm::StateDiffers(_) => ShownAlarm::StateDiffers,
        Alarm::SingleCopy => ShownAlarm::SingleCopy,
        Alarm::Admitted(_) => ShownAlarm::DiskAdmitted,
        Alarm::EpochRefused { .. } => ShownAlarm::EpochRefused,
        Alarm::DiskCopied { .. } => ShownAlarm::DiskCopied,
        Alarm::CopyRefused { .. } => ShownAlarm::CopyRefused,
    }
}

/// As it is shown to an operator.
pub(crate) fn view(alarm: &Alarm) -> AlarmView {
    AlarmView { name: wire_name(shown(alarm)), text: alarm.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Alarm; 6] = [
        Alarm::PrimarySilent(1),
        Alarm::AcknowledgedSuffix { shared: 1, commit: 2 },
        Alarm::LogsDiffer { sequence: 3 },
        Alarm::StateDiffers(4),
        Alarm::SingleCopy,
        Alarm::Admitted(2),
    ];

    #[test]
    fn an_alarm_stands_from_its_raise_to_its_end_and_is_there_once() {
        for alarm in ALL {
            let mut book = AlarmBook::default();
            assert!(!book.end(&alarm), "{alarm:?} did not stand");
            book.raise(alarm, 5);
            book.raise(alarm, 6);
            assert!(book.iter().eq([&alarm]));
            let told = if stops(&alarm) { alarm.to_string() } else { String::new() };
            assert_eq!(book.text_of_stop(), told);
            assert!(book.end(&alarm) && book.iter().next().is_none(), "{alarm:?}");
        }
    }

    #[test]
    fn a_node_that_stopped_names_what_stopped_it_whatever_was_raised_behind_that() {
        let mut book = AlarmBook::default();
        let stop = Alarm::AcknowledgedSuffix { shared: 1, commit: 2 };
        for alarm in [Alarm::PrimarySilent(1), stop, Alarm::SingleCopy, Alarm::Admitted(2)] {
            book.raise(alarm, 5);
        }
        assert_eq!(book.text_of_stop(), stop.to_string());
    }

    #[test]
    fn only_what_happened_once_ends_by_time() {
        let mut book = AlarmBook::default();
        ALL.into_iter().for_each(|alarm| book.raise(alarm, 7));
        assert_eq!(book.expire(6 + HAPPENED_SHOWN_NS), []);
        assert_eq!(book.expire(7 + HAPPENED_SHOWN_NS), [Alarm::Admitted(2)]);
        assert_eq!(book.iter().count(), ALL.len() - 1);
    }

    #[test]
    fn the_book_is_bounded_and_keeps_the_newest() {
        let mut book = AlarmBook::default();
        (0..100).for_each(|sequence| book.raise(Alarm::StateDiffers(sequence), sequence));
        assert_eq!(book.iter().count(), ALARMS_MAX);
        assert_eq!(book.iter().last(), Some(&Alarm::StateDiffers(99)));
    }
}
