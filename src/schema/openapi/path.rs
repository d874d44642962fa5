//! `paths` of a group version: what can be done with each resource.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::component::{Components, kind_json};
use super::{Resource, Subresource};
use crate::schema::load;
use crate::schema::table::Gvk;

/// The paths of the resources of one group version.
pub(super) fn of_group_version(gvk: &Gvk, resources: &[&Resource], components: &mut Components) -> Value {
    let mut paths = Paths { base: base(gvk), names: Names::of(gvk), items: Map::new(), components };
    let list = paths.components.named(&format!("{META}APIResourceList"));
    let operation = json!({
        "tags": [paths.names.tag],
        "description": "get available resources",
        "operationId": format!("get{}APIResources", paths.names.prefix),
        "responses": responses(&[("200", "OK")], content(&list, &OBJECT)),
    });
    paths.items.insert(format!("{}/", paths.base), json!({ "get": operation }));
    for resource in resources {
        paths.resource(resource);
        for subresource in &resource.subresources {
            paths.subresource(resource, subresource);
        }
    }
    paths.items.into()
}

/// Content of an answer.
pub(super) fn content(schema: &Value, types: &[&str]) -> Value {
    types.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
}

/// Answers with the same content under several codes, and 401.
pub(super) fn responses(codes: &[(&str, &str)], content: Value) -> Value {
    let mut answers: Map<String, Value> =
        codes.iter().map(|(code, text)| ((*code).to_owned(), json!({"description": text, "content": content}))).collect();
    answers.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    answers.into()
}

struct Paths<'a> {
    base: String,
    names: Names,
    items: Map<String, Value>,
    components: &'a mut Components,
}

/// How operations of a group version are called.
struct Names {
    /// `CoreV1`
    prefix: String,
    /// `core_v1`
    tag: String,
}

/// One operation before it is written.
struct Operation<'a> {
    action: &'a str,
    /// `read` and `Pod`, `delete` and `CollectionNamespacedPod`: what stands before and after the group version in its id.
    id: (&'a str, String),
    gvk: &'a Gvk,
    query: &'a [&'a str],
    body: Option<Value>,
    answers: Value,
}

impl Names {
    fn of(gvk: &Gvk) -> Self {
        let group = match &*gvk.group {
            "" => "core",
            group => group.strip_suffix(".k8s.io").unwrap_or(group),
        };
        let pascal: String = group.split(['.', '-']).map(capital).collect();
        let camel = pascal.get(..1).map(str::to_ascii_lowercase).unwrap_or_default() + pascal.get(1..).unwrap_or_default();
        Self { prefix: format!("{pascal}{}", capital(&gvk.version)), tag: format!("{camel}_{}", gvk.version) }
    }
}

