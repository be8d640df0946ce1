//! Many sessions that all send full batches at once: everything is answered, the sums are right, and the node's memory
//! is bounded by its own limits, not by what clients would like to send.

use mizan_client::{Client, Outcome};
use mizan_tests::binary::{NodeProcess, format_small};
use mizan_tests::ledger::{LEDGER, PATIENCE, client, create_accounts, reader};
use mizan_wire::limits::EVENTS_MAX;
use mizan_wire::{CREATED, Operation, Transfer};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zerocopy::IntoBytes;

/// Sessions, each on a connection of its own.
const SESSIONS: u64 = 64;
/// Full batches of each session, all in flight at once: about 1 MiB each.
const BATCHES: u64 = 2;
/// Accounts that pay each other; the first of two pays.
const ACCOUNTS: u128 = 128;
/// Resident bytes that the node may grow by: its rings (20 MiB), its full receive buffers (32 MiB), three mapped segments
/// (96 MiB), and some more for replies. A node that kept what clients send besides would need 128 MiB on top.
const GROWTH_BYTES_MAX: u64 = 160 << 20;

/// A full batch: every transfer moves its own position in the batch, plus one, from an odd account to the next.
fn batch(session: u64, number: u64) -> Vec<Transfer> {
    let first = (session * BATCHES + number) * u64::from(EVENTS_MAX);
    (0..u64::from(EVENTS_MAX))
        .map(|place| {
            let payer = 1 + 2 * (u128::from(first + place) % (ACCOUNTS / 2));
            Transfer {
                id: 1 + u128::from(first + place),
                debit_account_id: payer,
                credit_account_id: payer + 1,
                amount: u128::from(place) + 1,
                ledger: LEDGER,
                code: 1,
                ..Transfer::default()
            }
        })
        .collect()
}

/// Takes what has come for a client; how many batches were answered.
fn take_answers(client: &mut Client) -> u64 {
    let mut answered = 0;
    while let Some(completion) =
        client.poll(Duration::ZERO).unwrap_or_else(|error| panic!("{error}"))
    {
        let Outcome::Reply(reply) = &completion.outcome else { panic!("{completion:?}") };
        let results = reply.create_results();
        assert_eq!(results.len(), EVENTS_MAX as usize);
        assert!(results.iter().all(|result| result.status == CREATED), "a transfer is refused");
        answered += 1;
    }
    answered
}

#[test]
fn sixty_four_sessions_send_full_batches_and_all_are_answered_within_bounded_memory() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let limits = ["--transfers", "1100000", "--holds", "100", "--segment-size", "32MiB"];
    format_small(&data, &limits);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| client(node.address())).collect();
    create_accounts(&mut clients[0], ACCOUNTS);
    let before_bytes = node.resident_bytes();

    let until = Instant::now() + PATIENCE;
    let (mut sent, mut answered) = (vec![0; clients.len()], vec![0; clients.len()]);
    let mut bytes_max = 0;
    while answered.iter().any(|count| *count < BATCHES) {
        assert!(Instant::now() < until, "batches answered until now: {answered:?}");
        for (session, client) in (0..).zip(&mut clients) {
            let (sent, answered) = (&mut sent[session as usize], &mut answered[session as usize]);
            if *sent < BATCHES && client.can_submit(EVENTS_MAX) {
                let transfers = batch(session, *sent);
                client
                    .submit(Operation::CreateTransfers, transfers.as_bytes())
                    .unwrap_or_else(|error| panic!("{error}"));
                *sent += 1;
            }
            client.flush();
            *answered += take_answers(client);
        }
        bytes_max = bytes_max.max(node.resident_bytes().saturating_sub(before_bytes));
    }
    println!("grew by {} MiB at the most", bytes_max >> 20);
    assert!(bytes_max <= GROWTH_BYTES_MAX, "the node grew by {bytes_max} bytes");

    let count = u128::from(EVENTS_MAX);
    let expected = u128::from(SESSIONS * BATCHES) * (count * (count + 1) / 2);
    let mut reader = reader(node.address());
    let rows = reader.trial_balance().expect("a trial balance");
    assert!(rows.iter().all(mizan_wire::TrialBalanceRow::is_balanced));
    let ids: Vec<u128> = (1..=ACCOUNTS).collect();
    let accounts = reader.lookup_accounts(&ids).expect("the accounts");
    let debits: u128 = accounts.iter().map(|account| account.debits_posted).sum();
    let credits: u128 = accounts.iter().map(|account| account.credits_posted).sum();
    assert_eq!((debits, credits), (expected, expected));
    for pair in accounts.chunks(2) {
        assert_eq!(pair[0].debits_posted, pair[1].credits_posted);
        assert_eq!((pair[0].credits_posted, pair[1].debits_posted), (0, 0));
    }
    let status = reader.engine_status().expect("the engine's status");
    assert_eq!(status.transfer_count, SESSIONS * BATCHES * u64::from(EVENTS_MAX));
}
