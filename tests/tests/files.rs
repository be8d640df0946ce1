//! A node's files: who may use them, what damage does, and where the log ends after a crash.

use mizan_journal::{FileStorage, ScanEvent, scan};
use mizan_node::{FormatOptions, Node, NodeOptions, format, offline};
use mizan_tests::binary::{NodeProcess, format_small, mizan, mizan_binary};
use mizan_tests::ledger::{client, create_accounts, pay};
use mizan_tests::recorder::Random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SEED_DEFAULT: u64 = 20_261_121;
/// Places in the middle of the journal at which a bit is flipped.
const FLIPS: usize = 6;
/// Steps over the bytes of the last frame; not a divisor of any size in it.
const TORN_STEP: usize = 59;
/// Bytes that a frame has before its payload.
const FRAME_HEADER_SIZE: usize = 256;
/// Exit codes, as the help of every verb lists them.
const CORRUPT: i32 = 5;
const STATE: i32 = 6;

fn seed(test: &str) -> u64 {
    let given = std::env::var("MIZAN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or(SEED_DEFAULT);
    println!(
        "seed {seed}; repeat with MIZAN_SEED={seed} cargo test -p mizan-tests --test files {test}"
    );
    seed
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Runs `mizan start` on a directory that it must refuse.
fn refused_start(data: &Path) -> Output {
    let output = mizan(&["start", "--data", utf8(data), "--listen", "127.0.0.1:0"]);
    assert!(output.stdout.is_empty(), "a refused start says nothing on stdout");
    output
}

/// A small directory whose node was killed after `transfers` single transfers.
fn killed(transfers: u128) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "10000", "--accounts", "100", "--holds", "100"]);
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let mut client = client(node.address());
    create_accounts(&mut client, 2);
    for id in 1..=transfers {
        pay(&mut client, id, id).expect("the node answers");
    }
    node.kill9();
    (directory, data)
}

/// Every file but the lock, whose content is the last holder's number.
fn contents(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(data).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            contents.extend(self::contents(&path));
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            contents.insert(path.clone(), std::fs::read(&path).expect("the file can be read"));
        }
    }
    contents
}

/// A place in the journal.
#[derive(Clone, Debug)]
struct FramePlace {
    file: PathBuf,
    segment: u64,
    offset: usize,
    size: usize,
    sequence: u64,
}

fn frames(data: &Path) -> Vec<FramePlace> {
    let mut frames = Vec::new();
    scan(&FileStorage::new(data), true, &mut |event| {
        if let ScanEvent::Frame(frame) = event {
            let segment = frame.position.segment;
            frames.push(FramePlace {
                file: data.join(mizan_journal::segment_name(segment)),
                segment,
                offset: frame.position.offset as usize,
                size: FRAME_HEADER_SIZE + frame.payload.len(),
                sequence: frame.sequence,
            });
        }
        Ok(())
    })
    .expect("the journal can be scanned");
    frames
}

/// Copies what has content: segments that are only prepared need not exist.
fn copy_in_use(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a directory can be made");
    for (path, content) in contents(from) {
        if content.iter().any(|byte| *byte != 0) {
            let name = path.file_name().expect("a file has a name");
            std::fs::write(to.join(name), content).expect("a file can be written");
        }
    }
}

#[test]
fn a_second_process_on_the_directory_is_refused_and_told_who_holds_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "10000", "--accounts", "100", "--holds", "100"]);
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let output = refused_start(&data);
    assert_eq!(output.status.code(), Some(STATE));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("process {}", node.id())), "{said}");
    assert!(said.contains(utf8(&data)), "{said}");
    let mut client = client(node.address());
    create_accounts(&mut client, 2);
    pay(&mut client, 1, 5).expect("the first node goes on");
}

#[test]
fn a_directory_that_is_not_formatted_or_not_there_is_refused_with_advice() {
    let directory = TempDir::new().expect("a temporary directory");
    for data in [directory.path().to_owned(), directory.path().join("missing")] {
        let output = refused_start(&data);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(STATE), "{said}");
        assert!(said.contains("mizan format"), "{said}");
    }
}

