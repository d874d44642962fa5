//! The bodies of writes: how much, in which encoding, of which kind (contract 1.3).
//!
//! Knows no verb. Reading against the type is the schema's work.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::Value;

use super::catalog::api_version;
use super::error;
use crate::body::Inbound;
use crate::request::FieldValidation;
use crate::schema::{self, Encoding, ReadError, Reading, Schema};
use crate::status::Status;

/// What a body must be: the endpoint's kind and its type.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// Group, version and kind.
    pub(crate) gvk: (&'a str, &'a str, &'a str),
    /// The type.
    pub(crate) schema: &'a Schema,
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
    let reading = expected.schema.read(body, encoding);
    let says = |value: &Value, name: &str, wanted: &str| match &value[name] {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == wanted,
        _ => false,
    };
    let plain = |reading: &Reading| {
        reading.faults.is_empty() && says(&reading.value, "kind", kind) && says(&reading.value, "apiVersion", &wanted)
    };
    let mut value = match reading {
        Ok(reading) if plain(&reading) => reading.value,
        reading => examine(expected, (body, encoding), reading, (validation, warnings))?,
    };
    value["kind"] = Value::from(kind);
    value["apiVersion"] = Value::from(wanted);
    Ok(value)
}

/// What becomes of a body that is not simply right.
fn examine(
    expected: Expected<'_>,
    (body, encoding): (&[u8], Encoding),
    reading: Result<Reading, ReadError>,
    (validation, warnings): (FieldValidation, &mut Vec<String>),
) -> Result<Value, Status> {
    let (group, version, kind) = expected.gvk;
    let wanted = api_version(group, version);
    let (own_version, own_kind) =
        schema::kind_of(body, encoding).map_err(|cause| unrecognized(kind, &cause.to_string(), body))?;
    let own_kind = if own_kind.is_empty() { kind.to_owned() } else { own_kind };
    let own_version = if own_version.is_empty() { wanted.clone() } else { own_version };
    let refuse = |cause: &str| cannot_be_handled((&own_kind, &own_version, kind), cause);
    if own_kind != kind {
        return Err(refuse(&mismatch((&own_kind, &own_version), (&wanted, kind))));
    }
    if own_version != wanted {
        return Err(other_version((&own_kind, &own_version), (&wanted, group, kind)));
    }
    let reading = reading.map_err(|error| match error {
        ReadError::Syntax(cause) | ReadError::Type(cause) => refuse(&cause),
    })?;
    match validation {
        FieldValidation::Strict if !reading.faults.is_empty() => {
            return Err(refuse(&format!("strict decoding error: {}", reading.faults.join(", "))));
        }
        FieldValidation::Warn => warnings.extend(reading.faults.iter().flat_map(|fault| told(fault)).map(str::to_owned)),
        FieldValidation::Strict | FieldValidation::Ignore => {}
    }
    Ok(reading.value)
}

/// A fault as warnings: YAML tells of all duplicate keys in one, a line each.
fn told(fault: &str) -> Vec<&str> {
    let lines = fault.strip_prefix(YAML).or_else(|| fault.strip_prefix(YAML_TO_JSON));
    lines.map_or_else(|| vec![fault], |lines| lines.split('\n').map(str::trim).collect())
}

