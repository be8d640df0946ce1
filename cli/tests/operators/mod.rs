//! What a node of a cluster, alone and without a primary, tells operators and clients.

use super::{Running, command, json, mizan, place};
use std::io::BufRead;
use std::process::{Command, Output};
use tempfile::TempDir;

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A node of two whose other one does not run; where operators and where clients reach it.
fn lonely(place: &TempDir) -> (Running, String, String) {
    let format = "format --data ./node --nodes 2 --secret-file ./secret --accounts 100 \
                  --transfers 1000 --segment-size 2MiB --json";
    assert_eq!(mizan(place, format).status.code(), Some(0));
    let mut start: Command = command(
        place,
        "start --data ./node --listen 127.0.0.1:0 --replicate 127.0.0.1:0 --peers 127.0.0.1:1 \
         --secret-file ./secret",
    );
    start.env_remove("MIZAN_SECRET_FILE").env_remove("MIZAN_REPLICATE");
    let mut node = Running::start_with(start, "replicating ");
    let replica = node.address.clone();
    let mut line = String::new();
    node.lines.read_line(&mut line).expect("a line");
    let clients = line.trim().strip_prefix("listening ").expect("an address").to_owned();
    (node, replica, clients)
}

#[test]
fn a_wrong_secret_is_refused_credentials_and_a_node_without_a_primary_says_what_to_do() {
    let place = place();
    let (mut node, replica, clients) = lonely(&place);
    std::fs::write(place.path().join("other"), "ab".repeat(32)).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(place.path().join("other"), mode).expect("a mode");
    for (flag, said) in [("", "no secret was given"), (" --secret-file ./other", "another secret")]
    {
        for verb in ["status", "promote"] {
            let output = mizan(&place, &format!("{verb} --replica {replica}{flag}"));
            assert_eq!(output.status.code(), Some(4), "{verb}{flag}: {output:?}");
            assert!(talk(&output).contains(said), "{verb}{flag}: {output:?}");
            assert!(!talk(&output).contains("is unknown"), "{verb}{flag}: {output:?}");
        }
    }

    let known = format!("--replica {replica} --secret-file ./secret");
    let output = mizan(&place, &format!("status {known}"));
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(talk(&output).contains("no primary: promote one"), "{output:?}");
    let output = mizan(&place, &format!("detach 1 {known} --yes-single-copy"));
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(talk(&output).contains("this node is not the primary"), "{output:?}");

    // A client is told that the node lives, and of every address what is wrong with it.
    let output = mizan(&place, &format!("status --address {clients} --json"));
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert_eq!(json(&output)["error"]["name"], "not_primary");
    let output = mizan(&place, &format!("status --address {clients},127.0.0.1:1"));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = talk(&output);
    assert!(said.contains(&clients) && said.contains("127.0.0.1:1"), "{said}");
    assert_eq!(node.terminate(), Some(0));

    // The secret is changed: the old one is told apart from a wrong file.
    let change = "change-secret --data ./node --secret-file ./other";
    assert_eq!(mizan(&place, change).status.code(), Some(0));
    let start = "start --data ./node --listen 127.0.0.1:0 --replicate 127.0.0.1:0 --peers \
                 127.0.0.1:1 --secret-file ./secret";
    let output = mizan(&place, start);
    assert!(talk(&output).contains("the last `mizan change-secret`"), "{output:?}");
}
