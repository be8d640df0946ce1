//! The command line's exit codes and settings: what scripts rely on.

mod address_space;
mod clock_cases;
mod shop;

use mizan_tests::binary::{format_small, mizan, mizan_binary};
use mizan_wire::frame::Error;
use mizan_wire::limits::HEADER_SIZE;
use mizan_wire::{RequestStatus, Status};
use shop::{Shop, code, said, stdout};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

const PROBLEM: i32 = 1;
const USAGE: i32 = 2;
const UNREACHABLE: i32 = 3;
const CREDENTIALS: i32 = 4;
const STATE: i32 = 6;
const VERSION: i32 = 7;
const RESOURCE: i32 = 8;
/// Nobody listens here: the port is reserved for a protocol that checks nothing but ports.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn exit_codes_tell_a_script_what_to_do() {
    let shop = Shop::with(&["--sessions", "1"]);
    let data = shop.data();
    let data = data.to_str().expect("temporary paths are UTF-8");
    let unreachable = mizan(&["ledgers", "--address", NOBODY, "--connect-timeout", "1s"]);
    assert_eq!(code(&unreachable), UNREACHABLE, "{}", said(&unreachable));
    assert_eq!(code(&mizan(&["frobnicate"])), USAGE);
    assert_eq!(code(&mizan(&[])), USAGE);
    assert_eq!(code(&mizan(&["start", "--data", data, "--listen", "0.0.0.0:0"])), USAGE);
    assert_eq!(code(&mizan(&["start", "--data", data, "--listen", "127.0.0.1:0"])), STATE);
    assert_eq!(code(&shop.run(&["ledgers", "--cluster", "99"])), STATE);
    assert_eq!(code(&shop.run(&["account", "nobody"])), PROBLEM);
    let _only = mizan_tests::ledger::client(shop.node.address());
    let full = shop.run(&["transfer", "alice", "bob", "1", "USD"]);
    assert_eq!(code(&full), RESOURCE, "{}", said(&full));
    assert!(said(&full).contains("sessions_full"), "{}", said(&full));
    assert_eq!(code(&shop.run(&["trial-balance"])), 0, "readers need no session");
}

#[test]
fn limits_that_the_machine_has_no_memory_for_are_refused_at_format_and_at_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("node");
    let data = data.to_str().expect("temporary paths are UTF-8");
    let most = "2147483648";
    let format = [
        "format",
        "--data",
        data,
        "--accounts",
        most,
        "--transfers",
        most,
        "--segment-size",
        "2MiB",
    ];
    let refused = mizan(&format);
    assert_eq!(code(&refused), RESOURCE, "{}", said(&refused));
    assert!(said(&refused).contains("--for-another-machine"), "{}", said(&refused));
    let formatted = mizan(&[&format[..], &["--for-another-machine"]].concat());
    assert_eq!(code(&formatted), 0, "{}", said(&formatted));
    let started = mizan(&["start", "--data", data, "--listen", "127.0.0.1:0"]);
    assert_eq!(code(&started), RESOURCE, "{}", said(&started));
    assert!(said(&started).contains("of memory, and"), "{}", said(&started));
}

#[test]
fn a_host_that_nobody_knows_is_unreachable_and_an_address_without_a_port_is_usage() {
    // The name is reserved for this: no resolver may know it.
    let unknown = mizan(&["ledgers", "--address", "nowhere.invalid:7117"]);
    assert_eq!(code(&unknown), UNREACHABLE, "{}", said(&unknown));
    assert!(said(&unknown).contains("nowhere.invalid"), "{}", said(&unknown));
    for malformed in ["127.0.0.1", "localhost:seven", ""] {
        let refused = mizan(&["ledgers", "--address", malformed]);
        assert_eq!(code(&refused), USAGE, "`{malformed}`: {}", said(&refused));
    }
}

#[test]
fn a_path_that_is_no_file_and_a_configuration_that_is_no_text_are_usage() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let folder = directory.path().to_str().expect("temporary paths are UTF-8");
    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).expect("a file can be written");
    let binary = binary.to_str().expect("temporary paths are UTF-8");
    let beneath = format!("{binary}/mizan.toml");
    for file in [folder, binary, &beneath, "/nonexistent/mizan.toml"] {
        let refused = mizan(&["explain", "--config", file]);
        assert_eq!(code(&refused), USAGE, "{file}: {}", said(&refused));
        assert!(said(&refused).contains(file), "{}", said(&refused));
    }
    let import = mizan(&["import", folder, "--address", NOBODY]);
    assert_eq!(code(&import), USAGE, "{}", said(&import));
}

