//! What the client wants to read: media type, transformation, prettiness, compression (contract 1.5). Pure.

use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, StatusCode};

use super::Call;
use super::route::Action;
pub use crate::request::Media;
use crate::request::{Clause, Query, quote};
use crate::status::{Details, Status};

/// The negotiated form of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The encoding.
    pub media: Media,
    /// The transformation.
    pub form: Form,
    /// Two spaces of indentation, for people.
    pub pretty: bool,
    /// Whether a large answer may be compressed.
    pub gzip: bool,
    /// What the rows of a Table carry.
    pub include: Include,
}

/// What a row of a Table carries of its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Include {
    None,
    #[default]
    Metadata,
    Object,
}

/// What is made of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing: the objects themselves.
    Whole,
    /// A Table of this version of `meta.k8s.io`.
    Table(&'static str),
    /// PartialObjectMetadata of this version of `meta.k8s.io`.
    Metadata(&'static str),
    /// PartialObjectMetadataList of this version of `meta.k8s.io`.
    MetadataList(&'static str),
    /// Aggregated discovery.
    Groups,
}

/// Where the answer comes from: what it may be turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Objects and lists of them.
    Resource,
    /// A stream of events.
    Watch,
    /// A document that has an aggregated form.
    Discovery,
    /// Any other document.
    Document,
}

impl Accept {
    /// Negotiates for the answer of a verb on a resource. Writes do so before they change anything.
    ///
    /// # Errors
    /// 406 when nothing is acceptable.
    pub fn of(call: &Call<'_>) -> Result<Self, Status> {
        let place = if call.route.action == Action::Watch { Place::Watch } else { Place::Resource };
        Self::negotiate(call.request.headers(), call.request.uri().query().unwrap_or_default(), place)
    }

    /// Negotiates by the headers and the query.
    ///
    /// # Errors
    /// 406 when nothing is acceptable, 400 for an unknown `includeObject` of a Table.
    pub fn negotiate(headers: &HeaderMap, query: &str, place: Place) -> Result<Self, Status> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (media, form, asked_pretty) = choose(text(ACCEPT), place).ok_or_else(|| not_acceptable(Place::Resource))?;
        if place == Place::Watch && !media.streams() {
            return Err(not_acceptable(place));
        }
        let agent = text(USER_AGENT);
        let person = PEOPLE.iter().any(|prefix| agent.starts_with(prefix));
        let query = Query::parse(query);
        let pretty = asked_pretty || query.pretty().unwrap_or(person);
        let include = if matches!(form, Form::Table(_)) { include(&query)? } else { Include::default() };
        // Go looks for the bare word: one with a quality is none.
        let gzip = text(ACCEPT_ENCODING).split(',').any(|token| token.trim() == "gzip");
        let stream = place == Place::Watch;
        Ok(Self { media, form, pretty: pretty && media == Media::Json && !stream, gzip: gzip && !stream, include })
    }

    /// Whole objects as plain JSON: for answers nobody negotiates about.
    pub fn plain() -> Self {
        Self { media: Media::Json, form: Form::Whole, pretty: false, gzip: false, include: Include::default() }
    }
}

/// 406, naming what is served.
pub(super) fn not_acceptable(place: Place) -> Status {
    let served = match place {
        Place::Watch => "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
        _ => "application/json, application/yaml, application/vnd.kubernetes.protobuf",
    };
    unacceptable(format!("only the following media types are accepted: {served}"))
}

/// 406 with a text of its own.
pub(super) fn unacceptable(message: impl Into<String>) -> Status {
    Status::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).with_details(Details::default())
}

fn include(query: &Query<'_>) -> Result<Include, Status> {
    match query.first("includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
            quote(other)
        ))),
    }
}

/// The first clause that can be met. The aggregated form of discovery is taken wherever in the header it is asked for.
fn choose(header: &str, place: Place) -> Option<(Media, Form, bool)> {
    if header.is_empty() {
        return Some((Media::Json, Form::Whole, false));
    }
    let clauses = Clause::all(header);
    let find = |place: Place| {
        let mut pairs = clauses.iter().flat_map(|clause| Media::ALL.map(|media| (clause, media)));
        pairs.find_map(|(clause, media)| {
            let form = (clause.takes(media) && clause.fits(media)).then(|| form(clause, media, place))??;
            Some((media, form, clause.parameter("pretty") == "1"))
        })
    };
    if place == Place::Discovery { find(place).or_else(|| find(Place::Document)) } else { find(place) }
}

