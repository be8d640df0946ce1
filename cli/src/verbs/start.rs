//! `mizan start`: runs a node in the foreground.
//!
//! Invariants: standard output gets one line, when the node answers; after a signal everything that was accepted is
//! answered and durable before the process ends with 0; a failing disk ends the node with a text that says what to do.
//!
//! What is absent: daemons, pid files, log files, roles. The process's supervisor and the files know better.

use crate::Context;
use crate::args::StartArgs;
use crate::config::{Key, Settings};
use crate::core_dumps;
use crate::error::CliError;
use crate::exit;
use crate::fault;
use crate::files::{JournalProgress, count_text, node_error, running_node_error, size_text};
use crate::output::Output;
use crate::secret;
use crate::signals::Signals;
use crate::units::parse_size;
use mizan_journal::Storage;
use mizan_node::cluster::{CATCH_UP_RATE, ClusterNode, ClusterOptions, RunEnd};
use mizan_node::{Layout, Node, NodeError, NodeOptions, RecoveryProgress, SCRUB_RATE, StopHandle};
use serde_json::json;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a running node looks for signals; a signal itself wakes it at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the verb.
///
/// # Errors
/// A directory that is damaged, in use or not formatted; an address that cannot be bound; a failing disk.
pub fn run(context: &mut Context, args: &StartArgs) -> Result<u8, CliError> {
    let options = options(&context.settings, args)?;
    core_dumps::forbid()?;
    crate::log::to_standard_error();
    let signals = Signals::install()?;
    if let Some(cluster) = cluster_options(&context.settings, args)? {
        let Some(faults) = &args.faults else {
            return run_cluster(context, args, options, cluster, &signals, &ClusterNode::open);
        };
        return run_cluster(
            context,
            args,
            options,
            cluster,
            &signals,
            &|options, cluster, progress| {
                ClusterNode::open_storage(
                    fault::storage(&options.data, faults)?,
                    options,
                    cluster,
                    progress,
                )
            },
        );
    }
    let node = open(&options, &signals, &mut context.output)?;
    if args.stop_with_stdin {
        stop_with_standard_input(node.stop_handle());
    }
    if context.output.is_json() {
        let metrics = node.metrics_addr().map(|address| address.to_string());
        let mut value = json!({ "listening": node.local_addr().to_string() });
        if let Some(metrics) = metrics {
            value["metrics"] = json!(metrics);
        }
        context.output.json(&value)?;
    } else {
        context.output.line(format!("listening {}", node.local_addr()))?;
    }
    serve(node, &signals)?;
    context.output.note("stopped: everything that was accepted is answered and durable")?;
    Ok(exit::OK)
}

fn cluster_options(
    settings: &Settings,
    args: &StartArgs,
) -> Result<Option<ClusterOptions>, CliError> {
    let Some(listen) = settings.address_list(Key::Replicate, args.replicate.as_deref())? else {
        return Ok(None);
    };
    let [listen] = listen[..] else {
        return Err(CliError::Usage("--replicate takes one address".to_owned()));
    };
    let peers = settings.address_list(Key::Peers, args.peers.as_deref())?.unwrap_or_default();
    let secret = match settings.file(Key::SecretFile, args.secret_file.as_deref()) {
        Some(path) => Some(secret::read(&path)?),
        None => None,
    };
    if !listen.ip().is_loopback() && secret.is_none() && !args.insecure {
        return Err(CliError::Usage(format!(
            "{listen} can be reached from other machines, and whoever reaches it without a secret can promote nodes and forge acknowledgements: give --secret-file, or add --insecure if the network is trusted"
        )));
    }
    let catch_up_rate = match &args.catch_up_rate {
        None => CATCH_UP_RATE,
        Some(text) => parse_size(text)
            .map_err(|error| CliError::Usage(format!("--catch-up-rate is `{text}`: {error}")))?,
    };
    let journal_only = args.journal_only;
    let standing = None;
    Ok(Some(ClusterOptions { listen, peers, secret, journal_only, catch_up_rate, standing }))
}

/// How a node is opened: on its files, or on files with faults.
type Opening<'o, S> = &'o dyn Fn(
    &NodeOptions,
    &ClusterOptions,
    &mut dyn FnMut(RecoveryProgress),
) -> Result<ClusterNode<S>, NodeError>;

