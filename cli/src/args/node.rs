//! The verbs that make, run, measure and examine nodes.

use super::{ConnectArgs, DataArgs};
use clap::{Args, ValueEnum, value_parser};
use mizan_loadgen::constants::{
    ACCOUNTS_MAX, CLIENTS_MAX, IN_FLIGHT_MAX, INSTRUMENTS_MAX, RATE_MAX,
};
use mizan_loadgen::{Distribution, IdOrder, Mix};
use mizan_wire::limits::EVENTS_MAX;
use std::path::PathBuf;

/// Transfers of a demo at the most: it is to end within a minute on a small machine, and its tables fit there.
const DEMO_TRANSFERS_MAX: u64 = 100_000_000;

/// `mizan demo`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Needs nothing and leaves nothing behind. Takes at most 60 seconds. Acts: a payment; the same again;
a hold; a market; a load; kill -9 in the middle of it; restart, verify, trial balance; a standby that
takes over.

Examples:
  mizan demo
  mizan demo --json")]
pub struct DemoArgs {
    /// Keeps the scratch node's files and says where they are
    #[arg(long)]
    pub keep: bool,
    /// Transfers of the load; the load that is crashed has at most half as many
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = value_parser!(u64).range(1..=DEMO_TRANSFERS_MAX))]
    pub transfers: u64,
    /// Seed of the load, to repeat it [default: a fresh one, which is printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `mizan dev`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The files are deleted at the end unless --data names a directory: a new one, or one that an earlier
`mizan dev` made. Any other is refused (exit 6), because play money would stay in it for ever.

Examples:
  mizan dev
  mizan dev --listen 127.0.0.1:0 --data ./scratch")]
pub struct DevArgs {
    /// Where to listen; port 0 takes a free one [env: MIZAN_LISTEN] [default: 127.0.0.1:7117]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where the files are, and stay [default: a scratch directory]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keeps the scratch directory and says where it is
    #[arg(long)]
    pub keep: bool,
}

/// `mizan bench`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without the flag --address it formats and starts a scratch node, and removes it afterwards; MIZAN_ADDRESS and
the configuration do not count here. With it, the accounts and transfers of the bench (ledger 999999) stay in that
node for ever. At the end the balances are looked up: they must be exactly what was acknowledged.

Without --rate it is a closed loop: a request leaves when another is answered, so that a stall delays
what comes after it and is hardly seen in the latencies. With --rate it is an open loop: requests
leave on a fixed schedule, and latencies count from the time at which they were to leave.

With --workload orders it sends new orders, amends and cancels to order books instead, of which one
new order in ten takes what rests and the others rest until they are cancelled. --transfers counts all these
messages then, a trader has two of the accounts, and at the end every order is read back and compared, too.

A mix has weights: transfers (single-phase), two-phase (hold, then post or void), chains (linked, one
of eight fails on purpose), lookups (of accounts). Two-phase needs twice the requests it looks like.

With --null a server answers that has no ring, journal or engine, and the same bytes are sent over
bare sockets: what the client and the machine can do at the most.

JSON: transfers_per_s, acknowledged, latency_us {p50, p99, p999, max}, seed, machine {cpus,
others_cpu_share}, and more; with --null also loopback {bytes_per_s}, bytes_per_s, loopback_ratio;
with --workload orders also orders {messages_per_s, messages, lots_traded, transfers_posted}, and more.

Examples:
  mizan bench
  mizan bench --accounts 1000000 --transfers 10000000 --batch 8189 --clients 2 --json
  mizan bench --rate 100000 --batch 100 --duration 10s --report bench.html
  mizan bench --mix transfers=80,two-phase=10,chains=5,lookups=5 --dist zipf --ids random
  mizan bench --workload orders --instruments 10 --transfers 5000000
  mizan bench --workload orders --rate 500000 --batch 100 --duration 10s
  mizan bench --null
  mizan bench --address 127.0.0.1:7117 --batch 1")]
