//! However full the table of transfers is, every open hold can be ended: by a post, by a void, inside a chain and
//! outside, whatever ids were spent before.

use super::pair::Pair;
use super::requests::{request, small_genesis};
use mizan_model::Model;
use mizan_wire::limits::NS_PER_S;
use mizan_wire::{
    Account, AccountFlags, CreateTransferStatus, EngineStatus, Genesis, Operation, RequestStatus,
    Transfer, TransferFlags as F,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use zerocopy::IntoBytes;

const SEED: u64 = 0x4D69_7A61_6E00_0011;
const CASES: u32 = 600;
const CLOCK: u64 = 1_000 * NS_PER_S;
/// Ids of the transfers that end what a case leaves open.
const LAST_IDS: u128 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum What {
    Transfer,
    Hold { timeout: u32, closes: u16 },
    Post(u8),
    Void(u8),
}

#[derive(Clone, Copy, Debug)]
struct Event {
    what: What,
    is_linked: bool,
    /// 4 has no funds and may not overdraw, 5 does not exist.
    debit: u8,
    id: u8,
}

#[derive(Clone, Debug)]
struct Step {
    events: Vec<Event>,
    /// Seconds until a tick that comes after them; 0 for none.
    seconds: u64,
}

fn event() -> impl Strategy<Value = Event> {
    let closes =
        prop_oneof![6 => Just(0), 1 => Just(F::CLOSING_DEBIT), 1 => Just(F::CLOSING_CREDIT)];
    let what = prop_oneof![
        3 => Just(What::Transfer),
        5 => (0..3u32, closes).prop_map(|(timeout, closes)| What::Hold { timeout, closes }),
        2 => any::<u8>().prop_map(What::Post),
        2 => any::<u8>().prop_map(What::Void),
    ];
    (what, prop::bool::weighted(0.25), 1..6u8, 1..40u8)
        .prop_map(|(what, is_linked, debit, id)| Event { what, is_linked, debit, id })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (prop::collection::vec(event(), 1..6), prop_oneof![4 => Just(0u64), 1 => 1..3u64]);
    prop::collection::vec(step.prop_map(|(events, seconds)| Step { events, seconds }), 1..14)
}

fn open_holds(model: &Model) -> Vec<u128> {
    let is_open = |id: &u128| model.hold(*id) == Some(mizan_model::HoldState::Open);
    model.transfers().map(|transfer| transfer.id).filter(is_open).collect()
}

fn transfer(event: &Event, model: &Model) -> Transfer {
    let open = open_holds(model);
    // Holds that have ended, and ids that no hold has, are named as well.
    let named = |pick: u8| match open.get(usize::from(pick) % (open.len() + 1)) {
        Some(id) => *id,
        None => u128::from(pick % 40) + 1,
    };
    let plain = Transfer { id: event.id.into(), ..Transfer::default() };
    let moving = Transfer {
        debit_account_id: event.debit.into(),
        credit_account_id: u128::from(event.debit % 3) + 1,
        amount: 1,
        ledger: 1,
        code: 1,
        ..plain
    };
    let mut transfer = match event.what {
        What::Transfer => moving,
        What::Hold { timeout, closes } => {
            Transfer { timeout, flags: F::PENDING | closes, ..moving }
        }
        What::Post(pick) => {
            Transfer { pending_id: named(pick), amount: u128::MAX, flags: F::POST_PENDING, ..plain }
        }
        What::Void(pick) => Transfer { pending_id: named(pick), flags: F::VOID_PENDING, ..plain },
    };
    if event.is_linked {
        transfer.flags |= F::LINKED;
    }
    transfer
}

/// Whether both create all of these.
fn are_created(pair: &mut Pair, events: &[Transfer], clock: u64) -> Result<(), String> {
    let body = events.as_bytes();
    let reply = pair.apply(&request(Operation::CreateTransfers, body, clock), body)?;
    let is_done = reply.status == RequestStatus::Ok && reply.result_count == 0;
    if is_done { Ok(()) } else { Err(format!("not all of {events:?} were created: {reply:?}")) }
}

fn begin(transfer_count_max: u64) -> Result<Pair, String> {
    let genesis = Genesis {
        transfer_count_max,
        hold_count_max: transfer_count_max.min(5),
        ..small_genesis()
    };
    let mut pair = Pair::new(&genesis, CLOCK)?;
    let account = |id: u128| Account {
        id,
        ledger: 1,
        code: 1,
        flags: if id == 4 { AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS } else { 0 },
        ..Account::default()
    };
    let accounts: Vec<Account> = (1..5).map(account).collect();
    let body = accounts.as_bytes();
    pair.apply(&request(Operation::CreateAccounts, body, CLOCK), body)?;
    Ok(pair)
}

fn check(transfer_count_max: u64, steps: &[Step]) -> Result<(), String> {
    let mut pair = begin(transfer_count_max)?;
    let mut clock = CLOCK;
    for step in steps {
        let events: Vec<Transfer> =
            step.events.iter().map(|event| transfer(event, &pair.model)).collect();
        pair.apply(
            &request(Operation::CreateTransfers, events.as_bytes(), clock),
            events.as_bytes(),
        )?;
        let status = pair.engine.status();
        let is_within = status.transfers_taken() <= status.transfer_count_max;
        if !is_within || status.transfer_reserved_count != status.hold_count {
            return Err(format!("places are not those of transfers, ids and ends: {status:?}"));
        }
        can_all_be_ended(&pair.model, clock)?;
        if step.seconds > 0 {
            clock += step.seconds * NS_PER_S;
            pair.apply(&request(Operation::Tick, &[], clock), &[])?;
        }
    }
    // What is due waits for its tick only.
    pair.apply(&request(Operation::Tick, &[], clock), &[])?;
    for (pending_id, id) in open_holds(&pair.model).into_iter().zip(LAST_IDS..) {
        let void = Transfer { id, pending_id, flags: F::VOID_PENDING, ..Transfer::default() };
        are_created(&mut pair, &[void], clock)?;
    }
    let EngineStatus { hold_count, transfer_reserved_count, .. } = pair.engine.status();
    if (hold_count, transfer_reserved_count) != (0, 0) {
        return Err("something is still reserved".to_owned());
    }
    pair.finish()
}

/// Voids every open hold in a copy of the model, each in a copy of its own and all in one chain.
fn can_all_be_ended(model: &Model, clock: u64) -> Result<(), String> {
    let open = open_holds(model);
    let is_due = |id: u128| {
        let pending = model.transfers().find(|transfer| transfer.id == id);
        let pending = pending.expect("an open hold is a stored transfer");
        let timeout_ns = u64::from(pending.timeout) * NS_PER_S;
        timeout_ns != 0 && pending.timestamp + timeout_ns <= clock.max(model.timestamp()) + 100
    };
    let void = |(pending_id, id): (u128, u128)| Transfer {
        id,
        pending_id,
        flags: F::VOID_PENDING | F::LINKED,
        ..Transfer::default()
    };
    let open = open.into_iter().filter(|id| !is_due(*id));
    let mut voids: Vec<Transfer> = open.zip(LAST_IDS..).map(void).collect();
    let Some(last) = voids.last_mut() else { return Ok(()) };
    last.flags = F::VOID_PENDING;
    let mut copy = model.clone();
    let body = voids.as_bytes();
    let header = request(Operation::CreateTransfers, body, clock);
    let reply = copy.apply(copy.sequence() + 1, &header, body);
    let reply = reply.map_err(|error| error.to_string())?;
    match reply.result_count {
        0 => Ok(()),
        _ => Err(format!("open holds cannot be ended: {voids:?}, {reply:?}")),
    }
}

#[test]
fn every_open_hold_can_be_ended_however_full_the_table_is() {
    println!("seed {SEED}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&SEED.to_le_bytes());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let outcome = runner.run(&(2..14u64, steps()), |(transfer_count_max, steps)| {
        check(transfer_count_max, &steps).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => panic!("{reason}\nsmallest case: {case:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// The case that locked money: a deposit, a hold without a timeout, a transfer, and no place left for the void.
#[test]
fn a_hold_is_voided_in_a_table_that_is_full_without_its_end() {
    let mut pair = begin(4).expect("both begin");
    let moving = |id: u128, flags: u16| Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 40,
        ledger: 1,
        code: 1,
        flags,
        ..Transfer::default()
    };
    are_created(&mut pair, &[moving(1, 0), moving(2, F::PENDING), moving(3, 0)], CLOCK)
        .expect("room");
    let events = [moving(4, 0)];
    let body = events.as_bytes();
    let reply = pair.apply(&request(Operation::CreateTransfers, body, CLOCK), body);
    let reply = reply.expect("both agree");
    let status = u32::from_le_bytes(reply.body[12..16].try_into().expect("four bytes"));
    assert_eq!(status, CreateTransferStatus::TransfersFull as u32);
    assert_eq!(pair.engine.status().transfers_taken(), 4);
    let void = Transfer { id: 5, pending_id: 2, flags: F::VOID_PENDING, ..Transfer::default() };
    are_created(&mut pair, &[void], CLOCK).expect("a hold can always be ended");
    assert_eq!(pair.engine.status().hold_count, 0);
    pair.finish().expect("both agree");
}
