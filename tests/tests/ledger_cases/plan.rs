//! What a random case does, before it is known what state it will meet: plans shrink, requests do not.
//!
//! All number spaces are small, so that ids collide, capacities end and holds are met again.

use mizan_wire::limits::NS_PER_S;
use mizan_wire::{AccountFlags as A, Genesis, TransferFlags as F};
use proptest::prelude::*;
use proptest::sample::select;

use super::requests::small_genesis;

/// A node and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) genesis: Genesis,
    pub(crate) clock_start: u64,
    /// Flags of the accounts that are there from the beginning.
    pub(crate) accounts: Vec<u16>,
    /// Clients that have a session from the beginning.
    pub(crate) clients: u8,
    pub(crate) steps: Vec<Step>,
}

/// One request, after some time.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) advance_ns: u64,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Accounts(Who, Vec<AccountPlan>),
    Transfers(Who, Vec<TransferPlan>),
    Ledgers(Who, Vec<RegistryPlan>),
    Codes(Who, Vec<RegistryPlan>),
    Register { client: u8, claims: Claim },
    Close(Who),
    Tick,
    Digest,
    Read { what: u8, ids: Vec<u8>, ahead: u8 },
    Broken(u8),
}

/// Which session number a client names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    Nothing,
    Known,
    Wrong,
}

/// Who writes, and what the header says about it. Client 0 has no session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) client: u8,
    pub(crate) claims: Claim,
    pub(crate) number: RequestNumber,
    pub(crate) received: Received,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestNumber {
    Next,
    /// One of the last requests again, byte by byte.
    Repeat(u8),
    /// Another body under the number of one of the last requests.
    Reuse(u8),
    Gap,
    Zero,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Received {
    Nothing,
    AllBut(u8),
    TooMany,
}

/// What timestamp an imported event carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnTime {
    Zero,
    Absolute(u16),
    /// So many nanoseconds after the newest account and transfer.
    AfterAll(u8),
    AfterTransfers(u8),
    AfterAccounts(u8),
    OfAccount(u8),
    OfTransfer(u8),
    /// Around the end of the request itself.
    Now(u8),
    Huge,
}

#[derive(Clone, Debug)]
pub(crate) struct AccountPlan {
    /// A stored account again, instead of the fields below.
    pub(crate) copies: Option<u8>,
    pub(crate) id: u8,
    pub(crate) ledger: u8,
    pub(crate) code: u8,
    pub(crate) flags: u16,
    pub(crate) user_data: u8,
    pub(crate) own_time: OwnTime,
    pub(crate) fault: Option<u8>,
}

/// Places of accounts that a transfer may name.
pub(crate) const PLACE_MAX: u8 = 12;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Plain,
    Hold,
    /// Of one of the holds, the newest first.
    Post(u8),
    Void(u8),
    /// A stored transfer again.
    Copy(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct TransferPlan {
    pub(crate) kind: Kind,
    pub(crate) id: u8,
    /// Up to [`PLACE_MAX`] a place among the stored accounts, above it an id.
    pub(crate) dr: u8,
    pub(crate) cr: u8,
    pub(crate) amount: u128,
    pub(crate) timeout: u32,
    pub(crate) flags: u16,
    pub(crate) user_data: u8,
    /// Whether a post or void names accounts, ledger and code.
    pub(crate) names_all: bool,
    pub(crate) own_time: OwnTime,
    pub(crate) fault: Option<u8>,
}

/// A ledger or a code.
#[derive(Clone, Debug)]
pub(crate) struct RegistryPlan {
    pub(crate) number: u8,
    /// Scale of a ledger, class of a code.
    pub(crate) grade: u8,
    pub(crate) currency: &'static str,
    pub(crate) name: &'static str,
    pub(crate) fault: Option<u8>,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let clock_start = select(vec![0, 1_000, 1_700_000_000 * NS_PER_S, 9_000_000_000 * NS_PER_S]);
    let accounts = prop_oneof![
        8 => prop::collection::vec(account_flags(), 3..10),
        1 => prop::collection::vec(account_flags(), 0..3),
    ];
    let steps = prop::collection::vec(step(), 1..40);
    (genesis(), clock_start, accounts, 0..4u8, steps).prop_map(
        |(genesis, clock_start, accounts, clients, steps)| Case {
            genesis,
            clock_start,
            accounts,
            clients,
            steps,
        },
    )
}

fn account_flags() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => Just(0),
        2 => Just(A::DEBITS_MUST_NOT_EXCEED_CREDITS),
        2 => Just(A::CREDITS_MUST_NOT_EXCEED_DEBITS),
        1 => Just(A::HISTORY),
    ]
}

