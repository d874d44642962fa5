//! A refusal, and the words in which the client reads it (contract 1.8).

use std::fmt;
use std::sync::Arc;

use super::ask::{Ask, Thing, User};
use crate::request::quote;

/// Why a request is refused. The client reads kube-apiserver's Forbidden; the component and the rule are for the log and the
/// metrics.
#[derive(Debug)]
pub struct Denied(Box<Refusal>);

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The component asks for another kind of credential.
    Proof,
    /// A deny rule of the component.
    Deny,
    /// No allow rule of the component.
    Ceiling,
    /// RBAC and Node.
    Backend,
}

/// Where a ceiling refused: for labels and logs.
#[derive(Clone, Debug)]
pub(super) struct Refuser {
    pub(super) step: Step,
    pub(super) component: Arc<str>,
    pub(super) rule: Box<str>,
}

#[derive(Debug)]
struct Refusal {
    form: Form,
    group: String,
    resource: String,
    name: String,
    refuser: Refuser,
}

/// The inner text.
#[derive(Debug)]
enum Form {
    /// `User "u" cannot ...`, then the reason.
    Cannot { what: String, reason: String },
    /// The reason alone: kube-apiserver's form where an update turns out to create.
    Reason(String),
}

impl Denied {
    pub(super) fn new(user: &User<'_>, ask: &Ask<'_>, reason: String, refuser: Refuser) -> Self {
        let form = Form::Cannot { what: cannot(user.name, ask), reason };
        let (group, resource, name) = match ask.thing {
            Thing::Path(_) => Default::default(),
            Thing::Resource(parts) => (parts.group.to_owned(), parts.resource.to_owned(), parts.name.to_owned()),
        };
        Self(Box::new(Refusal { form, group, resource, name, refuser }))
    }

    /// The same refusal in the form of an update that would create.
    pub(super) fn of_creation(mut self) -> Self {
        if let Form::Cannot { reason, .. } = &mut self.0.form {
            self.0.form = Form::Reason(std::mem::take(reason));
        }
        self
    }

    /// The API group for the Status's details; empty for the core group and for paths.
    pub fn group(&self) -> &str {
        &self.0.group
    }

    /// The resource, which the Status's details call kind; empty for paths.
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// The object's name, where the URL has one.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who said no.
    pub fn step(&self) -> Step {
        self.0.refuser.step
    }

    /// The component whose ceiling refused; that of the caller where the backend did.
    pub fn component(&self) -> &str {
        &self.0.refuser.component
    }

    /// The rule that refused, as configured; `-` where none did.
    pub fn rule(&self) -> &str {
        &self.0.refuser.rule
    }

    /// The message of the Status: kube-apiserver's, to the letter.
    pub fn message(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { form, group, resource, name, .. } = &*self.0;
        f.write_str(resource)?;
        if !group.is_empty() && !resource.is_empty() {
            write!(f, ".{group}")?;
        }
        if !name.is_empty() && !resource.is_empty() {
            write!(f, " {}", quote(name))?;
        }
        f.write_str(if resource.is_empty() { "forbidden: " } else { " is forbidden: " })?;
        match form {
            Form::Reason(reason) => f.write_str(reason),
            Form::Cannot { what, reason } if reason.is_empty() => f.write_str(what),
            Form::Cannot { what, reason } => write!(f, "{what}: {reason}"),
        }
    }
}

impl std::error::Error for Denied {}

impl Step {
    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Deny => "deny",
            Self::Ceiling => "ceiling",
            Self::Backend => "backend",
        }
    }
}

fn cannot(user: &str, ask: &Ask<'_>) -> String {
    let (user, verb) = (quote(user), ask.verb.text);
    let text = match ask.thing {
        Thing::Path(path) => format!("User {user} cannot {verb} path {}", quote(path)),
        Thing::Resource(parts) => {
            let resource = match parts.subresource {
                "" => quote(parts.resource),
                subresource => quote(&format!("{}/{subresource}", parts.resource)),
            };
            let place = match parts.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {}", quote(namespace)),
            };
            format!("User {user} cannot {verb} resource {resource} in API group {} {place}", quote(parts.group))
        }
    };
    escaped(&text)
}

fn escaped(text: &str) -> String {
    if !text.contains(['&', '<', '>']) {
        return text.to_owned();
    }
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Resource, Target};

    fn denied(user: &str, verb: &str, target: &Target, reason: &str) -> String {
        let user = User { name: user, groups: &[], extra: None };
        let refuser = Refuser { step: Step::Backend, component: "x".into(), rule: "-".into() };
        Denied::new(&user, &Ask::new(verb, target), reason.to_owned(), refuser).message()
    }

    fn resource(group: &str, resource: &str, namespace: &str, name: &str) -> Target {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Target::Resource(Resource {
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Resource::default()
        })
    }

    #[test]
    fn texts_are_kube_apiservers() {
        for (user, verb, target, reason, text) in [
            (
                "alice",
                "list",
                resource("", "secrets", "ns", ""),
                "",
                "secrets is forbidden: User \"alice\" cannot list resource \"secrets\" in API group \"\" in the namespace \"ns\"",
            ),
            (
                "alice",
                "get",
                resource("", "pods/log", "ns", "p"),
                "",
                "pods \"p\" is forbidden: User \"alice\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"ns\"",
            ),
            (
                "a<b>&\"",
                "patch",
                resource("apps", "deployments", "", "d"),
                "why <not>",
                "deployments.apps \"d\" is forbidden: User \"a&lt;b&gt;&amp;\\\"\" cannot patch resource \"deployments\" in API group \"apps\" at the cluster scope: why <not>",
            ),
            (
                "system:anonymous",
                "get",
                Target::Path("/x\n".to_owned()),
                "",
                "forbidden: User \"system:anonymous\" cannot get path \"/x\\n\"",
            ),
        ] {
            assert_eq!(denied(user, verb, &target, reason), text);
        }
    }
}
