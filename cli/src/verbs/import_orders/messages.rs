//! Files of order messages: read as a stream, packed or not, one message per line.
//!
//! The format is LOBSTER's: seconds after midnight, type, order id, size, price in 1/10,000 of the currency, and
//! direction (1 buy, -1 sell; of the order that rests). What is absent: the order books that may come beside it.

use crate::error::CliError;
use crate::text_file::{SAMPLE_SIZE, wrong_kind};
use flate2::read::MultiGzDecoder;
use mizan_wire::orders::Side;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line at the most.
const LINE_SIZE_MAX: u64 = 1_024;
/// The first bytes of a packed file.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// Columns of a line.
const COLUMNS: usize = 6;

/// What a message tells of the order that it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// It was entered.
    New { side: Side, price: u64, size: u64 },
    /// It lost so many lots, and kept its place.
    Reduced { size: u64 },
    /// It ended.
    Deleted,
    /// So many of its lots were traded.
    Executed { size: u64, price: u64, side: Side },
    /// An order that nobody saw was traded, or trading was halted or resumed: nothing in the book changes.
    Other,
}

/// One line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Message {
    pub(super) line: u64,
    pub(super) order: u64,
    pub(super) event: Event,
}

/// The lines of a file.
pub(super) struct Messages {
    reader: Box<dyn BufRead>,
    name: String,
    line: u64,
}

impl Messages {
    /// Opens a file, packed with gzip or not; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let failed = |source| CliError::File { what: format!("cannot read {name}"), source };
        let file: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(failed)?)
        };
        let mut file = BufReader::new(file);
        let is_packed = file.fill_buf().map_err(failed)?.starts_with(&GZIP_MAGIC);
        let mut reader: Box<dyn BufRead> = if is_packed {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        let first = reader.fill_buf().map_err(failed)?;
        if let Some(kind) = wrong_kind(&first[..first.len().min(SAMPLE_SIZE)]) {
            return Err(CliError::Usage(format!("{name}: {kind}")));
        }
        Ok(Self { reader, name, line: 0 })
    }

    /// The line that was read last, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// The next message, or what is wrong with the line; `None` at the end. Empty lines are passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Result<Message, String>>, CliError> {
        loop {
            let mut text = Vec::new();
            let mut limited = (&mut self.reader).take(LINE_SIZE_MAX);
            let count = limited.read_until(b'\n', &mut text).map_err(|source| CliError::File {
                what: format!("cannot read {} behind line {}", self.name, self.line),
                source,
            })?;
            if count == 0 {
                return Ok(None);
            }
            self.line += 1;
            if !text.ends_with(b"\n") && count as u64 == LINE_SIZE_MAX {
                let what = format!("{} is no list of order messages", self.name);
                let text = format!("line {} is longer than {LINE_SIZE_MAX} bytes", self.line);
                let source = io::Error::new(io::ErrorKind::InvalidData, text);
                return Err(CliError::File { what, source });
            }
            let text = String::from_utf8_lossy(&text);
            let text = text.trim();
            if !text.is_empty() {
                return Ok(Some(parse(self.line, text)));
            }
        }
    }
}

fn parse(line: u64, text: &str) -> Result<Message, String> {
    let columns: Vec<&str> = text.split(',').map(str::trim).collect();
    let [_, kind, order, size, price, direction] = columns[..] else {
        return Err(format!("{} columns where {COLUMNS} are expected", columns.len()));
    };
    let whole = |name: &str, text: &str| {
        text.parse::<u64>().map_err(|_| format!("{name} `{text}` is no whole number"))
    };
    let positive = |name: &str, text: &str| match whole(name, text)? {
        0 => Err(format!("{name} is 0")),
        number => Ok(number),
    };
    let order_id = || positive("order id", order);
    let size = || positive("size", size);
    let price = || positive("price", price);
    let side = || match direction {
        "1" => Ok(Side::Buy),
        "-1" => Ok(Side::Sell),
        other => Err(format!("direction `{other}` is neither 1 nor -1")),
    };
    let event = match kind {
        "1" => Event::New { side: side()?, price: price()?, size: size()? },
        "2" => Event::Reduced { size: size()? },
        "3" => Event::Deleted,
        "4" => Event::Executed { size: size()?, price: price()?, side: side()? },
        // Hidden executions, cross trades, halts.
        "5" | "6" | "7" => return Ok(Message { line, order: 0, event: Event::Other }),
        other => return Err(format!("type `{other}` is none of 1 to 7")),
    };
    Ok(Message { line, order: order_id()?, event })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn every_type_of_message_is_read() {
        let event = |text: &str| parse(1, text).map(|message| (message.order, message.event));
        let new = Event::New { side: Side::Buy, price: 5_853_300, size: 18 };
        assert_eq!(event("34200.004241176,1,16113575,18,5853300,1"), Ok((16_113_575, new)));
        assert_eq!(event("34200.1,2,7,18,5853300,-1"), Ok((7, Event::Reduced { size: 18 })));
        assert_eq!(event("34200.1,3,7,18,5853300,-1"), Ok((7, Event::Deleted)));
        let executed = Event::Executed { size: 5, price: 100, side: Side::Sell };
        assert_eq!(event("34200.1,4,7,5,100,-1"), Ok((7, executed)));
        assert_eq!(event("34200.1,5,0,5,100,-1"), Ok((0, Event::Other)));
        assert_eq!(event("34200.1,7,0,0,-1,-1"), Ok((0, Event::Other)));
    }

    #[test]
    fn a_line_that_is_no_message_says_why() {
        for (text, reason) in [
            ("34200.1,1,7,18", "4 columns"),
            ("34200.1,9,7,18,100,1", "type `9`"),
            ("34200.1,1,x,18,100,1", "order id `x`"),
            ("34200.1,1,7,0,100,1", "size is 0"),
            ("34200.1,1,7,18,-5,1", "price `-5`"),
            ("34200.1,1,7,18,100,2", "direction `2`"),
        ] {
            let error = parse(1, text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_packed_file_is_read_as_the_same_messages_as_an_unpacked_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "34200.1,1,7,18,100,1\n\nnonsense\n34200.2,3,7,18,100,1";
        let plain = directory.path().join("plain.csv");
        std::fs::write(&plain, text).expect("writes");
        let packed = directory.path().join("packed.csv.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("packs");
        std::fs::write(&packed, encoder.finish().expect("packs")).expect("writes");
        let read = |path: &Path| {
            let mut messages = Messages::open(path).expect("opens");
            let mut all = Vec::new();
            while let Some(message) = messages.next().expect("reads") {
                all.push(message);
            }
            all
        };
        let all = read(&plain);
        assert_eq!(all, read(&packed));
        assert_eq!(all.len(), 3);
        assert!(all[1].is_err());
        assert_eq!(all[2].as_ref().map(|message| message.line), Ok(4));
        let long = directory.path().join("long.csv");
        std::fs::write(&long, vec![b'x'; 5_000]).expect("writes");
        assert!(Messages::open(&long).expect("opens").next().is_err());
    }
}