pub struct BenchArgs {
    /// The node.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// What is sent: transfers or orders
    #[arg(long, value_name = "WHAT", value_enum, default_value = "transfers")]
    pub workload: BenchWorkload,
    /// Instruments of the workload orders [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(INSTRUMENTS_MAX)))]
    pub instruments: Option<u32>,
    /// Accounts that pay each other
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u64).range(2..=ACCOUNTS_MAX))]
    pub accounts: u64,
    /// Transfers and lookups (or order messages) in all; with a duration, at the most [default: 1000000, or what the duration needs]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub transfers: Option<u64>,
    /// Begins no request later than this, as in 10s
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Transfers in one request
    #[arg(long, value_name = "N", default_value_t = EVENTS_MAX, value_parser = value_parser!(u32).range(1..=i64::from(EVENTS_MAX)))]
    pub batch: u32,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    pub clients: u32,
    /// Requests in flight per connection; with --rate at the most [default: 4, with --rate 1024]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(IN_FLIGHT_MAX)))]
    pub in_flight: Option<u32>,
    /// Transfers or order messages per second of a fixed schedule [default: as fast as answers come]
    #[arg(long, value_name = "R", value_parser = value_parser!(u64).range(1..=RATE_MAX))]
    pub rate: Option<u64>,
    /// The order of transfer ids: sequential, time (milliseconds and random bits) or random
    #[arg(long, value_name = "ORDER", default_value = "sequential")]
    pub ids: IdOrder,
    /// Which accounts pay: uniform, zipf (exponent 0.99) or hot (one account in every transfer)
    #[arg(long, value_name = "DIST", default_value = "uniform")]
    pub dist: Distribution,
    /// Sorts of requests and their weights, as in transfers=80,two-phase=10,chains=5,lookups=5
    #[arg(long, value_name = "MIX", default_value = "transfers=100")]
    pub mix: Mix,
    /// Measures the client against a server that does nothing, and that against bare sockets
    #[arg(long, conflicts_with_all = ["address", "data", "layout"])]
    pub null: bool,
    /// Writes a page with charts, which any browser opens
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Seed of the accounts and amounts, to repeat a run [default: a fresh one, which is printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the scratch node's files go [default: a temporary directory]
    #[arg(long, value_name = "DIR", conflicts_with = "address")]
    pub data: Option<PathBuf>,
    /// How the scratch node's stages are mounted on threads [env: MIZAN_LAYOUT] [default: by the machine]
    #[arg(long, value_name = "LAYOUT", conflicts_with = "address")]
    pub layout: Option<String>,
    /// How the scratch node writes its journal: mmap or direct [env: MIZAN_FORMAT_JOURNAL_IO] [default: mmap]
    #[arg(long, value_name = "HOW", conflicts_with = "address")]
    pub journal_io: Option<String>,
}

/// What a benchmark sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum BenchWorkload {
    /// Transfers between accounts, and what belongs to them.
    Transfers,
    /// Orders that trade and settle.
    Orders,
}

/// `mizan format`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The limits are fixed for the life of the files; they can also stand in the [format] table of the
configuration. The directory must be empty or not exist. A node is made for trading or not: with
--trading, or any of its limits, it has order books (--window-bytes is then at least 524096).

Examples:
  mizan format --data /var/lib/mizan
  mizan format --data /var/lib/mizan --trading
  mizan format --data ./node --instruments 10 --orders 10000000 --open-orders 500000
  mizan format --data ./node --cluster 7 --accounts 1000000 --transfers 100000000 --segment-size 64MiB
  mizan format --data ./node-0 --nodes 3 --secret-file ./secret
  mizan format --data ./node-1 --join 127.0.0.1:7217 --secret-file ./secret

