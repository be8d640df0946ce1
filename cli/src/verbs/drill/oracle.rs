//! The oracle that judges every drill: what the clients were told, against what the nodes' files hold.
//!
//! It asks five questions: (a) is every acknowledged transfer in the ledger with the acknowledged result, (b) was none
//! applied twice, (c) do debits equal credits and does every account keep its limit, (d) do all nodes have the same
//! digest at the same sequence, (e) did at most one node acknowledge in any epoch.
//!
//! Invariant: it is a function of its evidence; it asks nobody, and knows nothing of what a drill did.

use super::history::{Attempt, History, Seen};
use super::ledger::Ledger;
use crate::files::count_text;
use mizan_wire::{
    Account, AccountFlags, CREATED, CreateResult, CreateTransferStatus, Status, Transfer,
    TrialBalanceRow,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the oracle found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// Transfers that were answered.
    pub(crate) acknowledged: u64,
    /// Transfers whose fate the clients do not know.
    pub(crate) unknown: u64,
    /// Acknowledged as created, and not in the ledger.
    pub(crate) lost: u64,
    /// In the ledger with another content or timestamp than was acknowledged, or in spite of a refusal.
    pub(crate) altered: u64,
    /// In the ledger, although nobody sent them or they were certainly not executed.
    pub(crate) ghosts: u64,
    /// Transfers that stand in the ledger more than once.
    pub(crate) doubled: u64,
    /// Accounts whose balances are not the sums of the ledger's transfers.
    pub(crate) wrong_balances: u64,
    /// Accounts beyond their limit.
    pub(crate) over_limit: u64,
    /// Ledgers in which debits are not credits.
    pub(crate) unbalanced: u64,
    /// Sequences at which digests were compared.
    pub(crate) digests_compared: u64,
    /// Nodes whose digests differ, and from which sequence on.
    pub(crate) different: Vec<(u8, u64)>,
    /// Epochs in which more than one node acknowledged.
    pub(crate) rival_epochs: Vec<u64>,
    /// What the verification of the files found wrong.
    pub(crate) problems: Vec<String>,
}

/// Judges a history by the final ledger, and the nodes' ledgers by each other.
///
/// Cost: a pass over the history and over each ledger; an index of the ledger in memory.
pub(crate) fn judge(history: &History, last: &Ledger, nodes: &[(u8, Ledger)]) -> Verdict {
    let mut verdict = Verdict::default();
    judge_attempts(&history.attempts, last, &mut verdict);
    judge_balances(last, &mut verdict);
    verdict.unbalanced =
        last.trial_balance.iter().filter(|row: &&TrialBalanceRow| !row.is_balanced()).count()
            as u64;
    judge_digests(last, nodes, &mut verdict);
    verdict.rival_epochs = rival_epochs(history);
    verdict.problems = last.problems.clone();
    for (node, ledger) in nodes {
        verdict.problems.extend(ledger.problems.iter().map(|text| format!("node {node}: {text}")));
    }
    verdict
}

fn judge_attempts(attempts: &[Attempt], last: &Ledger, verdict: &mut Verdict) {
    let mut found: HashMap<u128, Transfer> = HashMap::with_capacity(last.transfers.len());
    for transfer in &last.transfers {
        verdict.doubled += u64::from(found.insert(transfer.id, *transfer).is_some());
    }
    let mut sent = BTreeSet::new();
    for attempt in attempts {
        sent.insert(attempt.transfer.id);
        let stored = found.get(&attempt.transfer.id);
        match attempt.seen {
            Seen::Acknowledged(result) => {
                verdict.acknowledged += 1;
                judge_result(&attempt.transfer, result, stored, verdict);
            }
            Seen::NotExecuted => verdict.ghosts += u64::from(stored.is_some()),
            Seen::Unknown => {
                verdict.unknown += 1;
                let is_other = |stored: &Transfer| !is_same(stored, &attempt.transfer);
                verdict.altered += u64::from(stored.is_some_and(is_other));
            }
        }
    }
    verdict.ghosts += found.keys().filter(|id| !sent.contains(*id)).count() as u64;
}

fn judge_result(
    sent: &Transfer,
    result: CreateResult,
    stored: Option<&Transfer>,
    verdict: &mut Verdict,
) {
    let is_created =
        result.status == CREATED || result.status == CreateTransferStatus::Exists.number();
    match stored {
        None if is_created => verdict.lost += 1,
        Some(stored)
            if !is_created || stored.timestamp != result.timestamp || !is_same(stored, sent) =>
        {
            verdict.altered += 1;
        }
        _ => {}
    }
}

