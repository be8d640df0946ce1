//! Reading the file: one record at a time, good or bad.
//!
//! Invariants: every record has as many columns as the first one; empty lines count as lines but are no records; what a
//! line is, never depends on the node.

use super::columns::{ATTEMPT, AmountColumns, Column, Columns, Parties, has_header, needed};
use super::dates::{is_date, other_order};
use super::ledgers::Ledgers;
use super::record::{Found, Record, Records};
use super::rejects::Kept;
use super::source::Source;
use crate::args::{DateOrder, ImportArgs};
use crate::error::CliError;
use crate::money::{self, DecimalMark, Signed};
use crate::names::parse_number;
use mizan_client::names::{self, normal_form};
use std::path::Path;

/// Whoever wrote the file may have died within an amount, or may be writing it yet.
pub(super) const CUT: &str = "the file ends within this line";

/// A side of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// Pays.
    From,
    /// Is paid.
    To,
}

/// A line that can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// From 1, the header included.
    pub(super) line: u64,
    /// The place of its ledger.
    pub(super) ledger: usize,
    pub(super) from: String,
    pub(super) to: String,
    /// The side on which the account stands that was given for the whole file, not by the line.
    pub(super) own: Option<Side>,
    /// In smallest units.
    pub(super) amount: u128,
    pub(super) id: String,
    /// 0, or how many ids of the line are spent already.
    pub(super) attempt: u32,
    pub(super) code: u16,
    pub(super) user_data_128: u128,
    pub(super) user_data_64: u64,
    pub(super) user_data_32: u32,
    /// Bytes in the file.
    pub(super) size: usize,
    /// What a file of rejects needs, if there is to be one.
    pub(super) kept: Option<Kept>,
}

/// A line of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    Good(Row),
    Bad {
        line: u64,
        reason: String,
        kept: Option<Kept>,
    },
    /// It is not to be paid, by --where.
    LeftOut,
    /// What follows cannot be told apart.
    Stop {
        line: u64,
        reason: String,
    },
}

/// The file.
pub(super) struct Rows {
    records: Records,
    columns: Columns,
    reader: RowReader,
    width: Option<Width>,
    /// What was found last and is still to be given out.
    ahead: Option<Found>,
    header: Option<Vec<Vec<u8>>>,
    skipped: Vec<u8>,
    keeps: bool,
    /// Without a header: so many columns a line must have at least.
    needed: usize,
    /// Whether the last line may lack its end.
    may_end_open: bool,
}

/// How many columns every line must have.
#[derive(Clone, Copy)]
struct Width {
    columns: usize,
    /// The line that says so.
    line: u64,
    is_header: bool,
}

impl Width {
    fn check(self, found: usize) -> Result<(), String> {
        if found == self.columns {
            return Ok(());
        }
        let source = match (self.is_header, self.line) {
            (true, _) => "the header".to_owned(),
            (false, 0) => "a file of rejects with this column of attempts".to_owned(),
            (false, 1) => "the first line".to_owned(),
            (false, line) => format!("line {line}"),
        };
        let hint = if found > self.columns {
            "; quote amounts that contain the delimiter"
        } else {
            "; no column may be left away"
        };
        Err(format!("the line has {found} columns, {source} {}{hint}", self.columns))
    }
}

