//! Measures a durable append through a mapping and written directly, side by side in one run.
//!
//! `cargo run --release -p mizan-journal --example journal_io -- DIRECTORY [ROUNDS]`
//!
//! The ways take turns, each on a journal of its own, so that a slow moment of the machine does not fall on one of
//! them only. Every line is one size of group: for each way the median over the rounds of the rounds' p50, with the
//! lowest and the highest of them, the median of their p99, and what share of the CPUs others used meanwhile.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use mizan_journal::{FileStorage, FormatOptions, Frame, Journal, JournalIo, OpenOptions};

/// Payload bytes of a group, and groups in a round.
const CASES: [(usize, usize); 4] = [(256, 400), (64 << 10, 200), (1 << 20, 60), (2_088_704, 40)];
const ROUNDS_DEFAULT: usize = 9;
const SEGMENT_SIZE: u64 = 256 << 20;

struct Round {
    p50_us: f64,
    p99_us: f64,
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
            println!("{:>8} bytes  {:<16} {}", size, way.name, line(&mut way.rounds));
            way.rounds.clear();
        }
    }
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
    let before = (Instant::now(), cpu_times()?);
    for _ in 0..groups {
        let begin = Instant::now();
        let mut frame = journal.begin(journal.next_sequence(), payload.len())?;
        frame.put(payload)?;
        frame.finish(1, 0)?;
        journal.sync()?;
        times_us.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    let (busy, own) = cpu_times()?;
    let others = (busy - before.1.0).saturating_sub(own - before.1.1);
    let cpus = std::thread::available_parallelism()?.get() as f64;
    let others = others.as_secs_f64() / (before.0.elapsed().as_secs_f64() * cpus);
    // What was prepared ahead is written behind; the next round shall not pay for it.
    let released = journal.durable().saturating_sub(groups as u64);
    journal.release_before(released)?;
    times_us.sort_by(f64::total_cmp);
    Ok(Round { p50_us: at(&times_us, 0.5), p99_us: at(&times_us, 0.99), others })
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * quantile).round() as usize]
}

fn line(rounds: &mut [Round]) -> String {
    let mut others: Vec<f64> = rounds.iter().map(|round| round.others * 100.0).collect();
    let mut p99_us: Vec<f64> = rounds.iter().map(|round| round.p99_us).collect();
    let mut p50_us: Vec<f64> = rounds.iter().map(|round| round.p50_us).collect();
    for values in [&mut others, &mut p99_us, &mut p50_us] {
        values.sort_by(f64::total_cmp);
    }
    format!(
        "p50 {:7.0} us ({:.0} to {:.0}), p99 {:7.0} us, others {:.0} % (at most {:.0} %)",
        at(&p50_us, 0.5),
        at(&p50_us, 0.0),
        at(&p50_us, 1.0),
        at(&p99_us, 0.5),
        at(&others, 0.5),
        at(&others, 1.0),
    )
}

/// CPU time of all processes, and of this one.
fn cpu_times() -> Result<(Duration, Duration), Box<dyn Error>> {
    // Linux counts in hundredths of a second for user space, whatever the kernel's own tick is.
    let ticks = |count: u64| Duration::from_millis(count * 10);
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> =
        stat.lines().next().unwrap_or("").split(' ').filter_map(|text| text.parse().ok()).collect();
    let all = fields.iter().take(8).sum::<u64>() - fields[3] - fields[4];
    let own = std::fs::read_to_string("/proc/self/stat")?;
    let own = own.rsplit(')').next().unwrap_or("");
    let own: Vec<&str> = own.split_whitespace().collect();
    Ok((ticks(all), ticks(own[11].parse::<u64>()? + own[12].parse::<u64>()?)))
}