/// The form a clause asks for, if the place has it.
fn form(clause: &Clause<'_>, media: Media, place: Place) -> Option<Form> {
    let asked = (clause.parameter("as"), clause.parameter("g"), clause.parameter("v"));
    if !clause.transforms() {
        return (place != Place::Discovery).then_some(Form::Whole);
    }
    let version = match asked.2 {
        "v1" => "meta.k8s.io/v1",
        "v1beta1" => "meta.k8s.io/v1beta1",
        _ => "",
    };
    match (asked, place) {
        (("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"), Place::Discovery) => Some(Form::Groups),
        ((_, "meta.k8s.io", _), Place::Resource | Place::Watch) if version.is_empty() => None,
        (("Table", "meta.k8s.io", _), Place::Resource | Place::Watch) => {
            (media != Media::Protobuf).then_some(Form::Table(version))
        }
        (("PartialObjectMetadata", "meta.k8s.io", _), Place::Resource | Place::Watch) => Some(Form::Metadata(version)),
        (("PartialObjectMetadataList", "meta.k8s.io", _), Place::Resource | Place::Watch) => Some(Form::MetadataList(version)),
        _ => None,
    }
}

const PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_as_kube_apiserver_does() {
        use Form::{Groups, Metadata, Table, Whole};
        use Media::{Json, Protobuf, Yaml};
        const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
        const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        #[rustfmt::skip]
        let rows = [
            ("", Place::Resource, Some((Json, Whole))),
            ("*/*", Place::Resource, Some((Json, Whole))),
            ("text/html, application/*;q=0.8", Place::Resource, Some((Json, Whole))),
            ("application/yaml", Place::Resource, Some((Yaml, Whole))),
            ("application/json;q=0.5,application/yaml", Place::Resource, Some((Yaml, Whole))),
            ("application/yaml", Place::Watch, Some((Yaml, Whole))),
            ("application/vnd.kubernetes.protobuf,application/json", Place::Resource, Some((Protobuf, Whole))),
            ("application/json,application/vnd.kubernetes.protobuf", Place::Resource, Some((Json, Whole))),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", Place::Resource, Some((Json, Whole))),
            ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Place::Watch, Some((Protobuf, Metadata("meta.k8s.io/v1")))),
            ("application/vnd.kubernetes.protobuf", Place::Resource, Some((Protobuf, Whole))),
            ("application/vnd.kubernetes.protobuf;stream=watch", Place::Watch, Some((Protobuf, Whole))),
            ("application/json;stream=watch", Place::Watch, Some((Json, Whole))),
            ("application/json;stream=watch", Place::Resource, Some((Json, Whole))),
            ("application/yaml;stream=watch", Place::Resource, None),
            ("text/plain", Place::Resource, None),
            (TABLE, Place::Resource, Some((Json, Table("meta.k8s.io/v1")))),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Place::Watch, Some((Json, Table("meta.k8s.io/v1beta1")))),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Place::Resource, Some((Json, Whole))),
            ("application/json;as=Other;v=v1;g=meta.k8s.io", Place::Resource, None),
            (TABLE, Place::Document, None),
            ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Place::Resource, Some((Json, Metadata("meta.k8s.io/v1")))),
            (AGGREGATED, Place::Discovery, Some((Json, Groups))),
            ("application/json,application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", Place::Discovery, Some((Protobuf, Groups))),
            ("application/vnd.kubernetes.protobuf", Place::Discovery, Some((Protobuf, Whole))),
            (AGGREGATED, Place::Document, Some((Json, Whole))),
            (AGGREGATED, Place::Resource, Some((Json, Whole))),
            ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", Place::Discovery, None),
        ];
        for (header, place, wanted) in rows {
            assert_eq!(choose(header, place).map(|(media, form, _)| (media, form)), wanted, "{header}");
        }
    }

    #[test]
    fn people_read_pretty_json() {
        for (agent, query, accept, pretty) in [
            ("curl/8.0", "", "*/*", true),
            ("curl/8.0", "pretty=false", "*/*", false),
            ("kubectl/v1.36", "pretty=true", "application/json", true),
            ("kubectl/v1.36", "", "application/json;pretty=1", true),
            ("kubectl/v1.36", "", "application/json", false),
            ("curl/8.0", "", "application/yaml", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().expect("a value"));
            headers.insert(ACCEPT, accept.parse().expect("a value"));
            let accept = Accept::negotiate(&headers, query, Place::Resource).expect("acceptable");
            assert_eq!(accept.pretty, pretty, "{agent} {query}");
        }
    }
}
