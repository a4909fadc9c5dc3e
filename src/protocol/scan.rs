//! Finding single bytes in text eight at a time: headers consist of strings, and most of their bytes mean nothing.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Returns where the first `"` or `\` stands, from `at` on; the length when there is none.
#[inline]
pub(super) fn quote_or_backslash(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |word| borrow(word, b'"') | borrow(word, b'\\'))
}

/// Returns where the first byte stands that a JSON string must have escaped, from `at` on; the length when there is none.
#[inline]
pub(super) fn to_escape(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |word| borrow(word, b'"') | borrow(word, b'\\') | word.wrapping_sub(ONES * 0x20))
}

/// `in_word` sets the high bit of the ASCII bytes it finds, and what it likes of others. A borrow may reach the bytes
/// after the first one found, so only the first counts.
#[inline(always)]
fn find(bytes: &[u8], at: usize, in_word: impl Fn(u64) -> u64) -> usize {
    let mut words = bytes.get(at..).unwrap_or_default().chunks_exact(8);
    let mut passed = at;
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        let found = in_word(word) & !word & HIGHS;
        if found != 0 {
            return passed + found.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    let rest = words.remainder();
    let word = short_word(rest);
    let found = in_word(word) & !word & HIGHS;
    // With nothing found there are 64 zeros; and one may be found in what fills the word up.
    bytes.len() - rest.len() + rest.len().min(found.trailing_zeros() as usize / 8)
}

/// Makes a word of at most seven bytes, filled up with zeros, from pieces that overlap.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (bytes.len() - 4));
    }
    match *bytes {
        [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        [a] => u64::from(a),
        _ => 0,
    }
}

/// Subtracting one makes an ASCII byte negative only if it was zero, which it is after this when it was `byte`.
#[inline]
fn borrow(word: u64, byte: u8) -> u64 {
    (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES)
}

/// Reads a decimal number as Java's `Long.parseLong` does.
pub(super) fn decimal(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    // So many digits always fit; only more of them need care. Counted downwards: there is one more negative number.
    let (fitting, more) = digits.split_at(digits.len().min(18));
    let mut value = 0i64;
    for byte in fitting {
        value = value * 10 - digit(*byte)?;
    }
    for byte in more {
        value = value.checked_mul(10)?.checked_sub(digit(*byte)?)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(i64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_or_passed_over_at_every_place() {
        let places = || (1..20).flat_map(|len| (0..len).map(move |place| (len, place)));
        let all = (0..=255u8).flat_map(|byte| places().map(move |(len, place)| (byte, len, place)));
        for (byte, len, place) in crate::sampled(all) {
            let mut bytes = vec![b'x'; len];
            bytes[place] = byte;
            let expect = |wanted: bool| if wanted { place } else { len };
            let is_mark = byte == b'"' || byte == b'\\';
            assert_eq!(quote_or_backslash(&bytes, 0), expect(is_mark), "{byte} at {place} of {len}");
            assert_eq!(to_escape(&bytes, 0), expect(is_mark || byte < 0x20), "{byte} at {place} of {len}");
            assert_eq!(to_escape(&bytes, place + 1), len);
        }
    }

    #[test]
    fn a_decimal_number_is_read_as_the_standard_library_reads_it() {
        let extremes = [i64::MIN, i64::MAX, 0, -1, 1, 1_700_000_000_000].map(|number| number.to_string());
        let odd = ["", "-", "+", "+5", "--5", "007", "-0", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "\u{661}"];
        for text in
            extremes.iter().map(String::as_str).chain(odd).chain(["-9223372036854775809", "99999999999999999999"])
        {
            assert_eq!(decimal(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn it_finds_what_a_search_byte_by_byte_finds() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..crate::rounds(20_000) {
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
