//! What the objects say about rights, compiled: one immutable value, changed by making the next one.
//!
//! Every map shares its structure with its predecessor, so that following one change costs the path to it, not the size of the
//! cluster.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;

use super::ask::{ACCOUNT_PREFIX, Ask, User};
use super::graph::Graph;
use super::rbac::{self, ClusterRole, ClusterRoleBinding, Role, RoleBinding, RoleRef, Rule, Subject};
use super::rule::{Match, Table};
use crate::request::quote;

/// Roles, bindings and the node graph of one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    cluster: Scope,
    namespaces: Map<Arc<str>, Arc<Scope>>,
    pub(super) nodes: Graph,
}

/// A binding, as decisions and their reasons need it.
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// Its namespace; empty for a ClusterRoleBinding.
    pub namespace: String,
    /// The role it grants.
    pub role: RoleRef,
    /// Those whom it grants it to.
    pub subjects: Vec<Subject>,
}

/// What RBAC permits somebody in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules, in no order that means something.
    pub rules: Vec<Rule>,
    /// What could not be evaluated, empty when all could.
    pub errors: Vec<String>,
    /// Whether there are rights that rules cannot say: a node's.
    pub incomplete: bool,
}

/// Roles and bindings of one namespace, or those of the cluster.
#[derive(Clone, Debug, Default)]
struct Scope {
    roles: Map<Arc<str>, Arc<Compiled>>,
    bindings: Map<Arc<str>, Arc<Binding>>,
    users: Map<Arc<str>, Arc<[Arc<Binding>]>>,
    groups: Map<Arc<str>, Arc<[Arc<Binding>]>>,
}

#[derive(Debug)]
struct Compiled {
    rules: Vec<Rule>,
    table: Table,
}

pub(super) type Map<K, V> = imbl::GenericHashMap<K, V, foldhash::quality::RandomState, DefaultSharedPtr>;

impl Facts {
    /// The same with this cluster role, new or changed.
    #[must_use]
    pub fn with_cluster_role(&self, role: ClusterRole) -> Self {
        self.changed("", |scope| scope.set_role(&role.metadata.name, Some(role.rules)))
    }

    /// The same without it.
    #[must_use]
    pub fn without_cluster_role(&self, name: &str) -> Self {
        self.changed("", |scope| scope.set_role(name, None))
    }

