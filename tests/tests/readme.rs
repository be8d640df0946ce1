//! The README is run as it stands: every console block, in order, in one directory, against a node that `mizan dev`
//! started; and so are the pages about failover and about importing. Lines that begin with `$ ` are typed, the lines behind them are what must appear; `...` stands for any text
//! within a line, and alone on a line for any number of lines.

use mizan_tests::binary::{NodeProcess, mizan, mizan_binary};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LINES_MAX: usize = 150;
/// Printed behind the output of each command.
const MARK: &str = "=== mark of the test ===";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a room").to_path_buf()
}

fn readme() -> String {
    page("README.md")
}

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the page is there")
}

/// The contents of all fenced blocks of this language.
fn blocks(text: &str, language: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Vec<String>)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(opened), None) => open = Some((opened == language, Vec::new())),
            (Some(_), Some((true, block))) => blocks.push(block),
            (Some(_), Some((false, _))) => {}
            (None, Some((wanted, mut block))) => {
                block.push(line.to_owned());
                open = Some((wanted, block));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A command and the lines that it must print.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

fn steps(block: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), expected: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            step.expected.push(line.clone());
        } else {
            panic!("a console block begins with output: {line}");
        }
    }
    steps
}

/// Whether a line is as expected, `...` standing for any text.
fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((first, rest)) = expected.split_once("...") else { return expected == actual };
    let Some(mut left) = actual.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split("...").collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(last)
}

/// Whether all lines are as expected, a line `...` standing for any number of lines.
fn lines_match(expected: &[String], actual: &[&str]) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "..." => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        (Some((expected, others)), Some((line, rest))) => {
            line_matches(expected, line) && lines_match(others, rest)
        }
        _ => false,
    }
}

/// Runs the commands of a block in one shell; gives what each printed.
fn run(steps: &[Step], directory: &Path, address: &str) -> Vec<String> {
    let mut script = String::new();
    for Step { command, .. } in steps {
        // The exit code stays visible to the next command, as it is to whoever types.
        script.push_str(&format!("{command}\nmark=$?; echo '{MARK}'; (exit $mark)\n"));
    }
    let programs = mizan_binary().parent().expect("a binary lies in a directory");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(directory)
        .env("PATH", path)
        .env("MIZAN_ADDRESS", address)
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let text = String::from_utf8(output.stdout).expect("output is UTF-8");
    let mut printed: Vec<String> = text.split(&format!("{MARK}\n")).map(str::to_owned).collect();
    assert_eq!(printed.pop().as_deref(), Some(""), "the shell ended early: {text}");
    printed
}

fn dev_node(data: &Path) -> NodeProcess {
    let mut command = Command::new(mizan_binary());
    command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    NodeProcess::spawn(command)
}

#[test]
fn every_console_block_of_the_readme_does_what_it_says() {
    let (directory, data) = (tempfile::tempdir(), tempfile::tempdir());
    let (directory, data) = (directory.expect("a directory"), data.expect("a directory"));
    let node = dev_node(data.path());
    let address = node.address().to_string();
    let blocks = blocks(&readme(), "console");
    assert!(blocks.len() >= 3, "only {} console blocks", blocks.len());
    blocks.iter().for_each(|block| run_and_compare(block, directory.path(), &address));
}

fn run_and_compare(block: &[String], directory: &Path, address: &str) {
    let steps = steps(block);
    let printed = run(&steps, directory, address);
    assert_eq!(printed.len(), steps.len());
    for (step, printed) in steps.iter().zip(&printed) {
        let actual: Vec<&str> = printed.lines().map(str::trim_end).collect();
        assert!(
            lines_match(&step.expected, &actual),
            "$ {}\n--- the page says\n{}\n--- printed was\n{printed}",
            step.command,
            step.expected.join("\n"),
        );
    }
}

#[test]
fn every_console_block_of_the_page_about_failover_does_what_it_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let blocks = blocks(&page("docs/operating/failover.md"), "console");
    assert!(!blocks.is_empty(), "no console block");
    // These blocks bring their own nodes; there is none at this address.
    blocks.iter().for_each(|block| run_and_compare(block, directory.path(), "127.0.0.1:9"));
}

#[test]
fn every_console_block_of_the_page_about_importing_does_what_it_says() {
    let (directory, data) = (tempfile::tempdir(), tempfile::tempdir());
    let (directory, data) = (directory.expect("a directory"), data.expect("a directory"));
    let node = dev_node(data.path());
    let address = node.address().to_string();
    let blocks = blocks(&page("docs/operating/import.md"), "console");
    assert!(blocks.len() >= 3, "only {} console blocks", blocks.len());
    blocks.iter().for_each(|block| run_and_compare(block, directory.path(), &address));
}

#[test]
fn every_console_block_of_the_page_about_orders_succeeds_and_does_what_it_says() {
    let (directory, data) = (tempfile::tempdir(), tempfile::tempdir());
    let (directory, data) = (directory.expect("a directory"), data.expect("a directory"));
    let node = dev_node(data.path());
    let address = node.address().to_string();
    let blocks = blocks(&page("docs/reference/orders.md"), "console");
    assert!(!blocks.is_empty(), "no console block");
    for mut block in blocks {
        // What is shown of a line may be little; that it succeeds is part of the page.
        for line in &mut block {
            if line.starts_with("$ ") {
                line.push_str(" || echo FAILED");
            }
        }
        block.iter().filter(|line| line.starts_with("$ ")).for_each(|line| {
            let printed = run(&steps(std::slice::from_ref(line)), directory.path(), &address);
            assert!(!printed.concat().contains("FAILED"), "{line}: {printed:?}");
        });
    }
}

#[test]
fn every_verb_that_the_readme_names_in_a_shell_block_exists() {
    let mut seen = 0;
    for line in blocks(&readme(), "sh").iter().flatten() {
        let command = line.split('#').next().unwrap_or_default().trim();
        let verb = command
            .strip_prefix("cargo run --release -- ")
            .or_else(|| command.strip_prefix("mizan "));
        let Some(verb) = verb.and_then(|verb| verb.split_whitespace().next()) else { continue };
        let output = mizan(&[verb, "--help"]);
        assert!(output.status.success(), "{line}");
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} commands");
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let text = readme();
    assert!(text.lines().count() <= LINES_MAX, "{} lines", text.lines().count());
    let mut links = 0;
    for piece in text.split("](").skip(1) {
        let target = piece.split([')', '#']).next().unwrap_or_default();
        if target.is_empty() || target.contains("://") {
            continue;
        }
        assert!(root().join(target).exists(), "{target} is not there");
        links += 1;
    }
    assert!(links >= 4, "only {links} links");
}

#[test]
fn dots_stand_for_text_and_for_lines_and_for_nothing_else() {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(line_matches("id 0x... of ... ms", "id 0xab of 7 ms"));
    assert!(!line_matches("id 0x...", "no id 0xab"));
    assert!(!line_matches("ready in ... ms", "ready in 7 s"));
    assert!(lines_match(&owned(&["a", "...", "z"]), &["a", "b", "c", "z"]));
    assert!(lines_match(&owned(&["a", "...", "z"]), &["a", "z"]));
    assert!(!lines_match(&owned(&["a", "...", "z"]), &["a", "b"]));
    assert!(!lines_match(&owned(&["a"]), &["a", "b"]));
    assert!(!lines_match(&owned(&["a", "b"]), &["a"]));
}
