//! Measures a durable append through a mapping and written directly, side by side in one run, and what it costs to get
//! a segment ready in each of the ways.
//!
//! `cargo run --release -p mizan-journal --example journal_io -- DIRECTORY [ROUNDS]`
//!
//! The ways take turns, each on a journal of its own, so that a slow moment of the machine does not fall on one of
//! them only. Every line is one size of group: for each way the median over the rounds of the rounds' p50, with the
//! lowest and the highest of them, the medians of their p99 and of their longest, the CPU time of this process per
//! group (the helper's, which prepares segments, included), that of all processes and the kernel's own threads, what
//! was written to all disks per group, and what share of the CPUs other processes and the kernel's threads used meanwhile.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use mizan_journal::{FileStorage, FormatOptions, Frame, Journal, JournalIo, OpenOptions, Storage};
use rustix::time::{ClockId, clock_gettime};

/// Payload bytes of a group, and groups in a round.
const CASES: [(usize, usize); 4] = [(256, 400), (64 << 10, 200), (1 << 20, 60), (2_088_704, 40)];
const ROUNDS_DEFAULT: usize = 9;
const SEGMENT_SIZE: u64 = 64 << 20;
/// Bytes per sync that a segment is prepared for.
const SYNC_SIZES: [u64; 3] = [4 << 10, 64 << 10, 1 << 20];
const CHUNK: u64 = 1 << 20;
/// As the journal's helper does it: a sync after so many bytes.
const SYNC_INTERVAL: u64 = 8 << 20;

/// What one round took.
struct Round {
    p50_us: f64,
    p99_us: f64,
    longest_us: f64,
    /// CPU time per group, or per segment prepared.
    own_us: f64,
    all_us: f64,
    /// Written to all disks per group, or per segment prepared.
    written_kib: f64,
    others: f64,
}

struct Way {
    name: &'static str,
    journal: Journal,
    rounds: Vec<Round>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or("give a directory on the disk that shall be measured")?;
    let rounds = arguments.next().map_or(Ok(ROUNDS_DEFAULT), |text| text.parse())?;
    let place = Path::new(&place);
    prepare_segments(place, rounds)?;
    let direct = |name| storage(place, name).map(|it| it.with_journal_io(JournalIo::Direct));
    let ring = direct("direct-io-uring")?.with_io_uring();
    println!("io_uring: {}", if ring.uses_io_uring() { "used" } else { "not available" });
    let mut ways = [
        open("mmap", storage(place, "mmap")?)?,
        open("direct", direct("direct")?)?,
        open("direct in pieces", ring)?,
    ];
    for (size, groups) in CASES {
        let payload = vec![0xa5; size];
        for round in 0..=rounds {
            for way in &mut ways {
                let measured = measure(&mut way.journal, &payload, groups)?;
                // The first round warms up.
                if round > 0 {
                    way.rounds.push(measured);
                }
            }
        }
        for way in &mut ways {
            println!("{:>8} bytes  {:<16} {}", size, way.name, line(&way.rounds));
            way.rounds.clear();
        }
    }
    Ok(())
}

/// Measures what it takes to get one segment ready, its memory included.
fn prepare_segments(place: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mapped = storage(place, "prepared")?;
    let direct = mapped.clone().with_journal_io(JournalIo::Direct);
    let cases = SYNC_SIZES.map(|sync_size| (&mapped, sync_size)).into_iter();
    let cases: Vec<_> = cases.chain([(&direct, CHUNK)]).collect();
    let mut measured: Vec<Vec<Round>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((storage, sync_size), rounds) in cases.iter().zip(&mut measured) {
            let load = Load::begin()?;
            prepare_segment(storage, *sync_size)?;
            let took_us = load.begin.elapsed().as_secs_f64() * 1e6;
            rounds.push(load.end(1, &[took_us])?);
            storage.remove("segment")?;
        }
    }
    for ((storage, sync_size), rounds) in cases.iter().zip(measured) {
        let way = storage.journal_io().name();
        println!("a segment ready for {way}, {sync_size:>7} bytes per sync: {}", line(&rounds));
    }
    Ok(())
}

fn prepare_segment(storage: &FileStorage, sync_size: u64) -> std::io::Result<()> {
    storage.create("segment", SEGMENT_SIZE)?;
    for offset in (0..SEGMENT_SIZE).step_by(CHUNK as usize) {
        storage.write_zeros("segment", offset, CHUNK, sync_size)?;
        if (offset + CHUNK).is_multiple_of(SYNC_INTERVAL) {
            storage.sync_file("segment")?;
        }
    }
    storage.sync_file("segment")?;
    drop(storage.open_segment("segment", SEGMENT_SIZE)?);
    Ok(())
}