A cluster begins with node 0: format it with --nodes, start it, and let the others join it.")]
pub struct FormatArgs {
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// The cluster's number [env: MIZAN_CLUSTER] [default: random]
    #[arg(long, value_name = "N")]
    pub cluster: Option<String>,
    /// Makes node 0 of a cluster of 2 or 3; the others join it
    #[arg(long, value_name = "N", help_heading = "Cluster", value_parser = value_parser!(u8).range(2..=3))]
    pub nodes: Option<u8>,
    /// What an acknowledgement means: two-disks or disk [default: two-disks]
    #[arg(long, value_name = "POLICY", help_heading = "Cluster", requires = "nodes")]
    pub policy: Option<String>,
    /// Makes a new disk of the cluster that this node belongs to; the limits are the cluster's
    #[arg(long, value_name = "ADDR", help_heading = "Cluster", conflicts_with_all = ["nodes", "cluster"])]
    pub join: Option<String>,
    /// The number of the node that the disk is for [default: the lowest that does not run]
    #[arg(long, value_name = "N", help_heading = "Cluster", requires = "join")]
    pub node: Option<u8>,
    /// The file with the cluster's secret; with --nodes it is made if it is not there [env: MIZAN_SECRET_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub secret_file: Option<PathBuf>,
    /// Makes a cluster without a secret: whoever reaches a node, be it from this machine alone, can promote it
    #[arg(long, help_heading = "Cluster", requires = "nodes", conflicts_with = "secret_file")]
    pub no_secret: bool,
    /// Accounts that fit [default: 1000000]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub accounts: Option<String>,
    /// Transfers that fit, failed ids included [default: 4000000]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub transfers: Option<String>,
    /// Open holds that fit [default: 1000000, at most as many as transfers]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub holds: Option<String>,
    /// Ledgers that fit [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub ledgers: Option<String>,
    /// Registered codes that fit [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub codes: Option<String>,
    /// Sessions that fit [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub sessions: Option<String>,
    /// A session idle for this long may make room for another: 60s, 5m, 7d [default: 3600s]
    #[arg(long, value_name = "TIME", help_heading = "Limits, fixed at format")]
    pub session_idle: Option<String>,
    /// Stored replies of a session [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub window_requests: Option<String>,
    /// Bytes of a session's stored replies: 256KiB [default: 4MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits, fixed at format")]
    pub window_bytes: Option<String>,
    /// Formats although this machine has less memory than the limits take
    #[arg(long, help_heading = "Limits, fixed at format")]
    pub for_another_machine: bool,
    /// Log entries between two digests [default: 4096]
    #[arg(long, value_name = "N", help_heading = "Limits, fixed at format")]
    pub digest_interval: Option<String>,
    /// Bytes of a journal segment: 16MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits, fixed at format")]
    pub segment_size: Option<String>,
    /// How the journal is written: mmap, or direct (past the page cache; not on tmpfs) [default: mmap]
    #[arg(long, value_name = "HOW", help_heading = "Limits, fixed at format")]
    pub journal_io: Option<String>,
    /// Makes room for order books; any of the limits below does the same
    #[arg(long, help_heading = "Trading, fixed at format")]
    pub trading: bool,
    /// Instruments that fit, at most 4,000 [default: 100]
    #[arg(long, value_name = "N", help_heading = "Trading, fixed at format")]
    pub instruments: Option<String>,
    /// Orders that are remembered, for ever: the node takes no more than these [default: 1000000]
    #[arg(long, value_name = "N", help_heading = "Trading, fixed at format")]
    pub orders: Option<String>,
    /// Open orders of all books together [default: 262144, at most as many as orders]
    #[arg(long, value_name = "N", help_heading = "Trading, fixed at format")]
    pub open_orders: Option<String>,
    /// Price levels of all books together [default: 65536, at most as many as open orders]
    #[arg(long, value_name = "N", help_heading = "Trading, fixed at format")]
    pub book_levels: Option<String>,
    /// Execution reports that are kept, of all accounts together [default: 1000000]
    #[arg(long, value_name = "N", help_heading = "Trading, fixed at format")]
    pub reports: Option<String>,
}