/// Runs a node of a cluster. Fenced, or cut back, it starts again from its files in the same process.
fn run_cluster<S: Storage>(
    context: &mut Context,
    args: &StartArgs,
    mut options: NodeOptions,
    mut cluster: ClusterOptions,
    signals: &Signals,
    open: Opening<'_, S>,
) -> Result<u8, CliError> {
    let mut latest: Option<Arc<Mutex<StopHandle>>> = None;
    loop {
        let begin = Instant::now();
        let output = &mut context.output;
        let bar = JournalProgress::new(output, "recovering");
        let node = open(&options, &cluster, &mut |progress| bar.show(progress));
        drop(bar);
        let node = node.map_err(|error| node_error(&error))?;
        // Port 0 means a free one once, and the same one from then on.
        options.gateway.listen = node.local_addr();
        cluster.listen = node.cluster_addr();
        options.metrics = node.metrics_addr();
        let record = node.record();
        output.note(format!(
            "node {} of {}: recovered {} entries in {} ms, sequence {} is known to be committed",
            record.node,
            record.config.node_count,
            count_text(node.recovery().entries),
            begin.elapsed().as_millis(),
            node.recovered().sequence,
        ))?;
        if let Some(latest) = &latest {
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = node.stop_handle();
        } else {
            tell_addresses(output, &node)?;
            let stop = Arc::new(Mutex::new(node.stop_handle()));
            if args.stop_with_stdin {
                stop_latest_with_standard_input(Arc::clone(&stop));
            }
            latest = Some(stop);
        }
        match serve_with(&node.stop_handle(), signals, || node.run())? {
            RunEnd::Stopped => break,
            RunEnd::Again { .. } if signals.is_asked() => break,
            RunEnd::Again { standing } => {
                cluster.standing = standing;
                tracing::info!("starting again from the files");
            }
        }
    }
    context.output.note("stopped")?;
    Ok(exit::OK)
}

fn tell_addresses<S: Storage>(output: &mut Output, node: &ClusterNode<S>) -> Result<(), CliError> {
    let (clients, nodes) = (node.local_addr().to_string(), node.cluster_addr().to_string());
    let metrics = node.metrics_addr().map(|address| address.to_string());
    if output.is_json() {
        let mut value = json!({ "listening": clients, "replicating": nodes });
        if let Some(metrics) = metrics {
            value["metrics"] = json!(metrics);
        }
        output.json(&value)
    } else {
        if let Some(metrics) = metrics {
            output.note(format!("metrics at http://{metrics}/metrics"))?;
        }
        output.line(format!("replicating {nodes}"))?;
        output.line(format!("listening {clients}"))
    }
}

fn options(settings: &Settings, args: &StartArgs) -> Result<NodeOptions, CliError> {
    let data = settings.data(args.data.data.as_deref())?;
    let listen = settings.listen(args.listen.as_deref())?;
    check_reach(listen, args.insecure)?;
    let metrics = settings.metrics(args.metrics.as_deref())?;
    metrics.map_or(Ok(()), |listen| check_reach(listen, args.insecure))?;
    let layout = layout(settings, args.layout.as_deref())?;
    let scrub_rate = settings.size(Key::ScrubRate, args.scrub_rate.as_deref(), SCRUB_RATE)?;
    let accept_clock = accept_clock(settings, args.accept_clock)?;
    let found = NodeOptions::new(data, listen);
    Ok(NodeOptions { layout, metrics, scrub_rate, accept_clock, ..found })
}

pub(crate) fn check_reach(listen: SocketAddr, insecure: bool) -> Result<(), CliError> {
    if listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{listen} can be reached from other machines, and there is no authentication and no encryption yet: listen on 127.0.0.1, or add --insecure if the network is trusted"
    )))
}

/// Whether the clock is believed without anybody's word.
fn accept_clock(settings: &Settings, flag: bool) -> Result<bool, CliError> {
    settings.get(Key::AcceptClock, flag.then_some("yes"), false, |text| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("write yes or no"),
    })
}

/// The layout that is set; `None` leaves the choice to the node.
pub(crate) fn layout(settings: &Settings, flag: Option<&str>) -> Result<Option<Layout>, CliError> {
    settings.get(Key::Layout, flag, None, |text| {
        [Layout::Fused, Layout::Split]
            .into_iter()
            .find(|layout| layout.name() == text)
            .map(Some)
            .ok_or("not a layout: write fused or split")
    })
}

/// Recovers the directory, with a progress bar, and binds the socket.
pub(crate) fn open(
    options: &NodeOptions,
    signals: &Signals,
    output: &mut Output,
) -> Result<Node, CliError> {
    let begin = Instant::now();
    // What is not there at all is said at once; what follows may take long in silence.
    mizan_node::offline::superblock(&options.data).map_err(|error| node_error(&error))?;
    output.note(format!("recovering {}", options.data.display()))?;
    let bar = JournalProgress::new(output, "recovering");
    let mut told = false;
    let node = Node::open(options, &mut |progress| {
        bar.show(progress);
        if signals.is_asked() && !std::mem::replace(&mut told, true) {
            // The words are lost if nobody hears them; the recovery is not.
            let _ = output.note("stopping when recovery is done; a second signal ends it at once");
        }
    });
    drop(bar);
    let node = node.map_err(|error| node_error(&error))?;
    tell_recovery(&node, begin.elapsed(), output)?;
    if let Some(metrics) = node.metrics_addr() {
        output.note(format!("metrics at http://{metrics}/metrics"))?;
    }
    if !options.gateway.listen.ip().is_loopback() {
        tracing::warn!(
            "listening on {} without authentication and encryption: whoever reaches it can move money",
            node.local_addr()
        );
    }
    Ok(node)
}

