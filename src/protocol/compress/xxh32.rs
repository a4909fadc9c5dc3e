//! The 32-bit xxHash with seed 0, the checksum of LZ4 frames.

const PRIME_1: u32 = 0x9E37_79B1;
const PRIME_2: u32 = 0x85EB_CA77;
const PRIME_3: u32 = 0xC2B2_AE3D;
const PRIME_4: u32 = 0x27D4_EB2F;
const PRIME_5: u32 = 0x1656_67B1;

pub(super) fn xxh32(data: &[u8]) -> u32 {
    let stripes = data.chunks_exact(16);
    let rest = stripes.remainder();
    let mut hash = if data.len() < 16 { PRIME_5 } else { stirred(stripes) };
    hash = hash.wrapping_add(data.len() as u32);
    let words = rest.chunks_exact(4);
    let bytes = words.remainder();
    for word in words {
        hash = hash.wrapping_add(number(word).wrapping_mul(PRIME_3)).rotate_left(17).wrapping_mul(PRIME_4);
    }
    for byte in bytes {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME_5)).rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 16)
}

/// Four lanes, each over every fourth word, and what becomes of them.
fn stirred<'a>(stripes: impl Iterator<Item = &'a [u8]>) -> u32 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0u32.wrapping_sub(PRIME_1)];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
            *lane = lane.wrapping_add(number(word).wrapping_mul(PRIME_2)).rotate_left(13).wrapping_mul(PRIME_1);
        }
    }
    let turns = [1, 7, 12, 18];
    lanes.iter().zip(turns).fold(0, |hash, (lane, turn)| hash.wrapping_add(lane.rotate_left(turn)))
}

fn number(word: &[u8]) -> u32 {
    word.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::xxh32;

    /// From the algorithm's own description and from its reference program.
    #[test]
    fn known_texts_have_known_sums() {
        assert_eq!(xxh32(b""), 0x02CC_5D05);
        assert_eq!(xxh32(b"a"), 0x550D_7456);
        assert_eq!(xxh32(b"abc"), 0x32D1_53FF);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xE229_3B2F);
    }
}
