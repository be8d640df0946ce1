//! What is asked of the node: a pure function from the number of a batch to its content, and to the right answer.
//!
//! Nothing of what was sent is remembered: whoever wants to know makes it once more.

use crate::BenchOptions;
use crate::constants::{AMOUNT_MAX, CHAIN_FAILS_EVERY, CHAIN_LENGTH, HOLD_CYCLE};
use crate::distribution::{AccountDraw, UniformDraw};
use crate::ids::{Ids, SequentialIds};
use crate::mix::{BatchKind, Mix};
use crate::random::Random;
use mizan_wire::{CREATED, CreateTransferStatus, Status, Transfer, TransferFlags};
use std::mem::offset_of;
use zerocopy::transmute;

const TRANSFER_SIZE: usize = size_of::<Transfer>();
/// Bytes of a transfer in which one of a run differs from another: id, accounts and amount.
const HALF: usize = TRANSFER_SIZE / 2;
const _: () = {
    assert!(offset_of!(Transfer, id) == 0 && offset_of!(Transfer, debit_account_id) == 16);
    assert!(offset_of!(Transfer, credit_account_id) == 32 && offset_of!(Transfer, amount) == 48);
    assert!(offset_of!(Transfer, pending_id) == HALF);
};

/// The content of a run. Batches may be asked for in any order, on any thread, and more than once.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    seed: u64,
    batch: u64,
    accounts: u64,
    account_id_base: u128,
    ids: Ids,
    draw: AccountDraw,
    mix: Mix,
    ledger: u32,
    code: u16,
}

impl Workload {
    /// The workload of these options. Without a base in the options, ids begin at the present time.
    #[must_use]
    pub fn new(options: &BenchOptions) -> Self {
        // The lower 64 bits count the transfers, so that a run's ids ascend without a gap.
        let fresh_base = || mizan_client::id() & !u128::from(u64::MAX);
        let base = options.transfer_id_base.unwrap_or_else(fresh_base);
        Self {
            seed: options.seed,
            batch: u64::from(options.batch),
            accounts: options.accounts,
            account_id_base: account_id_base(options.seed, options.ledger),
            ids: Ids::new(options.ids, base),
            draw: AccountDraw::new(options.distribution, options.accounts),
            mix: options.mix,
            ledger: options.ledger,
            code: options.code,
        }
    }

    /// The id of an account.
    #[must_use]
    #[inline]
    pub const fn account_id(&self, account_index: u64) -> u128 {
        // The base leaves the lower half free, in which nothing can overflow: an index has 32 bits.
        self.account_id_base | (account_index as u128 + 1)
    }

    /// The index of an account, if the id is that of one.
    #[must_use]
    pub fn account_index(&self, id: u128) -> Option<u64> {
        let index = id.checked_sub(self.account_id_base)?.checked_sub(1)?;
        u64::try_from(index).ok().filter(|index| *index < self.accounts)
    }

    /// The id of the first transfer of a batch.
    #[must_use]
    pub const fn first_id(&self, batch_index: u64) -> u128 {
        self.ids.id(batch_index * self.batch)
    }

    /// What a batch is.
    #[must_use]
    pub fn kind(&self, batch_index: u64) -> BatchKind {
        self.mix.kind(self.seed, batch_index)
    }

    /// Gives each of the first `count` transfers of a batch, in order. A batch of lookups has none.
    pub fn each(&self, batch_index: u64, count: usize, mut each: impl FnMut(Transfer)) {
        let mut random = Random::of_part(self.seed, batch_index);
        let first = batch_index * self.batch;
        match self.kind(batch_index) {
            BatchKind::Transfers => self.each_plain(&mut random, first, count, 0, each),
            BatchKind::Holds => {
                self.each_plain(&mut random, first, count, TransferFlags::PENDING, each);
            }
            BatchKind::Resolutions => self.each_resolution(batch_index, count, each),
            BatchKind::Chains => {
                let mut place = 0;
                self.each_plain(&mut random, first, count, 0, |transfer| {
                    each(self.linked(batch_index, place, count, transfer));
                    place += 1;
                });
            }
            BatchKind::Lookups => {}
        }
    }

