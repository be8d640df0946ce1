//! A node in this process, and a real client on a real socket.

use mizan_client::{Client, ClientConfig};
use mizan_node::{FormatOptions, Layout, Node, NodeError, NodeOptions, StopHandle, format};
use mizan_wire::{Account, AccountFlags, CREATED, CreateTransferStatus, Transfer, TransferFlags};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use tempfile::TempDir;

struct Running {
    address: SocketAddr,
    stop: StopHandle,
    thread: JoinHandle<Result<(), NodeError>>,
}

fn small(data: &Path) -> FormatOptions {
    FormatOptions {
        account_count_max: 10_000,
        transfer_count_max: 100_000,
        hold_count_max: 10_000,
        segment_size: 2 << 20,
        digest_interval: 16,
        ..FormatOptions::new(data)
    }
}

fn start(data: &Path, layout: Layout) -> Running {
    let options = NodeOptions {
        layout: Some(layout),
        ..NodeOptions::new(data, "127.0.0.1:0".parse().unwrap())
    };
    let node = Node::open(&options, &mut |_| ()).unwrap();
    let (address, stop) = (node.local_addr(), node.stop_handle());
    let thread = std::thread::spawn(move || node.run());
    Running { address, stop, thread }
}

impl Running {
    fn client(&self) -> Client {
        Client::connect(ClientConfig::at(self.address)).unwrap()
    }

    fn stop(self) {
        self.stop.stop();
        self.thread.join().unwrap().unwrap();
    }
}

fn account(id: u128, flags: u16) -> Account {
    Account { id, ledger: 1, code: 1, flags, ..Account::default() }
}

fn transfer(id: u128, amount: u128) -> Transfer {
    Transfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount,
        ledger: 1,
        code: 1,
        ..Transfer::default()
    }
}

fn money_moves_and_survives_a_restart(layout: Layout) {
    let directory = TempDir::new().unwrap();
    format(&small(directory.path())).unwrap();
    let node = start(directory.path(), layout);
    let mut client = node.client();
    let created = client.create_accounts(&[account(1, 0), account(2, 0)]).unwrap();
    assert!(created.iter().all(|result| result.status == CREATED));
    let first = client.create_transfers(&[transfer(10, 25)]).unwrap();
    let again = client.create_transfers(&[transfer(10, 25), transfer(10, 26)]).unwrap();
    assert_eq!(first[0].status, CREATED);
    assert_eq!(again[0].status, CreateTransferStatus::Exists as u32);
    assert_eq!(again[0].timestamp, first[0].timestamp);
    assert_eq!(again[1].status, CreateTransferStatus::ExistsWithDifferentAmount as u32);
    let before = client.lookup_accounts(&[1, 2]).unwrap();
    assert_eq!((before[0].debits_posted, before[1].credits_posted), (25, 25));
    drop(client);
    node.stop();

    let node = start(directory.path(), layout);
    let mut client = node.client();
    assert_eq!(client.lookup_accounts(&[1, 2]).unwrap(), before);
    let rows = client.trial_balance().unwrap();
    assert!(rows.iter().all(|row| row.is_balanced()));
    drop(client);
    node.stop();
    let report = mizan_node::offline::verify(directory.path(), &mut |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn money_moves_and_survives_a_restart_fused() {
    money_moves_and_survives_a_restart(Layout::Fused);
}

#[test]
fn money_moves_and_survives_a_restart_split() {
    money_moves_and_survives_a_restart(Layout::Split);
}

#[test]
fn a_hold_is_released_when_its_time_has_come_without_any_request() {
    let directory = TempDir::new().unwrap();
    format(&small(directory.path())).unwrap();
    let node = start(directory.path(), Layout::Fused);
    let mut client = node.client();
    let limit = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
    client.create_accounts(&[account(1, 0), account(2, limit)]).unwrap();
    let hold = Transfer { timeout: 1, flags: TransferFlags::PENDING, ..transfer(7, 5) };
    assert_eq!(client.create_transfers(&[hold]).unwrap()[0].status, CREATED);
    assert_eq!(client.lookup_accounts(&[1]).unwrap()[0].debits_pending, 5);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while client.lookup_accounts(&[1]).unwrap()[0].debits_pending != 0 {
        assert!(std::time::Instant::now() < until, "the hold was never released");
        std::thread::yield_now();
    }
    drop(client);
    node.stop();
}

#[test]
fn digests_are_recorded_in_the_log_and_confirmed_by_replay() {
    let directory = TempDir::new().unwrap();
    format(&small(directory.path())).unwrap();
    let node = start(directory.path(), Layout::Split);
    let mut client = node.client();
    client.create_accounts(&[account(1, 0), account(2, 0)]).unwrap();
    for id in 1..200 {
        client.create_transfers(&[transfer(id, 1)]).unwrap();
    }
    drop(client);
    node.stop();
    let report = mizan_node::offline::verify(directory.path(), &mut |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert!(report.digests_confirmed >= 5, "only {} digests", report.digests_confirmed);
    assert_eq!(report.engine.transfer_count, 199);
}

#[test]
fn a_start_on_a_taken_address_is_refused_before_the_replay_and_leaves_the_files_closed_in_order() {
    let directory = TempDir::new().unwrap();
    format(&small(directory.path())).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = NodeOptions::new(directory.path(), taken.local_addr().unwrap());
    let Err(error) = Node::open(&options, &mut |_| panic!("no replay")) else {
        panic!("two listeners on one address");
    };
    assert!(matches!(error, NodeError::AddressInUse { .. }), "{error}");
    assert!(mizan_node::offline::superblock(directory.path()).unwrap().clean);
}
