//! Ids from names, so that people and files can refer to accounts and transfers by words.
//!
//! The hash is part of the interface: it is the same in every release and for every client, and golden vectors pin
//! it. It is BLAKE3 in its key derivation mode:
//!
//! * account: context `mizan.v1.account-name`, over the ledger (4 bytes, little-endian) and the name (UTF-8);
//! * transfer: context `mizan.v1.transfer-name`, over the text (UTF-8).
//!
//! The id is the first 16 bytes of the 32-byte hash, little-endian. While it is 0, 2^128-1 or in the engine's own
//! space (top 16 bits 0xFFFE), the 32 bytes are hashed again in the same way.

use mizan_wire::limits::id_is_reserved;

const ACCOUNT_CONTEXT: &str = "mizan.v1.account-name";
const TRANSFER_CONTEXT: &str = "mizan.v1.transfer-name";

/// The id of the account with this name in this ledger. Names are compared byte by byte.
#[must_use]
pub fn account_id(ledger: u32, name: &str) -> u128 {
    let mut input = Vec::with_capacity(4 + name.len());
    input.extend_from_slice(&ledger.to_le_bytes());
    input.extend_from_slice(name.as_bytes());
    usable_id(blake3::derive_key(ACCOUNT_CONTEXT, &input), ACCOUNT_CONTEXT)
}

/// The id of the transfer with this name. Names are compared byte by byte, over all ledgers.
#[must_use]
pub fn transfer_id(text: &str) -> u128 {
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
}
