//! Which columns of the file mean what.

use super::record::Record;
use crate::args::ImportArgs;
use crate::error::CliError;

/// The column of a file of rejects that says which attempt a line is. In a file without a header the name stands in the
/// field, so that it can be taken for nothing else.
pub(super) const ATTEMPT: &str = "mizan_attempt";

/// Names of columns that an error lists at the most, and letters of each.
const NAMES_MAX: (usize, usize) = (30, 40);

/// One or several columns, whose texts are joined by `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Column {
    parts: Vec<Part>,
}

/// One column of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Part {
    index: usize,
    /// As the user finds it in the file: `column 4 (amount)`.
    label: String,
}

impl Column {
    /// Reads `3`, `3,4` or, with a header, `payer` or `bank,account`.
    pub(super) fn resolve(text: &str, header: Option<&Record>) -> Result<Self, CliError> {
        let part = |text: &str| {
            let index = index_of(text.trim(), header)?;
            Ok::<_, CliError>(Part { index, label: label(index, header) })
        };
        Ok(Self { parts: text.split(',').map(part).collect::<Result<_, _>>()? })
    }

    /// What to call this column in a message.
    pub(super) fn label(&self) -> String {
        let labels: Vec<&str> = self.parts.iter().map(|part| part.label.as_str()).collect();
        labels.join(" and ")
    }

    /// The text of this column in a record; an error says what is wrong with it.
    pub(super) fn text(&self, record: &Record) -> Result<String, String> {
        self.joined(record, false)
    }

    /// As [`Column::text`], where nothing may stand.
    pub(super) fn optional_text(&self, record: &Record) -> Result<String, String> {
        self.joined(record, true)
    }

    fn joined(&self, record: &Record, may_be_empty: bool) -> Result<String, String> {
        let mut joined = String::new();
        for (position, Part { index, label }) in self.parts.iter().enumerate() {
            let field = record
                .get(*index)
                .ok_or_else(|| format!("{label} is missing: the line has {}", record.len()))?;
            let text =
                std::str::from_utf8(field).map_err(|_| format!("{label} is not valid UTF-8"))?;
            if text.is_empty() && !may_be_empty {
                return Err(format!("{label} is empty"));
            }
            // Two lines that differ would have one id, or one account.
            if self.parts.len() > 1 && text.contains('/') && !may_be_empty {
                return Err(format!(
                    "{label} contains `/`, which joins columns: choose columns without it"
                ));
            }
            if position > 0 {
                joined.push('/');
            }
            joined.push_str(text);
        }
        Ok(joined)
    }
}

fn label(index: usize, header: Option<&Record>) -> String {
    let number = index + 1;
    match header.and_then(|names| names.get(index)).filter(|name| !name.is_empty()) {
        Some(name) => format!("column {number} ({})", String::from_utf8_lossy(name)),
        None => format!("column {number}"),
    }
}

fn index_of(text: &str, header: Option<&Record>) -> Result<usize, CliError> {
    let named: Vec<usize> = header.map_or_else(Vec::new, |names| {
        let is_named = |(index, name): (usize, &[u8])| (name == text.as_bytes()).then_some(index);
        names.iter().enumerate().filter_map(is_named).collect()
    });
    if let ([index], false) = (named.as_slice(), text.is_empty()) {
        return Ok(*index);
    }
    let is_there = |index: &usize| header.is_none_or(|names| *index < names.len());
    if let Some(index) = number(text).filter(is_there) {
        return Ok(index);
    }
    if let ([first, second, ..], false) = (named.as_slice(), text.is_empty()) {
        let (first, second) = (first + 1, second + 1);
        return Err(CliError::Usage(format!(
            "the header names columns {first} and {second} both `{text}`: give the column by its number, with --header"
        )));
    }
    let names = header.map(|names| {
        let (count, letters) = NAMES_MAX;
        let short = |name| String::from_utf8_lossy(name).chars().take(letters).collect::<String>();
        let shown: Vec<String> = names.iter().take(count).map(short).collect();
        let more = match names.len().saturating_sub(count) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("the file has {}{more}", shown.join(", "))
    });
    let hint = header.and_then(other_delimiter).map_or(String::new(), |mark| {
        format!("; if `{mark}` stands between its columns, say --delimiter '{mark}'")
    });
    Err(CliError::Usage(format!(
        "there is no column `{text}`: {}{hint}",
        names.as_deref().unwrap_or("columns are numbered from 1, and names need a header line")
    )))
}

/// What seems to stand between the columns of a header that is one column now.
fn other_delimiter(header: &Record) -> Option<&'static str> {
    let name = String::from_utf8_lossy(header.get(0).filter(|_| header.len() == 1)?);
    [(";", ";"), ("\t", "tab"), ("|", "|"), (",", ",")]
        .into_iter()
        .find(|(mark, _)| name.contains(mark))
        .map(|(_, word)| word)
}

