//! `mizan format`: prepares a directory for a node and fixes its limits.
//!
//! Invariants: a directory that is in use, or holds anything else, is refused and left as it was; what is printed is
//! what was fixed.
//!
//! What is absent: changing limits later, and estimates that are guarantees.

pub(crate) mod trading;

use crate::Context;
use crate::args::{ChangeSecretArgs, FormatArgs};
use crate::config::{Key, Settings};
use crate::error::CliError;
use crate::exit;
use crate::files::{count_text, node_error, size_text};
use crate::output::Table;
use crate::secret;
use crate::verbs::cluster::{ask_to_join, secret_of};
use mizan_journal::JournalIo;
use mizan_node::cluster::{Policy, Secret, change_secret, format_first, policy_from_name};
use mizan_node::{FormatOptions, memory_estimate, memory_of_machine, replies_size_max};
use mizan_wire::Genesis;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Bytes that a transfer takes in the journal if it comes in a large batch.
const JOURNAL_SIZE_PER_TRANSFER: u64 = 128;
/// Bytes that a group takes in the journal at the least.
const PAGE_SIZE: u64 = mizan_journal::constants::PAGE_SIZE;

/// Runs the verb.
///
/// # Errors
/// Limits that make no sense, a directory that is in use, no room.
pub fn run(context: &mut Context, args: &FormatArgs) -> Result<u8, CliError> {
    if let Some(join) = &args.join {
        return format_join(context, args, join);
    }
    let options = options(&context.settings, args)?;
    check_memory(&options.limits(), args.for_another_machine)?;
    let secret_file = context.settings.file(Key::SecretFile, args.secret_file.as_deref());
    let secret_file = secret_file.filter(|_| args.nodes.is_some());
    let makes_secret = secret_file.as_ref().is_some_and(|path| !path.exists());
    let cluster = match args.nodes {
        None => mizan_node::format(&options),
        Some(nodes) => {
            let policy = policy(args.policy.as_deref())?;
            let secret = secret_to_format(&context.settings, args)?;
            format_first(&options, nodes, policy, secret.as_ref())
        }
    };
    let cluster = cluster.map_err(|error| node_error(&error))?;
    if context.output.is_json() {
        context.output.json(&as_json(&options, cluster))?;
    } else {
        let data = options.data.display();
        context.output.line(format!("formatted {data}"))?;
        context.output.table(&table(&options, cluster))?;
        if let Some(path) = secret_file.as_ref().filter(|_| makes_secret) {
            context.output.note(format!(
                "the cluster's secret was drawn into {}: copy that file to the other machines, mode 0600",
                path.display()
            ))?;
        }
        let how = if args.nodes.is_some() {
            cluster_flags(secret_file.as_deref())
        } else {
            String::new()
        };
        context.output.note(format!("start the node with: mizan start --data {data}{how}"))?;
        if args.nodes.is_some() {
            context.output.note("then, with this node running, make the other nodes' disks with: mizan format --data DIR --join ADDR, where ADDR is what this node has as --replicate; start them, and `mizan promote` one")?;
        }
    }
    Ok(exit::OK)
}

/// What the start of a node of a cluster needs besides its directory.
fn cluster_flags(secret_file: Option<&Path>) -> String {
    let secret = secret_file.map(|path| format!(" --secret-file {}", path.display()));
    format!(" --replicate ADDR --peers ADDRS{}", secret.unwrap_or_default())
}

/// The secret of a new cluster; `None` if it is to have none, which somebody must say.
fn secret_to_format(settings: &Settings, args: &FormatArgs) -> Result<Option<Secret>, CliError> {
    match settings.file(Key::SecretFile, args.secret_file.as_deref()) {
        None if args.no_secret => Ok(None),
        None => Err(CliError::Usage(
            "a cluster has a secret, or whoever reaches a node can promote it: give --secret-file FILE, which is made if it is not there, or --no-secret if nobody else uses this machine".to_owned(),
        )),
        Some(path) if args.no_secret => Err(CliError::Usage(format!(
            "there are --no-secret and the secret file {}: give one of them", path.display()
        ))),
        Some(path) => secret::read_or_make(&path).map(Some),
    }
}

