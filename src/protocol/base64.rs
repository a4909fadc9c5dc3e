//! Base64 in the two alphabets the protocol uses, padded. The build without `acl` has no crate for it.

/// The alphabet of recall handles.
pub(crate) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// The alphabet of the bit sets in batches of acknowledgements.
pub(crate) const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(alphabet: &[u8; 64], bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = alphabet[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// As Java's decoder: the padding may be missing, but not be wrong.
pub(crate) fn decode(alphabet: &[u8; 64], text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let valid = match digits.len() % 4 {
        0 => padding == 0,
        1 => false,
        rest => padding == 0 || padding == 4 - rest,
    };
    if !valid {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            bits = bits << 6 | u32::try_from(alphabet.iter().position(|known| known == digit)?).ok()?;
        }
        let whole = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice(&whole[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_survive() {
        for len in crate::sampled(0..50usize) {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 37 + 200) as u8).collect();
            let text = encode(URL_SAFE, &bytes);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(decode(URL_SAFE, &text).unwrap(), bytes);
            assert_eq!(decode(URL_SAFE, text.trim_end_matches('=')).unwrap(), bytes, "without padding");
        }
        assert_eq!(encode(URL_SAFE, &[0xFB, 0xFF]), "-_8=");
        assert_eq!(encode(STANDARD, &[0xFB, 0xFF]), "+/8=");
    }
}