/// The index of a column given by its number from 1.
fn number(text: &str) -> Option<usize> {
    text.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
}

/// So many columns the lines of a file without a header must have at least to be paid.
pub(super) fn needed(args: &ImportArgs) -> usize {
    let columns = args.columns_of_payments().chain(conditioned(args));
    columns
        .flat_map(|text| text.split(','))
        .filter_map(|part| part.trim().parse().ok())
        .max()
        .unwrap_or(0)
}

/// The columns that --where names.
fn conditioned(args: &ImportArgs) -> impl Iterator<Item = &str> {
    args.conditions.iter().map(|text| text.split('=').next().unwrap_or_default())
}

/// Whether the first line is a header: as the flags say, else if any column is given by name.
pub(super) fn has_header(args: &ImportArgs) -> bool {
    if args.header || args.no_header {
        return args.header;
    }
    let mut all = args.columns().chain(conditioned(args));
    all.any(|text| text.split(',').any(|part| number(part.trim()).is_none()))
}

/// Whose accounts the columns name.
#[derive(Clone, Debug)]
pub(super) enum Parties {
    /// The paying and the paid account of each line.
    Both { from: Column, to: Column },
    /// The paid account; one account pays them all.
    Paid { to: Column },
    /// The paying account; one account is paid by them all.
    Paying { from: Column },
    /// The other account of a statement; the amount's sign says which side it is on.
    Other(Column),
}

/// Where the amount stands.
#[derive(Clone, Debug)]
pub(super) enum AmountColumns {
    One(Column),
    /// What comes in and what goes out, of which a line has one.
    InAndOut(Column, Column),
}

/// What a line must say to be paid: one of these values.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    name: String,
    column: Column,
    values: Vec<String>,
}

impl Condition {
    /// Reads `COLUMN=VALUE`; several values of one column are alternatives.
    fn resolve(texts: &[String], header: Option<&Record>) -> Result<Vec<Self>, CliError> {
        let mut all: Vec<Self> = Vec::new();
        for text in texts {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                CliError::Usage(format!("--where is `{text}`: write COLUMN=VALUE"))
            })?;
            if let Some(known) = all.iter_mut().find(|condition| condition.name == name) {
                known.values.push(value.to_owned());
                continue;
            }
            let column = Column::resolve(name, header)?;
            all.push(Self { name: name.to_owned(), column, values: vec![value.to_owned()] });
        }
        Ok(all)
    }

    /// Whether a line has one of the values.
    pub(super) fn holds(&self, record: &Record) -> Result<bool, String> {
        let text = self.column.optional_text(record)?;
        Ok(self.values.contains(&text))
    }
}

/// The columns of one import.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) parties: Parties,
    pub(super) amount: AmountColumns,
    pub(super) id: Column,
    pub(super) currency: Option<Column>,
    pub(super) code: Option<Column>,
    pub(super) date: Option<Column>,
    pub(super) memo: Option<Column>,
    pub(super) conditions: Vec<Condition>,
    pub(super) user_data_128: Option<Column>,
    pub(super) user_data_64: Option<Column>,
    pub(super) user_data_32: Option<Column>,
    /// Which attempt a line is, as a file of rejects says.
    pub(super) attempt: Option<usize>,
}

