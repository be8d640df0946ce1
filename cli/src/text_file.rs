//! Files that people take for text: what another kind of file is called, by its first bytes.

/// Bytes that [`wrong_kind`] looks at.
pub const SAMPLE_SIZE: usize = 64;

/// What a file is, if it is no text in UTF-8, and what to do about it; `None` if its first bytes do not show it.
#[must_use]
pub fn wrong_kind(first: &[u8]) -> Option<&'static str> {
    const UTF_16: &str = "the file is UTF-16: save it as UTF-8";
    for (start, kind) in [
        (&b"\xFF\xFE\0\0"[..], "the file is UTF-32: save it as UTF-8"),
        (b"\0\0\xFE\xFF", "the file is UTF-32: save it as UTF-8"),
        (b"\xFF\xFE", UTF_16),
        (b"\xFE\xFF", UTF_16),
        (
            b"\x1F\x8B",
            "the file is packed with gzip: unpack it, as in `set -o pipefail; gunzip -c FILE | mizan import -`",
        ),
        (b"\x28\xB5\x2F\xFD", "the file is packed with zstd: unpack it first"),
        (b"BZh", "the file is packed with bzip2: unpack it first"),
        (b"\xFD7zXZ\0", "the file is packed with xz: unpack it first"),
        (b"PK\x03\x04", "the file is a zip archive, as spreadsheets are: save the sheet as CSV"),
        (b"\xD0\xCF\x11\xE0", "the file is an old spreadsheet: save the sheet as CSV"),
        (b"%PDF", "the file is a PDF: a list of payments is needed as CSV"),
    ] {
        if first.starts_with(start) {
            return Some(kind);
        }
    }
    // Text has no zero bytes; every other byte is one if Latin letters are written with two.
    let sample = &first[..first.len().min(SAMPLE_SIZE)];
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).all(|byte| *byte == 0);
    if sample.len() >= 4 && (zeros(0) || zeros(1)) {
        return Some(UTF_16);
    }
    sample.contains(&0).then_some("the file is no text: it contains zero bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_of_files_are_named_for_what_they_are() {
        let utf_16 = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let little: Vec<u8> = utf_16("id,p").iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = utf_16("id,p").iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for (first, word) in [
            ([&b"\xFF\xFE"[..], &little].concat(), "UTF-16"),
            ([&b"\xFE\xFF"[..], &big].concat(), "UTF-16"),
            (little, "UTF-16"),
            (big, "UTF-16"),
            (b"\xFF\xFE\0\0i\0\0\0".to_vec(), "UTF-32"),
            (b"\x1F\x8B\x08\0".to_vec(), "gzip"),
            (b"PK\x03\x04rest".to_vec(), "zip"),
            (b"id,a\0b".to_vec(), "zero bytes"),
        ] {
            let kind = wrong_kind(&first);
            assert!(kind.is_some_and(|kind| kind.contains(word)), "{first:?}: {kind:?}");
        }
        for first in [&b""[..], b"i", b"id,payer\n", b"\xEF\xBB\xBFid", "é;ü".as_bytes()] {
            assert_eq!(wrong_kind(first), None, "{first:?}");
        }
    }
}
