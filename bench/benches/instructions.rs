//! How many instructions the hot paths take, counted by callgrind: the figures that no neighbour can spoil.
//!
//! Run it through the gate, `cargo run -p mizan-bench --bin instructions -- check`, which knows what each count is for.
//! What is made before a function is not counted, and neither is what it returns.
// The macros name everything by its full path, and exit.
#![allow(missing_docs, unused_qualifications, clippy::exit)]

use gungraun::{LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use mizan_bench::book::{Counting, Prepared, Sort};
use mizan_bench::counts::SPANS;
use mizan_bench::frames::Frames;
use mizan_bench::market::{Market, Orders};
use mizan_bench::request::{self, Sealed};
use mizan_bench::spans::{self, Cell, Ends};
use mizan_bench::{Ledger, Spread};
use mizan_ring::{MultiProducer, SingleProducer};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{Operation, Transfer};
use std::hint::black_box;

const ACCOUNTS: u64 = 10_000;
const TRANSFERS: u64 = 65_536;
const HOLDS: u64 = 16_384;
/// Transfers of a chain.
const CHAIN: usize = 10;

type Applied = (Box<Ledger>, Vec<Transfer>);

fn ledger() -> Box<Ledger> {
    let mut ledger = Box::new(Ledger::new(ACCOUNTS, TRANSFERS, HOLDS));
    // The first batch grows what is kept for reuse; a node is past that.
    let warm = ledger.batch(EVENTS_MAX, Spread::Uniform);
    ledger.transfer(&warm);
    ledger
}

fn plain(spread: Spread) -> Applied {
    let mut ledger = ledger();
    let batch = ledger.batch(EVENTS_MAX, spread);
    (ledger, batch)
}

fn one() -> Applied {
    let mut ledger = ledger();
    let batch = ledger.batch(1, Spread::Uniform);
    (ledger, batch)
}

fn pending() -> Applied {
    let mut ledger = ledger();
    let batch = ledger.pending(EVENTS_MAX);
    (ledger, batch)
}

fn posting() -> Applied {
    let (mut ledger, holds) = pending();
    ledger.transfer(&holds);
    let batch = ledger.posting(&holds);
    (ledger, batch)
}

fn linked() -> Applied {
    let mut ledger = ledger();
    let batch = ledger.linked(EVENTS_MAX, CHAIN);
    (ledger, batch)
}

#[library_benchmark]
#[bench::uniform(args = (Spread::Uniform), setup = plain)]
#[bench::hot(args = (Spread::Hot), setup = plain)]
#[bench::one(setup = one)]
#[bench::pending(setup = pending)]
#[bench::posting(setup = posting)]
#[bench::linked(setup = linked)]
fn transfers((mut ledger, batch): Applied) -> Applied {
    ledger.transfer(black_box(&batch));
    (ledger, batch)
}

fn applied_request() -> Applied {
    let (mut ledger, batch) = plain(Spread::Uniform);
    ledger.open_session();
    assert!(!ledger.request(&batch), "the first time it is executed");
    (ledger, batch)
}

fn existing_batch() -> Applied {
    let (mut ledger, batch) = plain(Spread::Uniform);
    ledger.transfer(&batch);
    (ledger, batch)
}

#[library_benchmark]
#[bench::batch(setup = existing_batch)]
fn existing((mut ledger, batch): Applied) -> Applied {
    ledger.transfer_again(black_box(&batch));
    (ledger, batch)
}

fn applied_request_of_existing() -> Applied {
    let (mut ledger, batch) = existing_batch();
    ledger.open_session();
    assert!(!ledger.request(&batch), "the first time it is executed");
    (ledger, batch)
}

#[library_benchmark]
#[bench::created(setup = applied_request)]
#[bench::existing(setup = applied_request_of_existing)]
fn duplicate((mut ledger, batch): Applied) -> Applied {
    assert!(ledger.request(black_box(&batch)), "the second time the stored reply is sent");
    (ledger, batch)
}

fn lookups(operation: Operation) -> (Box<Ledger>, Vec<u128>, Operation) {
    let (mut ledger, batch) = plain(Spread::Uniform);
    ledger.transfer(&batch);
    let id = |transfer: &Transfer| match operation {
        Operation::LookupAccounts => transfer.debit_account_id,
        _ => transfer.id,
    };
    let ids = batch.iter().map(id).collect();
    (ledger, ids, operation)
}

#[library_benchmark]
#[bench::accounts(args = (Operation::LookupAccounts), setup = lookups)]
#[bench::transfers(args = (Operation::LookupTransfers), setup = lookups)]
fn lookup(
    (mut ledger, ids, operation): (Box<Ledger>, Vec<u128>, Operation),
) -> (Box<Ledger>, Vec<u128>) {
    ledger.lookup(operation, black_box(&ids));
    (ledger, ids)
}

#[library_benchmark]
#[bench::rest(args = (Sort::Rest), setup = Prepared::new)]
#[bench::take(args = (Sort::Take), setup = Prepared::new)]
#[bench::reduce(args = (Sort::Reduce), setup = Prepared::new)]
#[bench::shift(args = (Sort::Move), setup = Prepared::new)]
#[bench::cancel(args = (Sort::Cancel), setup = Prepared::new)]
fn commands(mut prepared: Prepared) -> (Prepared, Counting) {
    let counting = black_box(&mut prepared).execute();
    (prepared, counting)
}

#[library_benchmark]
#[bench::rest(args = (Orders::Rest), setup = Market::new, teardown = Market::check)]
#[bench::take(args = (Orders::Take), setup = Market::new, teardown = Market::check)]
#[bench::amend(args = (Orders::Amend), setup = Market::new, teardown = Market::check)]
#[bench::cancel(args = (Orders::Cancel), setup = Market::new, teardown = Market::check)]
#[bench::cancel_by_client_id(args = (Orders::CancelByClientId), setup = Market::new, teardown = Market::check)]
fn orders(mut market: Market) -> Market {
    black_box(&mut market).execute();
    market
}

fn single(cells: usize) -> (Ends<SingleProducer<Cell>>, usize) {
    (spans::single(), cells)
}

#[library_benchmark]
#[bench::spans_of_1(args = (1), setup = single)]
#[bench::spans_of_16(args = (16), setup = single)]
#[bench::spans_of_256(args = (256), setup = single)]
fn single_producer(
    (mut ends, cells): (Ends<SingleProducer<Cell>>, usize),
) -> (Ends<SingleProducer<Cell>>, u64) {
    let sum = spans::pass_single(&mut ends, SPANS, black_box(cells));
    (ends, sum)
}

fn multi(cells: usize) -> (Ends<MultiProducer<Cell>>, usize) {
    (spans::multi(), cells)
}

#[library_benchmark]
#[bench::spans_of_1(args = (1), setup = multi)]
#[bench::spans_of_16(args = (16), setup = multi)]
#[bench::spans_of_256(args = (256), setup = multi)]
fn multi_producer(
    (mut ends, cells): (Ends<MultiProducer<Cell>>, usize),
) -> (Ends<MultiProducer<Cell>>, u64) {
    let sum = spans::pass_multi(&mut ends, SPANS, black_box(cells));
    (ends, sum)
}

#[library_benchmark]
#[bench::events_1(args = (1), setup = request::body)]
#[bench::events_8189(args = (EVENTS_MAX), setup = request::body)]
fn encode(body: Vec<u8>) -> Sealed {
    request::encode(black_box(body))
}

fn sealed(event_count: u32) -> Sealed {
    request::encode(request::body(event_count))
}

#[library_benchmark]
#[bench::events_1(args = (1), setup = sealed)]
#[bench::events_8189(args = (EVENTS_MAX), setup = sealed)]
fn decode(sealed: Sealed) -> Sealed {
    black_box(request::decode(black_box(&sealed)));
    sealed
}

#[library_benchmark]
#[bench::events_1(args = (1), setup = request::body)]
#[bench::events_8189(args = (EVENTS_MAX), setup = request::body)]
fn checksum(body: Vec<u8>) -> (Vec<u8>, u128) {
    let checksum = mizan_wire::frame_checksum(black_box(&body));
    (body, checksum)
}

#[library_benchmark]
#[bench::events_1(args = (1), setup = request::body)]
#[bench::events_8189(args = (EVENTS_MAX), setup = request::body)]
fn tag(body: Vec<u8>) -> (Vec<u8>, u128) {
    let tag = mizan_wire::tag(black_box(&body));
    (body, tag)
}

fn frame(event_count: u32) -> (Frames, Vec<u8>) {
    let mut frames = Frames::new();
    let entry = request::body(event_count + 1);
    // The first frame grows what is kept for reuse.
    frames.append(&entry);
    (frames, entry)
}

#[library_benchmark]
#[bench::events_1(args = (1), setup = frame)]
#[bench::events_8189(args = (EVENTS_MAX), setup = frame)]
fn append((mut frames, entry): (Frames, Vec<u8>)) -> (Frames, Vec<u8>) {
    black_box(frames.append(black_box(&entry)));
    (frames, entry)
}

library_benchmark_group!(name = engine, benchmarks = [transfers, existing, duplicate, lookup]);
library_benchmark_group!(name = books, benchmarks = [commands]);
library_benchmark_group!(name = trading, benchmarks = [orders]);
library_benchmark_group!(name = ring, benchmarks = [single_producer, multi_producer]);
library_benchmark_group!(name = wire, benchmarks = [encode, decode, checksum, tag]);
library_benchmark_group!(name = journal, benchmarks = [append]);

// Callgrind counts each byte of a `rep movsb` as an instruction, and from which size on the C library uses it depends on
// the machine: here all copies are made with vectors.
main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824");
    library_benchmark_groups = engine, books, trading, ring, wire, journal
);