fn genesis() -> impl Strategy<Value = Genesis> {
    let accounts = prop_oneof![1 => Just(1), 1 => Just(5), 6 => 10..30u64];
    let transfers = prop_oneof![1 => Just(6), 2 => Just(30), 6 => Just(250)];
    let records = (accounts, transfers, select(vec![1, 3, 100, 100]));
    let registry = (1..6u32, 1..4u32);
    let sessions = (1..5u32, 1..6u32, select(vec![0, 50, NS_PER_S, NS_PER_S]));
    (records, registry, sessions, 1..9u32).prop_map(|(records, registry, sessions, interval)| {
        Genesis {
            account_count_max: records.0,
            transfer_count_max: records.1,
            hold_count_max: records.2.min(records.1),
            ledger_count_max: registry.0,
            code_count_max: registry.1,
            session_count_max: sessions.0,
            window_requests: sessions.1,
            session_idle_ns: sessions.2,
            digest_interval: interval,
            ..small_genesis()
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let advance = prop_oneof![
        6 => Just(0),
        6 => 0..50u64,
        4 => (0..4u64).prop_map(|seconds| seconds * NS_PER_S),
        1 => Just(500 * NS_PER_S),
    ];
    (advance, action()).prop_map(|(advance_ns, action)| Step { advance_ns, action })
}

fn action() -> impl Strategy<Value = Action> {
    let accounts = (who(), batch(account(false), account(true)));
    let transfers = (who(), batch(transfer(false), transfer(true)));
    let registry = || (who(), prop::collection::vec(registry_record(), 1..4));
    let read = (0..6u8, prop::collection::vec(0..40u8, 1..5), 0..3u8);
    prop_oneof![
        12 => accounts.prop_map(|(who, events)| Action::Accounts(who, events)),
        40 => transfers.prop_map(|(who, events)| Action::Transfers(who, events)),
        3 => registry().prop_map(|(who, events)| Action::Ledgers(who, events)),
        3 => registry().prop_map(|(who, events)| Action::Codes(who, events)),
        3 => (0..5u8, claim()).prop_map(|(client, claims)| Action::Register { client, claims }),
        1 => who().prop_map(Action::Close),
        3 => Just(Action::Tick),
        3 => Just(Action::Digest),
        4 => read.prop_map(|(what, ids, ahead)| Action::Read { what, ids, ahead }),
        1 => (0..BROKEN_COUNT).prop_map(Action::Broken),
    ]
}

/// Ways in which an entry can be broken; see `World::broken`.
pub(crate) const BROKEN_COUNT: u8 = 16;

fn who() -> impl Strategy<Value = Who> {
    let number = prop_oneof![
        12 => Just(RequestNumber::Next),
        5 => (0..3u8).prop_map(RequestNumber::Repeat),
        1 => (0..3u8).prop_map(RequestNumber::Reuse),
        1 => Just(RequestNumber::Gap),
        1 => Just(RequestNumber::Zero),
    ];
    let received = prop_oneof![
        8 => Just(Received::Nothing),
        8 => (1..5u8).prop_map(Received::AllBut),
        1 => Just(Received::TooMany),
    ];
    let client = prop_oneof![6 => Just(0), 3 => 1..3u8, 1 => 1..5u8];
    (client, claim(), number, received).prop_map(|(client, claims, number, received)| Who {
        client,
        claims,
        number,
        received,
    })
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![1 => Just(Claim::Nothing), 24 => Just(Claim::Known), 1 => Just(Claim::Wrong)]
}

/// Ordinary events, or imported ones, or rarely both in one request.
fn batch<E: std::fmt::Debug>(
    ordinary: impl Strategy<Value = E> + Clone,
    imported: impl Strategy<Value = E> + Clone,
) -> impl Strategy<Value = Vec<E>> {
    let mixed = (prop::collection::vec(ordinary.clone(), 1..4), imported.clone(), any::<bool>());
    let mixed = mixed.prop_map(|(mut events, imported, first)| {
        let at = if first { 0 } else { events.len() };
        events.insert(at, imported);
        events
    });
    prop_oneof![
        12 => prop::collection::vec(ordinary, 1..8),
        3 => prop::collection::vec(imported, 1..6),
        1 => mixed,
    ]
}

fn own_time() -> impl Strategy<Value = OwnTime> {
    prop_oneof![
        1 => Just(OwnTime::Zero),
        1 => (1..3_000u16).prop_map(OwnTime::Absolute),
        12 => (1..4u8).prop_map(OwnTime::AfterAll),
        3 => (0..4u8).prop_map(OwnTime::AfterTransfers),
        3 => (0..4u8).prop_map(OwnTime::AfterAccounts),
        1 => (0..9u8).prop_map(OwnTime::OfAccount),
        1 => (0..9u8).prop_map(OwnTime::OfTransfer),
        1 => (0..4u8).prop_map(OwnTime::Now),
        1 => Just(OwnTime::Huge),
    ]
}

/// Sets each flag with its own likelihood, in percent.
fn flags(likelihoods: &[(u16, u32)]) -> impl Strategy<Value = u16> + use<> {
    let likelihoods = likelihoods.to_vec();
    let dice = prop::collection::vec(0..100u32, likelihoods.len());
    dice.prop_map(move |dice| {
        let set =
            dice.iter().zip(&likelihoods).filter(|(die, (_, percent))| **die >= 100 - percent);
        set.map(|(_, (flag, _))| flag).sum()
    })
}

/// Nothing wrong, or rarely one thing.
fn fault(count: u8) -> impl Strategy<Value = Option<u8>> {
    prop_oneof![8 => Just(None), 1 => (0..count).prop_map(Some)]
}

/// What can be wrong with an account; see `events.rs`.
pub(crate) const ACCOUNT_FAULT_COUNT: u8 = 18;
/// What can be wrong with a transfer; see `events.rs`.
pub(crate) const TRANSFER_FAULT_COUNT: u8 = 26;
/// What can be wrong with a registry record; see `events.rs`.
pub(crate) const REGISTRY_FAULT_COUNT: u8 = 4;

fn account(imported: bool) -> impl Strategy<Value = AccountPlan> + Clone {
    let flags = flags(&[
        (A::LINKED, 20),
        (A::DEBITS_MUST_NOT_EXCEED_CREDITS, 12),
        (A::CREDITS_MUST_NOT_EXCEED_DEBITS, 12),
        (A::HISTORY, 5),
        (A::CLOSED, 4),
    ]);
    let copies = prop_oneof![5 => Just(None), 1 => (0..9u8).prop_map(Some)];
    let ledger = prop_oneof![10 => Just(1), 3 => Just(2), 1 => 3..8u8];
    let what = (copies, 1..16u8, ledger, 1..3u8, flags, 0..2u8);
    (what, own_time(), fault(ACCOUNT_FAULT_COUNT)).boxed().prop_map(
        move |((copies, id, ledger, code, flags, user_data), own_time, fault)| AccountPlan {
            copies,
            id,
            ledger,
            code,
            flags: if imported { flags | A::IMPORTED } else { flags },
            user_data,
            own_time,
            fault,
        },
    )
}

fn amount() -> impl Strategy<Value = u128> {
    let powers = vec![1 << 126, 1 << 127, (1 << 127) - 1, u128::MAX, u128::MAX - 1, u128::MAX - 9];
    // Around one and two words, where balances begin to need another.
    let words = vec![1 << 63, (1 << 64) - 9, (1 << 64) - 1, 1 << 64, (1 << 64) + 1];
    prop_oneof![20 => 0..12u128, 4 => select(powers), 4 => select(words), 1 => any::<u128>()]
}

fn transfer(imported: bool) -> impl Strategy<Value = TransferPlan> + Clone {
    let flags = flags(&[
        (F::LINKED, 12),
        (F::BALANCING_DEBIT, 6),
        (F::BALANCING_CREDIT, 6),
        (F::CLOSING_DEBIT, 3),
        (F::CLOSING_CREDIT, 3),
    ]);
    let kind = prop_oneof![
        8 => Just(Kind::Plain),
        8 => Just(Kind::Hold),
        3 => (0..6u8).prop_map(Kind::Post),
        3 => (0..6u8).prop_map(Kind::Void),
        6 => (0..6u8).prop_map(Kind::Copy),
    ];
    let timeout = prop_oneof![4 => Just(0), 4 => 1..4u32, 1 => Just(u32::MAX)];
    let account = || prop_oneof![40 => 0..=PLACE_MAX, 1 => PLACE_MAX..20];
    let ids = (prop_oneof![1 => 1..12u8, 8 => 1..=255u8], account(), account());
    let fields = (amount(), timeout, flags, 0..3u8, any::<bool>());
    (kind, ids, fields, own_time(), fault(TRANSFER_FAULT_COUNT)).boxed().prop_map(
        move |(kind, (id, dr, cr), fields, own_time, fault)| {
            let (amount, timeout, flags, user_data, names_all) = fields;
            let flags = if imported { flags | F::IMPORTED } else { flags };
            let timeout = if imported && user_data != 0 { 0 } else { timeout };
            TransferPlan {
                kind,
                id,
                dr,
                cr,
                amount,
                timeout,
                flags,
                user_data,
                names_all,
                own_time,
                fault,
            }
        },
    )
}

fn registry_record() -> impl Strategy<Value = RegistryPlan> {
    let grade = prop_oneof![6 => 1..3u8, 1 => Just(0), 1 => 38..40u8];
    let currency = prop_oneof![4 => Just("EUR"), 1 => select(vec!["", "U$", "X-1.a"])];
    let name = prop_oneof![4 => Just("cash"), 1 => select(vec!["", "a\u{7}", "caf\u{e9}"])];
    (0..6u8, grade, currency, name, fault(REGISTRY_FAULT_COUNT)).prop_map(
        |(number, grade, currency, name, fault)| RegistryPlan {
            number,
            grade,
            currency,
            name,
            fault,
        },
    )
}