/// Runs `change-secret`.
///
/// # Errors
/// No file named, files that are in use or of no cluster.
pub fn run_change_secret(context: &mut Context, args: &ChangeSecretArgs) -> Result<u8, CliError> {
    let settings = &context.settings;
    let data = settings.data(args.data.data.as_deref())?;
    let path = settings.file(Key::SecretFile, args.secret_file.as_deref()).ok_or_else(|| {
        CliError::Usage("give the file with the new secret: --secret-file FILE".to_owned())
    })?;
    let secret = secret::read_or_make(&path)?;
    let changed = change_secret(&data, &secret);
    let node = changed.map_err(|error| node_error(&error))?.node;
    if context.output.is_json() {
        let data = data.display().to_string();
        context.output.json(&json!({ "data": data, "node": node, "changed": "secret" }))?;
    } else {
        let path = path.display();
        context.output.line(format!("node {node} starts with the secret in {path} from now on"))?;
        context.output.note("change it on the other nodes, too, before one of them is started")?;
    }
    Ok(exit::OK)
}

fn policy(flag: Option<&str>) -> Result<Policy, CliError> {
    let name = flag.unwrap_or("two-disks");
    policy_from_name(name)
        .ok_or_else(|| CliError::Usage(format!("{name} is no policy: write two-disks or disk")))
}

/// A disk for a node of a cluster that runs.
fn format_join(context: &mut Context, args: &FormatArgs, join: &str) -> Result<u8, CliError> {
    let settings = &context.settings;
    let data = settings.data(args.data.data.as_deref())?;
    let addresses = settings.address_list(Key::Replica, Some(join))?.unwrap_or_default();
    let [address] = addresses[..] else {
        return Err(CliError::Usage("--join takes one replication address".to_owned()));
    };
    let secret = secret_of(settings, args.secret_file.as_deref())?;
    let journal_io = journal_io(settings, args.journal_io.as_deref())?;
    let info = ask_to_join(address, secret, args.node)?;
    let record =
        mizan_node::cluster::format_join(&data, journal_io, &info).map_err(|e| node_error(&e))?;
    let (node, nodes) = (record.node, record.config.node_count);
    if context.output.is_json() {
        context.output.json(&json!({
            "data": data.display().to_string(), "cluster": info.cluster, "node": node,
            "nodes": nodes, "is_first_disk": info.is_first_disk,
        }))?;
    } else {
        let data = data.display();
        context.output.line(format!("formatted {data} as node {node} of {nodes}"))?;
        if !info.is_first_disk {
            context.output.note("the disk is new to the cluster: it counts once it has caught up and the primary has admitted it")?;
        }
        let secret_file = context.settings.file(Key::SecretFile, args.secret_file.as_deref());
        context.output.note(format!(
            "start the node with: mizan start --data {data}{}",
            cluster_flags(secret_file.as_deref())
        ))?;
    }
    Ok(exit::OK)
}

fn options(settings: &Settings, args: &FormatArgs) -> Result<FormatOptions, CliError> {
    let default = FormatOptions::new(settings.data(args.data.data.as_deref())?);
    let number =
        |key, flag: &Option<String>, default| settings.number(key, flag.as_deref(), default);
    let count = |key: Key, flag: &Option<String>, default: u32| {
        narrow(key, settings.number(key, flag.as_deref(), default.into())?)
    };
    let size = |key, flag: &Option<String>, default| settings.size(key, flag.as_deref(), default);
    let cluster = settings.cluster(args.cluster.as_deref())?;
    let session_idle_default = Duration::from_secs(default.session_idle_s);
    let session_idle = args.session_idle.as_deref();
    let session_idle =
        settings.duration(Key::FormatSessionIdle, session_idle, session_idle_default)?;
    let transfers = number(Key::FormatTransfers, &args.transfers, default.transfer_count_max)?;
    let holds_default = default.hold_count_max.min(transfers);
    let window_bytes =
        size(Key::FormatWindowBytes, &args.window_bytes, default.window_bytes.into())?;
    let window_requests = &args.window_requests;
    let interval = &args.digest_interval;
    Ok(FormatOptions {
        cluster: (cluster != 0).then_some(cluster),
        account_count_max: number(Key::FormatAccounts, &args.accounts, default.account_count_max)?,
        transfer_count_max: transfers,
        hold_count_max: number(Key::FormatHolds, &args.holds, holds_default)?,
        ledger_count_max: count(Key::FormatLedgers, &args.ledgers, default.ledger_count_max)?,
        code_count_max: count(Key::FormatCodes, &args.codes, default.code_count_max)?,
        session_count_max: count(Key::FormatSessions, &args.sessions, default.session_count_max)?,
        window_requests: count(
            Key::FormatWindowRequests,
            window_requests,
            default.window_requests,
        )?,
        window_bytes: narrow(Key::FormatWindowBytes, window_bytes)?,
        session_idle_s: session_idle.as_secs(),
        trading: trading::limits(settings, args)?,
        digest_interval: count(Key::FormatDigestInterval, interval, default.digest_interval)?,
        segment_size: size(Key::FormatSegmentSize, &args.segment_size, default.segment_size)?,
        journal_io: journal_io(settings, args.journal_io.as_deref())?,
        ..default
    })
}

