//! The bodies of writes: how much, in which encoding, of which kind (contract 1.3).
//!
//! Knows no verb. Reading against the type is the schema's work.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::Deserialize;
use serde_json::Value;

use super::catalog::api_version;
use super::error;
use crate::body::Inbound;
use crate::request::FieldValidation;
use crate::schema::{self, Encoding, ReadError, Schema};
use crate::status::Status;

/// What a body must be: the endpoint's kind and its type.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// Group, version and kind.
    pub(crate) gvk: (&'a str, &'a str, &'a str),
    /// The type.
    pub(crate) schema: &'a Schema,
}

/// What a body says it is.
#[derive(Debug, Default, Deserialize)]
struct Head {
    #[serde(default, rename = "apiVersion")]
    api_version: Option<Value>,
    #[serde(default)]
    kind: Option<Value>,
}

/// Reads a body whole.
///
/// # Errors
/// 413 over the limit, 400 when the connection breaks.
pub(crate) async fn whole(mut body: Inbound) -> Result<Bytes, Status> {
    let announced = body.size_hint().lower();
    if announced > LIMIT as u64 {
        return Err(over_limit());
    }
    let mut all = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| Status::bad_request("the body of the request could not be read").because(cause))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > LIMIT {
            return Err(over_limit());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// The encoding of an object's body.
///
/// # Errors
/// 415 for any other.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    match media_type(headers).as_str() {
        "" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => Err(error::unsupported_media(TYPES)),
    }
}

/// The Content-Type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(http::header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Reads an object of the expected kind. `kind` and `apiVersion` stand in the outcome; faults become warnings or a refusal.
///
/// # Errors
/// 400 in kube-apiserver's words.
pub(crate) fn object(
    expected: Expected<'_>,
    body: &[u8],
    encoding: Encoding,
    (validation, warnings): (FieldValidation, &mut Vec<String>),
) -> Result<Value, Status> {
    let (group, version, kind) = expected.gvk;
    let wanted = api_version(group, version);
    let (own_version, own_kind) = head(body, encoding).map_err(|cause| unrecognized(kind, &cause, body))?;
    let own_kind = if own_kind.is_empty() { kind.to_owned() } else { own_kind };
    let own_version = if own_version.is_empty() { wanted.clone() } else { own_version };
    let refuse = |cause: &str| cannot_be_handled((&own_kind, &own_version, kind), cause);
    if own_kind != kind {
        return Err(refuse(&mismatch((&own_kind, &own_version), (&wanted, kind))));
    }
    if own_version != wanted {
        return Err(other_version((&own_kind, &own_version), (&wanted, group, kind)));
    }
    let reading = expected.schema.read(body, encoding).map_err(|error| match error {
        ReadError::Syntax(cause) | ReadError::Type(cause) => refuse(&cause),
    })?;
    if !reading.faults.is_empty() {
        match validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => warnings.extend(reading.faults),
            FieldValidation::Strict => return Err(refuse(&format!("strict decoding error: {}", reading.faults.join(", ")))),
        }
    }
    let mut value = reading.value;
    value["kind"] = Value::from(kind);
    value["apiVersion"] = Value::from(wanted);
    Ok(value)
}

/// 400 of a body that says what it is and cannot be read as that.
pub(crate) fn cannot_be_handled((own, own_version, kind): (&str, &str, &str), cause: &str) -> Status {
    let version = own_version.rsplit('/').next().unwrap_or("");
    Status::bad_request(format!("{own} in version {} cannot be handled as a {kind}: {cause}", error::quoted(version)))
}

/// The apiVersion and kind a body claims; empty where it does not.
fn head(body: &[u8], encoding: Encoding) -> Result<(String, String), String> {
    let head = match encoding {
        Encoding::Json => serde_json::from_slice::<Head>(body).map_err(|cause| json_cause(body, &cause))?,
        Encoding::Yaml => yaml_head(body)?,
        Encoding::Protobuf => return protobuf_head(body),
    };
    let text = |value: Option<Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field .{name} of type string"
        )),
    };
    Ok((text(head.api_version, "apiVersion")?, text(head.kind, "kind")?))
}

fn yaml_head(body: &[u8]) -> Result<Head, String> {
    let mut value = schema::parse_yaml(body).map_err(|error| error.to_string())?;
    if !value.is_object() && !value.is_null() {
        return Err("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value".to_owned());
    }
    let mut member = |name: &str| value.get_mut(name).filter(|value| value.is_string()).map(Value::take);
    Ok(Head { api_version: member("apiVersion"), kind: member("kind") })
}

