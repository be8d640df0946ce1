//! Ids from names, so that people and files can refer to accounts and transfers by words.
//!
//! The hash is part of the interface: it is the same in every release and for every client, and golden vectors pin
//! it. It is taken of the text's normal form, so that what looks alike is alike:
//!
//! * The normal form is NFC of Unicode: a letter with an accent is the same however it was typed.
//! * Characters that nobody sees are refused: controls, format characters (zero width, direction marks), blanks
//!   other than U+0020, line and paragraph separators, fillers, variation selectors, private and unassigned ones.
//! * Letters that merely resemble each other (Latin and Cyrillic a), capitals, and ordinary blanks count as they are.
//!
//! The hash is BLAKE3 in its key derivation mode:
//!
//! * account: context `mizan.v1.account-name`, over the ledger (4 bytes, little-endian) and the name (UTF-8);
//! * transfer: context `mizan.v1.transfer-name`, over the text (UTF-8).
//!
//! The id is the first 16 bytes of the 32-byte hash, little-endian. While it is 0, 2^128-1 or in the engine's own
//! space (top 16 bits 0xFFFE), the 32 bytes are hashed again in the same way.

use mizan_wire::limits::id_is_reserved;
use std::borrow::Cow;
use thiserror::Error;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

const ACCOUNT_CONTEXT: &str = "mizan.v1.account-name";
const TRANSFER_CONTEXT: &str = "mizan.v1.transfer-name";

/// Why a text is no name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NameError {
    /// A character that nobody sees: two names that look alike would be two accounts.
    #[error(
        "character {position} is {} and cannot be seen: names that look alike would be different ones; remove it",
        code_point(*character)
    )]
    Invisible {
        /// The character.
        character: char,
        /// Which one of the text, from 1.
        position: usize,
    },
}

fn code_point(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

/// The form of a text that is hashed. Costs a look at each byte for ASCII.
///
/// # Errors
/// The text has a character that nobody sees.
pub fn normal_form(text: &str) -> Result<Cow<'_, str>, NameError> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(Cow::Borrowed(text));
    }
    if let Some((index, character)) = text.chars().enumerate().find(|(_, one)| is_invisible(*one)) {
        return Err(NameError::Invisible { character, position: index + 1 });
    }
    Ok(match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    })
}

fn is_invisible(character: char) -> bool {
    use GeneralCategory as C;
    match character.general_category() {
        C::Control | C::Format | C::LineSeparator | C::ParagraphSeparator => true,
        C::Surrogate | C::PrivateUse | C::Unassigned => true,
        C::SpaceSeparator => character != ' ',
        // What Unicode calls ignorable by default although it is a letter or a mark (DerivedCoreProperties).
        _ => matches!(
            character,
            '\u{034F}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FFA0}'
                | '\u{E0100}'..='\u{E01EF}'
        ),
    }
}

/// The id of the account with this name in this ledger.
///
/// # Errors
/// The name has a character that nobody sees.
pub fn account_id(ledger: u32, name: &str) -> Result<u128, NameError> {
    Ok(account_id_as_written(ledger, &normal_form(name)?))
}

/// The id of the transfer with this name, over all ledgers.
///
/// # Errors
/// The name has a character that nobody sees.
pub fn transfer_id(text: &str) -> Result<u128, NameError> {
    Ok(transfer_id_as_written(&normal_form(text)?))
}

/// The id that a name had before normal forms counted: the hash of its bytes as they are. Only to find what was made
/// under it.
#[must_use]
pub fn account_id_as_written(ledger: u32, name: &str) -> u128 {
    let mut input = Vec::with_capacity(4 + name.len());
    input.extend_from_slice(&ledger.to_le_bytes());
    input.extend_from_slice(name.as_bytes());
    usable_id(blake3::derive_key(ACCOUNT_CONTEXT, &input), ACCOUNT_CONTEXT)
}