fn tell_recovery(node: &Node, time: Duration, output: &mut Output) -> Result<(), CliError> {
    let (report, state) = (node.recovery(), node.recovered());
    output.note(format!(
        "recovered {} entries ({}) in {} ms: {} accounts, {} transfers, {} open holds, sequence {}; {}; layout {}",
        count_text(report.entries),
        size_text(report.payload_bytes),
        time.as_millis(),
        count_text(state.account_count),
        count_text(state.transfer_count),
        count_text(state.hold_count),
        state.sequence,
        if report.was_clean { "closed in order" } else { "not closed in order" },
        node.layout().name(),
    ))?;
    if let Some(tail) = &report.quarantined {
        output.note(format!(
            "{} behind sequence {} were never acknowledged (segment {} at offset {}: {}); kept in {}",
            size_text(tail.size),
            tail.sequence.saturating_sub(1),
            tail.position.segment,
            tail.position.offset,
            tail.reason,
            tail.file,
        ))?;
    }
    Ok(())
}

/// Runs the node on this thread, while a second one waits for signals.
pub(crate) fn serve(node: Node, signals: &Signals) -> Result<(), CliError> {
    serve_with(&node.stop_handle(), signals, || node.run())
}

fn serve_with<T>(
    stop: &StopHandle,
    signals: &Signals,
    run: impl FnOnce() -> Result<T, NodeError>,
) -> Result<T, CliError> {
    let ended = AtomicBool::new(false);
    let (result, watched) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(stop, signals, &ended));
        let result = run();
        ended.store(true, Ordering::SeqCst);
        (result, watch.join())
    });
    let end = result.map_err(|error| running_node_error(&error))?;
    watched.unwrap_or_else(|_| {
        Err(CliError::Problem("the watch for signals ended early".to_owned()))
    })?;
    Ok(end)
}

fn watch(stop: &StopHandle, signals: &Signals, ended: &AtomicBool) -> Result<(), CliError> {
    let mut outcome = Ok(());
    while !ended.load(Ordering::SeqCst) {
        match signals.wait(LOOK_INTERVAL) {
            Ok(false) => continue,
            Ok(true) => tracing::info!("stopping in order; a second signal ends the node at once"),
            // A node that cannot be told to stop must not run on.
            Err(error) => outcome = Err(error),
        }
        break;
    }
    stop.stop();
    outcome
}

fn stop_with_standard_input(stop: StopHandle) {
    let stop = Arc::new(Mutex::new(stop));
    stop_latest_with_standard_input(stop);
}

/// Stops whichever node is in `stop` when standard input ends.
fn stop_latest_with_standard_input(stop: Arc<Mutex<StopHandle>>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 64];
        while let Ok(1..) = std::io::stdin().read(&mut chunk) {}
        // A node that was opened after the end of input is stopped, too.
        loop {
            stop.lock().unwrap_or_else(PoisonError::into_inner).stop();
            std::thread::sleep(LOOK_INTERVAL);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn an_address_beyond_this_machine_needs_the_word_insecure() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for text in ["127.0.0.1:7117", "127.9.9.9:0", "[::1]:7117"] {
            assert!(check_reach(address(text), false).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:7117", "192.168.0.1:7117", "[::]:7117", "8.8.8.8:1"] {
            let error = check_reach(address(text), false).expect_err("refused");
            assert_eq!(error.exit_code(), exit::USAGE);
            assert!(error.to_string().contains("--insecure"), "{error}");
            assert!(check_reach(address(text), true).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_clock_is_believed_by_flag_or_by_a_plain_yes() {
        let with = |text: &'static str| {
            Settings::new(Rc::new(move |name| {
                (name == "MIZAN_ACCEPT_CLOCK").then(|| text.to_owned())
            }))
        };
        for (text, flag, expected) in
            [("", false, false), ("", true, true), ("no", true, true), ("yes", false, true)]
        {
            assert_eq!(accept_clock(&with(text), flag).expect("readable"), expected, "{text}");
        }
        let error = accept_clock(&with("true"), false).expect_err("unclear").to_string();
        assert!(error.contains("MIZAN_ACCEPT_CLOCK") && error.contains("yes or no"), "{error}");
    }

    #[test]
    fn a_layout_is_one_of_two_words() {
        let settings = Settings::new(Rc::new(|_| None));
        assert_eq!(layout(&settings, None).expect("unset"), None);
        assert_eq!(layout(&settings, Some("split")).expect("split"), Some(Layout::Split));
        let error = layout(&settings, Some("spilt")).expect_err("misspelt").to_string();
        assert!(error.contains("--layout") && error.contains("fused"), "{error}");
    }
}
