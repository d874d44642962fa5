//! Every refusal as a `metav1.Status`: one type, one table.
//!
//! The message goes to the client, the cause to the log. The forms are kube-apiserver's.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Serialize;

use crate::body::{Body, Response};
use crate::identity;
use crate::policy::Denied;
use crate::request::{Media, Query, Untransformed};
use crate::store::StoreError;

/// A failure as the client sees it.
#[derive(Debug)]
pub struct Status {
    /// The HTTP status.
    pub code: StatusCode,
    /// The machine-readable reason; empty for errors that have none.
    pub reason: &'static str,
    /// What the person reads.
    pub message: String,
    /// What the refusal is about.
    pub details: Option<Details>,
    /// For the log only.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

/// Everything a step of the pipeline can answer instead of going on.
#[derive(Debug)]
pub enum Refusal {
    /// A `metav1.Status`.
    Status(Status),
    /// A line of text, where kube-apiserver says no more than that.
    Plain(Plain),
}

/// A refusal in one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The HTTP status.
    pub code: StatusCode,
    /// The line, without its newline.
    pub message: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

/// How a client wants a Status written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line, ended by a newline.
    Compact,
    /// Indented by two spaces.
    Indented,
    /// As YAML.
    Yaml,
    /// As protobuf.
    Protobuf,
}

/// The `details` of a Status. `Some(Details::default())` is written as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The plural resource or the kind, as the error's form wants it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The single faults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which to try again; also sent as `Retry-After`.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

/// One fault of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The fault's class, like `FieldValueInvalid`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'static str,
    /// The fault in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: serde_json::Map<String, serde_json::Value>,
    status: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    code: u16,
}

impl Status {
    /// A failure with neither details nor cause.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, cause: None }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// The same with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// 400 BadRequest.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 500 InternalError, in kube-apiserver's form.
    pub fn internal(message: impl fmt::Display) -> Self {
        let details = Details { causes: vec![Cause { message: message.to_string(), ..Cause::default() }], ..Details::default() };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", format!("Internal error occurred: {message}"))
            .with_details(details)
    }

    /// The body: one compact JSON object. kube-apiserver ends it with a newline.
    pub fn to_json(&self) -> Vec<u8> {
        let mut body = crate::schema::html_safe(serde_json::to_vec(&self.wire()).unwrap_or_default());
        body.push(b'\n');
        body
    }

    /// The body in a form. Indented bodies have no newline at their end.
    pub fn write(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Compact => self.to_json(),
            Form::Indented => crate::schema::html_safe(serde_json::to_vec_pretty(&self.wire()).unwrap_or_default()),
            Form::Yaml => crate::schema::yaml(&self.to_json()).unwrap_or_default(),
            Form::Protobuf => {
                let schema = crate::schema::Schema::builtin("", "v1", "Status");
                schema.and_then(|schema| schema.protobuf(&self.to_json()).ok()).unwrap_or_default()
            }
        }
    }

    /// The answer.
    ///
    /// What says that nothing is acceptable is indented JSON for everybody.
    pub fn answer(&self, form: Form) -> Response {
        let form = if self.code == StatusCode::NOT_ACCEPTABLE { Form::Indented } else { form };
        let mut response = Response::new(Body::full(self.write(form)));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.media().name()));
        if let Some(seconds) = self.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        finish(headers, self.code);
        response
    }

    fn wire(&self) -> Wire<'_> {
        Wire {
            kind: "Status",
            api_version: "v1",
            metadata: serde_json::Map::new(),
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            details: self.details.as_ref(),
            code: self.code.as_u16(),
        }
    }
}

impl Plain {
    /// A line without `Retry-After`.
    pub fn new(code: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer, as Go's `http.Error` writes it: the line ends with a newline.
    pub fn answer(&self) -> Response {
        let mut response = Response::new(Body::full(format!("{}\n", self.message)));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        finish(headers, self.code);
        response
    }
}

impl Refusal {
    /// The HTTP status.
    pub fn code(&self) -> StatusCode {
        match self {
            Self::Status(status) => status.code,
            Self::Plain(plain) => plain.code,
        }
    }

    /// The answer.
    pub fn answer(&self, form: Form) -> Response {
        match self {
            Self::Status(status) => status.answer(form),
            Self::Plain(plain) => plain.answer(),
        }
    }
}

impl Form {
    /// What a client wants: an encoding that it accepts, and indented JSON when it accepts none, or asks for that, or is one of those that
    /// people use.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(accepted) = Untransformed::of(text(ACCEPT)) else { return Self::Indented };
        let asked = Query::parse(uri.query().unwrap_or_default()).pretty();
        let person = || PEOPLE.iter().any(|agent| text(USER_AGENT).starts_with(agent));
        match accepted.media {
            Media::Yaml => Self::Yaml,
            Media::Protobuf => Self::Protobuf,
            Media::Json if accepted.pretty || asked.unwrap_or_else(person) => Self::Indented,
            Media::Json => Self::Compact,
        }
    }