#[test]
fn a_formatted_directory_is_not_formatted_again() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "10000", "--accounts", "100", "--holds", "100"]);
    let before = contents(&data);
    let output = mizan(&["format", "--data", utf8(&data)]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(STATE), "{said}");
    assert!(said.contains("already"), "{said}");
    assert_eq!(contents(&data), before, "nothing was changed");
}

#[test]
fn a_flipped_bit_in_the_middle_is_refused_with_its_place_and_nothing_is_changed() {
    let mut random = Random(seed("a_flipped_bit"));
    let (_directory, data) = killed(12);
    let frames = frames(&data);
    // The genesis frame has a group behind it, and so have all others but the last two.
    let middle = &frames[..frames.len() - 2];
    assert!(middle.len() > FLIPS, "{} frames", frames.len());
    for flip in 0..FLIPS {
        let frame = &middle[flip * middle.len() / FLIPS];
        let place = frame.offset + random.below(frame.size as u64) as usize;
        let bit = 1u8 << random.below(8);
        let mut content = std::fs::read(&frame.file).expect("the segment can be read");
        content[place] ^= bit;
        std::fs::write(&frame.file, &content).expect("the segment can be written");
        let before = contents(&data);

        let output = refused_start(&data);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(CORRUPT), "byte {place}: {said}");
        let name = frame.file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        for fact in [
            name.to_owned(),
            format!("offset {}", frame.offset),
            format!("sequence {}", frame.sequence),
            "nothing was changed".to_owned(),
        ] {
            assert!(said.contains(&fact), "byte {place}: no `{fact}` in {said}");
        }
        verify_reports(&data, frame);
        assert_eq!(contents(&data), before, "byte {place}: the files are as they were");
        content[place] ^= bit;
        std::fs::write(&frame.file, &content).expect("the segment can be written");
    }
    // With every bit back in its place the node starts.
    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let found = client(node.address()).lookup_transfers(&[12]).expect("the node answers");
    assert_eq!(found.len(), 1);
}

/// `mizan verify` says the same, also for scripts.
fn verify_reports(data: &Path, frame: &FramePlace) {
    let output = mizan(&["verify", "--json", "--data", utf8(data)]);
    assert_eq!(output.status.code(), Some(CORRUPT), "{}", text(&output.stderr));
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert_eq!((&report["sound"], &report["damaged"]), (&false.into(), &true.into()));
    let problems = report["problems"].to_string();
    assert!(problems.contains(&format!("offset {}", frame.offset)), "{problems}");
    assert!(problems.contains(&mizan_journal::segment_name(frame.segment)), "{problems}");
}

