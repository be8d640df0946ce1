//! A process without descriptors. Alone in its binary, because the limit is the process's.

mod common;

use common::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;

#[test]
fn without_descriptors_new_connections_are_lost_and_those_that_are_there_go_on() {
    let mut bed = Bed::new();
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert_eq!(getrlimit(Resource::Nofile).current, maximum, "binding raises the limit");
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let mut client = bed.session(1);
    // The clients' own ends must exist before the last descriptor is gone.
    let mut waiting: Vec<Client> = (0..8).map(|_| bed.connect()).collect();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    bed.until("the first is shed", |bed| bed.counters().accept_failures >= 1);
    bed.assert_served(&mut client);
    bed.settle();
    let failures = bed.counters().accept_failures;
    assert!(failures <= 2, "{failures} attempts without a pause");
    bed.until("more are shed", |bed| {
        bed.advance(SECOND);
        bed.counters().accept_failures >= failures + 2
    });
    bed.assert_served(&mut client);
    drop(files);
    bed.advance(SECOND);
    let mut last = waiting.pop().unwrap();
    last.send(&ping(1));
    assert_eq!(bed.pong(&mut last).nonce, 1);
    // For good: the rest of the test needs no more.
    setrlimit(Resource::Nofile, Rlimit { current: Some(600), maximum: Some(600) }).unwrap();
    let few = Bed::new();
    assert_eq!(few.gateway.connection_count_max(), 600 - 256 - 16 - 64);
}