/// How the journal shall be written.
pub(crate) fn journal_io(settings: &Settings, flag: Option<&str>) -> Result<JournalIo, CliError> {
    settings.get(Key::FormatJournalIo, flag, JournalIo::default(), |text| {
        JournalIo::from_name(text).ok_or("not a way to write a journal: write mmap or direct")
    })
}

fn narrow(key: Key, number: u64) -> Result<u32, CliError> {
    u32::try_from(number)
        .map_err(|_| CliError::Usage(format!("{} is {number}: at most {}", key.name(), u32::MAX)))
}

/// Refuses limits that this machine could not start a node with, unless it is formatted for another one.
fn check_memory(limits: &Genesis, for_another_machine: bool) -> Result<(), CliError> {
    if mizan_engine::check_genesis(limits).is_err() {
        // Limits that no machine could live by: the node says which.
        return Ok(());
    }
    let needed = memory_estimate(limits);
    match memory_of_machine() {
        Some(found) if needed > found && !for_another_machine => Err(CliError::failed(
            exit::RESOURCE,
            format!(
                "the limits take about {} of memory, and this machine has {}: give smaller limits, or --for-another-machine if the node will run elsewhere",
                size_text(needed),
                size_text(found)
            ),
        )),
        _ => Ok(()),
    }
}

/// Bytes of journal for as many transfers as fit, about.
fn disk_estimate(options: &FormatOptions) -> u64 {
    let segment_size = options.segment_size.max(1);
    let payload = options.transfer_count_max.saturating_mul(JOURNAL_SIZE_PER_TRANSFER);
    payload.div_ceil(segment_size).saturating_add(1).saturating_mul(segment_size)
}

/// Bytes of journal if every transfer is a group of its own, which takes a page.
fn disk_estimate_of_singles(options: &FormatOptions) -> u64 {
    options.transfer_count_max.saturating_mul(PAGE_SIZE)
}

fn table(options: &FormatOptions, cluster: u128) -> Table {
    let mut table = Table::new(&["fixed at format", "value"], 1);
    let row = |(name, value): (&str, String)| [name.to_owned(), value];
    for pair in [
        ("cluster", format!("{cluster:#x}")),
        ("accounts", count_text(options.account_count_max)),
        ("transfers", count_text(options.transfer_count_max)),
        ("open holds", count_text(options.hold_count_max)),
        ("ledgers", count_text(options.ledger_count_max.into())),
        ("codes", count_text(options.code_count_max.into())),
        ("sessions", count_text(options.session_count_max.into())),
        ("stored replies per session", count_text(options.window_requests.into())),
        ("bytes of them per session", size_text(options.window_bytes.into())),
        ("session may be evicted after", format!("{} s idle", options.session_idle_s)),
        ("log entries between digests", count_text(options.digest_interval.into())),
        ("journal segment", size_text(options.segment_size)),
        ("journal written by", options.journal_io.name().to_owned()),
    ] {
        table.row(row(pair));
    }
    trading::rows(options.trading.as_ref()).into_iter().for_each(|pair| table.row(row(pair)));
    for pair in [
        ("memory, about", size_text(memory_estimate(&options.limits()))),
        ("stored replies besides, at most", size_text(replies_size_max(&options.limits()))),
        ("journal when full, in large batches", size_text(disk_estimate(options))),
        ("journal when full, one at a time", size_text(disk_estimate_of_singles(options))),
        ("and for each million events in vain", size_text(1_000_000 * JOURNAL_SIZE_PER_TRANSFER)),
    ] {
        table.row(row(pair));
    }
    table
}

