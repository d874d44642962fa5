//! Whose name a write carries, and what it may own: `metadata.managedFields` (contract 3.12).
//!
//! The rules are those of `schema::own`; here is what they must know of the request and of the resource. Knows no store.

mod reset;

use http::HeaderMap;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::catalog::{Catalog, Kind};
use super::kinds::{self, Part};
use super::{convert, error, meta};
use crate::request::is_printable;
use crate::schema::Schema;
use crate::schema::own::{self, ApplyError, Conflicts, Context, Filter, Force, Manager, ScaleOf, Sent, Versions};
use crate::status::{Cause, Details, Status};

/// One manager at work on one part of the objects of a kind.
pub(crate) struct Tracker<'a> {
    schema: &'a Schema,
    served: Served<'a>,
    subresource: &'static str,
    api_version: String,
    manager: String,
    filter: Filter,
}

/// The versions in which a kind is served.
#[derive(Clone, Copy)]
struct Served<'a> {
    /// `None` for a Scale, which has one version.
    of: Option<(&'a Catalog, &'a Kind)>,
}

impl Versions for Served<'_> {
    fn convert(&self, object: &Value, api_version: &str) -> Option<(Schema, Value)> {
        let (catalog, kind) = self.of?;
        let space = kind.storage.as_ref()?.space;
        let version = |wanted: &str| {
            let same = |other: &&std::sync::Arc<Kind>| other.storage.as_ref().is_some_and(|storage| storage.space == space);
            let mut all = catalog.all().iter().filter(same);
            all.find(|other| split(wanted) == (other.group.as_str(), other.version.as_str()))
        };
        let (from, to) = (version(object["apiVersion"].as_str().unwrap_or(""))?, version(api_version)?);
        let mut value = object.clone();
        convert::convert(gvk(from), gvk(to), &mut value).ok()?;
        Some((to.schema.clone(), value))
    }
}

impl<'a> Tracker<'a> {
    /// Who writes a part of an object of a kind, under a name.
    pub(crate) fn of(catalog: &'a Catalog, (kind, part): (&'a Kind, Part), manager: impl Into<String>) -> Self {
        Self {
            schema: &kind.schema,
            served: Served { of: Some((catalog, kind)) },
            subresource: part.subresource(),
            api_version: kind.api_version(),
            manager: manager.into(),
            filter: reset::filter(kind, part),
        }
    }

    /// Who writes a Scale.
    pub(crate) fn of_scale(schema: &'a Schema, manager: impl Into<String>) -> Self {
        Self {
            schema,
            served: Served { of: None },
            subresource: Part::Scale.subresource(),
            api_version: schema.gvk().api_version(),
            manager: manager.into(),
            filter: Filter::All,
        }
    }

    /// The type of what is written.
    pub(crate) fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// Brings an object that a client or a patch made into the form in which it is tracked.
    pub(crate) fn settle(&self, object: &mut Value) {
        if let Some((_, kind)) = self.served.of {
            kinds::default(kind, object);
        }
        self.schema.normalise(object);
    }

    /// Enters the creator of an object that is defaulted and normalised.
    pub(crate) fn created(&self, new: &mut Value, sent: Sent) {
        self.with(|context| own::on_create(context, new, sent));
    }

    /// Enters who changed an object that is defaulted and normalised.
    pub(crate) fn updated(&self, old: &Value, new: &mut Value, sent: Sent) {
        self.with(|context| own::on_update(context, old, new, sent));
    }

    /// The object with a configuration applied, or one made of it: defaulted and normalised, with its managedFields.
    ///
    /// # Errors
    /// 400, 409 or 500, in kube-apiserver's words.
    pub(crate) fn applied(&self, live: Option<&Value>, config: &Value, force: Force) -> Result<Value, Status> {
        let applied = self.with(|context| own::on_apply(context, live, config, force)).map_err(refuse)?;
        let mut object = own::typed(self.schema, config, &applied.object).map_err(refuse)?;
        self.settle(&mut object);
        Ok(object)
    }

    /// Enters who wrote the status of an object, as if by an apply of that status alone.
    fn applied_status(&self, old: &Value, new: &mut Value) {
        let config = json!({"apiVersion": new["apiVersion"], "kind": new["kind"], "metadata": {"name": meta::text(new, "name")},
            "status": new["status"]});
        let applied = self.with(|context| own::on_apply(context, Some(old), &config, Force::Yes));
        if let Ok(mut applied) = applied {
            new["metadata"]["managedFields"] = applied.object["metadata"]["managedFields"].take();
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Context<'_, Served<'_>>) -> T) -> T {
        let time = meta::now();
        let manager = Manager { name: &self.manager, subresource: self.subresource, api_version: &self.api_version, time: &time };
        work(&Context { schema: self.schema, manager: &manager, filter: &self.filter, versions: &self.served })
    }
}

