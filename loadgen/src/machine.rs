//! How busy the machine was with other things: a figure without that is worth little.
//!
//! CPU time comes from `/proc`, in ticks of usually 10 ms, so runs of less than a second are told roughly. Interrupt
//! time is left out: the kernel does not say whose it was. Time that a hypervisor took away counts as that of others.

use std::fs;

/// A reading of CPU time, in ticks.
#[derive(Clone, Debug)]
pub(crate) struct CpuReading {
    total: u64,
    working: u64,
    own: Vec<(u32, u64)>,
}

impl CpuReading {
    /// Reads now; `None` where `/proc` is not as expected.
    pub(crate) fn take(own_pids: &[u32]) -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let (working, total) = parse_cpu_line(stat.lines().next()?)?;
        let own = std::iter::once(std::process::id()).chain(own_pids.iter().copied());
        let own = own.filter_map(|pid| Some((pid, process_ticks(pid)?))).collect();
        Some(Self { total, working, own })
    }

    /// The share of all CPUs that others used between two readings, from 0 to 1.
    pub(crate) fn others_share(&self, later: &Self) -> Option<f64> {
        let total = later.total.checked_sub(self.total).filter(|total| *total > 0)?;
        let working = later.working.saturating_sub(self.working);
        let own: u64 = later
            .own
            .iter()
            .map(|(pid, ticks)| {
                // A process that began in between had used nothing before.
                let before = self.own.iter().find(|(own, _)| own == pid).map_or(0, |(_, t)| *t);
                ticks.saturating_sub(before)
            })
            .sum();
        Some(working.saturating_sub(own) as f64 / total as f64)
    }
}

/// Working and total ticks of the line `cpu user nice system idle iowait irq softirq steal ...`.
fn parse_cpu_line(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    // What follows steal is contained in user and nice already.
    let ticks: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _, _, _, _, steal] = ticks[..] else { return None };
    Some((user + nice + system + steal, ticks.iter().sum()))
}

fn process_ticks(pid: u32) -> Option<u64> {
    parse_process_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// User and system ticks, fields 14 and 15; the name, field 2, may contain anything.
fn parse_process_stat(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_time_is_that_of_processes_and_of_the_hypervisor() {
        let line = "cpu  100 20 30 1000 50 7 8 5 40 0";
        assert_eq!(parse_cpu_line(line), Some((155, 1_220)));
        assert_eq!(parse_cpu_line("cpu0 1 2 3 4 5 6 7 8"), None);
        assert_eq!(parse_cpu_line("cpu 1 2 3"), None);
        assert_eq!(parse_cpu_line("cpu 1 2 3 x 5 6 7 8"), None);
    }

    #[test]
    fn a_process_with_a_name_of_brackets_and_blanks_is_read_all_the_same() {
        let stat = "42 (a) b) (c) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse_process_stat(stat), Some(100));
        assert_eq!(parse_process_stat("42 (a S"), None);
    }

    #[test]
    fn own_time_is_taken_off_even_for_processes_that_began_in_between() {
        let before = CpuReading { total: 1_000, working: 400, own: vec![(1, 100)] };
        let after = CpuReading { total: 2_000, working: 900, own: vec![(1, 300), (2, 50)] };
        assert_eq!(before.others_share(&after), Some(0.25));
        assert_eq!(before.others_share(&before), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let reading = CpuReading::take(&[]).expect("/proc is readable");
        assert_eq!(reading.own.len(), 1);
        assert!(reading.total >= reading.working);
    }
}
