//! The few forms of DER that a certificate needs, written.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    match significant {
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend(long);
        }
    }
    der.extend(content);
    der
}

/// An element made of others.
pub(super) fn group(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// An unsigned integer.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1))..];
    let sign: &[u8] = if bytes.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    group(INTEGER, &[sign, bytes])
}

/// Bits, the last `unused` of which do not count.
pub(super) fn bits(unused: u8, bytes: &[u8]) -> Vec<u8> {
    group(BIT_STRING, &[&[unused], bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lengths_and_signs() {
        assert_eq!(element(OCTET_STRING, b"a"), [4, 1, b'a']);
        assert_eq!(element(OCTET_STRING, &[0; 127])[..2], [4, 127]);
        assert_eq!(element(OCTET_STRING, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(OCTET_STRING, &[0; 256])[..4], [4, 0x82, 1, 0]);
        assert_eq!(element(SEQUENCE, &[]), [0x30, 0]);
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0]), [2, 1, 0]);
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(bits(7, &[0x80]), [3, 2, 7, 0x80]);
    }
}
