//! Where a record with quotes ends, and whether it can be read in one way only.

/// Other readers end a record there.
pub(super) const CARRIAGE_RETURN: &str = "a carriage return stands within the line";

/// Finds the end of a record with quotes, and what is wrong with it.
#[derive(Default)]
pub(super) struct Guard {
    is_open: bool,
    /// Where the quote that was opened last stands.
    pub(super) opened_line: u64,
    /// The record without the blanks around quoted fields.
    pub(super) clean: Vec<u8>,
    /// Which fields were quoted.
    pub(super) quoted: Vec<bool>,
    /// The first thing that is wrong, but does not hide where the record ends.
    pub(super) fault: Option<String>,
}

pub(super) enum Scanned {
    /// The record ends here.
    Complete,
    /// A quote is open: the next line belongs to the record.
    Open,
    /// Nobody knows where the record ends.
    Stop(String),
}

impl Guard {
    /// Before the first line of a record.
    pub(super) fn start(&mut self) {
        self.is_open = false;
        self.clean.clear();
        self.quoted.clear();
        self.fault = None;
    }

    /// Takes the next line of a record, without its end.
    pub(super) fn scan(&mut self, mut rest: &[u8], delimiter: u8, line: u64) -> Scanned {
        loop {
            if !self.is_open {
                let opening = skip_blanks(rest, delimiter);
                if let Some((b'"', quoted)) = opening.split_first() {
                    self.is_open = true;
                    self.opened_line = line;
                    self.quoted.push(true);
                    self.clean.push(b'"');
                    rest = quoted;
                } else {
                    let end = rest.iter().position(|byte| *byte == delimiter);
                    let (field, after) = rest.split_at(end.unwrap_or(rest.len()));
                    self.unquoted(field);
                    let Some((_, next)) = after.split_first() else { return Scanned::Complete };
                    self.clean.push(delimiter);
                    rest = next;
                    continue;
                }
            }
            let Some(after) = self.quoted(rest) else { return Scanned::Open };
            self.is_open = false;
            match skip_blanks(after, delimiter).split_first() {
                None => return Scanned::Complete,
                Some((byte, next)) if *byte == delimiter => {
                    self.clean.push(delimiter);
                    rest = next;
                }
                Some(_) => {
                    let column = self.quoted.len();
                    let text = format!("text follows the closing quote of column {column}");
                    return Scanned::Stop(text);
                }
            }
        }
    }

    /// A field without quotes around it: whatever is in it, it ends where the delimiter or the line does.
    fn unquoted(&mut self, field: &[u8]) {
        self.quoted.push(false);
        self.clean.extend_from_slice(field);
        let column = self.quoted.len();
        if field.contains(&b'"') {
            self.fault.get_or_insert_with(|| {
                format!(
                    "a quote stands within column {column}: quote the whole column, and double the \
                     quote"
                )
            });
        } else if field.contains(&b'\r') {
            self.fault.get_or_insert_with(|| CARRIAGE_RETURN.to_owned());
        }
    }

    /// Takes a quoted field up to its closing quote; what follows it, or `None` if it is still open.
    fn quoted<'a>(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let Some(end) = rest.iter().position(|byte| *byte == b'"') else {
                self.clean.extend_from_slice(rest);
                return None;
            };
            self.clean.extend_from_slice(&rest[..=end]);
            rest = &rest[end + 1..];
            match rest.split_first() {
                Some((b'"', after)) => {
                    self.clean.push(b'"');
                    rest = after;
                }
                _ => return Some(rest),
            }
        }
    }
}

fn skip_blanks(text: &[u8], delimiter: u8) -> &[u8] {
    let is_blank = |byte: &u8| b" \t".contains(byte) && *byte != delimiter;
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}
