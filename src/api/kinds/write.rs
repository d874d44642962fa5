//! A write under check: what comes, over what, and the faults of metadata that every kind tells in a place of its own.

use serde_json::Value;

use super::Part;
use super::field::{Field, is_empty};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta::{self, NameRule};

/// What a kind's rules look at.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    /// The kind of the request.
    pub(super) kind: &'a Kind,
    /// What may change.
    pub(super) part: Part,
    /// What comes.
    pub(super) new: &'a Value,
    /// What is stored; null of a new object.
    pub(super) old: &'a Value,
}

/// The rules of a kind: all its faults, in the order in which kube-apiserver finds them.
pub(super) type Rules = fn(&Write<'_>, &mut Vec<FieldError>);

impl<'a> Write<'a> {
    /// Of a new object.
    pub(super) fn create(kind: &'a Kind, new: &'a Value) -> Self {
        Self { kind, part: Part::Whole, new, old: &Value::Null }
    }

    /// Whether there is nothing stored yet.
    pub(super) fn is_create(&self) -> bool {
        self.old.is_null()
    }

    /// The object, to walk over it.
    pub(super) fn root(&self) -> Field<'a, '_> {
        Field::new(self.new, "")
    }

    /// The faults of metadata by itself; `rule` is that of the kind's names.
    pub(super) fn metadata(&self, rule: NameRule, errors: &mut Vec<FieldError>) {
        errors.extend(meta::check(self.new, rule, self.kind.namespaced));
    }

    /// The faults of a change of metadata; a new object has none.
    pub(super) fn change(&self, errors: &mut Vec<FieldError>) {
        if !self.is_create() {
            errors.extend(meta::check_change(self.new, self.old));
        }
    }

    /// The faults of metadata where the kind does not look at the names of finalizers.
    pub(super) fn bare_metadata(&self, rule: NameRule, errors: &mut Vec<FieldError>) {
        let faults = meta::check(self.new, rule, self.kind.namespaced);
        errors.extend(faults.into_iter().filter(|fault| !fault.field.starts_with("metadata.finalizers[")));
    }

    /// The faults of a change of metadata where the kind does not look at the names of finalizers.
    pub(super) fn bare_change(&self, errors: &mut Vec<FieldError>) {
        if !self.is_create() {
            errors.extend(meta::check_update(self.new, self.old));
        }
    }

    /// All faults by the kind's rules, with those that kube-apiserver looks for in every kind: before them on an update, and on create when
    /// they have found nothing.
    pub(super) fn check(&self, rules: Rules) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.is_create() {
            errors = meta::check_any(self.new, self.kind.namespaced);
            self.bare_change(&mut errors);
        }
        rules(self, &mut errors);
        if self.is_create() && errors.is_empty() {
            errors = meta::check_any(self.new, self.kind.namespaced);
        }
        errors
    }
}

/// Whether two values mean the same: what is empty is as good as absent.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let pair = |(key, value)| same(value, other.get(key).unwrap_or(&Value::Null));
            one.iter().all(pair) && other.iter().all(|(key, value)| one.contains_key(key) || is_empty(value))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other || is_empty(one) && is_empty(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_the_same() {
        for (one, other, expected) in [
            (json!({"a": []}), json!({}), true),
            (json!({"a": {"b": null}}), json!({"a": {}}), true),
            (json!({"a": [1]}), json!({"a": [1, 2]}), false),
            (json!({"a": 0}), json!({}), false),
            (json!({}), json!({"a": "x"}), false),
        ] {
            assert_eq!(same(&one, &other), expected, "{one} {other}");
        }
    }
}
