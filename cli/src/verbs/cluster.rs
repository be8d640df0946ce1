//! `mizan promote`, `mizan detach`, and the cluster's side of `mizan status`: what an operator asks of nodes.
//!
//! Invariants: nothing that lets a single copy suffice happens without a word typed or a flag given for it; a question
//! that got no answer is reported as unknown, never as failed.

use crate::Context;
use crate::args::{DetachArgs, OperatorArgs, PromoteArgs};
use crate::config::{Key, Settings};
use crate::error::CliError;
use crate::exit;
use crate::files::with_causes;
use crate::output::{Output, Table};
use crate::secret;
use crate::verdict;
use mizan_node::cluster::{AdminReply, AdminRequest, AskError, ClusterStatus, Secret, ask};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long a node may take to answer; a promotion that cannot come through is refused by the node before.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// How long a node may take to say where it stands.
const STATUS_MAX: Duration = Duration::from_secs(2);
/// What must be typed before one copy suffices.
const CONFIRMATION: &str = "single copy";

/// Runs `promote`.
///
/// # Errors
/// The node cannot be asked, or refuses.
pub fn run_promote(context: &mut Context, args: &PromoteArgs) -> Result<u8, CliError> {
    let (address, secret) = operator(&context.settings, &args.operator)?;
    if args.solo {
        confirm(&mut context.output, args.yes_single_copy, "--yes-single-copy")?;
    }
    let request = AdminRequest::Promote {
        expect_epoch: args.expect_epoch,
        solo: args.solo,
        accept_loss_after: args.accept_loss_after,
        accept_clock: args.accept_clock,
    };
    match put(address, secret, &request, ANSWER_MAX)? {
        AdminReply::Promoted { epoch, sequence, took_us, is_stalled } => {
            if context.output.is_json() {
                context.output.json(&json!({
                    "promoted": address.to_string(), "epoch": epoch, "sequence": sequence,
                    "took_us": took_us, "is_stalled": is_stalled,
                }))?;
            } else {
                context.output.line(format!(
                    "promoted {address}: epoch {epoch} begins with sequence {sequence}, {:.1} ms",
                    took_us as f64 / 1_000.0
                ))?;
            }
            if is_stalled {
                context.output.note("nothing is acknowledged until another node has caught up: start one, or `mizan detach NODE` lets this one copy suffice")?;
            }
            Ok(exit::OK)
        }
        reply => Err(unexpected(address, &reply)),
    }
}

/// Runs `detach`.
///
/// # Errors
/// The node cannot be asked, or refuses.
pub fn run_detach(context: &mut Context, args: &DetachArgs) -> Result<u8, CliError> {
    let (address, secret) = operator(&context.settings, &args.operator)?;
    confirm(&mut context.output, args.yes_single_copy, "--yes-single-copy")?;
    match put(address, secret, &AdminRequest::Detach { node: args.node }, ANSWER_MAX)? {
        AdminReply::Detached => {
            if context.output.is_json() {
                context.output.json(&json!({ "detached": args.node }))?;
            } else {
                context.output.line(format!("detached node {}", args.node))?;
            }
            context.output.note("acknowledgements rest on a single copy; two are asked for again by themselves when the node has caught up")?;
            Ok(exit::OK)
        }
        reply => Err(unexpected(address, &reply)),
    }
}

/// Runs `status --replica`: one row for each node that was named.
///
/// # Errors
/// No node can be asked.
pub fn run_status(
    context: &mut Context,
    nodes: &[SocketAddr],
    secret_file: Option<&Path>,
) -> Result<u8, CliError> {
    let secret = secret_of(&context.settings, secret_file)?;
    let mut rows = Vec::new();
    for &address in nodes {
        let reply = ask(address, secret, &AdminRequest::Status, STATUS_MAX);
        rows.push((address, reply));
    }
    if context.output.is_json() {
        let values: Vec<Value> =
            rows.iter().map(|(address, reply)| as_json(*address, reply)).collect();
        context.output.json(&json!({ "nodes": values }))?;
    } else {
        show(&mut context.output, &rows)?;
    }
    let answers: Vec<Option<&ClusterStatus>> = rows
        .iter()
        .map(|(_, reply)| match reply {
            Ok(AdminReply::Status(status)) => Some(&**status),
            _ => None,
        })
        .collect();
    let code = verdict::of_cluster(&answers);
    if code == exit::UNREACHABLE {
        // Nobody answered; one that lives and does not take the secret says more than those that are silent.
        let codes = rows.iter().filter_map(|(_, reply)| reply.as_ref().err()).map(code_of);
        return Ok(codes.max().unwrap_or(code));
    }
    if code == exit::STATE && !context.output.is_json() && !verdict::is_led(&answers) {
        context.output.note(
            "no primary: promote one of the nodes that are ready: `mizan promote --replica ADDR`",
        )?;
    }
    Ok(code)
}

fn as_json(address: SocketAddr, reply: &Result<AdminReply, AskError>) -> Value {
    let address = address.to_string();
    match reply {
        Ok(AdminReply::Status(status)) => json!({ "address": address, "status": status }),
        Ok(reply) => json!({ "address": address, "error": format!("{reply:?}") }),
        Err(error) => json!({ "address": address, "error": with_causes(error) }),
    }
}

