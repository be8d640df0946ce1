//! One face for all statuses: number, name, meaning, and what to do about it.

use crate::orders::{CancelReason, OrderReject};
use crate::status_tables::{
    CreateAccountStatus, CreateTransferStatus, RegistryStatus, RequestStatus,
};
use crate::trading::{InstrumentStatus, OrderStatus};

/// What every table of statuses offers.
pub trait Status: Copy + 'static {
    /// What the statuses of this table are answers to.
    const SCOPE: &'static str;
    /// All statuses of the table, in their order of precedence.
    const PRECEDENCE: &'static [Self];

    /// The number on the wire; it never changes.
    fn number(self) -> u32;
    /// The name, as documents and tools write it.
    fn name(self) -> &'static str;
    /// What happened, and what to do.
    fn meaning(self) -> &'static str;

    /// The status with this number, if the table has it.
    #[must_use]
    fn from_number(number: u32) -> Option<Self> {
        Self::PRECEDENCE.iter().copied().find(|status| status.number() == number)
    }
}

/// A status, ready to be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// What it is an answer to.
    pub scope: &'static str,
    /// The number on the wire.
    pub number: u32,
    /// The name.
    pub name: &'static str,
    /// What happened, and what to do.
    pub meaning: &'static str,
}

/// All statuses with this name or number; one number may stand in several tables.
#[must_use]
pub fn explain(word: &str) -> Vec<Explanation> {
    let mut found = Vec::new();
    collect::<CreateAccountStatus>(word, &mut found);
    collect::<CreateTransferStatus>(word, &mut found);
    collect::<RegistryStatus>(word, &mut found);
    collect::<RequestStatus>(word, &mut found);
    collect::<InstrumentStatus>(word, &mut found);
    collect::<OrderStatus>(word, &mut found);
    collect::<OrderReject>(word, &mut found);
    collect::<CancelReason>(word, &mut found);
    found
}

fn collect<S: Status>(word: &str, found: &mut Vec<Explanation>) {
    let number = word.parse::<u32>().ok();
    for status in S::PRECEDENCE {
        if status.name() == word || number == Some(status.number()) {
            found.push(Explanation {
                scope: S::SCOPE,
                number: status.number(),
                name: status.name(),
                meaning: status.meaning(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check<S: Status>(count: usize) {
        let numbers: BTreeSet<_> = S::PRECEDENCE.iter().map(|status| status.number()).collect();
        let names: BTreeSet<_> = S::PRECEDENCE.iter().map(|status| status.name()).collect();
        assert_eq!(numbers.len(), S::PRECEDENCE.len(), "{}: a number stands twice", S::SCOPE);
        assert_eq!(names.len(), S::PRECEDENCE.len(), "{}: a name stands twice", S::SCOPE);
        assert_eq!(numbers.len(), count, "{}", S::SCOPE);
        for status in S::PRECEDENCE {
            assert!(status.meaning().len() > 20, "{} has no meaning", status.name());
        }
    }

    #[test]
    fn every_status_has_a_number_a_name_and_a_meaning_of_its_own() {
        check::<CreateAccountStatus>(30);
        check::<CreateTransferStatus>(72);
        check::<RegistryStatus>(15);
        check::<RequestStatus>(39);
        check::<InstrumentStatus>(20);
        check::<OrderStatus>(24);
    }

    #[test]
    fn a_status_is_found_by_name_and_by_number() {
        assert_eq!(explain("exceeds_credits")[0].number, 54);
        assert_eq!(explain("54")[0].name, "exceeds_credits");
        assert_eq!(explain("exists").len(), 5);
        assert!(explain("nonsense").is_empty());
    }
}
