//! Whose money moves: the transfers of a run, made from a fixed seed.

use mizan_wire::{Transfer, TransferFlags};

/// Source: the exponent of the skewed loads of the Yahoo cloud serving benchmark.
const ZIPF_EXPONENT: f64 = 0.99;
const CHAIN_LENGTH: u64 = 4;

/// How the accounts of transfers are chosen, and what the transfers are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// Any two accounts, all equally likely.
    Uniform,
    /// One account takes part in every transfer.
    Hot,
    /// Few accounts take part in most transfers.
    Zipf,
    /// Uniform; every other transfer posts the pending one before it.
    Holds,
    /// Uniform; chains of four.
    Chains,
}

impl Shape {
    const ALL: [Self; 5] = [Self::Uniform, Self::Hot, Self::Zipf, Self::Holds, Self::Chains];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Hot => "hot",
            Self::Zipf => "zipf",
            Self::Holds => "holds",
            Self::Chains => "chains",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }
}

struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }
}

/// Makes the transfers of a run.
pub(crate) struct Transfers {
    shape: Shape,
    account_count: u64,
    made: u64,
    random: Random,
    zipf: Option<Zipf>,
}

impl Transfers {
    pub(crate) fn new(shape: Shape, account_count: u64) -> Self {
        let zipf = (shape == Shape::Zipf).then(|| Zipf::new(account_count));
        let random = Random(0x9E37_79B9_7F4A_7C15);
        Self { shape, account_count, made: 0, random, zipf }
    }

    /// Clears `events` and fills it with the next `count` transfers.
    pub(crate) fn fill(&mut self, events: &mut Vec<Transfer>, count: usize) {
        events.clear();
        for index in 0..count {
            let mut event = self.next();
            if self.shape == Shape::Holds {
                match index % 2 {
                    0 if index + 1 < count => event.flags = TransferFlags::PENDING,
                    0 => {}
                    _ => event = post(&event, events[index - 1].id),
                }
            }
            let is_last = index + 1 == count || self.made.is_multiple_of(CHAIN_LENGTH);
            if self.shape == Shape::Chains && !is_last {
                event.flags = TransferFlags::LINKED;
            }
            events.push(event);
        }
    }

    fn next(&mut self) -> Transfer {
        let (debit, credit) = self.two_accounts();
        self.made += 1;
        Transfer {
            id: u128::from(self.made),
            debit_account_id: u128::from(debit + 1),
            credit_account_id: u128::from(credit + 1),
            amount: 1 + u128::from(self.random.below(1_000)),
            ledger: 1,
            code: 1,
            ..Transfer::default()
        }
    }

    /// Two numbers below the number of accounts that differ.
    fn two_accounts(&mut self) -> (u64, u64) {
        let count = self.account_count;
        match self.shape {
            Shape::Hot => {
                let hot = count / 2;
                let other = (hot + 1 + self.random.below(count - 1)) % count;
                if self.made.is_multiple_of(2) { (hot, other) } else { (other, hot) }
            }
            Shape::Zipf => {
                let zipf = self.zipf.as_ref().expect("the shape has its own generator");
                let debit = zipf.next(&mut self.random);
                let credit = zipf.next(&mut self.random);
                (debit, if credit == debit { (debit + 1) % count } else { credit })
            }
            Shape::Uniform | Shape::Holds | Shape::Chains => {
                let debit = self.random.below(count);
                (debit, (debit + 1 + self.random.below(count - 1)) % count)
            }
        }
    }
}

fn post(event: &Transfer, pending_id: u128) -> Transfer {
    Transfer {
        id: event.id,
        amount: u128::MAX,
        pending_id,
        flags: TransferFlags::POST_PENDING,
        ..Transfer::default()
    }
}

/// Ranks with the probabilities of Zipf's law, spread over all accounts.
///
/// Source of the method: Gray and others, "Quickly generating billion-record synthetic databases", 1994.
struct Zipf {
    count: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64) -> Self {
        let zeta: f64 = (1..=count).map(|rank| (rank as f64).powf(-ZIPF_EXPONENT)).sum();
        let zeta_2 = 1.0 + 0.5f64.powf(ZIPF_EXPONENT);
        let share = 1.0 - (2.0 / count as f64).powf(1.0 - ZIPF_EXPONENT);
        let eta = share / (1.0 - zeta_2 / zeta);
        Self { count, zeta, alpha: 1.0 / (1.0 - ZIPF_EXPONENT), eta }
    }

    fn next(&self, random: &mut Random) -> u64 {
        let part = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        let rest = part * self.zeta;
        let rank = if rest < 1.0 {
            0
        } else if rest < 1.0 + 0.5f64.powf(ZIPF_EXPONENT) {
            1
        } else {
            let power = (self.eta * part - self.eta + 1.0).powf(self.alpha);
            ((self.count as f64 * power) as u64).min(self.count - 1)
        };
        // The account of a rank stands anywhere, not beside that of the next one.
        (rank.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555) % self.count
    }
}
