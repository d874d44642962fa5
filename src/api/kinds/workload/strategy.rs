//! How pods are replaced by newer ones.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::internal;

/// `strategy` of a Deployment.
pub(super) fn check_deployment(strategy: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "Recreate" if !rolling.is_absent() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" if rolling.is_absent() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            check_share(&unavailable, errors);
            check_share(&surge, errors);
            if amount(unavailable.value()) == 0 && amount(surge.value()) == 0 {
                errors.push(tell(&unavailable, "may not be 0 when `maxSurge` is 0"));
            }
            check_hundred(&unavailable, errors);
        }
        _ => errors.push(unknown(strategy, &["Recreate", "RollingUpdate"])),
    }
}

/// `updateStrategy` of a DaemonSet.
pub(super) fn check_daemon(strategy: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if rolling.is_absent() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            check_share(&unavailable, errors);
            check_share(&surge, errors);
            check_hundred(&unavailable, errors);
            check_hundred(&surge, errors);
            match (amount(unavailable.value()) != 0, amount(surge.value()) != 0) {
                (true, true) => errors.push(tell(&surge, "may not be set when maxUnavailable is non-zero")),
                (false, false) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
                _ => {}
            }
        }
        _ => errors.push(unknown(strategy, &["RollingUpdate", "OnDelete"])),
    }
}

/// `updateStrategy` of a StatefulSet.
pub(super) fn check_stateful(strategy: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "" => errors.push(strategy.required("")),
        "OnDelete" if !rolling.is_absent() => {
            let printed = internal::print("RollingUpdateStatefulSetStrategy", rolling.value());
            errors.push(rolling.invalid_as(&printed, "only allowed for updateStrategy 'RollingUpdate'"));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            rolling.at("partition").not_negative(errors);
            let unavailable = rolling.at("maxUnavailable");
            if unavailable.is_absent() {
                return;
            }
            check_share(&unavailable, errors);
            if amount(unavailable.value()) == 0 {
                errors.push(tell(&unavailable, "cannot be 0"));
            }
            check_hundred(&unavailable, errors);
        }
        _ => {
            let printed = internal::print("StatefulSetUpdateStrategy", strategy.value());
            errors.push(strategy.invalid_as(&printed, "must be 'RollingUpdate' or 'OnDelete'"));
        }
    }
}

fn unknown(strategy: &Field<'_, '_>, known: &[&str]) -> FieldError {
    FieldError::unsupported_as(strategy.to_string(), &internal::print("UpdateStrategy", strategy.value()), known)
}

/// A count or a part of a hundred; an absent one is 0.
fn check_share(share: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    match share.value() {
        Value::String(text) if percent(text).is_none() => errors.push(share.invalid(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for \
             validation is '[0-9]+%')",
        )),
        Value::String(_) => {}
        _ => share.not_negative(errors),
    }
}

fn check_hundred(share: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if share.value().as_str().and_then(percent).is_some_and(|percent| percent > 100) {
        errors.push(share.invalid("must not be greater than 100%"));
    }
}

fn tell(share: &Field<'_, '_>, fault: &str) -> FieldError {
    match share.value() {
        Value::Null => share.invalid_as("0", fault),
        _ => share.invalid(fault),
    }
}

/// `25%` as 25; beyond all bounds it is the greatest number.
fn percent(text: &str) -> Option<i64> {
    let digits =
        text.strip_suffix('%').filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(digits.parse().unwrap_or(i64::MAX))
}

fn amount(share: &Value) -> i64 {
    match share {
        Value::String(text) => percent(text).or_else(|| text.parse().ok()).unwrap_or(0),
        other => other.as_i64().unwrap_or(0),
    }
}
