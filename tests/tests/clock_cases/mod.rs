//! A node whose log ended more than a day ago: its clock is believed only with a word.

use crate::shop::{code, said, stdout};
use mizan_journal::{FileStorage, Frame, Journal, OpenOptions};
use mizan_tests::binary::{NodeProcess, format_small, mizan, mizan_binary};
use mizan_tests::ledger::{PATIENCE, client};
use mizan_wire::{Operation, RequestHeader};
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use zerocopy::IntoBytes;

const STATE: i32 = 6;
/// One hour in nanoseconds.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Another test of this process may just be starting a program, which holds for a moment what this one had open, its
/// lock among it.
fn once_free<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(text) if text.contains("is locked by") && Instant::now() < deadline => {}
            Err(text) => panic!("{text}"),
        }
    }
}

/// An entry, alone in its frame.
fn append(
    journal: &mut Journal<FileStorage>,
    operation: Operation,
    clock_reading: u64,
    body: &[u8],
) {
    let mut header = RequestHeader {
        operation: operation.number(),
        body_size: body.len() as u32,
        clock_reading,
        ..RequestHeader::default()
    };
    header.request_checksum = header.identity(body);
    let mut entry = [header.as_bytes(), body].concat();
    entry.resize(header.entry_size(), 0);
    let sequence = journal.next_sequence();
    let mut frame = journal.begin(sequence, entry.len()).expect("room");
    frame.put(&entry).expect("room");
    frame.finish(1, 0).expect("written");
    journal.sync().expect("synced");
}

/// A node that was formatted and ran for the last time so long ago.
fn old(place: &TempDir, hours: u64) -> std::path::PathBuf {
    let (data, model) = (place.path().join("data"), place.path().join("model"));
    format_small(&model, &[]);
    let model = mizan_node::offline::superblock(&model).expect("formatted");
    Journal::<FileStorage>::format(
        &FileStorage::create(&data).expect("a directory"),
        &mizan_journal::FormatOptions {
            segment_size: model.segment_size,
            genesis: model.genesis.clone(),
            ..mizan_journal::FormatOptions::new(model.cluster, 1)
        },
    )
    .expect("formatted");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let then = u64::try_from(now.as_nanos()).expect("before 2554") - hours * HOUR_NS;
    let (mut journal, _) = once_free(|| {
        let mut nothing = |_: &Frame<'_>| Ok(());
        Journal::open(FileStorage::new(&data), &OpenOptions::default(), &mut nothing)
            .map_err(|error| error.to_string())
    });
    append(&mut journal, Operation::Genesis, then, &model.genesis);
    append(&mut journal, Operation::Tick, then + 1, &[]);
    journal.close().expect("closed");
    data
}

fn start(data: &Path, further: &[&str]) -> NodeProcess {
    once_free(|| {
        let mut command = Command::new(mizan_binary());
        command.arg("start").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        command.args(further);
        NodeProcess::try_spawn(command)
    })
}

#[test]
fn a_node_that_was_down_for_more_than_a_day_starts_when_its_clock_is_confirmed() {
    let place = TempDir::new().expect("a temporary directory");
    let data = old(&place, 25);
    let text = data.to_str().expect("temporary paths are UTF-8");
    let refused = once_free(|| {
        let refused = mizan(&["start", "--data", text, "--listen", "127.0.0.1:0"]);
        if said(&refused).contains("is locked by") { Err(said(&refused)) } else { Ok(refused) }
    });
    assert_eq!(code(&refused), STATE, "{}", said(&refused));
    assert!(stdout(&refused).is_empty(), "it never listened");
    for part in ["clock shows 2", "last timestamp is 2", "would expire", "--accept-clock"] {
        assert!(said(&refused).contains(part), "{}", said(&refused));
    }
    let report = mizan_node::offline::verify(&data, &mut |_| ()).expect("readable");
    assert!(report.is_sound() && report.engine.sequence == 2, "{:?}", report.problems);

    let mut node = start(&data, &["--accept-clock"]);
    // A session is an entry of the log.
    drop(client(node.address()));
    node.terminate();
    assert_eq!(node.wait().code(), Some(0), "{}", node.stderr());
    let _again = start(&data, &[]);
}

#[test]
fn a_pause_of_less_than_a_day_needs_no_word() {
    let place = TempDir::new().expect("a temporary directory");
    let _node = start(&old(&place, 23), &[]);
}