impl Paths<'_> {
    fn resource(&mut self, resource: &Resource) {
        let (scope, infix) = scope(resource);
        let (kind, plural) = (&resource.gvk.kind, &resource.plural);
        let collection = format!("{}{scope}/{plural}", self.base);
        let mut item = Map::new();
        if let Some((method, operation)) = self.list(resource, &format!("{infix}{kind}")) {
            item.insert(method.to_owned(), operation);
        }
        for (verb, method) in [("create", "post"), ("deletecollection", "delete")] {
            if has(&resource.verbs, verb) {
                let operation = self.collection_operation(resource, verb);
                item.insert(method.to_owned(), operation);
            }
        }
        self.add(collection.clone(), item, &parameters(scope, &[]));
        let mut item = Map::new();
        for (verb, method) in [("get", "get"), ("update", "put"), ("patch", "patch"), ("delete", "delete")] {
            if has(&resource.verbs, verb) {
                let operation = self.item_operation(resource, verb);
                item.insert(method.to_owned(), operation);
            }
        }
        self.add(format!("{collection}/{{name}}"), item, &parameters(scope, &["name"]));
        if resource.namespaced {
            let listed = self.list(resource, &format!("{kind}ForAllNamespaces"));
            let item = listed.map(|(method, operation)| (method.to_owned(), operation)).into_iter().collect();
            self.add(format!("{}/{plural}", self.base), item, &parameters("", &[]));
        }
        self.watches(resource);
    }

    fn list(&mut self, resource: &Resource, name: &str) -> Option<(&'static str, Value)> {
        if !has(&resource.verbs, "list") {
            return None;
        }
        let list = self.components.list(&resource.schema);
        let operation = Operation {
            action: "list",
            id: ("list", name.to_owned()),
            gvk: &resource.gvk,
            query: &LIST,
            body: None,
            answers: responses(&[("200", "OK")], content(&list, &STREAM)),
        };
        Some(("get", self.write(operation)))
    }

    fn collection_operation(&mut self, resource: &Resource, verb: &str) -> Value {
        let name = format!("{}{}", scope(resource).1, resource.gvk.kind);
        if verb == "create" {
            let object = self.components.kind(&resource.schema);
            return self.object_operation((verb, name), &resource.gvk, (&object, is_custom(resource)));
        }
        let status = self.components.named(&format!("{META}Status"));
        let query: Vec<&str> = DELETE.iter().chain(LIST.iter().filter(|name| **name != "watch")).copied().collect();
        let body = self.options();
        self.write(Operation {
            action: "deletecollection",
            id: ("delete", format!("Collection{name}")),
            gvk: &resource.gvk,
            query: &query,
            body: Some(body),
            answers: responses(&[("200", "OK")], content(&status, &OBJECT)),
        })
    }

    fn item_operation(&mut self, resource: &Resource, verb: &str) -> Value {
        let name = format!("{}{}", scope(resource).1, resource.gvk.kind);
        let object = self.components.kind(&resource.schema);
        if verb != "delete" {
            return self.object_operation((verb, name), &resource.gvk, (&object, is_custom(resource)));
        }
        let answer = match resource.delete_answers_object {
            true => object,
            false => self.components.named(&format!("{META}Status")),
        };
        let body = self.options();
        self.write(Operation {
            action: "delete",
            id: ("delete", name),
            gvk: &resource.gvk,
            query: &DELETE,
            body: Some(body),
            answers: responses(&[("200", "OK"), ("202", "Accepted")], content(&answer, &OBJECT)),
        })
    }

    /// Reading, replacing, patching or posting an object at its own path.
    fn object_operation(&mut self, (verb, name): (&str, String), gvk: &Gvk, (object, custom): (&Value, bool)) -> Value {
        let answered = content(object, &OBJECT);
        let (action, word, query, body, answers): (_, _, &[&str], _, _) = match verb {
            "get" => ("get", "read", &[], None, responses(&[("200", "OK")], answered)),
            "update" => ("put", "replace", &WRITE, Some(content(object, &BODY)), responses(&UPDATED, answered)),
            "patch" => {
                let patch = self.components.named(&format!("{META}Patch"));
                let types: Vec<&str> = PATCH.iter().copied().filter(|media| !(custom && media.contains("strategic"))).collect();
                ("patch", "patch", &FORCE, Some(content(&patch, &types)), responses(&UPDATED, answered))
            }
            "delete" => ("delete", "delete", &DELETE, None, responses(&[("200", "OK")], answered)),
            _ => ("post", "create", &WRITE, Some(content(object, &BODY)), responses(&CREATED, answered)),
        };
        self.write(Operation { action, id: (word, name), gvk, query, body, answers })
    }

    fn subresource(&mut self, resource: &Resource, subresource: &Subresource) {
        let (scope, infix) = scope(resource);
        let words: String = subresource.name.split('/').map(capital).collect();
        let name = format!("{infix}{}{words}", resource.gvk.kind);
        let object = match &subresource.schema {
            Some(schema) => self.components.kind(schema),
            None => json!({"type": "string"}),
        };
        let mut item = Map::new();
        for verb in &subresource.verbs {
            let method = match verb.as_str() {
                "get" => "get",
                "create" => "post",
                "update" => "put",
                "patch" => "patch",
                "delete" => "delete",
                _ => continue,
            };
            let operation = match CONNECT.contains(&subresource.name.as_str()) {
                true => self.write(Operation {
                    action: "connect",
                    id: ("connect", format!("{}{name}", capital(method))),
                    gvk: &subresource.gvk,
                    query: &[],
                    body: None,
                    answers: responses(&[("200", "OK")], content(&json!({"type": "string"}), &["*/*"])),
                }),
                false => self.object_operation((verb, name.clone()), &subresource.gvk, (&object, is_custom(resource))),
            };
            item.insert(method.to_owned(), operation);
        }
        let path = format!("{}{scope}/{}/{{name}}/{}", self.base, resource.plural, subresource.name);
        self.add(path, item, &parameters(scope, &["name"]));
    }

    fn watches(&mut self, resource: &Resource) {
        if !has(&resource.verbs, "watch") {
            return;
        }
        let (scope, infix) = scope(resource);
        let (kind, plural, base) = (&resource.gvk.kind, &resource.plural, format!("{}/watch", self.base));
        self.watch(
            resource,
            ("watchlist", format!("{infix}{kind}List")),
            (format!("{base}{scope}/{plural}"), parameters(scope, &[])),
        );
        let one = (format!("{base}{scope}/{plural}/{{name}}"), parameters(scope, &["name"]));
        self.watch(resource, ("watch", format!("{infix}{kind}")), one);
        if resource.namespaced {
            let all = (format!("{base}/{plural}"), parameters("", &[]));
            self.watch(resource, ("watchlist", format!("{kind}ListForAllNamespaces")), all);
        }
    }

    fn watch(&mut self, resource: &Resource, (action, name): (&str, String), (path, parameters): (String, Vec<Value>)) {
        let event = self.components.named(&format!("{META}WatchEvent"));
        let operation = self.write(Operation {
            action,
            id: ("watch", name),
            gvk: &resource.gvk,
            query: &LIST,
            body: None,
            answers: responses(&[("200", "OK")], content(&event, &STREAM)),
        });
        let item = Map::from_iter([("get".to_owned(), operation)]);
        self.add(path, item, &parameters);
    }

    fn options(&mut self) -> Value {
        let options = self.components.named(&format!("{META}DeleteOptions"));
        content(&options, &BODY)
    }

    fn write(&self, operation: Operation<'_>) -> Value {
        let (word, name) = operation.id;
        let mut written = json!({
            "tags": [self.names.tag],
            "operationId": format!("{word}{}{name}", self.names.prefix),
            "responses": operation.answers,
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind": kind_json(&operation.gvk.group, &operation.gvk.version, &operation.gvk.kind),
        });
        if !operation.query.is_empty() {
            written["parameters"] = operation.query.iter().map(|name| query(name)).collect();
        }
        if let Some(body) = operation.body {
            written["requestBody"] = json!({"content": body, "required": true});
        }
        written
    }

    fn add(&mut self, path: String, mut item: Map<String, Value>, parameters: &[Value]) {
        if !item.is_empty() {
            item.insert("parameters".to_owned(), parameters.into());
            self.items.insert(path, item.into());
        }
    }
}

