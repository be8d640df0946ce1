//! Searching a few bytes at once.

/// Bytes that [`matching_bytes`] looks at together.
pub const BYTES_AT_ONCE: usize = 16;

/// Which of the bytes equal `byte`: bit `n` of the result stands for byte `n`. Costs a few instructions.
#[inline(always)]
#[must_use]
pub fn matching_bytes(bytes: &[u8; BYTES_AT_ONCE], byte: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        // SAFETY: 16 bytes are read, from a reference to as many, which need no alignment; every x86-64 has SSE2.
        unsafe {
            let all = _mm_loadu_si128(bytes.as_ptr().cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8(byte.cast_signed()))) as u32
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    one_by_one(bytes, byte)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(bytes: &[u8; BYTES_AT_ONCE], byte: u8) -> u32 {
    let numbered = (0u32..).zip(bytes);
    numbered.filter(|(_, other)| **other == byte).fold(0, |found, (index, _)| found | 1 << index)
}

#[cfg(test)]
mod tests {
    use super::{matching_bytes, one_by_one};

    #[test]
    fn every_place_of_every_byte_is_found() {
        for byte in 0..=u8::MAX {
            for places in 0..=u16::MAX {
                if places % 251 != u16::from(byte) % 251 {
                    continue;
                }
                let other = byte.wrapping_add(1 + places as u8 % 255);
                let bytes =
                    std::array::from_fn(
                        |place| if places >> place & 1 == 1 { byte } else { other },
                    );
                assert_eq!(matching_bytes(&bytes, byte), places.into());
                assert_eq!(one_by_one(&bytes, byte), places.into());
            }
        }
    }
}