/// Reads `typeMeta` of the envelope (contract 1.4): field 1 of the envelope, in it apiVersion 1 and kind 2.
fn protobuf_head(body: &[u8]) -> Result<(String, String), String> {
    if body.is_empty() {
        return Err("empty data".to_owned());
    }
    let Some(envelope) = body.strip_prefix(b"k8s\0") else {
        return Err("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned());
    };
    let (mut api_version, mut kind) = (String::new(), String::new());
    for (number, bytes) in fields(envelope)? {
        if number != 1 {
            continue;
        }
        for (number, bytes) in fields(bytes)? {
            let text = String::from_utf8_lossy(bytes).into_owned();
            match number {
                1 => api_version = text,
                2 => kind = text,
                _ => {}
            }
        }
    }
    Ok((api_version, kind))
}

/// The length-delimited fields of a message.
fn fields(mut message: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        if tag & 7 != 2 {
            return Err("proto: illegal wireType in the envelope".to_owned());
        }
        let length = usize::try_from(varint(&mut message)?).unwrap_or(usize::MAX);
        let Some((bytes, rest)) = message.split_at_checked(length) else { return Err("unexpected EOF".to_owned()) };
        found.push((tag >> 3, bytes));
        message = rest;
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else { return Err("unexpected EOF".to_owned()) };
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("proto: integer overflow".to_owned())
}

fn json_cause(body: &[u8], cause: &serde_json::Error) -> String {
    let text = if cause.is_eof() || body.is_empty() {
        "unexpected end of JSON input".to_owned()
    } else {
        match body.get(offset(body, cause)) {
            Some(byte) if cause.is_syntax() => {
                format!("invalid character {:?} looking for beginning of value", char::from(*byte))
            }
            _ => "json: cannot unmarshal into Go value of type struct".to_owned(),
        }
    };
    format!("couldn't get version/kind; json parse error: {text}")
}

/// The byte that serde_json stopped at.
fn offset(body: &[u8], cause: &serde_json::Error) -> usize {
    let line: usize = body.split_inclusive(|byte| *byte == b'\n').take(cause.line().saturating_sub(1)).map(<[u8]>::len).sum();
    line + cause.column().saturating_sub(1)
}

/// 400 of a body that does not say what it is.
fn unrecognized(kind: &str, cause: &str, body: &[u8]) -> Status {
    let head = &body[..body.len().min(30)];
    let more = if body.len() > 30 { " ..." } else { "" };
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned(),
        Some(_) => head.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Status::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {cause} ({summary}{more})"))
}

fn mismatch((own, own_version): (&str, &str), (wanted, kind): (&str, &str)) -> String {
    let (own_group, version) = own_version.rsplit_once('/').unwrap_or(("", own_version));
    if Schema::builtin(own_group, version, own).is_none() {
        return unregistered(own, own_version);
    }
    let group = wanted.rsplit_once('/').map_or("core", |(group, _)| group.split('.').next().unwrap_or(group));
    format!("converting ({version}.{own}) to ({group}.{kind}): unknown conversion")
}

fn other_version((own, own_version): (&str, &str), (wanted, group, kind): (&str, &str, &str)) -> Status {
    let (own_group, version) = own_version.rsplit_once('/').unwrap_or(("", own_version));
    if own_group == group && Schema::builtin(own_group, version, own).is_some() {
        let message = format!("the API version in the data ({own_version}) does not match the expected API version ({wanted})");
        return Status::bad_request(message);
    }
    cannot_be_handled((own, own_version, kind), &unregistered(own, own_version))
}

fn unregistered(own: &str, own_version: &str) -> String {
    let [own, own_version] = [own, own_version].map(error::quoted);
    format!("no kind {own} is registered for version {own_version} in scheme \"pkg/api/legacyscheme/scheme.go:30\"")
}

fn over_limit() -> Status {
    error::too_large(format!("limit is {LIMIT}"))
}

/// Bytes of a body.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;

const TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        type Row<'a> = (&'a [u8], Encoding, Result<(&'a str, &'a str), &'a str>);
        let rows: [Row<'_>; 7] = [
            (br#"{"kind":"Pod","apiVersion":"v1","x":[1]}"#, Encoding::Json, Ok(("v1", "Pod"))),
            (b"{}", Encoding::Json, Ok(("", ""))),
            (b"{\"kind\":", Encoding::Json, Err("unexpected end of JSON input")),
            (b"hello", Encoding::Json, Err("invalid character")),
            (b"kind: Pod\napiVersion: v1\n", Encoding::Yaml, Ok(("v1", "Pod"))),
            (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod", Encoding::Protobuf, Ok(("v1", "Pod"))),
            (b"k8s\0\x0a\xff", Encoding::Protobuf, Err("unexpected EOF")),
        ];
        for (body, encoding, expected) in rows {
            match (head(body, encoding), expected) {
                (Ok(found), Ok((version, kind))) => assert_eq!(found, (version.to_owned(), kind.to_owned())),
                (Err(cause), Err(expected)) => assert!(cause.contains(expected), "{cause}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn unreadable_bodies_are_shown() {
        let rows: [(&[u8], &str); 3] = [
            (b"", "the object provided is unrecognized (must be of type Pod): c (<empty>)"),
            (b"{\"a\":", "the object provided is unrecognized (must be of type Pod): c ({\"a\":)"),
            (b"ab", "the object provided is unrecognized (must be of type Pod): c (6162)"),
        ];
        for (body, expected) in rows {
            assert_eq!(unrecognized("Pod", "c", body).message, expected);
        }
    }

    /// What the head is read from is as bounded as the body.
    #[test]
    fn bombs_are_refused_before_they_go_off() {
        let aliases = format!("a: &a\n{}b:\n{}", "- x\n".repeat(20_000), "- *a\n".repeat(20_000));
        let flow = "[".repeat(3 << 20);
        for body in [aliases, flow] {
            let begun = std::time::Instant::now();
            assert!(head(body.as_bytes(), Encoding::Yaml).is_err());
            assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        }
    }
}
