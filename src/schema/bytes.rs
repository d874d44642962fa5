//! Base64 as Go reads it: line breaks are nothing, the bits after the last byte may be anything.

use std::borrow::Cow;

use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

/// The same bytes in the one form that Go writes; `Err` is the place of the first byte that cannot be.
pub(super) fn canonical(text: Cow<'_, str>) -> Result<Cow<'_, str>, usize> {
    if base64::engine::general_purpose::STANDARD.decode(&*text).is_ok() {
        return Ok(text);
    }
    decode(&text).map(|bytes| encode(&bytes).into())
}

/// The bytes behind the text.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    if text.contains(['\r', '\n']) {
        return decode(&text.replace(['\r', '\n'], ""));
    }
    LENIENT.decode(text).map_err(|why| match why {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
        DecodeError::InvalidLength(_) => text.len() / 4 * 4,
        DecodeError::InvalidPadding if !text.len().is_multiple_of(4) => text.len() / 4 * 4,
        DecodeError::InvalidPadding => text.len(),
    })
}

/// Appends the bytes behind the text.
pub(super) fn append(text: &str, out: &mut Vec<u8>) -> Result<(), usize> {
    let begun = out.len();
    if base64::engine::general_purpose::STANDARD.decode_vec(text, out).is_err() {
        out.truncate(begun);
        out.extend_from_slice(&decode(text)?);
    }
    Ok(())
}

/// The text of the bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go() {
        let rows = [
            ("", Ok("")),
            ("aGk=", Ok("aGk=")),
            ("aG\nk=\r\n", Ok("aGk=")),
            ("aGl=", Ok("aGk=")),
            ("a*k=", Err(1)),
            ("aGkha", Err(4)),
            ("aGk", Err(0)),
        ];
        for (text, wanted) in rows {
            assert_eq!(canonical(text.into()), wanted.map(Cow::from), "{text}");
        }
    }
}