    /// Writes the first transfers of a batch, as many as there is room for, in their wire layout.
    pub(crate) fn fill(&self, batch_index: u64, body: &mut [u8]) {
        let places = body.as_chunks_mut().0;
        let flags = match self.kind(batch_index) {
            BatchKind::Transfers => Some(0),
            BatchKind::Holds => Some(TransferFlags::PENDING),
            BatchKind::Resolutions | BatchKind::Chains | BatchKind::Lookups => None,
        };
        if let (Some(flags), Some(draw), Some(ids)) =
            (flags, self.draw.as_uniform(), self.ids.as_sequential())
        {
            return self.fill_plain(batch_index, flags, draw, ids, places);
        }
        let count = places.len();
        let mut places = places.iter_mut();
        self.each(batch_index, count, |transfer| {
            if let Some(place) = places.next() {
                *place = transmute!(transfer);
            }
        });
    }

    /// What is measured most, by hand: as [`Workload::each_plain`] gives it, but what is the same in all transfers is
    /// stored in whole halves, and nothing is decided, called or checked per transfer.
    fn fill_plain(
        &self,
        batch_index: u64,
        flags: u16,
        draw: UniformDraw,
        ids: SequentialIds,
        places: &mut [[u8; TRANSFER_SIZE]],
    ) {
        let template =
            Transfer { ledger: self.ledger, code: self.code, flags, ..Transfer::default() };
        let template: [[u8; HALF]; 2] = transmute!(template);
        let mut random = Random::of_part(self.seed, batch_index);
        let mut id = ids.id(batch_index * self.batch);
        for place in places {
            let (debit, credit) = draw.pair(&mut random);
            let amount = u128::from(1 + random.below(AMOUNT_MAX));
            let half: [u8; HALF] =
                transmute!([id, self.account_id(debit), self.account_id(credit), amount]);
            *place = transmute!([half, template[1]]);
            id = id.wrapping_add(1);
        }
    }

    #[inline]
    fn each_plain(
        &self,
        random: &mut Random,
        first: u64,
        count: usize,
        flags: u16,
        each: impl FnMut(Transfer),
    ) {
        // A loop of its own for what is measured most.
        match (self.draw.as_uniform(), self.ids.as_sequential()) {
            (Some(draw), Some(ids)) => {
                let pair = |random: &mut Random| draw.pair(random);
                let id = |index: u64| ids.id(index);
                self.each_drawn(random, first, count, flags, pair, id, each);
            }
            _ => {
                let pair = |random: &mut Random| self.draw.pair(random);
                let id = |index: u64| self.ids.id(index);
                self.each_drawn(random, first, count, flags, pair, id, each);
            }
        }
    }