fn storage(place: &Path, name: &str) -> std::io::Result<FileStorage> {
    FileStorage::create(place.join(name))
}

fn open(name: &'static str, storage: FileStorage) -> Result<Way, Box<dyn Error>> {
    let options = FormatOptions { segment_size: SEGMENT_SIZE, ..FormatOptions::new(1, 1) };
    Journal::format(&storage, &options)?;
    let mut ignore = |_: &Frame<'_>| Ok(());
    let (journal, _) = Journal::open(storage, &OpenOptions::default(), &mut ignore)?;
    Ok(Way { name, journal, rounds: Vec::new() })
}

fn measure(journal: &mut Journal, payload: &[u8], groups: usize) -> Result<Round, Box<dyn Error>> {
    let mut times_us = Vec::with_capacity(groups);
    let load = Load::begin()?;
    for _ in 0..groups {
        let begin = Instant::now();
        let mut frame = journal.begin(journal.next_sequence(), payload.len())?;
        frame.put(payload)?;
        frame.finish(1, 0)?;
        journal.sync()?;
        times_us.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times_us.sort_by(f64::total_cmp);
    let round = load.end(groups, &times_us)?;
    // What was prepared ahead is written behind; the next round shall not pay for it.
    let released = journal.durable().saturating_sub(groups as u64);
    journal.release_before(released)?;
    Ok(round)
}

/// What the machine had done when a round began.
struct Load {
    begin: Instant,
    own: Duration,
    all: Duration,
    written_kib: u64,
}

impl Load {
    fn begin() -> Result<Self, Box<dyn Error>> {
        Ok(Load {
            begin: Instant::now(),
            own: own_cpu_time(),
            all: all_cpu_time()?,
            written_kib: written_kib()?,
        })
    }

    fn end(self, groups: usize, sorted_us: &[f64]) -> Result<Round, Box<dyn Error>> {
        let own = own_cpu_time() - self.own;
        let written_kib = written_kib()? - self.written_kib;
        let all = all_cpu_time()?.saturating_sub(self.all);
        let cpus = std::thread::available_parallelism()?.get() as f64;
        let room = self.begin.elapsed().as_secs_f64() * cpus;
        Ok(Round {
            p50_us: at(sorted_us, 0.5),
            p99_us: at(sorted_us, 0.99),
            longest_us: at(sorted_us, 1.0),
            own_us: own.as_secs_f64() * 1e6 / groups as f64,
            all_us: all.as_secs_f64() * 1e6 / groups as f64,
            written_kib: written_kib as f64 / groups as f64,
            others: all.saturating_sub(own).as_secs_f64() / room,
        })
    }
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * quantile).round() as usize]
}

fn line(rounds: &[Round]) -> String {
    let sorted = |value: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |value| at(&sorted(value), 0.5);
    let p50_us = sorted(|round| round.p50_us);
    format!(
        "p50 {:6.0} us ({:.0} to {:.0}), p99 {:6.0}, longest {:6.0}; cpu {:6.0} us, of all {:6.0}; {:5.0} KiB; others {:.0} %",
        at(&p50_us, 0.5),
        at(&p50_us, 0.0),
        at(&p50_us, 1.0),
        median(|round| round.p99_us),
        median(|round| round.longest_us),
        median(|round| round.own_us),
        median(|round| round.all_us),
        median(|round| round.written_kib),
        median(|round| round.others * 100.0),
    )
}

/// CPU time of this process, all its threads together.
fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What was written to all disks since the machine started.
fn written_kib() -> Result<u64, Box<dyn Error>> {
    let counters = std::fs::read_to_string("/proc/vmstat")?;
    let written = counters.lines().find_map(|line| line.strip_prefix("pgpgout "));
    Ok(written.ok_or("/proc/vmstat has no pgpgout")?.parse()?)
}

/// CPU time of all processes, the kernel's threads and interrupts.
fn all_cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> =
        stat.lines().next().unwrap_or("").split(' ').filter_map(|text| text.parse().ok()).collect();
    let all = fields.iter().take(8).sum::<u64>() - fields[3] - fields[4];
    // Linux counts in hundredths of a second for user space, whatever the kernel's own tick is.
    Ok(Duration::from_millis(all * 10))
}