impl Columns {
    pub(super) fn resolve(args: &ImportArgs, header: Option<&Record>) -> Result<Self, CliError> {
        let optional = |text: &Option<String>| {
            text.as_deref().map(|text| Column::resolve(text, header)).transpose()
        };
        // clap lets no line pass that gives none or several of these.
        let impossible = || CliError::Usage("the columns of the accounts are not given".to_owned());
        let other = optional(&args.other_column)?;
        let parties = match (other, optional(&args.from_column)?, optional(&args.to_column)?) {
            (Some(other), ..) => Parties::Other(other),
            (None, Some(from), Some(to)) => Parties::Both { from, to },
            (None, None, Some(to)) => Parties::Paid { to },
            (None, Some(from), None) => Parties::Paying { from },
            (None, None, None) => return Err(impossible()),
        };
        let in_and_out = (optional(&args.in_column)?, optional(&args.out_column)?);
        let amount = match (optional(&args.amount_column)?, in_and_out) {
            (Some(amount), _) => AmountColumns::One(amount),
            (None, (Some(incoming), Some(outgoing))) => AmountColumns::InAndOut(incoming, outgoing),
            _ => return Err(impossible()),
        };
        let attempt = match &args.attempt_column {
            Some(text) => Some(index_of(text.trim(), header)?),
            None => header.and_then(|names| index_of(ATTEMPT, Some(names)).ok()),
        };
        Ok(Self {
            parties,
            amount,
            id: Column::resolve(&args.id_column, header)?,
            currency: optional(&args.currency_column)?,
            code: optional(&args.code_column)?,
            date: optional(&args.date_column)?,
            memo: optional(&args.memo_column)?,
            conditions: Condition::resolve(&args.conditions, header)?,
            user_data_128: optional(&args.user_data_128_column)?,
            user_data_64: optional(&args.user_data_64_column)?,
            user_data_32: optional(&args.user_data_32_column)?,
            attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[&str]) -> Record {
        Record::from(fields.iter().map(|field| field.as_bytes()).collect::<Vec<_>>())
    }

    fn header() -> Record {
        record(&["id", "bank", "account", "2"])
    }

    #[test]
    fn columns_are_given_by_number_or_by_name_and_may_be_joined() {
        let record = record(&["7", "YZ", "871", "x"]);
        let text = |column: &str, header: Option<&Record>| {
            Column::resolve(column, header).expect("resolves").text(&record)
        };
        assert_eq!(text("2", None), Ok("YZ".to_owned()));
        assert_eq!(text("2, 3", None), Ok("YZ/871".to_owned()));
        assert_eq!(text("bank,account", Some(&header())), Ok("YZ/871".to_owned()));
        // A header's own name comes before a number.
        assert_eq!(text("2", Some(&header())), Ok("x".to_owned()));
    }

    #[test]
    fn what_joins_columns_may_stand_in_none_that_is_joined() {
        let text = |column: &str, fields: &[&str]| {
            Column::resolve(column, None).expect("resolves").text(&record(fields))
        };
        assert!(text("1,2", &["a/b", "c"]).is_err_and(|reason| reason.contains("column 1")));
        assert!(text("1,2", &["a", "b/c"]).is_err_and(|reason| reason.contains("column 2")));
        assert_eq!(text("1", &["a/b", "c"]), Ok("a/b".to_owned()));
    }

    #[test]
    fn an_unknown_column_names_those_that_there_are() {
        let error = Column::resolve("payer", Some(&header())).expect_err("unknown");
        assert!(error.to_string().contains("id, bank, account, 2"), "{error}");
        assert!(Column::resolve("payer", None).is_err());
        assert!(Column::resolve("0", None).is_err());
        assert!(Column::resolve("", None).is_err());
        assert!(Column::resolve("1,", None).is_err());
    }

    #[test]
    fn a_header_of_one_column_with_another_delimiter_in_it_says_how_to_name_that() {
        for (header, word) in [("id;p;q;a", "--delimiter ';'"), ("id\tp", "--delimiter 'tab'")] {
            let error = Column::resolve("p", Some(&record(&[header]))).expect_err("unknown");
            assert!(error.to_string().contains(word), "{error}");
        }
        let error = Column::resolve("p", Some(&header())).expect_err("unknown");
        assert!(!error.to_string().contains("--delimiter"), "{error}");
    }

    #[test]
    fn a_missing_an_empty_and_an_unreadable_field_are_told_apart() {
        let record = Record::from(vec![&b"a"[..], b"", b"\xFF"]);
        let reason = |column: &str| {
            Column::resolve(column, None).expect("resolves").text(&record).expect_err("bad")
        };
        assert_eq!(reason("2"), "column 2 is empty");
        assert_eq!(reason("3"), "column 3 is not valid UTF-8");
        assert_eq!(reason("1,4"), "column 4 is missing: the line has 3");
    }

    #[test]
    fn messages_name_a_column_as_the_header_does() {
        let record = record(&["7", "", "871", "x"]);
        let column = Column::resolve("bank", Some(&header())).expect("resolves");
        assert_eq!(column.text(&record), Err("column 2 (bank) is empty".to_owned()));
        let joined = Column::resolve("id,3", Some(&header())).expect("resolves");
        assert_eq!(joined.label(), "column 1 (id) and column 3 (account)");
    }

    #[test]
    fn a_name_of_two_columns_is_refused_only_if_it_is_asked_for_by_name() {
        let twice = record(&["id", "amount", "", "amount", "", "4", "4"]);
        let error = Column::resolve("amount", Some(&twice)).expect_err("ambiguous");
        assert!(matches!(&error, CliError::Usage(_)));
        assert!(error.to_string().contains("columns 2 and 4 both `amount`"), "{error}");
        for column in ["id", "2", "4", "5"] {
            assert!(Column::resolve(column, Some(&twice)).is_ok(), "{column}");
        }
    }

    #[test]
    fn a_number_beyond_the_header_is_refused() {
        assert!(Column::resolve("4", Some(&header())).is_ok());
        assert!(Column::resolve("5", Some(&header())).is_err());
    }
}
