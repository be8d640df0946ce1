//! Reads of a cluster: how many share a round.

use crate::fixture::{self, Cluster, transfer, wait_until};
use crate::promote;
use mizan_client::ClientError;
use mizan_node::cluster::Policy;
use mizan_wire::Operation;
use std::time::Duration;

#[test]
fn reads_that_come_while_a_round_is_under_way_share_the_next_one() {
    let mut cluster = Cluster::start(2, Policy::TwoDisks);
    cluster.promote(0, &promote(false));
    let mut client = cluster.client();
    fixture::accounts(&mut client);
    assert!(transfer(&mut client, 1));
    let before = cluster.status(0).expect("it runs").read_rounds;
    let (mut submitted, mut answered, reads) = (0, 0, 2_000);
    wait_until("all reads are answered", || {
        while submitted < reads {
            match client.submit(Operation::LookupAccounts, &1_u128.to_le_bytes()) {
                Ok(_) => submitted += 1,
                Err(ClientError::WouldExceedWindow) => break,
                Err(error) => panic!("{error}"),
            }
        }
        while client.poll(Duration::from_millis(1)).expect("no error").is_some() {
            answered += 1;
        }
        answered == reads
    });
    let rounds = cluster.status(0).expect("it runs").read_rounds - before;
    assert!((1..=reads / 4).contains(&rounds), "{rounds} rounds for {reads} reads");
    cluster.stop_all();
}