/// The name of who sends a request: what it says itself, else the User-Agent up to its first `/`.
pub(crate) fn manager(named: &str, headers: &HeaderMap) -> String {
    if !named.is_empty() {
        return named.to_owned();
    }
    let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes())).unwrap_or_default();
    let mut name = String::new();
    for character in agent.split('/').next().unwrap_or("").chars().filter(|character| is_printable(*character)) {
        if name.len() + character.len_utf8() > LONGEST {
            break;
        }
        name.push(character);
    }
    name
}

/// Enters the server as who wrote the status of an object, under the name that this has in kube-apiserver.
pub(crate) fn told(catalog: &Catalog, kind: &Kind, old: &Value, new: &mut Value) {
    let tracker = |manager: &str| Tracker::of(catalog, (kind, Part::Status), manager);
    match kind.plural.as_str() {
        "flowschemas" => tracker("api-priority-and-fairness-config-consumer-v1").applied_status(old, new),
        "servicecidrs" => tracker("kubernetes-service-cidr-controller").applied_status(old, new),
        _ => tracker(SERVER).updated(old, new, Sent::Nothing),
    }
}

/// The managedFields of an object's Scale.
pub(crate) fn to_scale(kind: &Kind, object: &Value) -> Option<Value> {
    let version = kind.api_version();
    own::to_scale(object, &ScaleOf { paths: &[(&version, REPLICAS)], api_version: &version })
}

/// The managedFields of an object whose Scale was written with these.
pub(crate) fn to_parent(kind: &Kind, object: &Value, scale: &Value) -> Option<Value> {
    let version = kind.api_version();
    own::to_parent(object, scale, &ScaleOf { paths: &[(&version, REPLICAS)], api_version: &version })
}

fn refuse(error: ApplyError) -> Status {
    match error {
        ApplyError::Invalid(message) => Status::bad_request(message),
        ApplyError::Failed(message) => error::plain(message),
        ApplyError::Conflicts(conflicts) => conflict(&conflicts),
    }
}

/// 409 that names every field and who has it.
fn conflict(conflicts: &Conflicts) -> Status {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: "FieldManagerConflict",
        message: conflict.message(),
        field: conflict.field.clone(),
    });
    let details = Details { causes: causes.collect(), ..Details::default() };
    Status::new(http::StatusCode::CONFLICT, "Conflict", conflicts.message()).with_details(details)
}

fn gvk(kind: &Kind) -> convert::Gvk<'_> {
    (&kind.group, &kind.version, &kind.kind)
}

/// Group and version of an apiVersion.
fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The server itself, as kube-apiserver's own client calls itself.
pub(crate) const SERVER: &str = "kube-apiserver";

/// The controllers that run here when no controller manager does.
pub(crate) const CONTROLLERS: &str = "kube-controller-manager";

/// Bytes of a manager's name.
const LONGEST: usize = 128;

const REPLICAS: &[&str] = &["spec", "replicas"];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn managers() {
        let long = "x".repeat(200);
        for (named, agent, expected) in [
            ("me", "kubectl/v1.36.0 (linux/amd64)", "me"),
            ("", "kubectl/v1.36.0 (linux/amd64)", "kubectl"),
            ("", "curl", "curl"),
            ("", "/x", ""),
            ("", "a\tb c/1", "ab c"),
            ("", "", ""),
            ("", &long, &long[..128]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, HeaderValue::from_bytes(agent.as_bytes()).expect("a value"));
            assert_eq!(manager(named, &headers), expected, "{agent}");
        }
        assert_eq!(manager("", &HeaderMap::new()), "");
    }
}
