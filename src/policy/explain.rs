//! Why: the steps of a decision, for people.

use std::fmt;

use super::ask::{Ask, User};
use super::authorizer::{Authorizer, Granted};
use super::denied::Step;
use super::{Reach, node};

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who was asked.
    pub step: Step,
    /// Whether it goes on from here.
    pub passes: bool,
    /// What was found.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {} {}", self.step.label(), if self.passes { "yes" } else { "NO " }, self.text)
    }
}

impl Authorizer {
    /// The steps from the question to the answer; the last one decides.
    pub fn explain(&self, user: &User<'_>, ask: &Ask<'_>, reach: Reach) -> Vec<Line> {
        let ceilings = self.ceilings.load();
        let mut lines = Vec::new();
        match ceilings.judge(user, None, ask, reach) {
            Ok((component, rule)) => {
                let text = format!("component {}, rule {rule}", component.name);
                lines.push(Line { step: Step::Ceiling, passes: true, text });
            }
            Err(capped) => {
                let text = format!("component {}, rule {}, verb {}", capped.refuser.component, capped.refuser.rule, capped.verb);
                lines.push(Line { step: capped.refuser.step, passes: false, text });
                return lines;
            }
        }
        let (passes, text) = match self.granted(user, ask) {
            Ok(Granted::Always) => (true, "the upstream decides".to_owned()),
            Ok(Granted::Masters) => (true, "system:masters".to_owned()),
            Ok(Granted::Node) => (true, "Node: allowed to this node".to_owned()),
            Ok(Granted::Binding(binding)) => (true, binding.reason(user)),
            Err(reason) if reason.is_empty() && node::is_node(user) => (false, "neither Node nor a binding allows it".to_owned()),
            Err(reason) if reason.is_empty() => (false, "no binding allows it".to_owned()),
            Err(reason) => (false, reason),
        };
        lines.push(Line { step: Step::Backend, passes, text });
        lines
    }
}
