//! Which columns of the file mean what.

use crate::args::ImportArgs;
use crate::error::CliError;
use csv::ByteRecord;

/// One or several columns, whose texts are joined by `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Column {
    indexes: Vec<usize>,
}

impl Column {
    /// Reads `3`, `3,4` or, with a header, `payer` or `bank,account`.
    pub(super) fn resolve(text: &str, header: Option<&ByteRecord>) -> Result<Self, CliError> {
        let part = |part: &str| index_of(part.trim(), header);
        Ok(Self { indexes: text.split(',').map(part).collect::<Result<_, _>>()? })
    }

    /// The text of this column in a record; an error says what is wrong with it.
    pub(super) fn text(&self, record: &ByteRecord) -> Result<String, String> {
        let mut joined = String::new();
        for (position, index) in self.indexes.iter().enumerate() {
            let field = record.get(*index).ok_or_else(|| {
                format!("column {} is missing: the line has {}", index + 1, record.len())
            })?;
            let text = std::str::from_utf8(field)
                .map_err(|_| format!("column {} is not valid UTF-8", index + 1))?;
            if text.is_empty() {
                return Err(format!("column {} is empty", index + 1));
            }
            if position > 0 {
                joined.push('/');
            }
            joined.push_str(text);
        }
        Ok(joined)
    }
}

fn index_of(text: &str, header: Option<&ByteRecord>) -> Result<usize, CliError> {
    let named = header.and_then(|names| names.iter().position(|name| name == text.as_bytes()));
    if let Some(index) = named {
        return Ok(index);
    }
    if let Some(index) = number(text) {
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
}
