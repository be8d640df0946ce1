//! A load that remembers: ordinary clients on threads, each with all addresses, and a note of every reply.
//!
//! Invariants: a client is never helped: it finds the primary, connects again and resends by itself; a transfer is noted
//! once, with what its client said of it; transfer *n* of a seed is the same whenever it is made.
//!
//! What is absent: speed. A fixed schedule bounds the rate, so that the nodes share the machine with what is measured.

use super::history::{Attempt, History, Seen};
use crate::error::CliError;
use mizan_client::{Client, ClientConfig, Completion, Outcome, RequestId};
use mizan_loadgen::random::Random;
use mizan_wire::{Account, AccountFlags, CREATED, Operation, Transfer};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// The ledger of the load.
const LEDGER: u32 = 1;
/// Accounts between which money moves; their ids are 1 to this.
const ACCOUNTS: u64 = 64;
/// The first of these may not spend what they do not have, so that some transfers are refused.
const LIMITED_ACCOUNTS: u64 = 8;
/// The largest amount, in smallest units.
const AMOUNT_MAX: u64 = 10_000;
/// Clients, each on a thread.
const CLIENTS: u64 = 3;
/// Requests in flight per client.
const IN_FLIGHT_MAX: usize = 4;
/// Time between two requests of a client.
const INTERVAL: Duration = Duration::from_millis(4);
/// How long one poll waits at the most.
const POLL_MAX: Duration = Duration::from_millis(5);
/// How long unanswered requests are waited for at the end, before they count as unknown.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// What a load sends.
#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    /// The nodes that the clients know, with their addresses.
    pub(crate) nodes: Vec<(u8, SocketAddr)>,
    pub(crate) seed: u64,
    /// Transfers in one request.
    pub(crate) batch: u64,
    /// Whether requests follow each other without a pause.
    pub(crate) is_full: bool,
}

impl LoadPlan {
    fn config(&self) -> ClientConfig {
        let addresses = self.nodes.iter().map(|(_, address)| *address).collect();
        ClientConfig { addresses, ..ClientConfig::default() }
    }
}

/// What the threads share with whoever watches.
#[derive(Debug)]
struct Shared {
    begun: Instant,
    stopped: AtomicBool,
    acknowledged: AtomicU64,
    /// Nanoseconds since the begin of the last acknowledgement, and the longest time between two.
    last_ns: AtomicU64,
    longest_pause_ns: AtomicU64,
    /// First reply of each epoch.
    first_replies: Mutex<BTreeMap<u64, Instant>>,
}

/// A load that runs.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<History>>,
}

impl Load {
    /// Makes the accounts, and begins to send.
    ///
    /// # Errors
    /// Those of a client; accounts that are refused.
    pub(crate) fn start(plan: &LoadPlan) -> Result<Self, CliError> {
        make_accounts(plan)?;
        Self::resume(plan)
    }

    /// Begins to send; the accounts are there. A part of its own for each load of one ledger.
    ///
    /// # Errors
    /// Those of a client.
    pub(crate) fn resume(plan: &LoadPlan) -> Result<Self, CliError> {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            stopped: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
            longest_pause_ns: AtomicU64::new(0),
            first_replies: Mutex::new(BTreeMap::new()),
        });
        let mut threads = Vec::new();
        for number in 0..CLIENTS {
            let sender = Sender {
                client: Client::connect(plan.config())?,
                plan: plan.clone(),
                number,
                next: 0,
                due: Instant::now(),
                in_flight: HashMap::new(),
                history: History::default(),
                epoch: 0,
                shared: Arc::clone(&shared),
            };
            threads.push(std::thread::spawn(move || sender.run()));
        }
        Ok(Self { shared, threads })
    }

    /// Transfers answered so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// When the first reply of an epoch above this one came.
    pub(crate) fn first_reply_above(&self, epoch: u64) -> Option<Instant> {
        first_replies(&self.shared).range(epoch + 1..).next().map(|(_, at)| *at)
    }

    /// Sends nothing more, waits for what is unanswered, and gives what was seen.
    pub(crate) fn stop(self) -> History {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let mut history = History::default();
        for thread in self.threads {
            match thread.join() {
                Ok(seen) => history.absorb(seen),
                Err(_) => history.errors.push("a client's thread panicked".to_owned()),
            }
        }
        history.longest_pause =
            Duration::from_nanos(self.shared.longest_pause_ns.load(Ordering::Relaxed));
        history
    }
}

fn first_replies(shared: &Shared) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
    shared.first_replies.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make_accounts(plan: &LoadPlan) -> Result<(), CliError> {
    let mut client = Client::connect(plan.config())?;
    let accounts: Vec<Account> = (1..=ACCOUNTS)
        .map(|number| Account {
            id: number.into(),
            ledger: LEDGER,
            code: 1,
            flags: if number <= LIMITED_ACCOUNTS {
                AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS
            } else {
                0
            },
            ..Account::default()
        })
        .collect();
    let results = client.create_accounts(&accounts)?;
    client.close()?;
    if results.iter().all(|result| result.status == CREATED) {
        Ok(())
    } else {
        Err(CliError::Problem(format!("an account of the load was refused: {results:?}")))
    }
}

/// One client on its thread.
struct Sender {
    client: Client,
    plan: LoadPlan,
    number: u64,
    next: u64,
    due: Instant,
    in_flight: HashMap<RequestId, Vec<Transfer>>,
    history: History,
    /// The highest epoch of a reply so far.
    epoch: u64,
    shared: Arc<Shared>,
}

