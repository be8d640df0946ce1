//! What the verbs that show a node's state end with: the exit code that says what a script should do about it.
//!
//! Invariant: 0 only if nobody needs to look. Of several causes the one that cannot wait decides: damage, want of room,
//! nothing acknowledged, anything else.

use crate::exit;
use mizan_node::cluster::ClusterStatus;
use mizan_node::status::{Alarm, Alarms};

/// The code for the alarms that stand.
#[must_use]
pub fn of_alarms(alarms: Alarms) -> u8 {
    worst(alarms.iter().map(of_alarm))
}

const fn of_alarm(alarm: Alarm) -> u8 {
    match alarm {
        Alarm::StateDiffers
        | Alarm::LogsDiffer
        | Alarm::AcknowledgedSuffix
        | Alarm::JournalDamaged => exit::CORRUPT,
        Alarm::JournalSpaceLow
        | Alarm::JournalStalled
        | Alarm::TablesNearlyFull
        | Alarm::DiskNearlyFull => exit::RESOURCE,
        Alarm::PrimarySilent | Alarm::AcknowledgementsWait => exit::STATE,
        other if other.is_critical() => exit::PROBLEM,
        _ => exit::OK,
    }
}

/// The code of the cause that matters most.
pub(crate) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let rank = |code: &u8| match *code {
        exit::OK => 0,
        exit::PROBLEM => 1,
        exit::STATE => 2,
        exit::RESOURCE => 3,
        exit::CORRUPT => 4,
        _ => 5,
    };
    codes.max_by_key(rank).unwrap_or(exit::OK)
}

/// The code for what the nodes of a cluster said; `None` is a node that gave no answer.
#[must_use]
pub fn of_cluster(answers: &[Option<&ClusterStatus>]) -> u8 {
    let known = || answers.iter().copied().flatten();
    if known().next().is_none() {
        return exit::UNREACHABLE;
    }
    let of_node = |status: &ClusterStatus| {
        let alarms = status.alarms.iter().filter_map(|alarm| Alarm::from_name(&alarm.name));
        let is_primary = status.role == "primary";
        let unready = match (status.is_ready, is_primary) {
            (true, _) => exit::OK,
            (false, true) => exit::STATE,
            (false, false) => exit::PROBLEM,
        };
        let lost = is_primary && status.peers.iter().any(|peer| !peer.is_connected);
        let lost = if lost { exit::PROBLEM } else { exit::OK };
        worst(alarms.map(of_alarm).chain([unready, lost]))
    };
    let silent = answers.iter().any(Option::is_none);
    let of_all = [
        if is_led(answers) { exit::OK } else { exit::STATE },
        if silent { exit::PROBLEM } else { exit::OK },
    ];
    worst(known().map(of_node).chain(of_all))
}

/// Whether somebody leads: a standby that follows knows a primary, whether it was asked or not.
#[must_use]
pub fn is_led(answers: &[Option<&ClusterStatus>]) -> bool {
    let mut known = answers.iter().copied().flatten();
    known.any(|it| matches!(it.role.as_str(), "primary" | "live" | "catching-up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_node::cluster::{AlarmView, PeerView};

    fn node(role: &str) -> ClusterStatus {
        let peer = PeerView { node: 1, is_connected: true, ..PeerView::default() };
        let role = role.to_owned();
        ClusterStatus { role, is_ready: true, peers: vec![peer], ..ClusterStatus::default() }
    }

    fn code(answers: &[Option<ClusterStatus>]) -> u8 {
        of_cluster(&answers.iter().map(Option::as_ref).collect::<Vec<_>>())
    }

    #[test]
    fn every_alarm_that_wakes_somebody_has_a_code_and_no_other() {
        for alarm in Alarm::ALL {
            let code = of_alarms(Alarms::NONE.with(alarm, true));
            assert_eq!(code != exit::OK, alarm.is_critical(), "{}", alarm.name());
        }
        let room = Alarms::NONE.with(Alarm::JournalSpaceLow, true).with(Alarm::SingleCopy, true);
        assert_eq!(of_alarms(room), exit::RESOURCE);
        assert_eq!(of_alarms(room.with(Alarm::StateDiffers, true)), exit::CORRUPT);
    }

    #[test]
    fn a_cluster_is_well_if_it_is_led_whole_and_silent_about_alarms() {
        let well = [Some(node("primary")), Some(node("live")), Some(node("live"))];
        assert_eq!(code(&well), exit::OK);
        assert_eq!(code(&well[1..2]), exit::OK, "a standby that follows somebody");
        assert_eq!(code(&[None, None]), exit::UNREACHABLE);
        let [primary, standby, _] = well;
        assert_eq!(code(&[primary.clone(), standby.clone(), None]), exit::PROBLEM, "a dead node");
        let mut lonely = node("primary");
        lonely.peers[0].is_connected = false;
        assert_eq!(code(&[Some(lonely.clone())]), exit::PROBLEM, "a dead node that was not named");
        lonely.is_ready = false;
        assert_eq!(code(&[Some(lonely), standby]), exit::STATE, "without quorum");
        let waiting = [Some(node("waiting")), Some(node("waiting")), None];
        assert_eq!(code(&waiting), exit::STATE, "no primary");
    }

    #[test]
    fn an_alarm_of_any_node_decides() {
        for (name, expected) in [
            ("journal-space-low", exit::RESOURCE),
            ("single-copy", exit::PROBLEM),
            ("state-differs", exit::CORRUPT),
            ("disk-admitted", exit::OK),
            ("of-a-later-release", exit::OK),
        ] {
            let mut standby = node("live");
            standby.alarms = vec![AlarmView { name: name.to_owned(), text: String::new() }];
            assert_eq!(code(&[Some(node("primary")), Some(standby)]), expected, "{name}");
        }
    }
}