    #[inline]
    #[expect(
        clippy::too_many_arguments,
        reason = "two of them are only what makes the loop's variants"
    )]
    fn each_drawn(
        &self,
        random: &mut Random,
        first: u64,
        count: usize,
        flags: u16,
        pair: impl Fn(&mut Random) -> (u64, u64),
        id: impl Fn(u64) -> u128,
        mut each: impl FnMut(Transfer),
    ) {
        let template =
            Transfer { ledger: self.ledger, code: self.code, flags, ..Transfer::default() };
        // Kept in registers, which the caller's would not be.
        let mut numbers = *random;
        for index in first..first + count as u64 {
            let (debit, credit) = pair(&mut numbers);
            each(Transfer {
                id: id(index),
                debit_account_id: self.account_id(debit),
                credit_account_id: self.account_id(credit),
                amount: u128::from(1 + numbers.below(AMOUNT_MAX)),
                ..template
            });
        }
        *random = numbers;
    }

    fn each_resolution(&self, batch_index: u64, count: usize, mut each: impl FnMut(Transfer)) {
        let mut index = batch_index * self.batch;
        let first = index - self.batch;
        let mut random = Random::of_part(self.seed, batch_index - 1);
        self.each_plain(&mut random, first, count, TransferFlags::PENDING, |hold| {
            let (flags, amount) = match index % HOLD_CYCLE {
                0 => (TransferFlags::VOID_PENDING, hold.amount),
                1 => (TransferFlags::POST_PENDING, hold.amount.div_ceil(2)),
                // The hold stays open; its place is taken by a payment, so that all batches have one size.
                2 => (0, hold.amount),
                _ => (TransferFlags::POST_PENDING, hold.amount),
            };
            let pending_id = if flags == 0 { 0 } else { hold.id };
            each(Transfer { id: self.ids.id(index), pending_id, flags, amount, ..hold });
            index += 1;
        });
    }

    /// Links a transfer with the next one of its chain, or spoils it if it is to make its chain fail.
    fn linked(&self, batch_index: u64, place: usize, count: usize, transfer: Transfer) -> Transfer {
        let is_last = place % CHAIN_LENGTH == CHAIN_LENGTH - 1 || place + 1 == count;
        if !is_last {
            Transfer { flags: TransferFlags::LINKED, ..transfer }
        } else if self.chain_fails(batch_index, place) {
            Transfer { credit_account_id: transfer.debit_account_id, ..transfer }
        } else {
            transfer
        }
    }

    fn chain_fails(&self, batch_index: u64, place: usize) -> bool {
        let chain = batch_index + (place / CHAIN_LENGTH) as u64;
        (chain ^ self.seed).is_multiple_of(CHAIN_FAILS_EVERY)
    }

    /// The number of the status that a right node gives to the transfer at this place of a batch of so many.
    #[must_use]
    pub fn expected_status(&self, batch_index: u64, place: usize, count: usize) -> u32 {
        if self.kind(batch_index) != BatchKind::Chains || !self.chain_fails(batch_index, place) {
            CREATED
        } else if place % CHAIN_LENGTH == CHAIN_LENGTH - 1 || place + 1 == count {
            CreateTransferStatus::AccountsMustBeDifferent.number()
        } else {
            CreateTransferStatus::LinkedEventFailed.number()
        }
    }

    /// Gives the index of each account that a batch of lookups asks for, in order.
    pub fn each_lookup(&self, batch_index: u64, count: usize, mut each: impl FnMut(u64)) {
        let mut random = Random::of_part(self.seed, batch_index);
        for _ in 0..count {
            each(self.draw.one(&mut random));
        }
    }
}