/// The id that a transfer's name had before normal forms counted. Only to find what was made under it.
#[must_use]
pub fn transfer_id_as_written(text: &str) -> u128 {
    usable_id(blake3::derive_key(TRANSFER_CONTEXT, text.as_bytes()), TRANSFER_CONTEXT)
}

fn usable_id(mut hash: [u8; 32], context: &str) -> u128 {
    loop {
        let (first, _) = hash.split_first_chunk::<16>().expect("invariant: 16 of 32 bytes");
        let id = u128::from_le_bytes(*first);
        if id != 0 && id != u128::MAX && !id_is_reserved(id) {
            return id;
        }
        hash = blake3::derive_key(context, &hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_hash_is_hashed_again() {
        let mut reserved = [7; 32];
        reserved[14..16].copy_from_slice(&0xFFFE_u16.to_le_bytes());
        let again = blake3::derive_key(ACCOUNT_CONTEXT, &reserved);
        let expected = u128::from_le_bytes(again[..16].try_into().unwrap());
        assert_eq!(usable_id(reserved, ACCOUNT_CONTEXT), expected);
        for unusable in [[0; 32], [0xFF; 32]] {
            let id = usable_id(unusable, TRANSFER_CONTEXT);
            assert!(id != 0 && id != u128::MAX && !id_is_reserved(id));
        }
    }

    #[test]
    fn the_ledger_is_part_of_an_accounts_name() {
        assert_ne!(account_id(1, "alice"), account_id(2, "alice"));
        assert_ne!(account_id(1, "alice"), account_id(1, "Alice"));
        assert_ne!(account_id(1, "alice"), transfer_id("alice"));
    }

    #[test]
    fn a_letter_with_an_accent_is_one_name_however_it_was_typed() {
        let (composed, decomposed) = ("Jos\u{E9}", "Jose\u{301}");
        assert_eq!(account_id(1, composed), account_id(1, decomposed));
        assert_eq!(transfer_id(composed), transfer_id(decomposed));
        assert_ne!(account_id_as_written(1, composed), account_id_as_written(1, decomposed));
        assert_eq!(account_id(1, composed), Ok(account_id_as_written(1, composed)));
        // Angstrom sign and Hangul, from the Unicode normalization test file.
        assert_eq!(account_id(1, "\u{212B}"), account_id(1, "A\u{30A}"));
        assert_eq!(account_id(1, "\u{D4DB}"), account_id(1, "\u{1111}\u{1171}\u{11B6}"));
    }

    #[test]
    fn what_nobody_sees_is_refused_and_named() {
        for character in [
            '\0',
            '\n',
            '\t',
            '\u{1B}',
            '\u{85}',
            '\u{A0}',
            '\u{AD}',
            '\u{34F}',
            '\u{115F}',
            '\u{1680}',
            '\u{180E}',
            '\u{2003}',
            '\u{200B}',
            '\u{200D}',
            '\u{200E}',
            '\u{2028}',
            '\u{2029}',
            '\u{202E}',
            '\u{202F}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{E000}',
            '\u{FE0F}',
            '\u{FEFF}',
            '\u{FFA0}',
            '\u{E0001}',
            '\u{E0101}',
            '\u{10FFFF}',
        ] {
            let expected = Err(NameError::Invisible { character, position: 6 });
            assert_eq!(account_id(1, &format!("alice{character}")), expected, "{character:?}");
            assert_eq!(transfer_id(&format!("alice{character}b")), expected, "{character:?}");
        }
        let error = account_id(1, "a\u{200B}").expect_err("zero width").to_string();
        assert!(error.starts_with("character 2 is U+200B and cannot be seen"), "{error}");
    }

    #[test]
    fn what_people_write_is_a_name() {
        for name in [
            "alice",
            "A b",
            "Zo\u{EB}",
            "\u{645}\u{64A}\u{632}\u{627}\u{646}",
            "\u{5F20}\u{4E09}",
            "\u{1F600}",
        ] {
            assert_eq!(account_id(1, name), Ok(account_id_as_written(1, name)), "{name}");
        }
    }
}