#[test]
fn a_torn_tail_is_cut_back_to_the_last_whole_group_and_kept_in_quarantine() {
    let mut random = Random(seed("a_torn_tail"));
    let (directory, data) = killed(6);
    let frames = frames(&data);
    let last = frames.last().expect("there are frames").clone();
    let whole = offline::verify(&data, &mut |_| ()).expect("the files can be read");
    assert!(whole.is_sound(), "{:?}", whole.problems);
    let original = std::fs::read(&last.file).expect("the segment can be read");
    let frame = last.offset..last.offset + last.size;
    let mut tails = 0;
    for (index, kept) in (0..last.size).step_by(TORN_STEP).enumerate() {
        let mut torn = original.clone();
        let is_garbled = index % 2 == 1;
        for byte in &mut torn[last.offset + kept..frame.end] {
            *byte = if is_garbled { random.draw() as u8 } else { 0 };
        }
        let copy = directory.path().join(format!("copy-{kept}"));
        copy_in_use(&data, &copy);
        std::fs::write(copy.join(last.file.file_name().expect("a name")), &torn)
            .expect("the segment can be written");

        let is_whole = torn == original;
        let options = NodeOptions::new(&copy, "127.0.0.1:0".parse().expect("an address"));
        let node = Node::open(&options, &mut |_| ())
            .unwrap_or_else(|error| panic!("{kept} bytes kept: {error}"));
        let state = *node.recovered();
        let expected = if is_whole { last.sequence } else { last.sequence - 1 };
        assert_eq!(state.sequence, expected, "{kept} bytes kept");
        let lost = u64::from(!is_whole);
        assert_eq!(state.transfer_count, whole.engine.transfer_count - lost);
        assert_eq!(state.digest == whole.engine.digest, is_whole, "{kept} bytes kept");
        let residue = &torn[frame.clone()];
        let quarantined = node.recovery().quarantined.clone();
        drop(node);
        assert_eq!(
            quarantined.is_some(),
            !is_whole && residue.iter().any(|byte| *byte != 0),
            "{kept} bytes kept"
        );
        if let Some(tail) = quarantined {
            tails += 1;
            assert_eq!(tail.sequence, last.sequence, "the first sequence that is gone");
            let content =
                std::fs::read(copy.join(&tail.file)).expect("the quarantine file is there");
            let end = residue.iter().rposition(|byte| *byte != 0).expect("there is a residue");
            let is_kept = content.windows(end + 1).any(|window| *window == residue[..=end]);
            assert!(is_kept, "{kept} bytes kept: {} lacks the tail", tail.file);
        }
        let report = offline::verify(&copy, &mut |_| ()).expect("the files can be read");
        assert!(report.is_sound(), "{kept} bytes kept: {:?}", report.problems);
        std::fs::remove_dir_all(&copy).expect("a copy can be removed");
    }
    assert!(tails >= 5, "{tails} tails were kept");
}

#[test]
fn a_file_size_limit_stops_writes_with_a_status_and_leaves_reads_alone() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    format_small(&data, &["--transfers", "10000", "--accounts", "100", "--holds", "100"]);
    let mut node = NodeProcess::start(&data, "127.0.0.1:0");
    let mut first = client(node.address());
    create_accounts(&mut first, 2);
    pay(&mut first, 1, 5).expect("the node answers");
    drop(first);
    node.kill9();
    // Without the segments that are ready, the node needs new ones, which the limit forbids.
    for (path, content) in contents(&data) {
        if content.iter().all(|byte| *byte == 0) {
            std::fs::remove_file(path).expect("a file can be removed");
        }
    }

    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 512; exec \"$0\" start --data \"$1\" --listen 127.0.0.1:0"]);
    command.arg(mizan_binary()).arg(&data);
    let mut node = NodeProcess::spawn(command);
    let address = node.address().to_string();
    let said = wait_for_low_space(&address);
    assert!(said.contains("journal_space_low") && said.contains("make room"), "{said}");
    let mut reader = mizan_tests::ledger::reader(node.address());
    assert_eq!(reader.lookup_transfers(&[1]).expect("reads go on").len(), 1);
    node.terminate();
    assert_eq!(node.wait().code(), Some(0), "{}", node.stderr());

    let node = NodeProcess::start(&data, "127.0.0.1:0");
    let mut client = client(node.address());
    assert_eq!(client.lookup_transfers(&[1]).expect("the node answers").len(), 1);
    pay(&mut client, 1_000, 5).expect("without the limit writes go on");
}

/// Asks the node to write until it says that it has no space; gives what the command line says.
fn wait_for_low_space(address: &str) -> String {
    let mut said = String::new();
    mizan_tests::ledger::wait_until("the node finds that it has no space", || {
        let output = mizan(&[
            "accounts",
            "create",
            "1",
            "7",
            "--request-timeout",
            "500ms",
            "--address",
            address,
        ]);
        said = text(&output.stderr);
        output.status.code() == Some(8)
    });
    said
}

#[test]
fn options_that_make_no_node_leave_the_directory_unformatted() {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let options = FormatOptions { window_bytes: 1, ..FormatOptions::new(&data) };
    assert!(format(&options).is_err());
    assert!(!mizan_node::is_formatted(&data));
    let output = mizan(&["format", "--data", utf8(&data), "--window-bytes", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(!mizan_node::is_formatted(&data));
}