impl Rows {
    pub(super) fn open(args: &ImportArgs, source: &Source) -> Result<Self, CliError> {
        let has_header = has_header(args);
        if !has_header && !args.no_header {
            return Err(CliError::Usage(
                "every column is given by its number, which does not tell whether the first line is data: say --header or --no-header".to_owned(),
            ));
        }
        let file_name = source.name().to_owned();
        let mut records = Records::open(source.reader(), file_name, delimiter(args)?)?;
        let skipped = records.skip(args.skip)?;
        let usage = |records: &Records, reason: String| {
            CliError::Usage(format!("{}: {reason}", records.file_name()))
        };
        let first = records.advance()?;
        if first == Found::End {
            return Err(usage(&records, "the file is empty".to_owned()));
        }
        if has_header && let Found::Bad(reason) | Found::Stop { reason, .. } = &first {
            return Err(usage(&records, format!("the header cannot be read: {reason}")));
        }
        if has_header && records.is_unterminated() && !args.no_final_newline {
            return Err(usage(&records, format!("the header cannot be read: {CUT}")));
        }
        let header = has_header.then(|| records.record().clone());
        let columns = Columns::resolve(args, header.as_ref())?;
        let needed = if has_header { 0 } else { needed(args) };
        if let Some(index) = columns.attempt.filter(|index| *index < needed) {
            return Err(CliError::Usage(format!(
                "--attempt-column {}: column {needed} says what is paid, and in a file of rejects the attempt stands behind all of those",
                index + 1
            )));
        }
        let line = records.record_line();
        let of_header = |names: &Record| Width { columns: names.len(), line, is_header: true };
        // Without a header, only a file of rejects has attempts: its line and reason follow them, and end the line.
        let of_rejects = |attempt: usize| Width { columns: attempt + 3, line: 0, is_header: false };
        let width = header.as_ref().map(of_header).or(columns.attempt.map(of_rejects));
        let header = header.map(|names| names.iter().map(<[u8]>::to_vec).collect());
        Ok(Self {
            records,
            columns,
            reader: RowReader::new(args),
            width,
            ahead: (!has_header).then_some(first),
            header,
            skipped,
            keeps: args.rejects.is_some(),
            needed,
            may_end_open: args.no_final_newline,
        })
    }

    /// Bytes read so far.
    pub(super) const fn position(&self) -> u64 {
        self.records.position()
    }

    /// The names of the columns, if the file has them.
    pub(super) fn header(&self) -> Option<&[Vec<u8>]> {
        self.header.as_deref()
    }

    /// The lines that --skip passed over, as they stand in the file.
    pub(super) fn skipped(&self) -> &[u8] {
        &self.skipped
    }

    /// How many columns every line has that can be paid, as far as that is known.
    pub(super) fn width_with_columns(&self) -> usize {
        self.width.map_or(0, |width| width.columns).max(self.needed)
    }

    /// The column that says which attempt a line is.
    pub(super) const fn attempt(&self) -> Option<usize> {
        self.columns.attempt
    }

    /// The next line, or `None` at the end. Only a file that cannot be read is an error.
    pub(super) fn next(&mut self, ledgers: &Ledgers) -> Result<Option<Line>, CliError> {
        let found = match self.ahead.take() {
            Some(found) => found,
            None => self.records.advance()?,
        };
        let line = self.records.record_line();
        let is_cut = self.records.is_unterminated() && !self.may_end_open;
        Ok(match found {
            Found::End => None,
            Found::Stop { line, reason } => Some(Line::Stop { line, reason }),
            Found::Record | Found::Bad(_) if is_cut => {
                Some(Line::Stop { line, reason: CUT.to_owned() })
            }
            Found::Bad(reason) => {
                let kept = self.keeps.then(|| Kept::raw(self.records.raw()));
                Some(Line::Bad { line, reason, kept })
            }
            Found::Record => Some(self.row(ledgers, line)),
        })
    }

    fn attempt_of(&self, record: &Record) -> Result<u32, String> {
        read_attempt(self.columns.attempt, self.header.is_some(), record)
    }

