//! Finding single bytes in text eight at a time: headers consist of strings, and most of their bytes mean nothing.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Returns where the first `"` or `\` stands, from `at` on; the length when there is none.
pub(super) fn quote_or_backslash(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |word| equal(word, b'"') | equal(word, b'\\'), |byte| byte == b'"' || byte == b'\\')
}

/// Returns where the first byte stands that a JSON string must have escaped, from `at` on; the length when there is none.
pub(super) fn to_escape(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        |word| equal(word, b'"') | equal(word, b'\\') | below(word, 0x20),
        |byte| byte < 0x20 || byte == b'"' || byte == b'\\',
    )
}

/// `in_word` sets the high bit of the bytes it finds. A borrow may set it also for bytes after the first one found, so
/// only the first counts.
fn find(bytes: &[u8], mut at: usize, in_word: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = in_word(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !is(*byte)) {
        at += 1;
    }
    at.min(bytes.len())
}

fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ ONES * u64::from(byte), 1)
}

/// Marks the bytes below `limit`, which is at most 128.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_or_passed_over_at_every_place() {
        for byte in 0..=255u8 {
            for len in 1..20 {
                for place in 0..len {
                    let mut bytes = vec![b'x'; len];
                    bytes[place] = byte;
                    let expect = |wanted: bool| if wanted { place } else { len };
                    let is_mark = byte == b'"' || byte == b'\\';
                    assert_eq!(quote_or_backslash(&bytes, 0), expect(is_mark), "{byte} at {place} of {len}");
                    assert_eq!(to_escape(&bytes, 0), expect(is_mark || byte < 0x20), "{byte} at {place} of {len}");
                    assert_eq!(to_escape(&bytes, place + 1), len);
                }
            }
        }
    }

    #[test]
    fn it_finds_what_a_search_byte_by_byte_finds() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(..40))
                .map(|_| if random.bool() { random.u8(..) } else { random.u8(0x1E..0x24) ^ random.u8(..2) << 7 })
                .collect();
            let at = random.usize(..=bytes.len() + 3);
            let slow = |is: fn(&u8) -> bool| bytes.iter().skip(at).position(is).map_or(bytes.len(), |found| at + found);
            assert_eq!(quote_or_backslash(&bytes, at), slow(|byte| b"\"\\".contains(byte)));
            assert_eq!(to_escape(&bytes, at), slow(|byte| *byte < 0x20 || b"\"\\".contains(byte)));
        }
    }
}
