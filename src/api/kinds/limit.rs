//! LimitRanges: what is least is not more than what is most.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::field::Field;
use super::{format, quota};
use crate::api::error::FieldError;
use crate::api::meta::name;
use crate::schema::quantity::Quantity;

type Errors = Vec<FieldError>;

/// What a limit says of one resource.
struct Bounds<'l> {
    limit: &'l Field<'l, 'l>,
    resource: &'l str,
    least: Option<Quantity>,
    most: Option<Quantity>,
    given: Option<Quantity>,
    asked: Option<Quantity>,
    ratio: Option<Quantity>,
}

/// The faults of a range.
pub(super) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let mut kinds = HashSet::new();
    for limit in spec.at("limits").items() {
        let kind = limit.at("type");
        check_kind(&kind, errors);
        if !kinds.insert(kind.text()) {
            errors.push(FieldError::duplicate(kind.to_string(), &Value::from(kind.text())));
        }
        check_limit(&limit, kind.text(), errors);
    }
}

impl Bounds<'_> {
    fn check(&self, errors: &mut Errors) {
        let pairs = [
            (self.least, self.most, ("min", self.least), ("min", "max")),
            (self.least, self.asked, ("defaultRequest", self.asked), ("min", "default request")),
            (self.asked, self.most, ("defaultRequest", self.asked), ("default request", "max")),
            (self.asked, self.given, ("defaultRequest", self.asked), ("default request", "default limit")),
            (self.least, self.given, ("default", self.least), ("min", "default")),
            (self.given, self.most, ("default", self.most), ("default", "max")),
        ];
        for (less, more, (list, shown), (low, high)) in pairs {
            if let (Some(less), Some(more), Some(shown)) = (less, more, shown)
                && less > more
            {
                let fault = format!("{low} value {less} is greater than {high} value {more}");
                errors.push(self.invalid(list, (shown, &fault)));
            }
        }
        self.check_ratio(errors);
        if let (Some(given), Some(asked)) = (self.given, self.asked)
            && !quota::may_overcommit(self.resource)
            && given.partial_cmp(&asked) != Some(std::cmp::Ordering::Equal)
        {
            let fault = format!("default value {given} must equal to defaultRequest value {asked} in {}", self.resource);
            errors.push(self.invalid("defaultRequest", (asked, &fault)));
        }
    }

    fn check_ratio(&self, errors: &mut Errors) {
        let Some(ratio) = self.ratio else { return };
        if ratio < Quantity::whole(1) {
            errors.push(self.invalid("maxLimitRequestRatio", (ratio, &format!("ratio {ratio} is less than 1"))));
        }
        let (Some(least), Some(most)) = (self.least, self.most) else { return };
        let (own, bound) = match (ratio.thousandths(), least.thousandths(), most.thousandths()) {
            (Some(ratio), Some(least), Some(most)) => (ratio as f64 / 1000.0, most as f64 / least as f64),
            _ => (ratio.value() as f64, most.value() as f64 / least.value() as f64),
        };
        if own > bound {
            let fault = format!("ratio {ratio} is greater than max/min = {bound:.6}");
            errors.push(self.invalid("maxLimitRequestRatio", (ratio, &fault)));
        }
    }

    fn invalid(&self, list: &str, (shown, fault): (Quantity, &str)) -> FieldError {
        let list = self.limit.at(list);
        FieldError::invalid_text(list.key(self.resource).to_string(), &shown.to_string(), fault)
    }
}

fn check_kind(kind: &Field<'_, '_>, errors: &mut Errors) {
    let text = kind.text();
    let faults = name::qualified(text);
    kind.formed(name::qualified, errors);
    if faults.is_empty() && !text.contains('/') && !["Pod", "Container", "PersistentVolumeClaim"].contains(&text) {
        errors.push(kind.invalid("must be a standard limit type or fully qualified"));
    }
}

fn check_limit(limit: &Field<'_, '_>, kind: &str, errors: &mut Errors) {
    let check_names = |list: &str, errors: &mut Errors| {
        for (resource, amount) in limit.at(list).entries() {
            match kind {
                "Pod" | "Container" => quota::check_container_name(&amount, resource, errors),
                _ => quota::check_name(&amount, resource, errors),
            }
        }
    };
    ["max", "min"].iter().for_each(|list| check_names(list, errors));
    let defaults = ["default", "defaultRequest"];
    if kind == "Pod" {
        for list in defaults.iter().map(|list| limit.at(list)).filter(|list| !list.is_empty()) {
            errors.push(list.forbidden("may not be specified when `type` is 'Pod'"));
        }
    } else {
        defaults.iter().for_each(|list| check_names(list, errors));
    }
    let stored = |list: &str| !limit.value()[list]["storage"].is_null();
    if kind == "PersistentVolumeClaim" && !stored("min") && !stored("max") {
        let fault = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(limit.at("limits").required(fault));
    }
    check_names("maxLimitRequestRatio", errors);
    check_bounds(limit, kind, errors);
}

fn check_bounds(limit: &Field<'_, '_>, kind: &str, errors: &mut Errors) {
    let said = |list: &str, resource: &str| {
        let value = limit.value()[list].get(resource)?;
        (kind != "Pod" || !list.starts_with("default")).then(|| format::amount(value))
    };
    let lists = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let named = lists.iter().filter_map(|list| limit.value()[*list].as_object()).flat_map(|list| list.keys());
    for resource in named.map(String::as_str).collect::<BTreeSet<_>>() {
        let bounds = Bounds {
            limit,
            resource,
            least: said("min", resource),
            most: said("max", resource),
            given: said("default", resource),
            asked: said("defaultRequest", resource),
            ratio: said("maxLimitRequestRatio", resource),
        };
        bounds.check(errors);
    }
}