/// 400 of a body that says what it is and cannot be read as that.
pub(crate) fn cannot_be_handled((own, own_version, kind): (&str, &str, &str), cause: &str) -> Status {
    let version = own_version.rsplit('/').next().unwrap_or("");
    Status::bad_request(format!("{own} in version {} cannot be handled as a {kind}: {cause}", error::quoted(version)))
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

const YAML: &str = "yaml: unmarshal errors:\n";
const YAML_TO_JSON: &str = "error converting YAML to JSON: yaml: unmarshal errors:\n";

const TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &[u8], how: (Encoding, FieldValidation)) -> (Result<Value, String>, Vec<String>) {
        let schema = Schema::builtin("", "v1", kind).unwrap();
        let mut warnings = Vec::new();
        let read = object(Expected { gvk: ("", "v1", kind), schema: &schema }, body, how.0, (how.1, &mut warnings));
        (read.map_err(|status| status.message), warnings)
    }

    #[test]
    fn refusals_are_kubes() {
        const UNRECOGNIZED: &str = "the object provided is unrecognized (must be of type ConfigMap): ";
        const PARSE: &str = "couldn't get version/kind; json parse error: ";
        const FIND: &str = "into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        let parse = |cause: &str, shown: &str| format!("{UNRECOGNIZED}{PARSE}{cause} ({shown})");
        let handled = |cause: &str| format!("ConfigMap in version \"v1\" cannot be handled as a ConfigMap: {cause}");
        let json = Encoding::Json;
        let rows: Vec<(&[u8], Encoding, String)> = vec![
            (b"", json, parse("unexpected end of JSON input", "<empty>")),
            (b"{\"kind\":", json, parse("unexpected end of JSON input", "{\"kind\":")),
            (b"hello", json, parse("invalid character 'h' looking for beginning of value", "68656c6c6f")),
            (b"{\"a\":1}x", json, parse("invalid character 'x' after top-level value", "{\"a\":1}x")),
            (b"\xef\xbb\xbf{}", json, parse("invalid character '\u{ef}' looking for beginning of value", "efbbbf7b7d")),
            (b"[]", json, parse(&format!("json: cannot unmarshal array {FIND}"), "5b5d")),
            (b"{\"kind\":7}", json, parse("json: cannot unmarshal number into Go struct field .kind of type string", "{\"kind\":7}")),
            (b"{\"data\":7}", json, handled("json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string")),
            (
                b"{\"kind\":\"Nope\"}",
                json,
                "Nope in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nope\" is registered for version \"v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"".to_owned(),
            ),
            (b"a: b: c", Encoding::Yaml, format!("{UNRECOGNIZED}yaml: mapping values are not allowed in this context (613a20623a2063)")),
            (b"text", Encoding::Yaml, parse(&format!("json: cannot unmarshal string {FIND}"), "74657874")),
            (b"", Encoding::Protobuf, format!("{UNRECOGNIZED}empty data (<empty>)")),
            (b"k8s\0", Encoding::Protobuf, format!("{UNRECOGNIZED}empty body (6b387300)")),
            (b"k8s\0\x0a\xff", Encoding::Protobuf, format!("{UNRECOGNIZED}unexpected EOF (6b3873000aff)")),
            (b"k8s\0\x12\x01\x0a", Encoding::Protobuf, handled("unexpected EOF")),
        ];
        for (body, encoding, message) in rows {
            let (read, _) = read("ConfigMap", body, (encoding, FieldValidation::Warn));
            assert_eq!(read.unwrap_err(), message, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn faults_are_told_as_asked() {
        use FieldValidation::{Ignore, Strict, Warn};
        let json = b"{\"data\":{\"a\":\"1\",\"a\":\"2\"},\"x\":1}".as_slice();
        let yaml = b"data:\n  a: p\n  a: q\n  b: p\n  b: q\n".as_slice();
        let refused = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: ";
        type Row<'a> = (&'a [u8], Encoding, FieldValidation, Result<(), &'a str>, &'a [&'a str]);
        let rows: [Row<'_>; 5] = [
            (json, Encoding::Json, Warn, Ok(()), &["duplicate field \"data.a\"", "unknown field \"x\""]),
            (json, Encoding::Json, Ignore, Ok(()), &[]),
            (json, Encoding::Json, Strict, Err("duplicate field \"data.a\", unknown field \"x\""), &[]),
            (
                yaml,
                Encoding::Yaml,
                Warn,
                Ok(()),
                &["line 3: key \"a\" already set in map", "line 5: key \"b\" already set in map"],
            ),
            (
                yaml,
                Encoding::Yaml,
                Strict,
                Err("yaml: unmarshal errors:\n  line 3: key \"a\" already set in map\n  line 5: key \"b\" already set in map"),
                &[],
            ),
        ];
        for (body, encoding, validation, outcome, warned) in rows {
            let (read, warnings) = read("ConfigMap", body, (encoding, validation));
            assert_eq!(read.map(drop), outcome.map_err(|cause| format!("{refused}{cause}")));
            assert_eq!(warnings, warned);
        }
    }

    #[test]
    fn bodies_need_not_say_what_they_are() {
        for (body, encoding) in [
            (b"{}".as_slice(), Encoding::Json),
            (b"null", Encoding::Json),
            (b"{\"kind\":\"\",\"apiVersion\":null}", Encoding::Json),
            (b"kind: ConfigMap", Encoding::Yaml),
            (b"k8s\0\x12\x00", Encoding::Protobuf),
        ] {
            let (read, warnings) = read("ConfigMap", body, (encoding, FieldValidation::Strict));
            assert_eq!((read.unwrap(), warnings), (serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1"}), Vec::new()));
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
            assert!(read("ConfigMap", body.as_bytes(), (Encoding::Yaml, FieldValidation::Warn)).0.is_err());
            assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        }
    }
}
