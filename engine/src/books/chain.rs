//! The digest of a stream of reports: the same commands give the same value, on every machine, for ever.
//!
//! What is absent: protection against somebody who wants two streams with one digest.

use crate::books::ReportSink;
use mizan_wire::orders::OrderReport;
use zerocopy::transmute_ref;

/// Source: the multiplier of the xorshift128+ star generators and the golden ratio, joined; odd.
const MULTIPLIER: u128 = 0x2545_F491_4F6C_DD1D_9E37_79B9_7F4A_7C15;
/// Source: the golden ratio in 128 bits.
const FOLD_STEP: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
const FOLD_WORDS: usize = 4;

/// A running digest of reports; also a sink that keeps nothing else.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReportChain {
    value: u128,
    count: u64,
}

impl ReportChain {
    /// The digest of what was absorbed so far.
    #[must_use]
    pub const fn value(&self) -> u128 {
        self.value
    }

    /// Reports absorbed so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl ReportSink for ReportChain {
    /// The report's four words are folded side by side, so that only one multiplication waits for the chain.
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        let words: &[u128; FOLD_WORDS] = transmute_ref!(report);
        let mut folded = 0u128;
        for (index, word) in words.iter().enumerate() {
            let key = FOLD_STEP.wrapping_mul(index as u128 + 1);
            folded = folded.wrapping_add((word ^ key).wrapping_mul(key | 1));
        }
        let mixed = (self.value ^ folded).wrapping_mul(MULTIPLIER);
        self.value = mixed ^ (mixed >> 67);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_and_the_order_of_reports_count() {
        let digest = |reports: &[OrderReport]| {
            let mut chain = ReportChain::default();
            for report in reports {
                chain.report(report);
            }
            assert_eq!(chain.count(), reports.len() as u64);
            chain.value()
        };
        let plain = OrderReport::default();
        let changes: [fn(&mut OrderReport); 13] = [
            |report| report.number = 1,
            |report| report.counterparty = 1,
            |report| report.price = 1,
            |report| report.quantity = 1,
            |report| report.open = 1,
            |report| report.owner = 1,
            |report| report.tag = 1,
            |report| report.counterparty_owner = 1,
            |report| report.counterparty_tag = 1,
            |report| report.slot = 1,
            |report| report.reason = 1,
            |report| report.kind = 1,
            |report| report.side = 1,
        ];
        let mut digests = vec![digest(&[]), digest(&[plain]), digest(&[plain, plain])];
        for change in changes {
            let mut changed = plain;
            change(&mut changed);
            digests.extend([
                digest(&[changed]),
                digest(&[changed, plain]),
                digest(&[plain, changed]),
            ]);
        }
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count, "two streams have one digest");
    }
}
