//! The rules of what is done with a container while it lives: probes, hooks, and when it is started again.

use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::name;

/// The time that a pod has to end; `None` when it is not to be counted with.
pub(super) type Grace = Option<i64>;

/// `lifecycle`, `livenessProbe`, `readinessProbe` and `startupProbe`.
pub(super) fn check(container: &Field<'_, '_>, grace: Grace, errors: &mut Vec<FieldError>) {
    let lifecycle = container.at("lifecycle");
    if !lifecycle.is_absent() {
        for hook in ["postStart", "preStop"] {
            let own = lifecycle.at(hook);
            if !own.is_absent() {
                check_handler(&own, &["exec", "httpGet", "tcpSocket", "sleep"], grace, errors);
            }
        }
    }
    for member in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(member);
        if probe.is_absent() {
            continue;
        }
        check_probe(&probe, grace, errors);
        let life = probe.at("terminationGracePeriodSeconds");
        if member != "readinessProbe" {
            let successes = probe.at("successThreshold");
            if successes.count() != 1 {
                errors.push(successes.invalid("must be 1"));
            }
        } else if !life.is_absent() {
            errors.push(life.invalid("must not be set for readinessProbes"));
        }
    }
}

fn check_probe(probe: &Field<'_, '_>, grace: Grace, errors: &mut Vec<FieldError>) {
    check_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], grace, errors);
    for member in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        probe.at(member).not_negative(errors);
    }
    probe.at("terminationGracePeriodSeconds").positive(errors);
}

fn check_handler(owner: &Field<'_, '_>, known: &[&str], grace: Grace, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    for member in known {
        let own = owner.at(member);
        if own.is_absent() {
            continue;
        }
        count += 1;
        if count > 1 {
            errors.push(own.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match *member {
            "exec" => {
                if own.at("command").is_empty() {
                    errors.push(own.at("command").required(""));
                }
            }
            "httpGet" => check_get(&own, errors),
            "sleep" => check_sleep(&own, grace, errors),
            "tcpSocket" => own.at("port").port_or_name(errors),
            _ => own.at("port").port(errors),
        }
    }
    if count == 0 {
        errors.push(owner.required("must specify a handler type"));
    }
}

fn check_get(get: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    get.at("path").require(errors);
    get.at("port").port_or_name(errors);
    let scheme = get.at("scheme");
    if !["HTTP", "HTTPS"].contains(&scheme.text()) {
        errors.push(scheme.unsupported(&["HTTP", "HTTPS"]));
    }
    let headers = get.at("httpHeaders");
    for header in headers.items() {
        if is_full(errors) {
            return;
        }
        let own = header.at("name").text();
        errors.extend(name::header(own).iter().map(|fault| headers.invalid_text(own, fault)));
    }
}

fn check_sleep(sleep: &Field<'_, '_>, grace: Grace, errors: &mut Vec<FieldError>) {
    let seconds = sleep.value()["seconds"].as_i64().unwrap_or(0);
    if let Some(most) = grace.filter(|most| seconds < 0 || seconds > *most) {
        let fault = format!("must be non-negative and less than terminationGracePeriodSeconds ({most})");
        errors.push(sleep.invalid_as(&seconds.to_string(), &fault));
    }
}

/// `restartPolicy` and `restartPolicyRules` of a container.
pub(super) fn check_restarts(container: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.is_absent() {
        if rules.is_empty() {
            return;
        }
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    } else if !["Always", "Never", "OnFailure"].contains(&policy.text()) {
        errors.push(policy.unsupported(&["Always", "Never", "OnFailure"]));
    }
    if rules.len() > 20 {
        errors.push(rules.too_long(20));
    }
    for rule in rules.items() {
        if is_full(errors) {
            return;
        }
        if rule.at("action").text() != "Restart" {
            errors.push(rule.at("action").unsupported(&["Restart"]));
        }
        let codes = rule.at("exitCodes");
        if codes.is_absent() {
            errors.push(codes.required("must be specified"));
            continue;
        }
        let operator = codes.at("operator");
        if !["In", "NotIn"].contains(&operator.text()) {
            errors.push(operator.unsupported(&["In", "NotIn"]));
        }
        let values = codes.at("values");
        if values.len() > 255 {
            errors.push(values.too_long(255));
        }
    }
}
