//! What the verbs that work on a node's files share: errors, progress, and how things are written.

use crate::error::CliError;
use crate::exit;
use crate::output::Output;
use indicatif::ProgressBar;
use mizan_journal::JournalError;
use mizan_node::{Failure, NodeError, RecoveryProgress};
use std::error::Error;

/// The exit code of a sort of failure.
#[must_use]
pub const fn exit_code(failure: Failure) -> u8 {
    match failure {
        Failure::Corrupt => exit::CORRUPT,
        Failure::WrongState => exit::STATE,
        Failure::Version => exit::VERSION,
        Failure::Resource => exit::RESOURCE,
        Failure::Usage => exit::USAGE,
    }
}

/// A node's error with its exit code, its causes, and what to do.
#[must_use]
pub fn node_error(error: &NodeError) -> CliError {
    let failure = error.failure();
    let mut text = with_causes(error);
    match (failure, error) {
        (Failure::WrongState, NodeError::Journal(JournalError::NotFormatted { .. })) => {
            text.push_str("; `mizan format --data DIR` prepares a directory");
        }
        (Failure::Corrupt, _) if !text.contains("mizan verify") => {
            text.push_str(
                "; nothing was changed: keep the files, and see `mizan verify --data DIR`",
            );
        }
        _ => {}
    }
    CliError::failed(exit_code(failure), text)
}

/// The error of a node that ran: what is durable is safe, and the next start finds it.
#[must_use]
pub fn running_node_error(error: &NodeError) -> CliError {
    let failure = error.failure();
    let advice = match failure {
        Failure::Resource => {
            "free space or check the disk, then start the node again: it recovers everything that was acknowledged"
        }
        _ => "keep the files and see `mizan verify --data DIR` before the node is started again",
    };
    CliError::failed(
        exit_code(failure),
        format!("the node stopped: {}; {advice}", with_causes(error)),
    )
}

/// An error's text with the texts of its causes that it does not contain itself.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// A progress bar that is told how far the journal is read.
pub struct JournalProgress(ProgressBar);

impl JournalProgress {
    /// A bar with this label; it draws nothing unless standard error is a terminal.
    #[must_use]
    pub fn new(output: &Output, label: &'static str) -> Self {
        Self(output.progress(0, label))
    }

    /// Moves the bar.
    pub fn show(&self, progress: RecoveryProgress) {
        self.0.set_length(progress.bytes_total);
        self.0.set_position(progress.bytes_done);
    }
}

impl Drop for JournalProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A number of bytes for people: exact below 1 KiB, else with one decimal place.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut shift = 10;
    if bytes < 1 << shift {
        return format!("{bytes} B");
    }
    while unit + 1 < UNITS.len() && bytes >> (shift + 10) != 0 {
        unit += 1;
        shift += 10;
    }
    let tenths = u128::from(bytes) * 10 / (1u128 << shift);
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        tenth => format!("{}.{tenth} {}", tenths / 10, UNITS[unit]),
    }
}

/// A count with `,` between thousands, for people.
#[must_use]
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_rounded_up() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (64 << 20, "64 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size_text(bytes), expected);
        }
    }

    #[test]
    fn counts_have_separators_between_thousands() {
        for (count, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count_text(count), expected);
        }
    }

    #[test]
    fn a_failure_of_the_disk_says_what_the_system_said_and_what_to_do() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = NodeError::Io { what: "failed to write x".to_owned(), source: full };
        let error = running_node_error(&error);
        assert_eq!(error.exit_code(), exit::RESOURCE);
        let text = error.to_string();
        assert!(
            text.contains("no storage space") && text.contains("start the node again"),
            "{text}"
        );
    }
}
