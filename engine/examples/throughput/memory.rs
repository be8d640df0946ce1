//! What the system says of this process's memory; zeros where it does not tell.

/// Bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Address space.
    pub(crate) asked_for: u64,
    /// Pages that are really there.
    pub(crate) touched: u64,
    /// Those of them that are huge.
    pub(crate) in_huge_pages: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let pages = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        Self {
            asked_for: field(&status, "VmSize:"),
            touched: field(&status, "VmRSS:"),
            in_huge_pages: field(&pages, "AnonHugePages:"),
        }
    }

    pub(crate) const fn since(&self, before: &Self) -> Self {
        Self {
            asked_for: self.asked_for.saturating_sub(before.asked_for),
            touched: self.touched.saturating_sub(before.touched),
            in_huge_pages: self.in_huge_pages.saturating_sub(before.in_huge_pages),
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kilobytes: u64 =
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default();
    kilobytes * 1_024
}