/// The top bit stays clear, so that no id is reserved.
pub(crate) fn account_id_base(seed: u64, ledger: u32) -> u128 {
    u128::from(Random::of_part(seed, u64::from(ledger)).next_u64() >> 1) << 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distribution, IdOrder};
    use mizan_wire::limits::id_is_reserved;
    use zerocopy::IntoBytes;

    fn workload(accounts: u64, mix: &str) -> Workload {
        Workload::new(&BenchOptions {
            accounts,
            batch: 100,
            transfer_id_base: Some(5_000),
            mix: mix.parse().unwrap(),
            ..BenchOptions::default()
        })
    }

    fn batch(workload: &Workload, batch_index: u64) -> Vec<Transfer> {
        let mut transfers = Vec::new();
        workload.each(batch_index, 100, |transfer| transfers.push(transfer));
        transfers
    }

    #[test]
    fn a_batch_is_the_same_whenever_it_is_asked_for() {
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Hot] {
            for ids in [IdOrder::Sequential, IdOrder::Time, IdOrder::Random] {
                let options = BenchOptions { distribution, ids, ..BenchOptions::default() };
                let workload = Workload::new(&options);
                let first = batch(&workload, 3);
                assert_ne!(first, batch(&workload, 4));
                assert_eq!(first, batch(&workload, 3));
            }
        }
    }

    #[test]
    fn what_is_written_is_what_is_given_whatever_the_run() {
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Hot] {
            for ids in [IdOrder::Sequential, IdOrder::Time, IdOrder::Random] {
                for mix in ["transfers=1", "two-phase=1", "chains=1", "lookups=1"] {
                    let mix = mix.parse().unwrap();
                    let options =
                        BenchOptions { distribution, ids, mix, ..BenchOptions::default() };
                    let workload = Workload::new(&options);
                    for batch_index in 6..10 {
                        let mut written = vec![0; 100 * TRANSFER_SIZE];
                        workload.fill(batch_index, &mut written);
                        let given = batch(&workload, batch_index);
                        assert_eq!(written[..given.len() * TRANSFER_SIZE], *given.as_bytes());
                    }
                }
            }
        }
    }

    #[test]
    fn transfers_have_ascending_ids_and_two_different_accounts_of_the_run() {
        for accounts in [2, 3, 1_000] {
            let workload = workload(accounts, "transfers=1");
            for (index, transfer) in batch(&workload, 2).iter().enumerate() {
                assert_eq!(transfer.id, 5_201 + index as u128);
                assert_ne!(transfer.debit_account_id, transfer.credit_account_id);
                assert!(workload.account_index(transfer.debit_account_id).is_some());
                assert!(workload.account_index(transfer.credit_account_id).is_some());
                assert!((1..=1_000).contains(&transfer.amount));
            }
        }
    }

    #[test]
    fn account_ids_are_usable_and_lead_back_to_their_index() {
        for seed in 0..1_000 {
            let options = BenchOptions { seed, ..BenchOptions::default() };
            let workload = Workload::new(&options);
            let id = workload.account_id(9_999);
            assert!(id != 0 && !id_is_reserved(id));
            assert_eq!(workload.account_index(id), Some(9_999));
            assert_eq!(workload.account_index(id + 1), None);
            assert!(!id_is_reserved(workload.first_id(0)));
        }
    }

    #[test]
    fn holds_are_posted_voided_or_left_open_by_the_batch_behind_them() {
        let workload = workload(1_000, "two-phase=1");
        let (holds, resolutions) = (batch(&workload, 4), batch(&workload, 5));
        assert!(holds.iter().all(|hold| hold.flags == TransferFlags::PENDING));
        let (mut posted, mut in_part, mut voided, mut open) = (0, 0, 0, 0);
        for (hold, resolution) in holds.iter().zip(&resolutions) {
            match resolution.flags {
                TransferFlags::POST_PENDING if resolution.amount == hold.amount => posted += 1,
                TransferFlags::POST_PENDING => in_part += 1,
                TransferFlags::VOID_PENDING => voided += 1,
                _ => open += 1,
            }
            let expected = if resolution.flags == 0 { 0 } else { hold.id };
            assert_eq!(resolution.pending_id, expected);
            assert!(resolution.amount >= 1 && resolution.amount <= hold.amount);
        }
        assert!(posted >= 60 && in_part >= 11 && voided >= 12 && open >= 12);
    }

    #[test]
    fn every_chain_is_closed_and_one_of_eight_is_spoilt_at_its_end() {
        let workload = workload(1_000, "chains=1");
        let mut failing = 0;
        for batch_index in 0..80 {
            let transfers = batch(&workload, batch_index);
            assert_eq!(transfers[99].flags, 0);
            for (number, chain) in transfers.chunks(CHAIN_LENGTH).enumerate() {
                let (last, others) = chain.split_last().unwrap();
                assert!(others.iter().all(|member| member.flags == TransferFlags::LINKED));
                let fails = last.debit_account_id == last.credit_account_id;
                for place in 0..chain.len() {
                    let place = number * CHAIN_LENGTH + place;
                    let status = workload.expected_status(batch_index, place, 100);
                    assert_eq!(status != CREATED, fails);
                }
                failing += usize::from(fails);
            }
        }
        assert_eq!(failing, 80 * 25 / 8);
    }
}
