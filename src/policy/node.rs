//! The Node authorizer (contract 6.5): what a kubelet may do because of who it is and which pods it runs.
//!
//! Allows or has no opinion, never denies. NodeRestriction, which reads bodies, is admission's.

use super::ask::{Ask, NODE_PREFIX, NODES, Parts, Thing, User};
use super::graph::{Graph, Kind};
use super::rule::{Match, Table};
use crate::request::quote;

/// Whether the node may; else why not, in kube-apiserver's words. An empty reason is none.
pub(super) fn decide(graph: &Graph, rules: &Table, user: &User<'_>, ask: &Ask<'_>) -> Result<(), String> {
    if !is_node(user) {
        return Err(String::new());
    }
    let node = user.name.strip_prefix(NODE_PREFIX).unwrap_or_default();
    if node.is_empty() {
        return Err(format!("unknown node for user {}", quote(user.name)));
    }
    let Thing::Resource(parts) = ask.thing else { return by_rules(rules, ask) };
    let asked = Asked { graph, node, verb: ask.verb.text, parts };
    match (parts.group, parts.resource) {
        ("", "secrets") => asked.read(Kind::Secret),
        ("", "configmaps") => asked.read(Kind::ConfigMap),
        ("", "persistentvolumeclaims") if parts.subresource == "status" => asked.update_status(),
        ("", "persistentvolumeclaims") => asked.get(|asked| asked.uses(Kind::Claim)),
        ("", "persistentvolumes") => asked.get(|asked| graph.is_volume_on(parts.name, asked.node)),
        ("resource.k8s.io", "resourceclaims") => asked.get(|asked| asked.uses(Kind::ResourceClaim)),
        ("storage.k8s.io", "volumeattachments") => asked.get(|asked| graph.is_attached_to(parts.name, asked.node)),
        ("", "serviceaccounts") => asked.service_account(),
        ("coordination.k8s.io", "leases") => asked.lease(),
        ("storage.k8s.io", "csinodes") => asked.csi_node(),
        ("resource.k8s.io", "resourceslices") => asked.slice(),
        ("", "nodes") => asked.own_node(),
        ("", "pods") => asked.pod(),
        _ => by_rules(rules, ask),
    }
}

/// Whether the user is a kubelet: the group and the name together.
pub(super) fn is_node(user: &User<'_>) -> bool {
    user.name.starts_with(NODE_PREFIX) && user.is_in(NODES)
}

struct Asked<'a> {
    graph: &'a Graph,
    node: &'a str,
    verb: &'a str,
    parts: Parts<'a>,
}

impl Asked<'_> {
    fn read(&self, kind: Kind) -> Result<(), String> {
        if !matches!(self.verb, "get" | "list" | "watch") {
            return refused("can only read resources of this type");
        }
        if !self.parts.subresource.is_empty() {
            return refused("cannot read subresource");
        }
        if self.parts.namespace.is_empty() {
            return refused("can only read namespaced object of this type");
        }
        self.related(self.uses(kind))
    }

    fn get(&self, leads: impl FnOnce(&Self) -> bool) -> Result<(), String> {
        if self.verb != "get" {
            return refused("can only get individual resources of this type");
        }
        if !self.parts.subresource.is_empty() {
            return refused("cannot get subresource");
        }
        self.related(leads(self))
    }

    fn update_status(&self) -> Result<(), String> {
        match self.verb {
            "update" | "patch" => self.related(self.uses(Kind::Claim)),
            _ => refused("can only get/update/patch this type"),
        }
    }

    fn service_account(&self) -> Result<(), String> {
        if self.verb == "get" && self.parts.subresource.is_empty() {
            return self.related(self.uses(Kind::ServiceAccount));
        }
        if self.verb != "create" || self.parts.name.is_empty() {
            return refused("can only create tokens for individual service accounts");
        }
        if self.parts.subresource != "token" {
            return refused("can only create token subresource of serviceaccount");
        }
        self.related(self.uses(Kind::ServiceAccount))
    }

    /// The name of a lease to be created is in the body; NodeRestriction looks at it.
    fn lease(&self) -> Result<(), String> {
        if !matches!(self.verb, "get" | "create" | "update" | "patch" | "delete") {
            return refused("can only get, create, update, patch, or delete a node lease");
        }
        if self.parts.namespace != "kube-node-lease" {
            return refused("can only access leases in the \"kube-node-lease\" system namespace");
        }
        if self.verb != "create" && self.parts.name != self.node {
            return refused("can only access node lease with the same name as the requesting node");
        }
        Ok(())
    }

    fn csi_node(&self) -> Result<(), String> {
        if !matches!(self.verb, "get" | "create" | "update" | "patch" | "delete") {
            return refused("can only get, create, update, patch, or delete a CSINode");
        }
        if !self.parts.subresource.is_empty() {
            return refused("cannot authorize CSINode subresources");
        }
        if self.verb != "create" && self.parts.name != self.node {
            return refused("can only access CSINode with the same name as the requesting node");
        }
        Ok(())
    }

    fn slice(&self) -> Result<(), String> {
        if !self.parts.subresource.is_empty() {
            return refused("cannot authorize ResourceSlice subresources");
        }
        match self.verb {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(self.graph.is_slice_of(self.parts.name, self.node)),
            "watch" | "list" | "deletecollection" if self.selects("nodeName") || self.selects("spec.nodeName") => Ok(()),
            "watch" | "list" | "deletecollection" => {
                refused("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => refused(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
            ),
        }
    }

    fn own_node(&self) -> Result<(), String> {
        let node = self.node;
        match (self.parts.subresource, self.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") => match self.parts.name {
                "" => Err(format!("node '{node}' cannot read all nodes, only its own Node object")),
                name if name == node => Ok(()),
                name => Err(format!("node '{node}' cannot read '{name}', only its own Node object")),
            },
            _ => refused(""),
        }
    }

    fn pod(&self) -> Result<(), String> {
        match (self.parts.subresource, self.verb) {
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            ("", "get") => self.related(self.runs()),
            ("", "list" | "watch") if self.selects("spec.nodeName") => Ok(()),
            ("", "list" | "watch") if !self.parts.name.is_empty() => self.related(self.runs()),
            ("", "list" | "watch") => refused("can only list/watch pods with spec.nodeName field selector"),
            _ => refused(""),
        }
    }

    fn runs(&self) -> bool {
        self.graph.is_pod_on(self.parts.namespace, self.parts.name, self.node)
    }

    fn uses(&self, kind: Kind) -> bool {
        self.graph.is_used_on(kind, (self.parts.namespace, self.parts.name), self.node)
    }

    fn selects(&self, field: &str) -> bool {
        self.parts.fixed(field).is_some_and(|value| value == self.node)
    }

    fn related(&self, leads: bool) -> Result<(), String> {
        if self.parts.name.is_empty() {
            return refused("No Object name found");
        }
        if leads {
            return Ok(());
        }
        Err(format!("no relationship found between node '{}' and this object", self.node))
    }
}

fn by_rules(rules: &Table, ask: &Ask<'_>) -> Result<(), String> {
    rules.find(ask, None, Match::Surely).map(drop).ok_or_else(String::new)
}

fn refused(reason: &str) -> Result<(), String> {
    Err(reason.to_owned())
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
