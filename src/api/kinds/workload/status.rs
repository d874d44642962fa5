//! What controllers may say of their progress.

use serde_json::Value;

use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::meta;

/// The rules of a change of the status.
pub(super) fn check(kind: &Kind, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let status = root.at("status");
    let (counts, rules) = rules(&kind.kind);
    for member in counts {
        status.at(member).not_negative(errors);
    }
    let count = |member: &str| status.at(member).count();
    for (less, more, fault) in rules {
        if count(less) > count(more) {
            errors.push(status.at(less).invalid_as(&count(less).to_string(), fault));
        }
    }
    if kind.kind == "StatefulSet" {
        errors.extend(meta::check_change(new, old));
    }
    let (own, stored) = (status.at("collisionCount"), &old["status"]["collisionCount"]);
    if stored.as_i64().is_some_and(|stored| own.is_absent() || own.count() < stored) {
        errors.push(own.invalid_as(&own.count().to_string(), "cannot be decremented"));
    }
}

/// A count, another that it does not exceed, and what is said if it does.
type Rule = (&'static str, &'static str, &'static str);

fn rules(kind: &str) -> (&'static [&'static str], &'static [Rule]) {
    match kind {
        "Deployment" => (
            &[
                "observedGeneration",
                "replicas",
                "updatedReplicas",
                "readyReplicas",
                "availableReplicas",
                "unavailableReplicas",
                "terminatingReplicas",
                "collisionCount",
            ],
            &[
                ("updatedReplicas", "replicas", ABOVE),
                ("readyReplicas", "replicas", ABOVE),
                ("availableReplicas", "replicas", ABOVE),
                ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
            ],
        ),
        "DaemonSet" => (
            &[
                "currentNumberScheduled",
                "numberMisscheduled",
                "desiredNumberScheduled",
                "numberReady",
                "observedGeneration",
                "updatedNumberScheduled",
                "numberAvailable",
                "numberUnavailable",
                "collisionCount",
            ],
            &[],
        ),
        "StatefulSet" => (
            &[
                "replicas",
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
                "observedGeneration",
                "collisionCount",
            ],
            &[
                ("readyReplicas", "replicas", ABOVE),
                ("currentReplicas", "replicas", ABOVE),
                ("updatedReplicas", "replicas", ABOVE),
                ("availableReplicas", "replicas", ABOVE),
                ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"),
            ],
        ),
        _ => (
            &[
                "replicas",
                "fullyLabeledReplicas",
                "readyReplicas",
                "availableReplicas",
                "terminatingReplicas",
                "observedGeneration",
            ],
            &[
                ("fullyLabeledReplicas", "replicas", ABOVE),
                ("readyReplicas", "replicas", ABOVE),
                ("availableReplicas", "replicas", ABOVE),
                ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
            ],
        ),
    }
}

const ABOVE: &str = "cannot be greater than status.replicas";