impl Sender {
    fn run(mut self) -> History {
        let outcome = self.send_until_stopped().and_then(|()| self.settle());
        if let Err(error) = outcome {
            self.history.errors.push(error.to_string());
        }
        let left: Vec<Vec<Transfer>> = self.in_flight.drain().map(|(_, sent)| sent).collect();
        for transfer in left.into_iter().flatten() {
            self.history.attempts.push(Attempt { transfer, seen: Seen::Unknown });
        }
        // Nobody is left to be asked if there is no primary; the session then stays open.
        if self.client.is_connected() && self.history.errors.is_empty() {
            let _ = self.client.close();
        }
        self.history
    }

    fn send_until_stopped(&mut self) -> Result<(), CliError> {
        while !self.shared.stopped.load(Ordering::Relaxed) {
            let now = Instant::now();
            let may_send = self.plan.is_full || now >= self.due;
            if may_send
                && self.in_flight.len() < IN_FLIGHT_MAX
                && self.client.can_submit(self.plan.batch as u32)
            {
                self.send()?;
                // What was missed in a pause is not made up for.
                self.due = (self.due + INTERVAL).max(now);
                continue;
            }
            let wait = self.due.saturating_duration_since(now).min(POLL_MAX);
            self.take_in(if may_send { POLL_MAX } else { wait })?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), CliError> {
        let transfers: Vec<Transfer> = (self.next..self.next + self.plan.batch)
            .map(|at| transfer(at * CLIENTS + self.number, self.plan.seed))
            .collect();
        let id = self.client.submit(Operation::CreateTransfers, transfers.as_bytes())?;
        self.client.flush();
        self.next += self.plan.batch;
        self.in_flight.insert(id, transfers);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), CliError> {
        let until = Instant::now() + SETTLE_MAX;
        while !self.in_flight.is_empty() && Instant::now() < until {
            self.take_in(POLL_MAX)?;
        }
        Ok(())
    }

    fn take_in(&mut self, mut timeout: Duration) -> Result<(), CliError> {
        while let Some(completion) = self.client.poll(timeout)? {
            self.note(&completion);
            timeout = Duration::ZERO;
        }
        Ok(())
    }

    fn note(&mut self, completion: &Completion) {
        let Some(transfers) = self.in_flight.remove(&completion.id) else { return };
        let seen: Vec<Seen> = match &completion.outcome {
            Outcome::Reply(reply) => {
                self.note_reply(reply.epoch, reply.replayed, transfers.len() as u64);
                reply.create_results().into_iter().map(Seen::Acknowledged).collect()
            }
            Outcome::Refused(_) | Outcome::NotSent => vec![Seen::NotExecuted; transfers.len()],
            Outcome::Unknown => vec![Seen::Unknown; transfers.len()],
        };
        let attempts = transfers.into_iter().zip(seen);
        self.history.attempts.extend(attempts.map(|(transfer, seen)| Attempt { transfer, seen }));
    }

    fn note_reply(&mut self, epoch: u64, is_replayed: bool, transfers: u64) {
        let now = Instant::now();
        let address = self.client.node().address;
        match self.plan.nodes.iter().find(|(_, known)| *known == address) {
            Some((node, _)) => *self.history.replies.entry((epoch, *node)).or_default() += 1,
            None => {
                self.history.errors.push(format!("a reply came from {address}, which is no node"));
            }
        }
        self.history.replayed += u64::from(is_replayed);
        if epoch > self.epoch {
            self.epoch = epoch;
            first_replies(&self.shared).entry(epoch).or_insert(now);
        }
        self.shared.acknowledged.fetch_add(transfers, Ordering::Relaxed);
        let now_ns = u64::try_from((now - self.shared.begun).as_nanos()).unwrap_or(u64::MAX);
        let before_ns = self.shared.last_ns.swap(now_ns, Ordering::Relaxed);
        let pause_ns = if before_ns == 0 { 0 } else { now_ns.saturating_sub(before_ns) };
        self.shared.longest_pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
    }
}

/// Transfer number `number` of the seed.
fn transfer(number: u64, seed: u64) -> Transfer {
    let mut random = Random::of_part(seed, number);
    let debit = random.below(ACCOUNTS);
    let credit = (debit + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    Transfer {
        // The upper half is below 2^63, which keeps ids out of the engine's own space.
        id: (u128::from(seed >> 1) << 64) | u128::from(number + 1),
        debit_account_id: u128::from(debit + 1),
        credit_account_id: u128::from(credit + 1),
        amount: u128::from(1 + random.below(AMOUNT_MAX)),
        ledger: LEDGER,
        code: 1,
        ..Transfer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::limits::id_is_reserved;

    #[test]
    fn a_transfer_is_the_same_whenever_it_is_made_and_pays_somebody_else() {
        for seed in [0, 1, u64::MAX] {
            for number in 0..2_000 {
                let made = transfer(number, seed);
                assert_eq!(made, transfer(number, seed));
                assert_ne!(made.debit_account_id, made.credit_account_id);
                assert!((1..=u128::from(ACCOUNTS)).contains(&made.debit_account_id));
                assert!((1..=u128::from(ACCOUNTS)).contains(&made.credit_account_id));
                assert!(made.amount > 0 && made.id != 0 && !id_is_reserved(made.id));
            }
        }
    }
}
