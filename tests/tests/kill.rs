//! Killing real processes with SIGKILL under load: what was acknowledged is there, with its result, and nothing twice.
//!
//! The client records every acknowledgement outside the node. Most kills come at a random moment; a part of them comes
//! at chosen places of the journal's I/O, because chance rarely finds those. A kill leaves the page cache intact, so
//! this says nothing about power loss: for that the journal has its own test.

use mizan_tests::binary::{NodeProcess, faulty_node_binary, format_small, mizan_ok};
use mizan_tests::recorder::{Audit, Random, Recorder};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const SEED_DEFAULT: u64 = 20_261_121;
/// Kills at random moments.
const RANDOM_KILLS: u64 = 34;
/// Kills at each chosen place.
const CHOSEN_KILLS: u64 = 6;
/// Requests answered between two kills at the most.
const REPLIES_BETWEEN_MAX: u64 = 40;

fn seed() -> u64 {
    std::env::var("MIZAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED_DEFAULT)
}

fn faulty(data: &Path, address: &str, place: &str, count: u64) -> NodeProcess {
    let mut command = Command::new(faulty_node_binary());
    command.arg(data).args([address, place, &count.to_string()]);
    NodeProcess::spawn(command)
}

/// Burns a random, short time, so that the kill finds the node at any point of its work.
fn linger(random: &mut Random) {
    for _ in 0..random.below(400_000) {
        std::hint::spin_loop();
    }
}

/// What the restarts found, by class.
#[derive(Debug, Default)]
struct Classes {
    partial_frames: u64,
    synced_unanswered: u64,
    segment_changes: u64,
    in_flight: u64,
}

/// Restarts the real node, lets the client resend what it has no answer for, and compares.
fn recover(
    data: &Path,
    address: &str,
    recorder: &mut Recorder,
    classes: &mut Classes,
) -> NodeProcess {
    classes.in_flight += recorder.in_flight() as u64;
    let replayed_before = recorder.replayed;
    let quarantined_before = quarantined(data);
    let node = NodeProcess::start(data, address);
    recorder.drain().unwrap_or_else(|error| panic!("{error}\nnode: {}", node.stderr()));
    classes.synced_unanswered += u64::from(recorder.replayed > replayed_before);
    classes.partial_frames += u64::from(quarantined(data) > quarantined_before);
    node
}

fn quarantined(data: &Path) -> usize {
    std::fs::read_dir(data.join("quarantine")).map_or(0, Iterator::count)
}

fn segments(data: &Path) -> usize {
    let entries = std::fs::read_dir(data).expect("the directory is there");
    entries.filter(|entry| entry.as_ref().is_ok_and(|e| e.path().extension().is_some())).count()
}

fn assert_sound(audit: Audit, kill: u64) {
    let sound = Audit { acknowledged: audit.acknowledged, ..Audit::default() };
    assert_eq!(audit, sound, "after kill {kill}");
}

#[test]
fn kill_9_under_load_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let seed = seed();
    println!("seed {seed}; repeat with MIZAN_SEED={seed} cargo test -p mizan-tests --test kill");
    let mut random = Random(seed);
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &[]);
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let address = node.address().to_string();
    let mut recorder = Recorder::start(node.address(), random.draw()).expect("the node answers");
    let mut classes = Classes::default();

    let places = ["partial-frame", "synced", "segment"];
    let chosen = (0..CHOSEN_KILLS).flat_map(|_| places.map(Some));
    let kills = (0..RANDOM_KILLS).map(|_| None).chain(chosen);
    let mut killed = 0;
    for place in kills {
        killed += 1;
        let replies = 1 + random.below(REPLIES_BETWEEN_MAX);
        if let Some(place) = place {
            // A segment of 2 MiB takes some 40 requests, so the first or second change is soon there.
            let count = if place == "segment" { 1 } else { 1 + random.below(30) };
            node.terminate();
            node.wait();
            node = faulty(&data, &address, place, count);
            let segments_before = segments(&data);
            let mut replies = 0u64;
            let mut ended = false;
            // The client would wait for a node that is no more, so the process is asked before every poll.
            let driven = recorder.drive(|_| {
                replies += 1;
                ended = node.has_ended();
                ended
            });
            driven.unwrap_or_else(|error| panic!("{error}"));
            assert!(ended, "the node should have killed itself, after {replies} polls");
            classes.segment_changes +=
                u64::from(place == "segment" && segments(&data) >= segments_before);
        } else {
            let target = recorder.answered() + replies;
            recorder.drive(|recorder| recorder.answered() >= target).expect("the node answers");
            linger(&mut random);
            node.kill9();
        }
        drop(node);
        node = recover(&data, &address, &mut recorder, &mut classes);
        if killed % 8 == 0 {
            assert_sound(recorder.audit().expect("the node answers"), killed);
        }
    }
    let audit = recorder.audit().expect("the node answers");
    assert_sound(audit, killed);
    node.terminate();
    assert!(node.wait().success(), "{}", node.stderr());
    drop(recorder);
    let verified = mizan_ok(&["verify", "--independent", "--data", data.to_str().expect("UTF-8")]);
    println!("{verified}");
    // Straight to the stream: a report that only a failing test shows is none.
    let _ = writeln!(
        std::io::stderr(),
        "{killed} kills: {} acknowledged, 0 lost, 0 doubled; requests in flight at the kills {}; \
         kills in a partial frame {}, between sync and reply {}, at a segment change {}",
        audit.acknowledged,
        classes.in_flight,
        classes.partial_frames,
        classes.synced_unanswered,
        classes.segment_changes,
    );
    assert!(killed >= 50);
    assert!(classes.partial_frames >= 5, "{classes:?}");
    assert!(classes.synced_unanswered >= 5, "{classes:?}");
    assert!(classes.segment_changes >= 5, "{classes:?}");
}
