//! From what is permitted to what is served: the resource, the action, and the routing refusals. Pure.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::catalog::{Catalog, Kind};
use super::refusal;
use crate::request::{Resource, Verb, unescape_segment};
use crate::status::Status;

/// Where a request goes.
#[derive(Clone)]
pub struct Route {
    /// The resource.
    pub kind: Arc<Kind>,
    /// What to do.
    pub action: Action,
    /// The namespace; empty at the cluster's scope and for all namespaces.
    pub namespace: String,
    /// The object's name; of a list or watch, the name its field selector fixes, or empty.
    pub name: String,
    /// The subresource, or empty. One that the kind has, with this action.
    pub subresource: String,
    /// What follows the subresource.
    pub rest: String,
}

/// The actions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Action {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Action {
    /// Its name among discovery's verbs.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// Finds the route of a resource request. `path` is the URL's path as sent: the attributes do not tell whether it has a `namespaces` segment.
///
/// # Errors
/// 404 and 405 as kube-apiserver's router words them, 400 for names that cannot be.
pub fn find(catalog: &Catalog, asked: &Resource, verb: Verb, (method, path): (&Method, &str)) -> Result<Route, Status> {
    let kind = catalog.find(&asked.group, &asked.version, &asked.resource).ok_or_else(refusal::no_route)?;
    let scoped = has_namespace_segment(path, asked);
    if scoped && !kind.namespaced {
        return Err(refusal::no_route());
    }
    if asked.subresource.is_empty() && !asked.rest.is_empty() {
        return Err(refusal::no_route());
    }
    let action = action(verb, method);
    let route = Route {
        kind: Arc::clone(kind),
        action: action.unwrap_or(Action::Get),
        namespace: if kind.namespaced { asked.namespace.clone() } else { String::new() },
        name: asked.name.clone(),
        subresource: asked.subresource.clone(),
        rest: asked.rest.clone(),
    };
    let collection = matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection) || asked.name.is_empty();
    if kind.namespaced && !scoped && !(collection && asked.subresource.is_empty() && kind.serves("list")) {
        return Err(refusal::no_route());
    }
    let offered = offered(&route, collection).ok_or_else(refusal::no_route)?;
    let Some(action) = action.filter(|action| offered.contains(&action.verb())) else { return Err(refusal::no_method()) };
    if kind.namespaced && !scoped && !matches!(action, Action::List | Action::Watch) {
        return Err(refusal::no_method());
    }
    if kind.namespaced && asked.namespace.is_empty() && !matches!(action, Action::List | Action::Watch) {
        return Err(Status::bad_request("Namespace parameter required."));
    }
    check_name(&route.name)?;
    Ok(route)
}

/// What may be done at this place; `None` where there is no such place.
fn offered(route: &Route, collection: bool) -> Option<Vec<&str>> {
    let kind = &route.kind;
    if !route.subresource.is_empty() {
        let subresource = kind.subresource(&route.subresource)?;
        let fits = route.rest.is_empty() || subresource.name == "proxy";
        return fits.then(|| subresource.verbs.iter().map(String::as_str).collect());
    }
    let here = if collection { COLLECTION.as_slice() } else { ITEM.as_slice() };
    let offered: Vec<&str> = here.iter().copied().filter(|verb| kind.serves(verb)).collect();
    (!offered.is_empty()).then_some(offered)
}

fn action(verb: Verb, method: &Method) -> Option<Action> {
    if method == Method::HEAD {
        return None;
    }
    Some(match verb {
        Verb::Get => Action::Get,
        Verb::List => Action::List,
        // The legacy prefix says what is done, whatever the method.
        Verb::Watch if method != Method::GET => return None,
        Verb::Watch => Action::Watch,
        Verb::Create => Action::Create,
        Verb::Update => Action::Update,
        Verb::Patch => Action::Patch,
        Verb::Delete => Action::Delete,
        Verb::DeleteCollection => Action::DeleteCollection,
        Verb::Proxy | Verb::Head | Verb::Post | Verb::Put | Verb::Options | Verb::Other => return None,
    })
}