/// Whether a stored transfer is the one that was sent; the engine adds a timestamp.
fn is_same(stored: &Transfer, sent: &Transfer) -> bool {
    *stored == Transfer { timestamp: stored.timestamp, ..*sent }
}

fn judge_balances(last: &Ledger, verdict: &mut Verdict) {
    let mut sums: BTreeMap<u128, (u128, u128)> = BTreeMap::new();
    for transfer in &last.transfers {
        sums.entry(transfer.debit_account_id).or_default().0 += transfer.amount;
        sums.entry(transfer.credit_account_id).or_default().1 += transfer.amount;
    }
    for account in &last.accounts {
        let expected = sums.remove(&account.id).unwrap_or_default();
        let is_right = (account.debits_posted, account.credits_posted) == expected
            && (account.debits_pending, account.credits_pending) == (0, 0);
        verdict.wrong_balances += u64::from(!is_right);
        verdict.over_limit += u64::from(is_over_limit(account));
    }
    // Sums of accounts that do not exist.
    verdict.wrong_balances += sums.len() as u64;
}

fn is_over_limit(account: &Account) -> bool {
    let has = |flag: u16| account.flags & flag != 0;
    let debits = account.debits_posted + account.debits_pending;
    let credits = account.credits_posted + account.credits_pending;
    (has(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS) && debits > account.credits_posted)
        || (has(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS) && credits > account.debits_posted)
}

fn judge_digests(last: &Ledger, nodes: &[(u8, Ledger)], verdict: &mut Verdict) {
    for (node, ledger) in nodes {
        let mut compared = 0;
        let different = ledger.digests.iter().find(|(sequence, digest)| {
            last.digests.get(sequence).is_some_and(|other| {
                compared += 1;
                other != *digest
            })
        });
        verdict.digests_compared += compared;
        match different {
            Some((sequence, _)) => verdict.different.push((*node, *sequence)),
            // Logs without a common sequence prove nothing.
            None if compared == 0 => verdict.different.push((*node, 0)),
            None => {}
        }
    }
}

fn rival_epochs(history: &History) -> Vec<u64> {
    let mut nodes: BTreeMap<u64, BTreeSet<u8>> = BTreeMap::new();
    for (epoch, node) in history.replies.keys() {
        nodes.entry(*epoch).or_default().insert(*node);
    }
    nodes.into_iter().filter(|(_, nodes)| nodes.len() > 1).map(|(epoch, _)| epoch).collect()
}

impl Verdict {
    /// Whether nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        let counts = [
            self.lost,
            self.altered,
            self.ghosts,
            self.doubled,
            self.wrong_balances,
            self.over_limit,
            self.unbalanced,
        ];
        counts.iter().all(|count| *count == 0)
            && self.different.is_empty()
            && self.rival_epochs.is_empty()
            && self.problems.is_empty()
    }

    /// The verdict in one line.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} acknowledged, {} unknown: lost {}, altered {}, ghosts {}, doubled {}, wrong balances {}, over limit {}",
            count_text(self.acknowledged),
            count_text(self.unknown),
            self.lost,
            self.altered,
            self.ghosts,
            self.doubled,
            self.wrong_balances,
            self.over_limit,
        );
        text.push_str(match self.unbalanced {
            0 => "; debits = credits",
            _ => "; debits are NOT credits",
        });
        text.push_str(&format!("; {} digests equal", count_text(self.digests_compared)));
        for (node, sequence) in &self.different {
            text.push_str(&format!(", node {node} DIFFERS at sequence {sequence}"));
        }
        if self.rival_epochs.is_empty() {
            text.push_str("; one primary per epoch");
        } else {
            text.push_str(&format!("; RIVALS in the epochs {:?}", self.rival_epochs));
        }
        for problem in &self.problems {
            text.push_str(&format!("; problem: {problem}"));
        }
        text
    }

    /// The verdict as JSON.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "clean": self.is_clean(),
            "acknowledged": self.acknowledged,
            "unknown": self.unknown,
            "lost": self.lost,
            "altered": self.altered,
            "ghosts": self.ghosts,
            "doubled": self.doubled,
            "wrong_balances": self.wrong_balances,
            "over_limit": self.over_limit,
            "unbalanced_ledgers": self.unbalanced,
            "digests_compared": self.digests_compared,
            "digests_different": self.different,
            "rival_epochs": self.rival_epochs,
            "problems": self.problems,
        })
    }
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