#[test]
fn ranges_of_the_benchmark_are_checked_before_anything_starts() {
    for (flag, values) in [
        ("--batch", &["0", "8190", "-1", "x"][..]),
        ("--clients", &["0", "1025"]),
        ("--in-flight", &["0", "1048577"]),
        ("--accounts", &["0", "1", "4294967297"]),
        ("--transfers", &["0"]),
        ("--rate", &["0", "1000000001"]),
    ] {
        for value in values {
            let refused = mizan(&["bench", &format!("{flag}={value}")]);
            assert_eq!(code(&refused), USAGE, "{flag} {value}: {}", said(&refused));
            assert!(said(&refused).contains(flag), "{}", said(&refused));
            assert!(stdout(&refused).is_empty(), "{}", said(&refused));
        }
    }
    for value in ["0", "100000001"] {
        assert_eq!(code(&mizan(&["demo", "--transfers", value])), USAGE, "{value}");
    }
}

/// Listens, and answers every client's first frame with an error.
fn refuse_everybody_with(status: RequestStatus) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let text = status.meaning().as_bytes();
            let head = Error { status: status.number(), ..Error::default() }.seal(text);
            // The test sees it if a client hangs up before it has been told.
            let _ = client.read_exact(&mut [0; HEADER_SIZE]);
            let _ = client.write_all(&[&head[..], text].concat());
        }
    });
    address
}

#[test]
fn a_node_of_another_release_and_one_that_wants_credentials_are_told_apart() {
    for (status, expected) in [
        (RequestStatus::ProtocolUnsupported, VERSION),
        (RequestStatus::CredentialsRefused, CREDENTIALS),
    ] {
        let address = refuse_everybody_with(status);
        let refused = mizan(&["ledgers", "--address", &address, "--connect-timeout", "5s"]);
        assert_eq!(code(&refused), expected, "{}: {}", status.name(), said(&refused));
        assert!(stdout(&refused).is_empty(), "{}", said(&refused));
    }
}

#[test]
fn a_port_that_is_taken_is_a_wrong_state_that_names_the_address() {
    let shop = Shop::open();
    let data = shop.directory.path().join("second");
    format_small(&data, &["--transfers", "1000", "--accounts", "100", "--holds", "100"]);
    let data = data.to_str().expect("temporary paths are UTF-8");
    let taken = mizan(&["start", "--data", data, "--listen", &shop.address]);
    assert_eq!(code(&taken), STATE, "{}", said(&taken));
    assert!(said(&taken).contains(&shop.address), "{}", said(&taken));
}

#[test]
fn a_verb_takes_exactly_one_of_address_and_data() {
    let both = mizan(&["status", "--address", NOBODY, "--data", "/nonexistent"]);
    assert_eq!(code(&both), USAGE, "{}", said(&both));
    for words in [["ledgers", "--data", "/d"], ["verify", "--address", NOBODY]] {
        let wrong = mizan(&words);
        assert_eq!(code(&wrong), USAGE, "{}", said(&wrong));
    }
    let neither = Command::new(mizan_binary())
        .arg("verify")
        .env_remove("MIZAN_DATA")
        .output()
        .expect("the binary can be run");
    assert_eq!(code(&neither), USAGE, "{}", said(&neither));
    let environment = Command::new(mizan_binary())
        .arg("status")
        .envs([("MIZAN_ADDRESS", NOBODY), ("MIZAN_DATA", "/nonexistent")])
        .output()
        .expect("the binary can be run");
    assert_eq!(code(&environment), USAGE, "{}", said(&environment));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let shop = Shop::open();
    let file = shop.directory.path().join("mizan.toml");
    let run = |config: &str, variable: Option<&str>, flag: Option<&str>| {
        std::fs::write(&file, config).expect("a file can be written");
        let mut command = Command::new(mizan_binary());
        command.args(["ledgers", "--connect-timeout", "1s", "--config"]).arg(&file);
        command.env_remove("MIZAN_ADDRESS");
        command.envs(variable.map(|value| ("MIZAN_ADDRESS", value)));
        command.args(flag.map(|value| format!("--address={value}")));
        code(&command.output().expect("the binary can be run"))
    };
    let good = shop.address.as_str();
    let (right, wrong) = (format!("address = \"{good}\""), format!("address = \"{NOBODY}\""));
    assert_eq!(run(&wrong, Some(NOBODY), Some(good)), 0, "the flag");
    assert_eq!(run(&right, Some(good), Some(NOBODY)), UNREACHABLE, "the flag");
    assert_eq!(run(&wrong, Some(good), None), 0, "the environment");
    assert_eq!(run(&right, Some(NOBODY), None), UNREACHABLE, "the environment");
    assert_eq!(run(&right, None, None), 0, "the file");
    assert_eq!(run("adress = \"x\"", Some(good), Some(good)), USAGE, "an unknown key");
    assert_eq!(run("[format]\nacounts = 1", Some(good), Some(good)), USAGE, "an unknown key");
    assert_eq!(run("address = ", Some(good), Some(good)), USAGE, "no TOML");
}

#[test]
fn a_verb_leaves_no_session_behind() {
    let shop = Shop::open();
    for number in 0..5 {
        shop.ok(&["transfer", "alice", "bob", "1", "USD", "--id", &format!("s{number}")]);
    }
    assert_eq!(shop.json(&["status"])["limits"]["sessions"]["used"], 0);
}
