//! Forged histories and ledgers: the oracle must find each kind of violation, and nothing in a sound one.

use super::*;
use mizan_wire::Wide;

const NODES: [u8; 2] = [0, 1];

/// A sound world: ten transfers between two accounts, three of them refused, one unknown and found.
fn world() -> (History, Ledger) {
    let mut history = History::default();
    let mut ledger = Ledger::default();
    let mut accounts = [account(1), account(2)];
    accounts[0].flags = AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;
    for number in 1..=10u64 {
        let transfer = Transfer {
            id: u128::from(number),
            debit_account_id: 1,
            credit_account_id: 2,
            amount: u128::from(number),
            ledger: 1,
            code: 1,
            ..Transfer::default()
        };
        let timestamp = 1_000 + number;
        let seen = match number {
            8 => acknowledged(CreateTransferStatus::ExceedsCredits.number(), timestamp),
            9 => Seen::NotExecuted,
            10 => Seen::Unknown,
            _ => acknowledged(CREATED, timestamp),
        };
        history.attempts.push(Attempt { transfer, seen });
        if !matches!(number, 8 | 9) {
            ledger.transfers.push(Transfer { timestamp, ..transfer });
            accounts[0].debits_posted += transfer.amount;
            accounts[1].credits_posted += transfer.amount;
        }
        ledger.digests.insert(number, u128::from(number) * 7);
    }
    history.replies = BTreeMap::from([((2, 0), 5), ((3, 1), 5)]);
    let posted = Wide { low: accounts[0].debits_posted, high: 0 };
    ledger.trial_balance =
        vec![TrialBalanceRow { debits_posted: posted, credits_posted: posted, ..row() }];
    ledger.accounts = accounts.to_vec();
    (history, ledger)
}

fn row() -> TrialBalanceRow {
    TrialBalanceRow { ledger: 1, ..TrialBalanceRow::default() }
}

fn account(id: u128) -> Account {
    Account { id, ledger: 1, code: 1, ..Account::default() }
}

const fn acknowledged(status: u32, timestamp: u64) -> Seen {
    Seen::Acknowledged(CreateResult { timestamp, status, reserved: 0 })
}

fn verdict_on(history: &History, ledger: &Ledger) -> Verdict {
    judge(history, ledger, &NODES.map(|node| (node, ledger.clone())))
}

/// What the oracle says of the sound world after a change.
fn after(change: impl FnOnce(&mut History, &mut Ledger)) -> Verdict {
    let (mut history, mut ledger) = world();
    change(&mut history, &mut ledger);
    let verdict = verdict_on(&history, &ledger);
    assert!(!verdict.is_clean(), "a forgery was not found: {}", verdict.text());
    verdict
}

#[test]
fn a_sound_history_is_found_to_be_sound() {
    let (history, ledger) = world();
    let verdict = verdict_on(&history, &ledger);
    assert!(verdict.is_clean(), "{}", verdict.text());
    assert_eq!((verdict.acknowledged, verdict.unknown), (8, 1));
    assert_eq!(verdict.digests_compared, 20);
}

#[test]
fn an_unknown_transfer_may_be_in_the_ledger_or_not() {
    let (history, mut ledger) = world();
    let gone = ledger.transfers.pop().expect("the unknown one");
    ledger.accounts[0].debits_posted -= gone.amount;
    ledger.accounts[1].credits_posted -= gone.amount;
    assert!(verdict_on(&history, &ledger).is_clean());
}

#[test]
fn an_acknowledged_transfer_that_is_gone_is_lost() {
    let verdict = after(|_, ledger| {
        let gone = ledger.transfers.remove(3);
        ledger.accounts[0].debits_posted -= gone.amount;
        ledger.accounts[1].credits_posted -= gone.amount;
    });
    assert_eq!((verdict.lost, verdict.wrong_balances), (1, 0));
}

#[test]
fn another_result_than_the_acknowledged_one_is_altered() {
    assert_eq!(after(|_, ledger| ledger.transfers[2].timestamp += 1).altered, 1);
    let verdict = after(|_, ledger| ledger.transfers[2].code = 2);
    assert_eq!(verdict.altered, 1);
    let refused = after(|history, _| {
        history.attempts[0].seen =
            acknowledged(CreateTransferStatus::ExceedsCredits.number(), 1_001);
    });
    assert_eq!(refused.altered, 1, "refused, and yet there");
    let unknown = after(|_, ledger| ledger.transfers.last_mut().expect("the unknown one").code = 2);
    assert_eq!(unknown.altered, 1);
}

#[test]
fn a_transfer_that_nobody_sent_or_that_was_not_executed_is_a_ghost() {
    let foreign = after(|history, _| {
        history.attempts.remove(0);
    });
    assert_eq!(foreign.ghosts, 1);
    let executed = after(|history, _| history.attempts[0].seen = Seen::NotExecuted);
    assert_eq!(executed.ghosts, 1);
}

#[test]
fn a_transfer_that_was_applied_twice_is_found_by_its_record_and_by_the_balances() {
    let by_record = after(|_, ledger| {
        let again = ledger.transfers[4];
        ledger.transfers.push(again);
    });
    assert_eq!((by_record.doubled, by_record.wrong_balances), (1, 2));
    let by_balance = after(|_, ledger| {
        let amount = ledger.transfers[4].amount;
        ledger.accounts[0].debits_posted += amount;
        ledger.accounts[1].credits_posted += amount;
    });
    assert_eq!((by_balance.doubled, by_balance.wrong_balances), (0, 2));
    let to_nobody = after(|_, ledger| {
        ledger.accounts.remove(1);
    });
    assert_eq!(to_nobody.wrong_balances, 1);
}

#[test]
fn an_account_beyond_its_limit_and_a_ledger_that_does_not_foot_are_found() {
    let verdict = after(|_, ledger| {
        ledger.accounts[0].flags = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    });
    assert_eq!(verdict.over_limit, 1);
    let verdict = after(|_, ledger| {
        ledger.accounts[1].flags = AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS;
    });
    assert_eq!(verdict.over_limit, 1);
    let verdict = after(|_, ledger| ledger.trial_balance[0].debits_posted.low += 1);
    assert_eq!(verdict.unbalanced, 1);
}

#[test]
fn nodes_that_differ_at_one_sequence_are_found_whatever_their_ends_are() {
    let (history, last) = world();
    let mut other = last.clone();
    other.digests.remove(&10);
    *other.digests.get_mut(&6).expect("a digest") += 1;
    let verdict = judge(&history, &last, &[(0, last.clone()), (1, other)]);
    assert_eq!(verdict.different, [(1, 6)]);
    assert!(!verdict.is_clean());
    let nothing = Ledger { digests: BTreeMap::from([(99, 1)]), ..Ledger::default() };
    let verdict = judge(&history, &last, &[(1, nothing)]);
    assert_eq!(verdict.different, [(1, 0)], "nothing was compared");
}

#[test]
fn two_nodes_that_acknowledge_in_one_epoch_are_rivals() {
    let verdict = after(|history, _| {
        history.replies.insert((3, 0), 1);
    });
    assert_eq!(verdict.rival_epochs, [3]);
}

#[test]
fn what_the_verification_of_the_files_complains_about_counts() {
    let verdict = after(|_, ledger| ledger.problems.push("a wrong hash".to_owned()));
    assert_eq!(verdict.problems.len(), 3, "{:?}", verdict.problems);
}
