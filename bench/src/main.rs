//! The gate of instruction counts: runs the benchmarks under callgrind, and compares with what lies in the tree.
//!
//! `cargo run -p mizan-bench --bin instructions -- check | record | table`. It needs valgrind and the runner of gungraun in
//! the version of the lock file; `.ci/run instructions` installs both.
//!
//! Invariant: always the same build, so that counts can be compared: the bench profile, and no compiler flags from
//! outside, which means the portable x86-64 baseline.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use mizan_bench::counts::{
    Counts, CountsError, Recorded, TOLERANCE_PERCENT, compare, parse, table,
};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use thiserror::Error;

/// Instruction counts of the hot paths: check them against the recorded ones, or record new ones.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// Count, and fail if a count grew by more than the tolerance.
    Check,
    /// Count, and write the counts to bench/instructions.toml.
    Record,
    /// Print the recorded counts as a table; counts nothing.
    Table,
}

#[derive(Debug, Error)]
enum GateError {
    #[error("cannot run `{program}`: {source}; install it, or let `.ci/run instructions` do it")]
    Program { program: &'static str, source: std::io::Error },
    #[error(
        "`{program}` failed ({status}); what it wrote stands above. Is gungraun-runner there, in the version of Cargo.lock?"
    )]
    Failed { program: &'static str, status: std::process::ExitStatus },
    #[error("cannot use {path}: {reason}")]
    File { path: String, reason: String },
    #[error(transparent)]
    Counts(#[from] CountsError),
}

fn main() -> ExitCode {
    match run(Options::parse().action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<(), GateError> {
    match action {
        Action::Check => {
            let recorded = read()?;
            let versions = (version("rustc")?, version("valgrind")?);
            if versions != (recorded.rustc.clone(), recorded.valgrind.clone()) {
                eprintln!(
                    "recorded with {} and {}, this is {} and {}: counts may differ for that alone",
                    recorded.rustc, recorded.valgrind, versions.0, versions.1
                );
            }
            let changes = compare(&recorded, &count()?)?;
            let told = if changes.is_empty() { "all counts are as recorded\n" } else { &changes };
            print!("{told}");
        }
        Action::Record => {
            // The tolerance is the tree's to decide; only a first record needs one.
            let tolerance_percent = read().map_or(TOLERANCE_PERCENT, |old| old.tolerance_percent);
            let recorded = Recorded {
                tolerance_percent,
                rustc: version("rustc")?,
                valgrind: version("valgrind")?,
                instructions: count()?,
            };
            write(&recorded)?;
            print!("{}", table(&recorded));
        }
        Action::Table => print!("{}", table(&read()?)),
    }
    Ok(())
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

fn file_error(reason: &impl ToString) -> GateError {
    GateError::File { path: path().display().to_string(), reason: reason.to_string() }
}

fn read() -> Result<Recorded, GateError> {
    let text = std::fs::read_to_string(path()).map_err(|error| file_error(&error))?;
    toml::from_str(&text).map_err(|error| file_error(&error))
}

fn write(recorded: &Recorded) -> Result<(), GateError> {
    let text = toml::to_string(recorded).map_err(|error| file_error(&error))?;
    let head = "# Instructions of the benchmarks in benches/instructions.rs. Not written by hand:\n\
                # cargo run -p mizan-bench --bin instructions -- record\n";
    std::fs::write(path(), format!("{head}{text}")).map_err(|error| file_error(&error))
}

/// The first line that a program says of itself.
fn version(program: &'static str) -> Result<String, GateError> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|source| GateError::Program { program, source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Builds and runs all benchmarks.
fn count() -> Result<Counts, GateError> {
    let program = "cargo";
    let output = Command::new(program)
        .args(["bench", "--quiet", "--locked", "-p", "mizan-bench", "--bench", "instructions"])
        .args(["--", "--output-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| GateError::Program { program, source })?;
    if !output.status.success() {
        return Err(GateError::Failed { program, status: output.status });
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout))?)
}