/// `mizan start`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Stays in the foreground until SIGINT, SIGTERM or SIGHUP: then it answers what it has accepted, syncs,
and exits 0. A second signal ends it at once (exit 128 + signal); nothing that was acknowledged is
lost by that either. When the node is ready it prints one line to standard output:
`listening 127.0.0.1:7117`, or with --json {\"listening\":\"127.0.0.1:7117\"}. With port 0 the system
chooses the port.

With --metrics a second listener answers http://ADDR/metrics in the Prometheus text format, /livez, and
/readyz with 200 or 503 and the reason, from the first moment on; standard error, or the JSON line, says where.

A node of a cluster also needs --replicate, and --peers with the other nodes' replication addresses in
the order of their numbers. It prints `replicating ADDR` before `listening ADDR`. Which node is
primary follows from the log alone: after the first start, and when a primary is gone, somebody says
`mizan promote`.

A clock that is more than 24 h ahead of the log's last timestamp is refused (exit 6): by it holds and
orders would expire, and no correction of the clock brings them back. After a pause that was so long,
--accept-clock says that the clock is right; once is enough.

Examples:
  mizan start --data /var/lib/mizan
  mizan start --data /var/lib/mizan --metrics 127.0.0.1:9464
  mizan start --data ./node --listen 127.0.0.1:0
  mizan start --data ./node-0 --replicate 127.0.0.1:7217 --peers 127.0.0.1:7218,127.0.0.1:7219 --secret-file ./secret")]
pub struct StartArgs {
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// Where to listen; port 0 takes a free one [env: MIZAN_LISTEN] [default: 127.0.0.1:7117]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where to answer scrapers and probers over HTTP; port 0 takes a free one [env: MIZAN_METRICS] [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// How the stages are mounted on threads: fused or split [env: MIZAN_LAYOUT] [default: by the machine]
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<String>,
    /// Bytes per second at which sealed segments of the journal are read again, to find damage while there are other
    /// copies; 0: never [env: MIZAN_SCRUB_RATE] [default: 8MiB]
    #[arg(long, value_name = "SIZE")]
    pub scrub_rate: Option<String>,
    /// Where to listen for the cluster's nodes and operators [env: MIZAN_REPLICATE]
    #[arg(long, value_name = "ADDR", help_heading = "Cluster")]
    pub replicate: Option<String>,
    /// The other nodes' replication addresses, in the order of their numbers [env: MIZAN_PEERS]
    #[arg(long, value_name = "ADDRS", help_heading = "Cluster")]
    pub peers: Option<String>,
    /// The file with the cluster's secret [env: MIZAN_SECRET_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub secret_file: Option<PathBuf>,
    /// Bytes per second that a node that lags is sent, so that clients do not notice [default: 64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Cluster", requires = "replicate")]
    pub catch_up_rate: Option<String>,
    /// Keeps the primary's log without applying it: cheaper, but a promotion then waits for that
    #[arg(long, help_heading = "Cluster", requires = "replicate")]
    pub journal_only: bool,
    /// Allows to listen beyond this machine: there is no authentication and no encryption yet
    #[arg(long)]
    pub insecure: bool,
    /// Believes the clock, also if it is more than 24 h ahead of the log and no other node tells the time [env: MIZAN_ACCEPT_CLOCK]
    #[arg(long)]
    pub accept_clock: bool,
    /// Stops when standard input ends, so that a node never outlives the program that started it
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
    /// Lets the disk fail or dawdle as this file says, at any time: for drills
    #[arg(long, value_name = "FILE", hide = true, requires = "replicate")]
    pub faults: Option<PathBuf>,
}

/// `mizan verify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Reads every frame and the chain, replays the log, compares every digest, and adds up the trial
balance. With --independent a second, slow implementation recomputes all balances from the files
alone and both must agree. Exit 1 or 5 if anything is wrong. While a node runs on the files, this
verifies a snapshot of them.

Examples:
  mizan verify --data /var/lib/mizan
  mizan verify --data /var/lib/mizan --independent --json")]
pub struct VerifyArgs {
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// Recomputes all balances with a second implementation
    #[arg(long)]
    pub independent: bool,
}

/// `mizan export`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Replays the files and writes four tables into the directory TO: accounts, transfers, ledgers with
their trial balance, and spent ids, under which nothing can be paid any more; and manifest.json, which
says what they consist of. Amounts are exact decimals of their ledger, ids are hex, times are given
as text and in nanoseconds; in JSON lines every value is a string. A transfer that was a hold says
what became of it: open, posted, voided, expired. Names are not in the files: the log holds their
ids. Files that exist are never written over. A node may run meanwhile: this is then a snapshot.
Exit 1 or 5 if the files are not sound; what stands before the damage is exported all the same,
and the manifest says that it is not complete.

Examples:
  mizan export --data /var/lib/mizan --to ./books-2026-11
  mizan export --data /var/lib/mizan --to ./books --format jsonl --json")]
pub struct ExportArgs {
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// Where the tables go; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: ExportFormat,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// One JSON object per line
    Jsonl,
}

/// `mizan import-state`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Reads the tables that `mizan export` wrote, checks that they are what its manifest says and agree with
each other, and creates their accounts and transfers in a running node, with their ids and times. Ids
that the old node had spent are spent there too. The node must be new, and nobody else may use it
meanwhile. So a node whose tables are full goes on in a larger one. Running the command again
continues; nothing moves twice. In the end all balances and spent ids are compared.
Exit 1 if they differ, or if the node refused something; 5 if the export was cut or changed.

The whole way is in docs/operating/export.md.

Examples:
  mizan import-state --from ./books --dry-run
  mizan import-state --from ./books --address 127.0.0.1:7118")]
pub struct ImportStateArgs {
    /// Which node.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// The directory that `mizan export` wrote
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// Only checks the tables, and says what a node needs room for; asks no node
    #[arg(long)]
    pub dry_run: bool,
    /// Takes tables that are not what the manifest says, or have none, if they agree with each other
    #[arg(long)]
    pub accept_changed: bool,
    /// Takes the export of a damaged node, and gives up what stood behind the damage
    #[arg(long)]
    pub accept_incomplete: bool,
}

/// `mizan inspect`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
With --json superblock and segments are one value; frames are one object per line, written as they
are read, so that a journal of any size can be looked through.

Examples:
  mizan inspect superblock --data /var/lib/mizan
  mizan inspect segments --data /var/lib/mizan --json
  mizan inspect frames --data /var/lib/mizan --from 1000 --limit 20
  mizan inspect frames --data /var/lib/mizan --limit 1 --entries")]
pub struct InspectArgs {
    /// What to show
    pub what: InspectWhat,
    /// The files.
    #[command(flatten)]
    pub data: DataArgs,
    /// Frames: the first sequence to show
    #[arg(long, value_name = "SEQUENCE", default_value_t = 1)]
    pub from: u64,
    /// Frames: how many to show [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Frames: shows the entries of each, too
    #[arg(long)]
    pub entries: bool,
}

/// What `mizan inspect` shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum InspectWhat {
    /// The file that says what the directory is
    Superblock,
    /// The journal's files, one row each
    Segments,
    /// The journal's frames, one row each
    Frames,
}