    fn row(&mut self, ledgers: &Ledgers, line: u64) -> Line {
        let record = self.records.record();
        if self.header.is_none()
            && let Err(reason) = check_attempts(self.columns.attempt, record)
        {
            let kept = self.keeps.then(|| Kept::raw(self.records.raw()));
            return Line::Bad { line, reason, kept };
        }
        let first = Width { columns: record.len(), line, is_header: false };
        let width = *self.width.get_or_insert(first);
        if let Err(reason) = width.check(record.len()) {
            // Nobody knows which of its columns are which: they stay as they are.
            let kept = self.keeps.then(|| Kept::raw(self.records.raw()));
            return Line::Bad { line, reason, kept };
        }
        let is_left_out = || {
            for condition in &self.columns.conditions {
                if !condition.holds(record)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let read = is_left_out().and_then(|is_left_out| match is_left_out {
            true => Ok(None),
            false => {
                let attempt = self.attempt_of(record)?;
                let row = self.reader.read(&self.columns, record, ledgers)?;
                Ok(Some(Row { attempt, ..row }))
            }
        });
        match read {
            Ok(None) => Line::LeftOut,
            Ok(Some(mut row)) => {
                row.line = line;
                row.size = self.records.raw().len();
                row.kept = self.keeps.then(|| Kept::fields(record, row.attempt));
                Line::Good(row)
            }
            Err(reason) => {
                let attempt = self.attempt_of(record).unwrap_or_default();
                let kept = self.keeps.then(|| Kept::fields(record, attempt));
                Line::Bad { line, reason, kept }
            }
        }
    }
}

/// What stands behind the name in the field of an attempt of a file without a header.
fn marked(field: &[u8]) -> Option<&[u8]> {
    field.strip_prefix(ATTEMPT.as_bytes())?.strip_prefix(b"=")
}

/// Lines of a file of rejects without a header are those with an attempt in its column, and only those.
fn check_attempts(column: Option<usize>, record: &Record) -> Result<(), String> {
    let is_marked = |field: &[u8]| marked(field).is_some();
    let Some(found) = record.iter().position(is_marked) else { return Ok(()) };
    match column {
        Some(index) if index == found => Ok(()),
        Some(index) => Err(format!(
            "column {} says {ATTEMPT}, and not column {}: the line has another number of columns than the others",
            found + 1,
            index + 1
        )),
        None => Err(format!(
            "column {} says {ATTEMPT}, so the line is one of a file of rejects: say --attempt-column with the number that was named when that file was written",
            found + 1
        )),
    }
}

/// What every line is read with.
struct RowReader {
    mark: Option<DecimalMark>,
    date_order: DateOrder,
    code: u16,
    /// The account of the whole file.
    own: String,
}

impl RowReader {
    fn new(args: &ImportArgs) -> Self {
        let (mark, date_order, code) = (args.decimal.decimal, args.date_order, args.code);
        Self { mark, date_order, code, own: args.own().unwrap_or_default().to_owned() }
    }

    fn read(&self, columns: &Columns, record: &Record, ledgers: &Ledgers) -> Result<Row, String> {
        let ledger = match &columns.currency {
            Some(column) => ledgers.find(&column.text(record)?)?,
            None => ledgers.default()?,
        };
        let scale = ledgers.all()[ledger].scale;
        let amount = self.amount(columns, record, scale)?;
        let own = self.own.clone();
        let (from, to, own) = match &columns.parties {
            Parties::Both { from, to } => (from.text(record)?, to.text(record)?, None),
            Parties::Paid { to } => (own, to.text(record)?, Some(Side::From)),
            Parties::Paying { from } => (from.text(record)?, own, Some(Side::To)),
            Parties::Other(other) if amount.negative => {
                (own, other.text(record)?, Some(Side::From))
            }
            Parties::Other(other) => (other.text(record)?, own, Some(Side::To)),
        };
        self.check(columns, record)?;
        let id = columns.id.text(record)?;
        for name in [&from, &to, &id] {
            normal_form(name).map_err(|error| error.to_string())?;
        }
        Ok(Row {
            line: 0,
            ledger,
            from,
            to,
            own,
            amount: amount.magnitude,
            id,
            attempt: 0,
            code: code(columns.code.as_ref(), record, self.code)?,
            user_data_128: optional(&columns.user_data_128, record, |text| {
                parse_number(text).or_else(|| names::transfer_id(text).ok())
            })?,
            user_data_64: optional(&columns.user_data_64, record, |text| {
                parse_number(text).and_then(|number| u64::try_from(number).ok())
            })?,
            user_data_32: optional(&columns.user_data_32, record, |text| {
                parse_number(text).and_then(|number| u32::try_from(number).ok())
            })?,
            size: 0,
            kept: None,
        })
    }

    /// Below zero only in a statement.
    fn amount(&self, columns: &Columns, record: &Record, scale: u8) -> Result<Signed, String> {
        let said = |error: money::MoneyError| error.to_string();
        let unsigned = |text: &str| money::parse(text, scale, self.mark).map_err(said);
        match &columns.amount {
            AmountColumns::One(column) => {
                let text = column.text(record)?;
                if matches!(columns.parties, Parties::Other(_)) {
                    money::parse_signed(&text, scale, self.mark).map_err(said)
                } else {
                    Ok(Signed::difference(unsigned(&text)?, 0))
                }
            }
            AmountColumns::InAndOut(incoming, outgoing) => {
                let read = |column: &Column| match column.optional_text(record)?.as_str() {
                    "" => Ok(0),
                    text => unsigned(text),
                };
                match (read(incoming)?, read(outgoing)?) {
                    (amount @ 1.., 0) => Ok(Signed::difference(amount, 0)),
                    (0, amount @ 1..) => Ok(Signed::difference(0, amount)),
                    (0, 0) => Err(format!(
                        "neither {} nor {} has an amount",
                        incoming.label(),
                        outgoing.label()
                    )),
                    _ => Err(format!(
                        "{} and {} both have an amount",
                        incoming.label(),
                        outgoing.label()
                    )),
                }
            }
        }
    }

    /// Looks at what is not sent.
    fn check(&self, columns: &Columns, record: &Record) -> Result<(), String> {
        if let Some(column) = &columns.date {
            let text = column.text(record)?;
            if !is_date(&text, self.date_order) {
                let hint = other_order(&text, self.date_order).map_or(String::new(), |order| {
                    format!("; if it is one with --date-order {order}, say so")
                });
                return Err(format!(
                    "{}: `{text}` is no day of the calendar{hint}",
                    column.label()
                ));
            }
        }
        if let Some(column) = &columns.memo {
            let text = column.optional_text(record)?;
            let is_odd = |letter: char| letter.is_control() && !"\n\r\t".contains(letter);
            if text.contains(is_odd) {
                return Err(format!("{} contains control characters", column.label()));
            }
        }
        Ok(())
    }
}

fn code(column: Option<&Column>, record: &Record, default: u16) -> Result<u16, String> {
    let Some(column) = column else { return Ok(default) };
    let text = column.text(record)?;
    let code = plain_number(&text).and_then(|number| u16::try_from(number).ok());
    code.filter(|code| *code != 0)
        .ok_or_else(|| format!("{}: `{text}` is no code from 1 to 65535", column.label()))
}

fn read_attempt(column: Option<usize>, has_header: bool, record: &Record) -> Result<u32, String> {
    let Some(index) = column else { return Ok(0) };
    let field = record.get(index).unwrap_or_default();
    let number = if has_header { Some(field) } else { marked(field) };
    number
        .and_then(|number| plain_number(std::str::from_utf8(number).ok()?))
        .filter(|number| *number < u32::MAX)
        .ok_or_else(|| {
            let text = String::from_utf8_lossy(field);
            format!("column {}: `{text}` is not the number of an attempt", index + 1)
        })
}

/// Digits and nothing else.
fn plain_number(text: &str) -> Option<u32> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn optional<T: Default>(
    column: &Option<Column>,
    record: &Record,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let Some(column) = column else { return Ok(T::default()) };
    let text = column.text(record)?;
    read(&text).ok_or_else(|| {
        let (label, bits) = (column.label(), size_of::<T>() * 8);
        format!("{label}: user data `{text}` is not a number of {bits} bits")
    })
}

/// What stands between columns if nobody says it.
pub(super) fn usual_delimiter(path: &Path) -> u8 {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_tabbed = extension.is_some_and(|extension| {
        ["tsv", "tab"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    });
    if is_tabbed { b'\t' } else { b',' }
}

/// What stands between columns.
pub(super) fn delimiter(args: &ImportArgs) -> Result<u8, CliError> {
    match args.delimiter.as_deref() {
        None => Ok(usual_delimiter(&args.file)),
        Some("tab" | "\\t") => Ok(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
            _ => Err(CliError::Usage(format!(
                "--delimiter is `{text}`: write one ASCII character, or `tab`"
            ))),
        },
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
