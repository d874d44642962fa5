//! The refusals of the API, in kube-apiserver's forms and words (contract 1.7).
//!
//! Knows how a refusal reads, not when it is due.

use std::collections::HashSet;
use std::fmt;

use http::StatusCode;
use serde_json::Value;

use super::catalog::Kind;
use crate::status::{Cause, Details, Status};

pub(crate) use crate::request::quote as quoted;

/// What a refusal is about: a group, a plural or a kind, and a name (empty while there is none).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The API group; empty for the core group.
    pub(crate) group: &'a str,
    /// The plural, or the kind where the form wants that.
    pub(crate) what: &'a str,
    /// The object's name.
    pub(crate) name: &'a str,
}

/// One fault of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The path of the field, like `spec.containers[0].name`.
    pub(crate) field: String,
    /// The fault's class, like `FieldValueInvalid`.
    pub(crate) reason: &'static str,
    /// The fault in words, like `Required value`.
    pub(crate) body: String,
}

impl<'a> Subject<'a> {
    /// The resource of a kind: `deployments.apps "web"`.
    pub(crate) fn resource(kind: &'a Kind, name: &'a str) -> Self {
        Self { group: &kind.group, what: &kind.plural, name }
    }

    /// The kind itself: `Deployment.apps "web"`.
    pub(crate) fn kind(kind: &'a Kind, name: &'a str) -> Self {
        Self { group: &kind.group, what: &kind.kind, name }
    }

    fn details(self) -> Details {
        Details { name: self.name.to_owned(), group: self.group.to_owned(), kind: self.what.to_owned(), ..Details::default() }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(self.what) } else { write!(f, "{}.{}", self.what, self.group) }
    }
}

impl FieldError {
    /// `Required value`, or `Required value: detail`.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(field, "FieldValueRequired", with_detail("Required value", detail))
    }

    /// `Forbidden: detail`
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(field, "FieldValueForbidden", with_detail("Forbidden", detail))
    }

    /// `Invalid value: value: detail`
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", with_detail(&format!("Invalid value: {}", printed(value)), detail))
    }

    /// The same for a string.
    pub(crate) fn invalid_text(field: impl Into<String>, value: &str, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", with_detail(&format!("Invalid value: {}", quoted(value)), detail))
    }

    /// The same for a value that is printed already.
    pub(crate) fn invalid_as(field: impl Into<String>, printed: &str, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", with_detail(&format!("Invalid value: {printed}"), detail))
    }

    /// `Invalid value: detail`, where no value is told.
    pub(crate) fn invalid_plain(field: impl Into<String>, detail: &str) -> Self {
        Self::new(field, "FieldValueInvalid", with_detail("Invalid value", detail))
    }

    /// `Unsupported value: v: supported values: "A", "B"`, where `v` is printed already.
    pub(crate) fn unsupported_as(field: impl Into<String>, printed: &str, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|value| quoted(value)).collect();
        let body = format!("Unsupported value: {printed}: supported values: {}", list.join(", "));
        Self::new(field, "FieldValueNotSupported", body)
    }

    /// `Unsupported value: "v": supported values: "A", "B"`; the caller orders the values.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|value| quoted(value)).collect();
        let body = format!("Unsupported value: {}: supported values: {}", printed(value), list.join(", "));
        Self::new(field, "FieldValueNotSupported", body)
    }

    /// `Duplicate value: v`
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {}", printed(value)))
    }

    /// `Duplicate value: v`, where `v` is printed already.
    pub(crate) fn duplicate_of(field: impl Into<String>, printed: &str) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {printed}"))
    }

    /// `Not found: v`
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(field, "FieldValueNotFound", format!("Not found: {}", printed(value)))
    }

    /// The same fault, told further: `Not found: v: detail`.
    pub(crate) fn telling(mut self, detail: &str) -> Self {
        self.body.push_str(": ");
        self.body.push_str(detail);
        self
    }

    /// `Too long: may not be more than N bytes`
    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self::new(field, "FieldValueTooLong", format!("Too long: may not be more than {most} bytes"))
    }

    /// `Too many: N: must have at most M items`
    pub(crate) fn too_many(field: impl Into<String>, count: usize, most: usize) -> Self {
        Self::new(field, "FieldValueTooMany", format!("Too many: {count}: must have at most {most} items"))
    }

    fn new(field: impl Into<String>, reason: &'static str, body: String) -> Self {
        Self { field: field.into(), reason, body }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body)
    }
}

/// 404 of an object.
pub(crate) fn not_found(subject: Subject<'_>) -> Status {
    let message = format!("{subject} {} not found", quoted(subject.name));
    Status::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(subject.details())
}

/// 409 of a create.
pub(crate) fn already_exists(subject: Subject<'_>) -> Status {
    let message = format!("{subject} {} already exists", quoted(subject.name));
    Status::new(StatusCode::CONFLICT, "AlreadyExists", message).with_details(subject.details())
}

/// 409 of a create whose every generated name was taken.
pub(crate) fn name_exhausted(subject: Subject<'_>) -> Status {
    let message = format!(
        "{subject} {} already exists, the server was not able to generate a unique name for the object",
        quoted(subject.name)
    );
    let details = Details { retry_after_seconds: 1, ..subject.details() };
    Status::new(StatusCode::CONFLICT, "AlreadyExists", message).with_details(details)
}

/// 409 of a change that does not fit the object's state.
pub(crate) fn conflict(subject: Subject<'_>, cause: impl fmt::Display) -> Status {
    let message = format!("Operation cannot be fulfilled on {subject} {}: {cause}", quoted(subject.name));
    Status::new(StatusCode::CONFLICT, "Conflict", message).with_details(subject.details())
}

