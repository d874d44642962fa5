//! How much a device has, and in which portions it is handed out.

use std::collections::HashSet;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::schema::quantity::Quantity;

/// The faults of a capacity; only that of a device with many users may be portioned.
pub(super) fn check(capacity: &Field<'_, '_>, many: bool, errors: &mut Vec<FieldError>) {
    let policy = capacity.at("requestPolicy");
    if policy.is_absent() {
        return;
    }
    if !many {
        errors.push(policy.forbidden("allowMultipleAllocations must be true"));
        return;
    }
    let (values, range, default) = (policy.at("validValues"), policy.at("validRange"), policy.at("default"));
    if !values.is_empty() && !range.is_absent() {
        let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
        errors.push(policy.forbidden(detail));
        return;
    }
    let total = amount(&capacity.at("value"));
    match () {
        () if !values.is_empty() && default.is_absent() => errors.push(default.required("required when validValues is defined")),
        () if !values.is_empty() => check_values(&values, (amount(&default), total), errors),
        () if range.is_absent() => {}
        () if default.is_absent() => errors.push(default.required("required when validRange is defined")),
        () => check_range(&range, (amount(&default), total), errors),
    }
}

fn check_values(values: &Field<'_, '_>, (default, total): (Quantity, Quantity), errors: &mut Vec<FieldError>) {
    let mut before: Option<Quantity> = None;
    for value in values.items() {
        let own = amount(&value);
        if before.is_some_and(|before| before > own) {
            errors.push(value.invalid("values must be sorted in ascending order"));
        }
        before = Some(own);
    }
    let mut found = false;
    if super::form::fits(values, 10, errors) {
        for value in values.items() {
            let own = amount(&value);
            if own > total {
                errors.push(value.invalid(&format!("option is larger than capacity value: {total}")));
            }
            found |= own.equals(default);
        }
        let mut seen = HashSet::new();
        for value in values.items() {
            let own = amount(&value).value();
            if !seen.insert(own) {
                errors.push(FieldError::duplicate(value.to_string(), &own.to_string().into()));
            }
        }
    }
    if !found {
        errors.push(values.invalid_text(&default.to_string(), "default value is not valid according to the requestPolicy"));
    }
}

fn check_range(range: &Field<'_, '_>, (default, total): (Quantity, Quantity), errors: &mut Vec<FieldError>) {
    let (least, most, step) = (range.at("min"), range.at("max"), range.at("step"));
    if least.is_absent() {
        errors.push(least.required("required when validRange is defined"));
        return;
    }
    let (low, high) = (amount(&least), Some(amount(&most)).filter(|_| !most.is_absent()));
    if low > total {
        errors.push(least.invalid_text(&low.to_string(), &format!("min is larger than capacity value: {total}")));
    }
    if default < low {
        let told = range.at("default");
        errors.push(told.invalid_text(&default.to_string(), &format!("default is less than min: {low}")));
    }
    if let Some(high) = high {
        if low > high {
            errors.push(most.invalid_text(&low.to_string(), &format!("min is larger than max: {high}")));
        }
        if high > total {
            errors.push(most.invalid_text(&high.to_string(), &format!("max is larger than capacity value: {total}")));
        }
        if default > high {
            let told = range.at("default");
            errors.push(told.invalid_text(&default.to_string(), &format!("default is more than max: {high}")));
        }
    }
    if !step.is_absent() {
        check_step(&step, (low, default, high, total), errors);
    }
}

type Bounds = (Quantity, Quantity, Option<Quantity>, Quantity);

fn check_step(field: &Field<'_, '_>, (low, default, high, total): Bounds, errors: &mut Vec<FieldError>) {
    let step = amount(field);
    let added = low.plus(step).unwrap_or(total);
    if added > total {
        let detail = format!("one step {added} is larger than capacity value: {total}");
        errors.push(field.invalid_text(&step.to_string(), &detail));
    }
    for value in std::iter::once(default).chain(high) {
        let rest = i128::from(value.value()) - i128::from(low.value());
        if rest.checked_rem(i128::from(step.value())).is_some_and(|rest| rest != 0) {
            let detail = format!("value is not a multiple of a given step ({step}) from ({low})");
            errors.push(field.invalid_text(&value.to_string(), &detail));
        }
    }
}

fn amount(field: &Field<'_, '_>) -> Quantity {
    Quantity::of(field.value()).unwrap_or(Quantity::whole(0))
}
