//! Which columns of the file mean what.

use crate::args::ImportArgs;
use crate::error::CliError;
use csv::ByteRecord;
use std::collections::HashMap;

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
    pub(super) fn resolve(text: &str, header: Option<&ByteRecord>) -> Result<Self, CliError> {
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
    pub(super) fn text(&self, record: &ByteRecord) -> Result<String, String> {
        let mut joined = String::new();
        for (position, Part { index, label }) in self.parts.iter().enumerate() {
            let field = record
                .get(*index)
                .ok_or_else(|| format!("{label} is missing: the line has {}", record.len()))?;
            let text =
                std::str::from_utf8(field).map_err(|_| format!("{label} is not valid UTF-8"))?;
            if text.is_empty() {
                return Err(format!("{label} is empty"));
            }
            if position > 0 {
                joined.push('/');
            }
            joined.push_str(text);
        }
        Ok(joined)
    }
}

fn label(index: usize, header: Option<&ByteRecord>) -> String {
    let number = index + 1;
    match header.and_then(|names| names.get(index)).filter(|name| !name.is_empty()) {
        Some(name) => format!("column {number} ({})", String::from_utf8_lossy(name)),
        None => format!("column {number}"),
    }
}

/// Refuses a header of which one name stands for two columns; columns without a name do not count.
pub(super) fn check_header(header: &ByteRecord) -> Result<(), CliError> {
    let mut seen = HashMap::new();
    for (index, name) in header.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = seen.insert(name, index) {
            return Err(CliError::Usage(format!(
                "the header names columns {} and {} both `{}`: rename one of them",
                first + 1,
                index + 1,
                String::from_utf8_lossy(name)
            )));
        }
    }
    Ok(())
}

fn index_of(text: &str, header: Option<&ByteRecord>) -> Result<usize, CliError> {
    let named = header.and_then(|names| names.iter().position(|name| name == text.as_bytes()));
    if let (Some(index), false) = (named, text.is_empty()) {
        return Ok(index);
    }
    let is_there = |index: &usize| header.is_none_or(|names| *index < names.len());
    if let Some(index) = number(text).filter(is_there) {
        return Ok(index);
    }
    let names = header.map(|names| {
        let names: Vec<_> = names.iter().map(String::from_utf8_lossy).collect();
        format!("the file has {}", names.join(", "))
    });
    Err(CliError::Usage(format!(
        "there is no column `{text}`: {}",
        names.as_deref().unwrap_or("columns are numbered from 1, and names need a header line")
    )))
}

/// The index of a column given by its number from 1.
fn number(text: &str) -> Option<usize> {
    text.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
}

/// Whether the first line is a header: as the flags say, else if any column is given by name.
pub(super) fn has_header(args: &ImportArgs) -> bool {
    if args.header || args.no_header {
        return args.header;
    }
    let required = [&args.from_column, &args.to_column, &args.amount_column, &args.id_column];
    let optional =
        [&args.user_data_128_column, &args.user_data_64_column, &args.user_data_32_column];
    let mut all = required.into_iter().chain(optional.into_iter().flatten());
    all.any(|text| text.split(',').any(|part| number(part.trim()).is_none()))
}

/// The columns of one import.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) from: Column,
    pub(super) to: Column,
    pub(super) amount: Column,
    pub(super) id: Column,
    pub(super) user_data_128: Option<Column>,
    pub(super) user_data_64: Option<Column>,
    pub(super) user_data_32: Option<Column>,
}

impl Columns {
    pub(super) fn resolve(
        args: &ImportArgs,
        header: Option<&ByteRecord>,
    ) -> Result<Self, CliError> {
        let required = |text: &str| Column::resolve(text, header);
        let optional = |text: &Option<String>| text.as_deref().map(required).transpose();
        Ok(Self {
            from: required(&args.from_column)?,
            to: required(&args.to_column)?,
            amount: required(&args.amount_column)?,
            id: required(&args.id_column)?,
            user_data_128: optional(&args.user_data_128_column)?,
            user_data_64: optional(&args.user_data_64_column)?,
            user_data_32: optional(&args.user_data_32_column)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ByteRecord {
        ByteRecord::from(vec!["id", "bank", "account", "2"])
    }

    #[test]
    fn columns_are_given_by_number_or_by_name_and_may_be_joined() {
        let record = ByteRecord::from(vec!["7", "YZ", "871", "x"]);
        let text = |column: &str, header: Option<&ByteRecord>| {
            Column::resolve(column, header).expect("resolves").text(&record)
        };
        assert_eq!(text("2", None), Ok("YZ".to_owned()));
        assert_eq!(text("2, 3", None), Ok("YZ/871".to_owned()));
        assert_eq!(text("bank,account", Some(&header())), Ok("YZ/871".to_owned()));
        // A header's own name comes before a number.
        assert_eq!(text("2", Some(&header())), Ok("x".to_owned()));
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
    fn a_missing_an_empty_and_an_unreadable_field_are_told_apart() {
        let record = ByteRecord::from(vec![&b"a"[..], b"", b"\xFF"]);
        let reason = |column: &str| {
            Column::resolve(column, None).expect("resolves").text(&record).expect_err("bad")
        };
        assert_eq!(reason("2"), "column 2 is empty");
        assert_eq!(reason("3"), "column 3 is not valid UTF-8");
        assert_eq!(reason("1,4"), "column 4 is missing: the line has 3");
    }

    #[test]
    fn messages_name_a_column_as_the_header_does() {
        let record = ByteRecord::from(vec!["7", "", "871", "x"]);
        let column = Column::resolve("bank", Some(&header())).expect("resolves");
        assert_eq!(column.text(&record), Err("column 2 (bank) is empty".to_owned()));
        let joined = Column::resolve("id,3", Some(&header())).expect("resolves");
        assert_eq!(joined.label(), "column 1 (id) and column 3 (account)");
    }

    #[test]
    fn a_name_that_stands_for_two_columns_is_refused_but_columns_may_have_no_name() {
        let twice = ByteRecord::from(vec!["id", "amount", "", "amount", ""]);
        let error = check_header(&twice).expect_err("ambiguous");
        assert!(matches!(&error, CliError::Usage(_)));
        assert!(error.to_string().contains("columns 2 and 4 both `amount`"), "{error}");
        assert!(check_header(&ByteRecord::from(vec!["id", "", ""])).is_ok());
    }

    #[test]
    fn a_number_beyond_the_header_is_refused() {
        assert!(Column::resolve("4", Some(&header())).is_ok());
        assert!(Column::resolve("5", Some(&header())).is_err());
    }
}