fn base(gvk: &Gvk) -> String {
    match &*gvk.group {
        "" => format!("/api/{}", gvk.version),
        group => format!("/apis/{group}/{}", gvk.version),
    }
}

/// What stands in paths and in ids of operations for the namespace.
fn scope(resource: &Resource) -> (&'static str, &'static str) {
    if resource.namespaced { ("/namespaces/{namespace}", "Namespaced") } else { ("", "") }
}

fn has(verbs: &[String], verb: &str) -> bool {
    verbs.iter().any(|known| known == verb)
}

/// Types that are not built in take no strategic merges.
fn is_custom(resource: &Resource) -> bool {
    !Arc::ptr_eq(resource.schema.table(), load::builtin())
}

fn parameters(scope: &str, names: &[&str]) -> Vec<Value> {
    let path =
        |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    let mut parameters: Vec<Value> = names.iter().map(|name| path(name)).collect();
    if !scope.is_empty() {
        parameters.push(path("namespace"));
    }
    parameters.push(query("pretty"));
    parameters
}

fn query(name: &str) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "allowWatchBookmarks" | "sendInitialEvents" | "watch" | "force" | "orphanDependents" => "boolean",
        _ => "string",
    };
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

const META: &str = "apimachinery.pkg.apis.meta.v1.";
const CONNECT: [&str; 4] = ["exec", "attach", "portforward", "proxy"];
const OBJECT: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAM: [&str; 5] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const BODY: [&str; 3] = OBJECT;
const PATCH: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const LIST: [&str; 10] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
const FORCE: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: [&str; 4] = ["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
const CREATED: [(&str, &str); 3] = [("200", "OK"), ("201", "Created"), ("202", "Accepted")];
const UPDATED: [(&str, &str); 2] = [("200", "OK"), ("201", "Created")];