    /// The same with this role, new or changed.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        self.changed(&role.metadata.namespace, |scope| scope.set_role(&role.metadata.name, Some(role.rules)))
    }

    /// The same without it.
    #[must_use]
    pub fn without_role(&self, namespace: &str, name: &str) -> Self {
        self.changed(namespace, |scope| scope.set_role(name, None))
    }

    /// The same with this cluster role binding, new or changed.
    #[must_use]
    pub fn with_cluster_role_binding(&self, binding: ClusterRoleBinding) -> Self {
        let ClusterRoleBinding { metadata, role_ref, subjects } = binding;
        let binding = Binding { name: metadata.name, namespace: String::new(), role: role_ref, subjects };
        self.changed("", |scope| scope.set_binding(binding))
    }

    /// The same without it.
    #[must_use]
    pub fn without_cluster_role_binding(&self, name: &str) -> Self {
        self.changed("", |scope| scope.remove_binding(name))
    }

    /// The same with this role binding, new or changed.
    #[must_use]
    pub fn with_role_binding(&self, binding: RoleBinding) -> Self {
        let RoleBinding { metadata, role_ref, subjects } = binding;
        let binding = Binding { name: metadata.name, namespace: metadata.namespace, role: role_ref, subjects };
        let namespace = binding.namespace.clone();
        self.changed(&namespace, |scope| scope.set_binding(binding))
    }

    /// The same without it.
    #[must_use]
    pub fn without_role_binding(&self, namespace: &str, name: &str) -> Self {
        self.changed(namespace, |scope| scope.remove_binding(name))
    }

    /// The same with another node graph.
    #[must_use]
    pub fn with_graph(&self, nodes: Graph) -> Self {
        Self { nodes, ..self.clone() }
    }

    /// Who leads to which node; the base of the next graph.
    pub fn graph(&self) -> &Graph {
        &self.nodes
    }

    /// What RBAC permits `user` in `namespace` (contract 6.7); with an empty namespace, in the cluster as a whole.
    pub fn rules_for(&self, user: &User<'_>, namespace: &str) -> Rules {
        let mut seen: Vec<&Arc<Binding>> = Vec::new();
        let mut found = Rules::default();
        let _: ControlFlow<()> = self.visit(user, namespace, |binding, role| {
            if seen.iter().any(|known| Arc::ptr_eq(known, binding)) {
                return ControlFlow::Continue(());
            }
            seen.push(binding);
            match role {
                Some(role) => found.rules.extend(role.rules.iter().cloned()),
                None => note(&mut found.errors, binding),
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// The binding that permits it.
    ///
    /// # Errors
    /// The roles that bindings of the user name and that do not exist.
    pub(super) fn find(&self, user: &User<'_>, ask: &Ask<'_>) -> Result<&Arc<Binding>, Vec<String>> {
        let mut errors = Vec::new();
        let found = self.visit(user, ask.namespace(), |binding, role| match role {
            Some(role) if role.table.find(ask, None, Match::Surely).is_some() => ControlFlow::Break(binding),
            Some(_) => ControlFlow::Continue(()),
            None => {
                note(&mut errors, binding);
                ControlFlow::Continue(())
            }
        });
        found.break_value().ok_or(errors)
    }

    /// Shows each binding that applies to `user`, those of the cluster first, with its role where that exists. A binding that
    /// names the user and one of the groups is shown twice.
    fn visit<'f, B>(
        &'f self,
        user: &User<'_>,
        namespace: &str,
        mut each: impl FnMut(&'f Arc<Binding>, Option<&'f Compiled>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace).map(|scope| &**scope) };
        for scope in [Some(&self.cluster), local].into_iter().flatten() {
            let of_user = scope.users.get(user.name).into_iter();
            let of_groups = user.groups.iter().filter_map(|group| scope.groups.get(group.as_str()));
            for binding in of_user.chain(of_groups).flat_map(|bindings| bindings.iter()) {
                each(binding, self.role_of(binding, scope))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn role_of<'f>(&'f self, binding: &Binding, scope: &'f Scope) -> Option<&'f Compiled> {
        let roles = match binding.role.kind.as_str() {
            "ClusterRole" => &self.cluster.roles,
            "Role" if !binding.namespace.is_empty() => &scope.roles,
            _ => return None,
        };
        roles.get(binding.role.name.as_str()).map(|role| &**role)
    }

    fn changed(&self, namespace: &str, change: impl FnOnce(&mut Scope)) -> Self {
        let mut next = self.clone();
        if namespace.is_empty() {
            change(&mut next.cluster);
            return next;
        }
        let mut scope = next.namespaces.get(namespace).map(|scope| Scope::clone(scope)).unwrap_or_default();
        change(&mut scope);
        if scope.roles.is_empty() && scope.bindings.is_empty() {
            next.namespaces.remove(namespace);
        } else {
            next.namespaces.insert(namespace.into(), Arc::new(scope));
        }
        next
    }
}

impl Scope {
    fn set_role(&mut self, name: &str, rules: Option<Vec<Rule>>) {
        match rules {
            None => self.roles.remove(name),
            Some(rules) => self.roles.insert(name.into(), Arc::new(Compiled { table: rbac::compile(&rules), rules })),
        };
    }

    fn set_binding(&mut self, binding: Binding) {
        self.remove_binding(&binding.name);
        let binding = Arc::new(binding);
        for subject in &binding.subjects {
            match subject.kind.as_str() {
                "User" => attach(&mut self.users, &subject.name, &binding),
                "Group" => attach(&mut self.groups, &subject.name, &binding),
                "ServiceAccount" => {
                    let namespace = if subject.namespace.is_empty() { &binding.namespace } else { &subject.namespace };
                    if !namespace.is_empty() {
                        attach(&mut self.users, &format!("{ACCOUNT_PREFIX}{namespace}:{}", subject.name), &binding);
                    }
                }
                _ => {}
            }
        }
        self.bindings.insert(binding.name.as_str().into(), binding);
    }

    fn remove_binding(&mut self, name: &str) {
        let Some(binding) = self.bindings.remove(name) else { return };
        for subject in &binding.subjects {
            match subject.kind.as_str() {
                "User" => detach(&mut self.users, &subject.name, &binding),
                "Group" => detach(&mut self.groups, &subject.name, &binding),
                _ => {
                    let namespace = if subject.namespace.is_empty() { &binding.namespace } else { &subject.namespace };
                    detach(&mut self.users, &format!("{ACCOUNT_PREFIX}{namespace}:{}", subject.name), &binding);
                }
            }
        }
    }
}

impl Binding {
    /// The first subject that means the user, as it would be named in a reason.
    fn subject_of(&self, user: &User<'_>) -> Option<String> {
        self.subjects.iter().find_map(|subject| match subject.kind.as_str() {
            "User" if subject.name == user.name => Some(format!("User {}", quote(&subject.name))),
            "Group" if user.is_in(&subject.name) => Some(format!("Group {}", quote(&subject.name))),
            "ServiceAccount" => {
                let namespace = if subject.namespace.is_empty() { &self.namespace } else { &subject.namespace };
                let account = format!("{ACCOUNT_PREFIX}{namespace}:{}", subject.name);
                (!namespace.is_empty() && account == user.name)
                    .then(|| format!("ServiceAccount {}", quote(&format!("{}/{namespace}", subject.name))))
            }
            _ => None,
        })
    }

    /// Why `user` was allowed, in kube-apiserver's words.
    pub(super) fn reason(&self, user: &User<'_>) -> String {
        let subject = self.subject_of(user).unwrap_or_default();
        format!("RBAC: allowed by {self} of {} {} to {subject}", self.role.kind, quote(&self.role.name))
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "ClusterRoleBinding {}", quote(&self.name)),
            namespace => write!(f, "RoleBinding {}", quote(&format!("{}/{namespace}", self.name))),
        }
    }
}

/// Several errors as Go's aggregate prints them.
pub(super) fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn note(errors: &mut Vec<String>, binding: &Binding) {
    let RoleRef { kind, name, .. } = &binding.role;
    let error = match kind.as_str() {
        "ClusterRole" => format!("clusterrole.rbac.authorization.k8s.io {} not found", quote(name)),
        "Role" => format!("role.rbac.authorization.k8s.io {} not found", quote(name)),
        other => format!("unsupported role reference kind: {}", quote(other)),
    };
    if !errors.contains(&error) {
        errors.push(error);
    }
}

fn attach(index: &mut Map<Arc<str>, Arc<[Arc<Binding>]>>, subject: &str, binding: &Arc<Binding>) {
    let known = index.get(subject).map_or(&[][..], |bindings| &**bindings);
    if known.iter().any(|other| Arc::ptr_eq(other, binding)) {
        return;
    }
    let place = known.partition_point(|other| other.name < binding.name);
    let (before, after) = known.split_at(place);
    let bindings = before.iter().chain([binding]).chain(after).cloned().collect();
    index.insert(subject.into(), bindings);
}

fn detach(index: &mut Map<Arc<str>, Arc<[Arc<Binding>]>>, subject: &str, binding: &Arc<Binding>) {
    let Some(known) = index.get(subject) else { return };
    let left: Arc<[Arc<Binding>]> = known.iter().filter(|other| !Arc::ptr_eq(other, binding)).cloned().collect();
    if left.is_empty() {
        index.remove(subject);
    } else {
        index.insert(subject.into(), left);
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
