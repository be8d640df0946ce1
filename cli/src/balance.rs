//! What an account has: posted, held and available, kept apart.
//!
//! The normal side is the one on which the account grows. It is `debit` if the account's credits must not exceed its
//! debits, and `credit` for all others, also for those without a limit, which behave like a wallet that may be
//! overdrawn. Then, with "other" for the other side:
//!
//! * posted = posted(normal) - posted(other), negative if overdrawn;
//! * held = pending(other): reserved by open holds, and not available any more;
//! * incoming = pending(normal): reserved for the account, and not available yet;
//! * available = posted - held. Where there is a limit, this is exactly what the node still allows.

use crate::money::Signed;
use crate::names::Ledger;
use mizan_wire::amount::format_amount;
use mizan_wire::{Account, AccountFlags};
use serde_json::{Value, json};

/// A side of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Left.
    Debit,
    /// Right.
    Credit,
}

impl Side {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }
}

/// What an account has, in smallest units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Balance {
    /// The side on which the account grows.
    pub normal: Side,
    /// Final.
    pub posted: Signed,
    /// Reserved by open holds, and not available any more.
    pub held: u128,
    /// Reserved for the account by open holds, and not available yet.
    pub incoming: u128,
    /// Posted less held.
    pub available: Signed,
    /// Whether the node refuses what exceeds `available`.
    pub is_limited: bool,
}

impl Balance {
    /// What this account has.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let credits_limited = account.flags & AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0;
        let debits_limited = account.flags & AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS != 0;
        let debits = (account.debits_posted, account.debits_pending);
        let credits = (account.credits_posted, account.credits_pending);
        let (normal, ours, others) = if credits_limited {
            (Side::Debit, debits, credits)
        } else {
            (Side::Credit, credits, debits)
        };
        // The engine keeps pending and posted of a side below 2^128 together.
        let claimed = others.0.saturating_add(others.1);
        Self {
            normal,
            posted: Signed::difference(ours.0, others.0),
            held: others.1,
            incoming: ours.1,
            available: Signed::difference(ours.0, claimed),
            is_limited: credits_limited || debits_limited,
        }
    }

    /// For `--json`; amounts are strings.
    #[must_use]
    pub fn json(&self, scale: u8) -> Value {
        json!({
            "normal": self.normal.name(),
            "posted": self.posted.text(scale),
            "held": format_amount(self.held, scale),
            "incoming": format_amount(self.incoming, scale),
            "available": self.available.text(scale),
            "limited": self.is_limited,
        })
    }

    /// The cells `posted`, `held`, `incoming` and `available` of a table.
    #[must_use]
    pub fn cells(&self, ledger: &Ledger) -> [String; 4] {
        [
            self.posted.text(ledger.scale),
            format_amount(self.held, ledger.scale),
            format_amount(self.incoming, ledger.scale),
            self.available.text(ledger.scale),
        ]
    }
}

/// The names of an account's flags, without `linked`, which is one of the request and not of the account.
#[must_use]
pub fn flag_names(flags: u16) -> Vec<&'static str> {
    FLAGS.iter().filter(|(_, bit)| flags & bit != 0).map(|(name, _)| *name).collect()
}

/// The flag with this name, if a person may set it when an account is created.
#[must_use]
pub fn flag_of_name(name: &str) -> Option<u16> {
    let settable = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
        | AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS
        | AccountFlags::HISTORY;
    FLAGS.iter().find(|(known, bit)| *known == name && settable & bit != 0).map(|(_, bit)| *bit)
}

pub(crate) const FLAGS: &[(&str, u16)] = &[
    ("debits_must_not_exceed_credits", AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
    ("credits_must_not_exceed_debits", AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS),
    ("history", AccountFlags::HISTORY),
    ("imported", AccountFlags::IMPORTED),
    ("closed", AccountFlags::CLOSED),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn account(flags: u16) -> Account {
        Account {
            flags,
            debits_pending: 1_000,
            debits_posted: 2_500,
            credits_pending: 300,
            credits_posted: 10_000,
            ..Account::default()
        }
    }

    #[test]
    fn a_wallet_that_may_not_be_overdrawn_has_its_credits_less_debits_and_holds() {
        let balance = Balance::of(&account(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS));
        assert_eq!(balance.normal, Side::Credit);
        assert_eq!(balance.posted.text(2), "75.00");
        assert_eq!((balance.held, balance.incoming), (1_000, 300));
        assert_eq!(balance.available.text(2), "65.00");
        assert!(balance.is_limited);
    }

    #[test]
    fn an_account_whose_credits_are_limited_grows_by_debits() {
        let balance = Balance::of(&account(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS));
        assert_eq!(balance.normal, Side::Debit);
        assert_eq!(balance.posted.text(2), "-75.00");
        assert_eq!((balance.held, balance.incoming), (300, 1_000));
        assert_eq!(balance.available.text(2), "-78.00");
        assert!(balance.is_limited);
    }

    #[test]
    fn an_account_without_a_limit_may_be_below_zero() {
        let overdrawn = Account { credits_posted: 0, ..account(0) };
        let balance = Balance::of(&overdrawn);
        assert_eq!(balance.available.text(2), "-35.00");
        assert!(!balance.is_limited);
    }

    #[test]
    fn flags_have_the_names_of_the_documents_and_closed_cannot_be_set() {
        assert_eq!(flag_names(AccountFlags::HISTORY | AccountFlags::CLOSED), ["history", "closed"]);
        assert_eq!(flag_of_name("history"), Some(AccountFlags::HISTORY));
        assert_eq!(flag_of_name("closed"), None);
        assert_eq!(flag_of_name("overdraft"), None);
    }
}
