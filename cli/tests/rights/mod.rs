//! Files and addresses that are not for this user or this machine: what is said, and with which exit code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_mizan");
/// `nobody`.
const OTHER_USER: &str = "65534";

fn run(program: &str, words: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(words).output().expect("the program can be run")
}

fn format(data: &str) {
    let words = [
        "format",
        "--data",
        data,
        "--accounts",
        "10",
        "--transfers",
        "10",
        "--segment-size",
        "2MiB",
    ];
    assert!(run(BINARY, &words).status.success());
}

/// The code and the words of a start that must fail.
fn refused(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("restart the process"), "a restart does not help: {text}");
    (output.status.code(), text)
}

#[test]
fn a_file_is_no_data_directory_and_a_foreign_address_is_not_taken() {
    let place = tempfile::tempdir().expect("a directory");
    let data = place.path().join("data");
    let data = data.to_str().expect("temporary paths are UTF-8");
    format(data);
    let file = place.path().join("file");
    std::fs::write(&file, "no journal").expect("written");
    let file = file.to_str().expect("temporary paths are UTF-8");
    for verb in ["start", "verify", "format"] {
        let (code, text) = refused(&run(BINARY, &[verb, "--data", file]));
        assert_eq!(code, Some(2), "{verb}: {text}");
        assert!(text.contains(file), "{verb}: {text}");
    }
    // TEST-NET-1, which no machine has.
    for (flag, rest) in [("--listen", "--listen"), ("--metrics", "--listen=127.0.0.1:0")] {
        let mut words = vec!["start", "--data", data, "--insecure", flag, "192.0.2.1:7500"];
        words.extend(Some(rest).filter(|rest| *rest != flag));
        let (code, text) = refused(&run(BINARY, &words));
        assert_eq!(code, Some(6), "{text}");
        assert!(text.contains("192.0.2.1:7500 is not an address of this machine"), "{text}");
    }
}

#[test]
fn another_user_is_told_whose_the_files_are_and_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can run a node as another user");
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    let binary = place.path().join("mizan");
    std::fs::copy(BINARY, &binary).expect("copied");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    open(place.path(), 0o755);
    open(&binary, 0o755);
    let data = place.path().join("data");
    let text = data.to_str().expect("temporary paths are UTF-8");
    format(text);
    let as_other = || {
        let binary = binary.to_str().expect("temporary paths are UTF-8");
        let user = ["--reuid", OTHER_USER, "--regid", OTHER_USER, "--clear-groups"];
        let words = [binary, "start", "--data", text, "--listen", "127.0.0.1:0"];
        let output = run("setpriv", &[&user[..], &words[..]].concat());
        let (code, text) = refused(&output);
        assert_eq!(code, Some(6), "{text}");
        text
    };
    let told = as_other();
    let whose = format!("{text} belongs to user 0 with mode 700");
    for part in [&whose, "runs as user 65534", "chown"] {
        assert!(told.contains(part), "{told}");
    }
    // Readable, and yet not to be held.
    open(&data, 0o755);
    for entry in std::fs::read_dir(&data).expect("listed") {
        open(&entry.expect("an entry").path(), 0o644);
    }
    let told = as_other();
    assert!(told.contains("LOCK belongs to user 0 with mode 644"), "{told}");
    assert!(told.contains("runs as user 65534"), "{told}");
}

#[test]
fn a_cluster_without_a_secret_is_only_made_by_saying_so() {
    let place = tempfile::tempdir().expect("a directory");
    let data = place.path().join("data");
    let data = data.to_str().expect("temporary paths are UTF-8");
    let limits = ["--accounts", "10", "--transfers", "10", "--segment-size", "2MiB"];
    let words = |more: &[&'static str]| {
        let words = ["format", "--data", data, "--nodes", "2"];
        run(BINARY, &[&words[..], &limits[..], more].concat())
    };
    let (code, text) = refused(&words(&[]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--secret-file") && text.contains("--no-secret"), "{text}");
    assert!(!Path::new(data).exists(), "nothing was made");
    assert!(words(&["--no-secret"]).status.success());
}