fn show(
    output: &mut Output,
    rows: &[(SocketAddr, Result<AdminReply, AskError>)],
) -> Result<(), CliError> {
    let mut table = Table::new(
        &["node", "address", "role", "epoch", "end", "durable", "commit", "in sync", "ready"],
        3,
    );
    let mut notes = Vec::new();
    for (address, reply) in rows {
        let address = address.to_string();
        match reply {
            Ok(AdminReply::Status(status)) => {
                table.row([
                    status.node.to_string(),
                    address,
                    status.role.clone(),
                    status.epoch.to_string(),
                    status.end.to_string(),
                    status.durable.to_string(),
                    status.commit.to_string(),
                    in_sync(status),
                    if status.is_ready { "yes".to_owned() } else { "no".to_owned() },
                ]);
                notes.extend(remarks(status));
            }
            other => {
                let dash = || "-".to_owned();
                let is_refusal = matches!(other, Err(AskError::Secret { .. }));
                table.row([
                    dash(),
                    address.clone(),
                    if is_refusal { "refused" } else { "no answer" }.to_owned(),
                    dash(),
                    dash(),
                    dash(),
                    dash(),
                    dash(),
                    "no".to_owned(),
                ]);
                if let Err(error) = other {
                    notes.push(with_causes(error));
                }
            }
        }
    }
    output.table(&table)?;
    for note in notes {
        output.line(note)?;
    }
    Ok(())
}

/// The nodes that a primary knows to be in sync, itself included.
fn in_sync(status: &ClusterStatus) -> String {
    if status.role != "primary" {
        return "-".to_owned();
    }
    let mut nodes = vec![status.node];
    nodes.extend(status.peers.iter().filter(|peer| peer.is_in_sync).map(|peer| peer.node));
    nodes.sort_unstable();
    let nodes: Vec<String> = nodes.iter().map(u8::to_string).collect();
    format!("{} (needs {})", nodes.join(","), status.min_sync)
}

fn remarks(status: &ClusterStatus) -> Vec<String> {
    let node = status.node;
    let mut remarks: Vec<String> = status
        .alarms
        .iter()
        .map(|alarm| format!("node {node}: alarm {}: {}", alarm.name, alarm.text))
        .collect();
    remarks.extend(status.not_ready.iter().map(|reason| format!("node {node}: {reason}")));
    if status.is_insecure {
        remarks.push(format!(
            "node {node}: replicates without a secret: whoever reaches it can promote"
        ));
    }
    if status.role == "primary" {
        for peer in status.peers.iter().filter(|peer| peer.is_connected && peer.lag_entries > 0) {
            remarks.push(format!("node {}: {} entries behind", peer.node, peer.lag_entries));
        }
    }
    remarks
}

/// Asks what a new disk needs to know.
///
/// # Errors
/// The node cannot be asked, or refuses.
pub(crate) fn ask_to_join(
    address: SocketAddr,
    secret: Secret,
    node: Option<u8>,
) -> Result<mizan_node::cluster::JoinInfo, CliError> {
    match put(address, secret, &AdminRequest::Join { node }, STATUS_MAX)? {
        AdminReply::Join(info) => Ok(*info),
        reply => Err(unexpected(address, &reply)),
    }
}

fn put(
    address: SocketAddr,
    secret: Secret,
    request: &AdminRequest,
    timeout: Duration,
) -> Result<AdminReply, CliError> {
    match ask(address, secret, request, timeout) {
        Ok(AdminReply::Refused { name, text }) => {
            Err(CliError::failed(exit::STATE, format!("refused ({name}): {text}")))
        }
        Ok(reply) => Ok(reply),
        Err(error) => {
            let unknown = match request {
                AdminRequest::Join { .. } if matches!(error, AskError::Io { .. }) => {
                    "; start that node first: it tells a new disk what it needs"
                }
                AdminRequest::Status | AdminRequest::Join { .. } => "",
                _ if error.was_asked() => {
                    "; whether it happened is unknown: see `mizan status --replica ADDR`"
                }
                _ => "; nothing was asked",
            };
            Err(CliError::failed(code_of(&error), format!("{}{unknown}", with_causes(&error))))
        }
    }
}

/// The exit code of a question without an answer.
const fn code_of(error: &AskError) -> u8 {
    match error {
        AskError::Secret { .. } => exit::CREDENTIALS,
        _ => exit::UNREACHABLE,
    }
}

fn unexpected(address: SocketAddr, reply: &AdminReply) -> CliError {
    CliError::failed(exit::VERSION, format!("{address} gave an answer of another kind: {reply:?}"))
}

fn confirm(output: &mut Output, given: bool, flag: &str) -> Result<(), CliError> {
    if given {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage(format!(
            "one copy is to suffice: if its disk dies, what was acknowledged is gone; add {flag} to confirm"
        )));
    }
    output.note(format!(
        "one copy is to suffice until another node has caught up: if its disk dies meanwhile, what was acknowledged is gone. Type `{CONFIRMATION}` to go on:"
    ))?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(CliError::Output)?;
    if line.trim() == CONFIRMATION {
        return Ok(());
    }
    Err(CliError::Problem("not confirmed: nothing was done".to_owned()))
}

fn operator(settings: &Settings, args: &OperatorArgs) -> Result<(SocketAddr, Secret), CliError> {
    let nodes = settings.address_list(Key::Replica, args.replica.as_deref())?;
    let [address] = nodes.as_deref().unwrap_or_default() else {
        return Err(CliError::Usage(
            "which node? give one address with --replica, as the node's --replicate says"
                .to_owned(),
        ));
    };
    Ok((*address, secret_of(settings, args.secret_file.as_deref())?))
}

/// The secret that is named, zeros if none is.
pub(crate) fn secret_of(settings: &Settings, flag: Option<&Path>) -> Result<Secret, CliError> {
    Ok(match settings.file(Key::SecretFile, flag) {
        Some(path) => secret::read(&path)?,
        None => Secret::default(),
    })
}
