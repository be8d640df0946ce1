//! How much of the processors others used while we measured.

use std::time::Duration;

/// Ticks from which a share means something: a fifth of a second on two cores.
const TICKS_MIN: u64 = 40;

/// Clock ticks of the machine and of this process, as the kernel counts them (100 a second).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    /// Busy ticks of all processors, stolen ones included.
    busy: u64,
    /// Busy and idle ticks of all processors.
    all: u64,
    own: u64,
}

impl Ticks {
    /// Now; zeros where the kernel does not tell.
    pub(crate) fn now() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/stat"), &read("/proc/self/stat"))
    }

    fn parse(machine: &str, process: &str) -> Self {
        // user nice system idle iowait irq softirq steal; guests are counted in user already.
        let fields: Vec<u64> = machine
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        let all = fields.iter().sum();
        let idle: u64 = fields.iter().skip(3).take(2).sum();
        // The name of the command may contain blanks; user and system time are fields 14 and 15.
        let after_name = process.rsplit_once(')').map_or("", |(_, rest)| rest);
        let own = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Self { busy: all - idle, all, own }
    }

    /// What passed since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(earlier.busy),
            all: self.all.saturating_sub(earlier.all),
            own: self.own.saturating_sub(earlier.own),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { busy: self.busy + other.busy, all: self.all + other.all, own: self.own + other.own }
    }

    /// Part of all processors that others used; `None` if too little time passed to tell.
    pub(crate) fn share_of_others(self) -> Option<f64> {
        (self.all >= TICKS_MIN).then(|| self.busy.saturating_sub(self.own) as f64 / self.all as f64)
    }
}

/// Millions a second.
pub(crate) fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_idle_nor_ours_was_used_by_others() {
        let before = Ticks::parse(
            "cpu  10 0 10 100 0 0 0 0 0 0\n",
            "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 4 1 0 0 20",
        );
        let after = Ticks::parse(
            "cpu  60 0 20 130 10 0 0 0 0 0\n",
            "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 44 1 0 0 20",
        );
        let passed = after.since(before);
        assert_eq!((passed.busy, passed.all, passed.own), (60, 100, 40));
        assert!((passed.share_of_others().expect("there are enough ticks") - 0.2).abs() < 1e-9);
        assert_eq!(after.since(after).share_of_others(), None);
    }
}