/// Whether the path reads `.../namespaces/NAMESPACE/RESOURCE...`, also with an empty namespace. A namespace itself has no such place:
/// the right to it would be the right within the namespace before it.
fn has_namespace_segment(path: &str, asked: &Resource) -> bool {
    let own = asked.resource == "namespaces";
    if !own && !asked.namespace.is_empty() {
        return true;
    }
    let decoded = unescape_segment(path);
    let head = if asked.group.is_empty() { 2 } else { 3 };
    let mut segments = decoded.as_deref().unwrap_or(path).trim_matches('/').split('/').skip(head).peekable();
    segments.next_if(|segment| matches!(*segment, "watch" | "proxy"));
    segments.next() == Some("namespaces") && (!own || segments.nth(1) == Some("namespaces"))
}

/// Refuses names that cannot be a segment of a path.
fn check_name(name: &str) -> Result<(), Status> {
    let fault = match name {
        "." => "may not be '.'",
        ".." => "may not be '..'",
        _ if name.contains('/') => "may not contain '/'",
        _ if name.contains('%') => "may not contain '%'",
        _ => return Ok(()),
    };
    Err(Status::new(StatusCode::BAD_REQUEST, "BadRequest", format!("Name parameter invalid: {name:?}: {fault}")))
}

const COLLECTION: [&str; 4] = ["create", "deletecollection", "list", "watch"];
const ITEM: [&str; 4] = ["delete", "get", "patch", "update"];

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(group: &str, resource: &str, namespace: &str, name: &str) -> Resource {
        let [group, resource, namespace, name] = [group, resource, namespace, name].map(str::to_owned);
        Resource { group, version: "v1".to_owned(), resource, namespace, name, ..Resource::default() }
    }

    #[test]
    fn routes_as_the_router_does() {
        let catalog = Catalog::builtin();
        #[rustfmt::skip]
        let rows = [
            (Verb::List, "GET", "/api/v1/namespaces/n/configmaps/", asked("", "configmaps", "n", ""), Ok(Action::List)),
            (Verb::List, "GET", "/api/v1/configmaps", asked("", "configmaps", "", ""), Ok(Action::List)),
            (Verb::List, "GET", "/api/v1/configmaps", asked("", "configmaps", "", "by-selector"), Ok(Action::List)),
            (Verb::Watch, "GET", "/api/v1/watch/namespaces/n/pods/p", asked("", "pods", "n", "p"), Ok(Action::Watch)),
            (Verb::Get, "GET", "/api/v1/namespaces/n", asked("", "namespaces", "n", "n"), Ok(Action::Get)),
            (Verb::Get, "GET", "/api/v1/nodes/n", asked("", "nodes", "", "n"), Ok(Action::Get)),
            (Verb::Get, "GET", "/api/v1/configmaps/x", asked("", "configmaps", "", "x"), Err(404)),
            (Verb::Get, "GET", "/api/v1/namespaces//configmaps/x", asked("", "configmaps", "", "x"), Err(400)),
            (Verb::Get, "GET", "/api/v1/namespaces/n/nodes/x", asked("", "nodes", "n", "x"), Err(404)),
            (Verb::Get, "GET", "/api/v1/namespaces/n/namespaces/x", asked("", "namespaces", "n", "x"), Err(404)),
            (Verb::Get, "GET", "/api/v1/namespaces/n/namespaces/n", asked("", "namespaces", "n", "n"), Err(404)),
            (Verb::Get, "GET", "/api/v1/name%73paces/n/%6eamespaces/n", asked("", "namespaces", "n", "n"), Err(404)),
            (Verb::List, "GET", "/api/v1/namespaces/n/namespaces", asked("", "namespaces", "n", ""), Err(404)),
            (Verb::List, "GET", "/api/v1/namespaces//namespaces", asked("", "namespaces", "", ""), Err(404)),
            (Verb::Create, "POST", "/api/v1/namespaces/n/namespaces", asked("", "namespaces", "n", ""), Err(404)),
            (Verb::Watch, "GET", "/api/v1/watch/namespaces/n/namespaces", asked("", "namespaces", "n", ""), Err(404)),
            (Verb::Watch, "GET", "/api/v1/watch/namespaces/n", asked("", "namespaces", "n", "n"), Ok(Action::Watch)),
            (Verb::Watch, "DELETE", "/api/v1/watch/namespaces/n/pods/p", asked("", "pods", "n", "p"), Err(405)),
            (Verb::List, "GET", "/api/v1/namespaces/n%2fConfigMaps", asked("", "ConfigMaps", "n", ""), Err(404)),
            (Verb::List, "GET", "/api/v1/namespaces/n/ConfigMaps", asked("", "ConfigMaps", "n", ""), Err(404)),
            (Verb::Create, "POST", "/api/v1/pods", asked("", "pods", "", ""), Err(405)),
            (Verb::Create, "POST", "/api/v1/bindings", asked("", "bindings", "", ""), Err(404)),
            (Verb::Create, "POST", "/api/v1/namespaces/n/bindings", asked("", "bindings", "n", ""), Ok(Action::Create)),
            (Verb::Create, "POST", "/api/v1/namespaces/n/pods/p", asked("", "pods", "n", "p"), Err(405)),
            (Verb::Update, "PUT", "/api/v1/namespaces/n/pods", asked("", "pods", "n", ""), Err(405)),
            (Verb::DeleteCollection, "DELETE", "/api/v1/pods", asked("", "pods", "", ""), Err(405)),
            (Verb::DeleteCollection, "DELETE", "/api/v1/namespaces", asked("", "namespaces", "", ""), Err(405)),
            (Verb::Get, "HEAD", "/api/v1/namespaces/n", asked("", "namespaces", "n", "n"), Err(405)),
            (Verb::Other, "OPTIONS", "/api/v1/namespaces", asked("", "namespaces", "", ""), Err(405)),
            (Verb::Get, "GET", "/api/v1/namespaces/n/pods/..", asked("", "pods", "n", ".."), Err(400)),
            (Verb::Get, "GET", "/api/v1/namespaces/n/pods/%25", asked("", "pods", "n", "%"), Err(400)),
            (
                Verb::List,
                "GET",
                "/apis/authorization.k8s.io/v1/x",
                asked("authorization.k8s.io", "selfsubjectaccessreviews", "", ""),
                Err(405),
            ),
        ];
        for (verb, method, path, asked, wanted) in rows {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let found =
                find(&catalog, &asked, verb, (&method, path)).map(|route| route.action).map_err(|refusal| refusal.code.as_u16());
            assert_eq!(found, wanted, "{method} {path}");
        }
    }

    #[test]
    fn subresources_are_those_of_the_kind() {
        let catalog = Catalog::builtin();
        for (plural, subresource, rest, verb, wanted) in [
            ("configmaps", "status", "", Verb::Get, Err(404)),
            ("pods", "status", "", Verb::Get, Ok(Action::Get)),
            ("pods", "status", "", Verb::Create, Err(405)),
            ("pods", "binding", "", Verb::Create, Ok(Action::Create)),
            ("pods", "log", "a", Verb::Get, Err(404)),
            ("pods", "", "status", Verb::Get, Err(404)),
            ("pods", "proxy", "a/b", Verb::Get, Ok(Action::Get)),
        ] {
            let asked = Resource { subresource: subresource.to_owned(), rest: rest.to_owned(), ..asked("", plural, "n", "x") };
            let path = format!("/api/v1/namespaces/n/{plural}/x/{subresource}");
            let found = find(&catalog, &asked, verb, (&Method::GET, &path)).map(|route| route.action);
            assert_eq!(found.map_err(|refusal| refusal.code.as_u16()), wanted, "{plural}/{subresource}");
        }
    }
}