    fn media(self) -> Media {
        match self {
            Self::Compact | Self::Indented => Media::Json,
            Self::Yaml => Media::Yaml,
            Self::Protobuf => Media::Protobuf,
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Plain> for Refusal {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        let again = || Details { retry_after_seconds: 1, ..Details::default() };
        match &error {
            StoreError::Unavailable(_) => {
                let message = "the store is unavailable, please try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message).with_details(again()).because(error)
            }
            // Without Retry-After: the change may have happened, so that nobody should repeat it blindly.
            StoreError::Timeout(_) => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", "Timeout: the store did not answer in time").because(error)
            }
            StoreError::TooLarge => {
                let message = "Request entity too large: the object is larger than the store takes";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
            }
            StoreError::Future(asked, newest) => {
                let message = format!("Timeout: Too large resource version: {asked}, current: {newest}");
                let cause = Cause {
                    reason: "ResourceVersionTooLarge",
                    message: "Too large resource version".to_owned(),
                    field: String::new(),
                };
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
                    .with_details(Details { causes: vec![cause], ..again() })
            }
        }
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let details = match denied.resource() {
            "" => Details::default(),
            resource => Details {
                name: denied.name().to_owned(),
                group: denied.group().to_owned(),
                kind: resource.to_owned(),
                ..Details::default()
            },
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", denied.message()).with_details(details)
    }
}

impl From<identity::Refusal> for Status {
    fn from(refusal: identity::Refusal) -> Self {
        match refusal {
            identity::Refusal::Unauthenticated(_) => Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"),
            identity::Refusal::Impersonation(message) => Self::bad_request(message),
        }
    }
}

/// The headers that every refusal has.
fn finish(headers: &mut HeaderMap, code: StatusCode) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if matches!(code, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code.as_u16(), self.reason, self.message)
    }
}

impl Error for Status {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

const PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

#[cfg(test)]
mod tests {
    use crate::store::Revision;

    use super::*;

    #[test]
    fn the_wire_form_is_kubernetes() {
        let unauthorized = Status::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
        let missing = Status::new(StatusCode::NOT_FOUND, "NotFound", "pods \"x\" not found").with_details(Details {
            name: "x".into(),
            kind: "pods".into(),
            ..Details::default()
        });
        let forbidden = Status::new(StatusCode::FORBIDDEN, "Forbidden", "forbidden").with_details(Details::default());
        let rows: [(Status, &str); 5] = [
            (
                unauthorized,
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#,
            ),
            (
                missing,
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}"#,
            ),
            (
                forbidden,
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden","reason":"Forbidden","details":{},"code":403}"#,
            ),
            (
                Status::internal("no luck"),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: no luck","reason":"InternalError","details":{"causes":[{"message":"no luck"}]},"code":500}"#,
            ),
            (
                StoreError::Future(Revision(9), Revision(3)).into(),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 9, current: 3","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}"#,
            ),
        ];
        for (status, wire) in rows {
            assert_eq!(String::from_utf8(status.to_json()).unwrap(), format!("{wire}\n"));
        }
    }

    #[test]
    fn headers_follow_the_code() {
        let response = Status::new(StatusCode::FORBIDDEN, "Forbidden", "no").answer(Form::Compact);
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache, private");

        let response = Status::from(StoreError::Unavailable("secret address".into())).answer(Form::Compact);
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &HeaderValue::from_static("1")));
        assert!(!format!("{:?}", response.body().bytes()).contains("secret"));

        let response = Plain::new(StatusCode::TOO_MANY_REQUESTS, "later").retry_after(5).answer();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        assert_eq!(response.body().bytes().unwrap(), "later\n");
    }

    #[test]
    fn people_read_indented_answers() {
        let rows = [
            ("/", "", "kubectl/v1.36", Form::Compact),
            ("/", "", "curl/8", Form::Indented),
            ("/?pretty=false", "", "curl/8", Form::Compact),
            ("/?a=b&pretty=true", "", "", Form::Indented),
            ("/?pretty=", "", "Wget/1", Form::Indented),
            ("/?pretty=yes", "", "Wget/1", Form::Compact),
            ("/", "application/json;pretty=1", "", Form::Indented),
            ("/", "application/vnd.kubernetes.protobuf,application/json", "curl/8", Form::Protobuf),
            ("/", "application/yaml", "", Form::Yaml),
            ("/", "text/html", "", Form::Indented),
        ];
        for (uri, accept, agent, form) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            headers.insert(USER_AGENT, agent.parse().unwrap());
            assert_eq!(Form::of(&uri.parse().unwrap(), &headers), form, "{uri} {accept} {agent}");
        }
        let indented = Status::bad_request("no").write(Form::Indented);
        assert!(indented.starts_with(b"{\n  \"kind\": \"Status\",\n") && indented.ends_with(b"\n}"));
    }
}
