//! What a verb says: data to standard output, talk to standard error.
//!
//! With `--json` data is one JSON value on one line, and nothing else goes to standard output. Amounts, ids and
//! nanoseconds are strings in JSON: a JSON number loses digits beyond 2^53. Progress bars are drawn on standard error
//! and only if it is a terminal. A reader that has gone (`mizan ... | head`) ends a verb that only shows something, and
//! quietly. Any other verb does its work to the end and says with its exit code what came of it, whoever listens; talk
//! that cannot be written ends no verb at all.

use crate::error::CliError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// Text without the control characters that a node, or a file, may have put into a name: they could steer a terminal.
fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if text.contains(is_control) {
        Cow::Owned(text.replace(is_control, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The two streams of a verb.
pub struct Output {
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
    is_json: bool,
    /// The verb has written its value.
    has_json: bool,
    has_progress: bool,
    /// The verb does its work although nobody can be told.
    carries_on: bool,
    /// Why data was not written, unless only its reader has gone.
    failure: Option<io::Error>,
}

impl Output {
    /// The process's own streams.
    #[must_use]
    pub fn standard() -> Self {
        let has_progress = io::stderr().is_terminal();
        Self {
            data: Box::new(io::stdout()),
            talk: Box::new(io::stderr()),
            is_json: false,
            has_json: false,
            has_progress,
            carries_on: false,
            failure: None,
        }
    }

    /// Other streams, without progress bars: for tests and for programs that embed the command line.
    #[must_use]
    pub fn new(data: Box<dyn Write>, talk: Box<dyn Write>) -> Self {
        let (is_json, has_json, has_progress) = (false, false, false);
        let (carries_on, failure) = (false, None);
        Self { data, talk, is_json, has_json, has_progress, carries_on, failure }
    }

    /// Streams that swallow everything.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Box::new(io::sink()), Box::new(io::sink()))
    }

    /// Whether data is written as JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether JSON was written since it was last chosen: a failure after that is told by what was written.
    #[must_use]
    pub const fn has_json(&self) -> bool {
        self.has_json
    }

    /// Chooses between JSON and text, for the verb that follows.
    pub const fn set_json(&mut self, is_json: bool) {
        self.is_json = is_json;
        self.has_json = false;
    }

    /// Chooses whether the verb that follows does its work to the end although its data cannot be written.
    pub const fn set_carries_on(&mut self, carries_on: bool) {
        self.carries_on = carries_on;
    }

    /// What kept data from being written while the verb carried on.
    pub const fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn written(&mut self, result: io::Result<()>) -> Result<(), CliError> {
        match result {
            Err(error) if self.carries_on => {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    self.failure.get_or_insert(error);
                }
                Ok(())
            }
            result => result.map_err(CliError::Output),
        }
    }

    /// Writes one line of data.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        let result = writeln!(self.data, "{}", printable(text.as_ref()));
        let result = result.and_then(|()| self.data.flush());
        self.written(result)
    }

    /// Writes one line of talk. That it cannot be written is no error: nobody is left to be told.
    ///
    /// # Errors
    /// None: the result is that of the other ways to write, so that a caller treats them alike.
    pub fn note(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        let _ =
            writeln!(self.talk, "{}", printable(text.as_ref())).and_then(|()| self.talk.flush());
        Ok(())
    }

    /// Writes a prompt: talk without an end of line.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn prompt(&mut self, text: &str) -> Result<(), CliError> {
        let _ = write!(self.talk, "{text}").and_then(|()| self.talk.flush());
        Ok(())
    }

    /// Writes a JSON value on one line.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn json(&mut self, value: &Value) -> Result<(), CliError> {
        self.has_json = true;
        self.line(value.to_string())
    }

    /// Writes a table as text.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn table(&mut self, table: &Table) -> Result<(), CliError> {
        table.lines().into_iter().try_for_each(|line| self.line(line))
    }

    /// A progress bar for work of a known size; it draws nothing unless standard error is a terminal.
    #[must_use]
    pub fn progress(&self, total: u64, label: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), self.draw_target());
        let template = "{msg} {wide_bar} {percent:>3}% {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.with_message(label)
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        if self.has_progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

/// Columns of text under headings; the first column is aligned to the left, numbers to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    left_count: usize,
}

impl Table {
    /// A table with these headings, whose first `left_count` columns are text and the others numbers.
    #[must_use]
    pub fn new(headings: &[&str], left_count: usize) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Self { headings, rows: Vec::new(), left_count }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The finished lines, without blanks at their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let all: Vec<&Vec<String>> = std::iter::once(&self.headings).chain(&self.rows).collect();
        let width_of = |column: usize| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width_of).collect();
        all.iter().map(|row| self.format_row(row, &widths)).collect()
    }

    fn format_row(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            if column > 0 {
                line.push_str("  ");
            }
            if column < self.left_count {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("{cell:>width$}"));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_is_aligned_to_the_left_and_numbers_to_the_right() {
        let mut table = Table::new(&["account", "before", "after"], 1);
        table.row(["alice", "100.00", "75.00"]);
        table.row(["jürgen", "0.00", "25.00"]);
        assert_eq!(
            table.lines(),
            ["account  before  after", "alice    100.00  75.00", "jürgen     0.00  25.00",]
        );
    }

    #[test]
    fn a_row_that_is_too_short_is_filled_and_leaves_no_blanks_at_the_end() {
        let mut table = Table::new(&["a", "b"], 2);
        table.row(["only"]);
        assert_eq!(table.lines(), ["a     b", "only"]);
    }

    #[test]
    fn a_reader_that_has_gone_is_told_apart_from_a_full_disk() {
        let mut output = Output::new(Box::new(Gone), Box::new(io::sink()));
        let error = output.line("x").expect_err("nobody reads");
        assert!(error.is_broken_pipe());
        let full = CliError::Output(io::ErrorKind::StorageFull.into());
        assert!(!full.is_broken_pipe());
    }
}
