//! How much memory a node's limits take, and whether the machine has it.
//!
//! The engine takes its memory at the start and touches every page of it, so that the question can be asked once: a
//! node that has started does not run out. Allocators end the process when they get nothing, so it is asked before.
//!
//! What is absent: replies that are stored for sessions, which come and go; see [`replies_size_max`].

use crate::error::NodeError;
use mizan_wire::Genesis;
use rustix::process::{Resource, getrlimit};
use std::path::Path;

/// Bytes of an account at the most, all in.
const ACCOUNT_SIZE_MAX: u64 = 140;
/// Bytes of a transfer: its record and its place in a table of ids that is at most half full.
const TRANSFER_SIZE_MAX: u64 = 128 + 24;
/// Bytes of an open hold: its record and its place in the queue of expiries.
const HOLD_SIZE_MAX: u64 = 80;
/// Bytes of an order that is remembered: its record and its place in a table of ids.
const ORDER_SIZE: u64 = 272 + 24;
/// Bytes of the place of an open order in its book and in the queues of the engine.
const OPEN_ORDER_SIZE: u64 = 176;
/// Bytes of a price level.
const LEVEL_SIZE: u64 = 100;
/// Bytes of an execution report.
const REPORT_SIZE: u64 = 128;
/// Bytes that trading takes for each account.
const TRADER_SIZE: u64 = 76;
/// Bytes that a node takes besides: rings, receive buffers, mapped segments.
const BASE_SIZE: u64 = 164 << 20;

/// Threads of a node at the most: front, journal, engine, segments, counters, metrics, signals, and those of a cluster.
const THREADS_MAX: u64 = 12;
/// Bytes of address space that a thread takes at the most: its stack, and what the allocator sets aside for it.
const THREAD_ADDRESS_SIZE: u64 = (2 + 64) << 20;
/// Segments that are mapped besides those that are made ahead: the one in use, and the one that was.
const SEGMENTS_IN_USE: u64 = 2;

/// Bytes of memory that a full node takes, about, without replies that are stored for sessions.
#[must_use]
pub fn memory_estimate(genesis: &Genesis) -> u64 {
    let traders = if genesis.has_trading() { genesis.account_count_max } else { 0 };
    [
        (genesis.account_count_max, ACCOUNT_SIZE_MAX),
        (genesis.transfer_count_max, TRANSFER_SIZE_MAX),
        (genesis.hold_count_max, HOLD_SIZE_MAX),
        (genesis.order_count_max, ORDER_SIZE),
        (genesis.open_order_count_max.into(), OPEN_ORDER_SIZE),
        (genesis.book_level_count_max.into(), LEVEL_SIZE),
        (genesis.report_count_max, REPORT_SIZE),
        (traders, TRADER_SIZE),
    ]
    .into_iter()
    .fold(BASE_SIZE, |sum, (count, size)| sum.saturating_add(count.saturating_mul(size)))
}

/// Bytes of stored replies at the most: if every session fills its window and reports nothing as received.
#[must_use]
pub fn replies_size_max(genesis: &Genesis) -> u64 {
    u64::from(genesis.session_count_max) * u64::from(genesis.window_bytes)
}

/// Bytes of memory that this process could ever have: the machine's, or its control group's; `None` if nobody says.
#[must_use]
pub fn memory_of_machine() -> Option<u64> {
    least(meminfo("MemTotal:"), group_limit())
}

/// Bytes of memory that are there now.
fn memory_available() -> Option<u64> {
    let free = meminfo("MemAvailable:")?.saturating_add(meminfo("SwapFree:").unwrap_or(0));
    least(Some(free), group_limit())
}

/// Whether there is memory for a state with these limits.
///
/// # Errors
/// There is not; nothing was taken.
pub(crate) fn check(genesis: &Genesis) -> Result<(), NodeError> {
    let needed = memory_estimate(genesis);
    let available = memory_available().unwrap_or(u64::MAX);
    // Limits of the process and of the address space show themselves only when they are tried.
    let is_given =
        usize::try_from(needed).is_ok_and(|size| Vec::<u8>::new().try_reserve_exact(size).is_ok());
    if needed > available || !is_given {
        return Err(NodeError::Memory { needed, available });
    }
    Ok(())
}

/// Whether a limit of the process's address space (`ulimit -v`) leaves room for all that a running node maps: its memory,
/// segments of the journal, and what threads take. Asked before the start, because later nothing but an abort is left.
///
/// # Errors
/// It does not; nothing was taken.
pub(crate) fn check_address_space(
    genesis: &Genesis,
    segment_size: u64,
    segments_ahead: usize,
) -> Result<(), NodeError> {
    let Some(limit) = getrlimit(Resource::As).current else { return Ok(()) };
    let left = limit.saturating_sub(address_space_taken().unwrap_or(0));
    let segments = (segments_ahead as u64).saturating_add(SEGMENTS_IN_USE);
    let needed = memory_estimate(genesis)
        .saturating_add(segments.saturating_mul(segment_size))
        .saturating_add(THREADS_MAX * THREAD_ADDRESS_SIZE);
    if needed > left {
        return Err(NodeError::AddressSpace { needed, left });
    }
    Ok(())
}

/// Bytes that the process has mapped.
fn address_space_taken() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_meminfo(&text, "VmSize:")
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn meminfo(key: &str) -> Option<u64> {
    parse_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?, key)
}

fn parse_meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// The limit of the control group, version 2, that the process is in.
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
    std::fs::read_to_string(limit).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_its_memory_is_read() {
        let text = "MemTotal:       24684084 kB\nMemAvailable:   23362196 kB\nSwapFree: x kB\n";
        assert_eq!(parse_meminfo(text, "MemTotal:"), Some(24_684_084 << 10));
        assert_eq!(parse_meminfo(text, "SwapFree:"), None);
        assert_eq!(parse_meminfo(text, "SwapTotal:"), None);
        assert!(memory_of_machine().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn more_than_any_machine_has_is_refused_before_it_is_taken() {
        let genesis = Genesis { account_count_max: u64::MAX, ..Genesis::default() };
        assert!(matches!(check(&genesis), Err(NodeError::Memory { needed: u64::MAX, .. })));
        assert!(check(&Genesis { account_count_max: 1, ..Genesis::default() }).is_ok());
    }
}