fn as_json(options: &FormatOptions, cluster: u128) -> Value {
    json!({
        "data": options.data.display().to_string(),
        "cluster": format!("{cluster:#x}"),
        "accounts": options.account_count_max,
        "transfers": options.transfer_count_max,
        "holds": options.hold_count_max,
        "ledgers": options.ledger_count_max,
        "codes": options.code_count_max,
        "sessions": options.session_count_max,
        "window_requests": options.window_requests,
        "window_bytes": options.window_bytes,
        "session_idle_s": options.session_idle_s,
        "digest_interval": options.digest_interval,
        "segment_size": options.segment_size,
        "journal_io": options.journal_io.name(),
        "trading": trading::as_json(options.trading.as_ref()),
        "memory_estimate_bytes": memory_estimate(&options.limits()),
        "replies_size_max_bytes": replies_size_max(&options.limits()),
        "disk_estimate_bytes": disk_estimate(options),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Verb};
    use clap::Parser;
    use mizan_node::TradingLimits;
    use std::rc::Rc;

    fn parse(line: &str) -> Result<FormatOptions, CliError> {
        let args = Args::try_parse_from(line.split_whitespace()).expect("a good line");
        let Verb::Format(args) = args.verb else { panic!("not format") };
        options(&Settings::new(Rc::new(|_| None)), &args)
    }

    #[test]
    fn limits_that_are_not_given_are_those_of_the_node() {
        let options = parse("mizan format --data /d").expect("defaults");
        let default = FormatOptions::new("/d");
        assert_eq!(format!("{options:?}"), format!("{default:?}"));
    }

    #[test]
    fn the_help_says_what_a_limit_is_if_it_is_not_given() {
        use clap::CommandFactory;
        let mut args = Args::command();
        let format = args.find_subcommand_mut("format").expect("the verb");
        let help = format.render_long_help().to_string();
        let default = FormatOptions::new("/d");
        let size = |bytes: u64| format!("{}MiB", bytes >> 20);
        for (flag, value) in [
            ("accounts", default.account_count_max.to_string()),
            ("transfers", default.transfer_count_max.to_string()),
            ("holds", default.hold_count_max.to_string()),
            ("ledgers", default.ledger_count_max.to_string()),
            ("codes", default.code_count_max.to_string()),
            ("sessions", default.session_count_max.to_string()),
            ("session-idle", format!("{}s", default.session_idle_s)),
            ("window-requests", default.window_requests.to_string()),
            ("window-bytes", size(default.window_bytes.into())),
            ("digest-interval", default.digest_interval.to_string()),
            ("segment-size", size(default.segment_size)),
        ] {
            let at = help.find(&format!("--{flag} <")).expect(flag);
            let said = help[at..].split("\n      --").next().unwrap_or_default();
            let ends = [']', ','].map(|end| format!("[default: {value}{end}"));
            assert!(ends.iter().any(|end| said.contains(end)), "{flag}: {said}");
        }
    }

    #[test]
    fn every_limit_can_be_given() {
        let options = parse(
            "mizan format --data /d --cluster 0x7 --accounts 10 --transfers 1_000 --holds 5 --ledgers 3 --codes 4 \
             --sessions 2 --session-idle 5m --window-requests 64 --window-bytes 1MiB --digest-interval 32 \
             --segment-size 2MiB --journal-io direct",
        )
        .expect("limits");
        let expected = FormatOptions {
            cluster: Some(7),
            account_count_max: 10,
            transfer_count_max: 1_000,
            hold_count_max: 5,
            ledger_count_max: 3,
            code_count_max: 4,
            session_count_max: 2,
            session_idle_s: 300,
            window_requests: 64,
            window_bytes: 1 << 20,
            digest_interval: 32,
            segment_size: 2 << 20,
            journal_io: JournalIo::Direct,
            ..FormatOptions::new("/d")
        };
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn one_flag_or_one_limit_makes_a_node_with_trading() {
        let limits = |line: &str| parse(line).expect("limits").trading;
        assert_eq!(limits("mizan format --data /d"), None);
        let default = TradingLimits::default();
        assert_eq!(limits("mizan format --data /d --trading"), Some(default));
        assert_eq!(
            limits("mizan format --data /d --instruments 3 --orders 1_000 --reports 7"),
            Some(TradingLimits {
                instrument_count_max: 3,
                order_count_max: 1_000,
                open_order_count_max: 1_000,
                book_level_count_max: 1_000,
                report_count_max: 7,
            })
        );
        let all = limits("mizan format --data /d --open-orders 20 --book-levels 10");
        let expected =
            TradingLimits { open_order_count_max: 20, book_level_count_max: 10, ..default };
        assert_eq!(all, Some(expected));
        let error = parse("mizan format --data /d --instruments 0").expect_err("no instrument");
        assert!(error.to_string().contains("--instruments"), "{error}");
    }

    #[test]
    fn a_small_node_has_no_more_holds_than_transfers() {
        assert_eq!(
            parse("mizan format --data /d --transfers 10").expect("small").hold_count_max,
            10
        );
    }

    #[test]
    fn a_way_of_writing_is_one_of_two_words() {
        let error = parse("mizan format --data /d --journal-io dircet").expect_err("misspelt");
        let text = error.to_string();
        assert!(text.contains("--journal-io") && text.contains("direct"), "{text}");
        assert_eq!(error.exit_code(), exit::USAGE);
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_by_name() {
        let error = parse("mizan format --data /d --sessions 4294967296").expect_err("too large");
        assert!(error.to_string().contains("sessions"), "{error}");
        assert_eq!(error.exit_code(), exit::USAGE);
    }
}