/// 409 of a change made from an old version.
pub(crate) fn stale(subject: Subject<'_>) -> Status {
    conflict(subject, "the object has been modified; please apply your changes to the latest version and try again")
}

/// 422. The subject names the kind. Of very many errors the first are told: a body of three megabytes can have hundreds of thousands.
pub(crate) fn invalid(subject: Subject<'_>, errors: &[FieldError]) -> Status {
    let mut told = HashSet::new();
    let errors = &errors[..errors.len().min(MOST)];
    let parts: Vec<String> = errors.iter().map(ToString::to_string).filter(|part| told.insert(part.clone())).collect();
    let list = match parts.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        many => format!(": [{}]", many.join(", ")),
    };
    let causes = errors
        .iter()
        .map(|error| Cause { reason: error.reason, message: error.body.clone(), field: error.field.clone() })
        .collect();
    let message = format!("{subject} {} is invalid{list}", quoted(subject.name));
    let details = Details { causes, ..subject.details() };
    Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(details)
}

/// 422 of a patch that does not fit its object.
pub(crate) fn unfit() -> Status {
    let message = "the server rejected our request due to an error in our request";
    Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(Details::default())
}

/// 403 by admission.
pub(crate) fn forbidden(subject: Subject<'_>, cause: impl fmt::Display) -> Status {
    let message = match (subject.what, subject.name) {
        ("", _) => format!("forbidden: {cause}"),
        (_, "") => format!("{subject} is forbidden: {cause}"),
        (_, name) => format!("{subject} {} is forbidden: {cause}", quoted(name)),
    };
    Status::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details(subject.details())
}

/// 413
pub(crate) fn too_large(what: impl fmt::Display) -> Status {
    let message = format!("Request entity too large: {what}");
    Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
}

/// 415 of a body.
pub(crate) fn unsupported_media(accepted: &str) -> Status {
    let message = format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    Status::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
}

/// 415 of a media type that no route of the resource takes.
pub(crate) fn unrouted_media() -> Status {
    Status::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "415: Unsupported Media Type")
        .with_details(Details::default())
}

/// 500 of what is a plain error in kube-apiserver: no reason, no details.
pub(crate) fn plain(message: impl Into<String>) -> Status {
    Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
}

/// A value as a field error prints it: strings quoted as Go does, everything else as the JSON that Go writes.
pub(crate) fn printed(value: &Value) -> String {
    let Value::String(text) = value else { return escaped(value.to_string()) };
    quoted(text)
}

/// JSON as Go writes it: nothing in its strings can end a script.
pub(crate) fn escaped(json: String) -> String {
    if !json.contains(ENDING) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if ENDING.contains(&character) {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    out
}

fn with_detail(head: &str, detail: &str) -> String {
    if detail.is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}

/// What Go's JSON has no plain form for.
const ENDING: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];

/// Errors that one refusal tells.
pub(crate) const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages() {
        let pod = Subject { group: "", what: "pods", name: "p" };
        let web = Subject { group: "apps", what: "Deployment", name: "web" };
        let one = FieldError::required("spec.ports", "");
        let two = FieldError::invalid("spec.x", &json!(["a"]), "no");
        let rows = [
            (not_found(pod), 404, "NotFound", r#"pods "p" not found"#),
            (already_exists(pod), 409, "AlreadyExists", r#"pods "p" already exists"#),
            (conflict(pod, "x"), 409, "Conflict", r#"Operation cannot be fulfilled on pods "p": x"#),
            (invalid(web, &[]), 422, "Invalid", r#"Deployment.apps "web" is invalid"#),
            (
                invalid(web, std::slice::from_ref(&one)),
                422,
                "Invalid",
                r#"Deployment.apps "web" is invalid: spec.ports: Required value"#,
            ),
            (
                invalid(web, &[one.clone(), two, one]),
                422,
                "Invalid",
                r#"Deployment.apps "web" is invalid: [spec.ports: Required value, spec.x: Invalid value: ["a"]: no]"#,
            ),
            (forbidden(pod, "y"), 403, "Forbidden", r#"pods "p" is forbidden: y"#),
            (forbidden(Subject { name: "", ..pod }, "y"), 403, "Forbidden", "pods is forbidden: y"),
        ];
        for (status, code, reason, message) in rows {
            assert_eq!((status.code.as_u16(), status.reason, status.message.as_str()), (code, reason, message));
        }
    }

    #[test]
    fn causes_are_kept_where_the_message_drops_duplicates() {
        let error = FieldError::forbidden("a", "b");
        let status = invalid(Subject { group: "", what: "Pod", name: "p" }, &[error.clone(), error]);
        assert_eq!(status.message, r#"Pod "p" is invalid: a: Forbidden: b"#);
        assert_eq!(status.details.map(|details| details.causes.len()), Some(2));
    }

    #[test]
    fn quoting() {
        for (text, expected) in
            [("a", r#""a""#), ("a\"\\\n", r#""a\"\\\n""#), ("\u{1}\u{7f}", r#""\x01\x7f""#), ("\u{e9}", "\"\u{e9}\"")]
        {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_flood_of_errors_is_told_shortly_and_once() {
        let mut errors: Vec<FieldError> = (0..300_000).map(|index| FieldError::required(format!("a[{index}]"), "")).collect();
        errors.insert(0, errors[0].clone());
        let begun = std::time::Instant::now();
        let status = invalid(Subject { group: "", what: "Pod", name: "p" }, &errors);
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        assert_eq!(status.message.matches("Required value").count(), MOST - 1);
    }
}
