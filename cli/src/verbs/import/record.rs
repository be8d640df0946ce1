//! Splitting one physical line into its fields, after RFC 4180 but for one thing: no field contains a line break.
//!
//! Invariants: whatever could be read in two ways is refused, because the fields are about money: a quote that is not
//! closed in its line, a quote within an unquoted field, text after a closing quote, a carriage return within a line.
//!
//! What is absent: other ways to escape than the doubled quote.

use csv::ByteRecord;

/// Splits a line, which has no line end, into fields without the blanks around them; an error says what is wrong.
pub(super) fn split(line: &[u8], delimiter: u8, number: u64) -> Result<ByteRecord, String> {
    if line.contains(&b'\r') {
        return Err("a carriage return stands within the line".to_owned());
    }
    let mut record = ByteRecord::new();
    let mut rest = line;
    loop {
        let column = record.len() + 1;
        let opening = skip_blanks(rest, delimiter);
        let (field, after) = match opening.split_first() {
            Some((b'"', quoted)) => {
                let (field, after) = unquote(quoted)
                    .ok_or_else(|| format!("a quote opened in line {number} is not closed"))?;
                let after = skip_blanks(after, delimiter);
                if after.first().is_some_and(|byte| *byte != delimiter) {
                    return Err(format!("text follows the closing quote of column {column}"));
                }
                (field, after)
            }
            _ => {
                let end = rest.iter().position(|byte| *byte == delimiter).unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains(&b'"') {
                    return Err(format!(
                        "a quote stands within column {column}: quote the whole column, and double \
                         the quote"
                    ));
                }
                (field.to_vec(), after)
            }
        };
        record.push_field(field.trim_ascii());
        match after.split_first() {
            Some((_, next)) => rest = next,
            None => return Ok(record),
        }
    }
}

fn skip_blanks(text: &[u8], delimiter: u8) -> &[u8] {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() && *byte != delimiter;
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}

/// The text up to the closing quote, and what follows it; `None` if the quote is not closed.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut field = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        field.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.split_first() {
            Some((b'"', after)) => {
                field.push(b'"');
                rest = after;
            }
            _ => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use csv::{ReaderBuilder, Trim};

    fn fields(line: &str) -> Result<Vec<String>, String> {
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        split(line.as_bytes(), b',', 7).map(|record| record.iter().map(text).collect())
    }

    #[test]
    fn quoted_fields_may_contain_delimiters_quotes_and_blanks_around_them() {
        let found = fields(r#" a ,"1,000.00" , "say ""x""", "#).expect("splits");
        assert_eq!(found, ["a", "1,000.00", r#"say "x""#, ""]);
    }

    #[test]
    fn a_tab_that_delimits_is_no_blank() {
        let record = split(b"a\t\t \"b\"\t", b'\t', 1).expect("splits");
        assert_eq!(record, ByteRecord::from(vec!["a", "", "b", ""]));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_with_a_reason() {
        for (line, reason) in [
            ("a,\"b,c", "a quote opened in line 7 is not closed"),
            ("a,\"b\"\"", "a quote opened in line 7 is not closed"),
            ("a,b\",c", "a quote stands within column 2"),
            ("a,\"b\"c", "text follows the closing quote of column 2"),
            ("a\rb,c", "a carriage return"),
        ] {
            let error = fields(line).expect_err(line);
            assert!(error.starts_with(reason), "{line}: {error}");
        }
    }

    /// All lines of up to eight characters: what is accepted is what another reader of the format finds.
    #[test]
    fn every_short_line_that_is_accepted_is_read_as_the_format_says() {
        let mut lines = vec![String::new()];
        let mut accepted = 0;
        for _ in 0..8 {
            lines = lines
                .iter()
                .flat_map(|line| ["a", ",", "\""].map(|next| format!("{line}{next}")))
                .collect();
            for line in &lines {
                let Ok(found) = split(line.as_bytes(), b',', 1) else {
                    assert!(line.contains('"'), "{line}");
                    continue;
                };
                let mut reader = ReaderBuilder::new()
                    .has_headers(false)
                    .trim(Trim::All)
                    .buffer_capacity(64)
                    .from_reader(line.as_bytes());
                let mut expected = ByteRecord::new();
                assert!(reader.read_byte_record(&mut expected).expect("reads"), "{line}");
                assert_eq!(found, expected, "{line}");
                accepted += 1;
            }
        }
        assert!(accepted > 500, "only {accepted} lines were compared");
    }
}
