//! A field of an object under check, and the small rules that many kinds share, each with its fault in kube-apiserver's words.

use std::fmt;

use serde_json::Value;

use crate::api::error::{self, FieldError};
use crate::api::meta::name;

/// A value of an object, and where it stands. Its path is only written out when there is a fault to tell.
#[derive(Clone, Copy)]
pub(super) struct Field<'v, 'p> {
    value: &'v Value,
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Member(&'p str),
    Index(usize),
    Key(&'p str),
}

impl<'v, 'p> Field<'v, 'p> {
    /// A value at a path: empty for a whole object.
    pub(super) fn new(value: &'v Value, path: &'p str) -> Self {
        Self { value, parent: None, step: Step::Member(path) }
    }

    /// A member: `spec.replicas`. An absent one is null.
    pub(super) fn at<'b>(&'b self, member: &'b str) -> Field<'v, 'b> {
        Field { value: &self.value[member], parent: Some(self), step: Step::Member(member) }
    }

    /// An entry of a map: `data[key]`.
    pub(super) fn key<'b>(&'b self, key: &'b str) -> Field<'v, 'b> {
        Field { value: &self.value[key], parent: Some(self), step: Step::Key(key) }
    }

    /// An item of a list, or what kube-apiserver tells as one.
    pub(super) fn index<'b>(&'b self, index: usize) -> Field<'v, 'b> {
        Field { value: &self.value[index], parent: Some(self), step: Step::Index(index) }
    }

    /// A member that kube-apiserver reports under another name.
    pub(super) fn at_as<'b>(&'b self, member: &str, shown: &'b str) -> Field<'v, 'b> {
        Field { value: &self.value[member], parent: Some(self), step: Step::Member(shown) }
    }

    /// The same value at a path of another shape: for what kube-apiserver reports elsewhere than it stands.
    pub(super) fn as_at<'b>(&'b self, member: &'b str) -> Field<'v, 'b> {
        Field { value: self.value, parent: Some(self), step: Step::Member(member) }
    }

    /// Another value, told at this path.
    pub(super) fn with<'w>(&self, value: &'w Value) -> Field<'w, 'p>
    where
        'v: 'w,
    {
        Field { value, parent: self.parent, step: self.step }
    }

    /// The same value under another name of its owner.
    pub(super) fn renamed<'b>(&'b self, member: &'b str) -> Field<'v, 'b> {
        Field { value: self.value, parent: self.parent, step: Step::Member(member) }
    }

    /// Whether it stands in a pod itself, not in a template of one.
    pub(super) fn is_of_pod(&self) -> bool {
        let of_template = matches!(self.step, Step::Member(name) if name.split('.').any(|step| step == "template"));
        !of_template && self.parent.is_none_or(Field::is_of_pod)
    }

    /// The items of a list: `spec.containers[0]`.
    pub(super) fn items<'b>(&'b self) -> impl Iterator<Item = Field<'v, 'b>> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(index, value)| Field { value, parent: Some(self), step: Step::Index(index) })
    }

    /// The entries of a map: `data[key]`.
    pub(super) fn entries<'b>(&'b self) -> impl Iterator<Item = (&'v str, Field<'v, 'b>)>
    where
        'v: 'b,
    {
        let entries = self.value.as_object().into_iter().flatten();
        entries.map(move |(key, value)| (key.as_str(), Field { value, parent: Some(self), step: Step::Key(key) }))
    }

    /// The value; null when it is absent.
    pub(super) fn value(&self) -> &'v Value {
        self.value
    }

    /// The text; empty when it is absent or no text.
    pub(super) fn text(&self) -> &'v str {
        self.value.as_str().unwrap_or("")
    }

    /// The number, when it is one.
    pub(super) fn number(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// The number; 0 where there is none.
    pub(super) fn count(&self) -> i64 {
        self.number().unwrap_or(0)
    }

    /// Whether it is true.
    pub(super) fn is_true(&self) -> bool {
        *self.value == Value::Bool(true)
    }

    /// The texts of a list.
    pub(super) fn texts<'b>(&'b self) -> impl Iterator<Item = &'v str> + use<'b, 'v, 'p> {
        self.value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or(""))
    }

    /// How many items or entries.
    pub(super) fn len(&self) -> usize {
        match self.value {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    /// Whether it is absent.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// Whether it is absent or says nothing.
    pub(super) fn is_empty(&self) -> bool {
        is_empty(self.value)
    }

    /// `path: Required value: detail`
    pub(super) fn required(&self, detail: &str) -> FieldError {
        FieldError::required(self.to_string(), detail)
    }

    /// `path: Invalid value: value: detail`
    pub(super) fn invalid(&self, detail: &str) -> FieldError {
        match self.value {
            Value::Null => FieldError::invalid_text(self.to_string(), "", detail),
            value => FieldError::invalid(self.to_string(), value, detail),
        }
    }

    /// `path: Invalid value: number: detail`; an absent number is 0.
    pub(super) fn invalid_number(&self, detail: &str) -> FieldError {
        FieldError::invalid(self.to_string(), &Value::from(self.count()), detail)
    }

    /// `path: Too long: may not be more than N bytes`, when the text is longer.
    pub(super) fn at_most_bytes(&self, most: usize, errors: &mut Vec<FieldError>) {
        if self.text().len() > most {
            errors.push(self.too_long(most));
        }
    }

    /// `path: Forbidden: detail`
    pub(super) fn forbidden(&self, detail: &str) -> FieldError {
        FieldError::forbidden(self.to_string(), detail)
    }

    /// `path: Invalid value: "text": detail`, for a value that kube-apiserver tells instead of the field's own.
    pub(super) fn invalid_text(&self, text: &str, detail: &str) -> FieldError {
        FieldError::invalid_text(self.to_string(), text, detail)
    }

    /// `path: Invalid value: printed: detail`, for what is printed as a structure of Go.
    pub(super) fn invalid_as(&self, printed: &str, detail: &str) -> FieldError {
        FieldError::invalid_as(self.to_string(), printed, detail)
    }

    /// `path: Invalid value: detail`, where no value is told.
    pub(super) fn invalid_plain(&self, detail: &str) -> FieldError {
        FieldError::invalid_plain(self.to_string(), detail)
    }

    /// `path: Too long: may not be more than N bytes`
    pub(super) fn too_long(&self, most: usize) -> FieldError {
        FieldError::too_long(self.to_string(), most)
    }

    /// `path: Duplicate value: "text"`, for a value that kube-apiserver tells instead of the field's own.
    pub(super) fn duplicate_of(&self, text: &str) -> FieldError {
        FieldError::duplicate_of(self.to_string(), &error::quoted(text))
    }

    /// `path: Unsupported value: value: supported values: ...`
    pub(super) fn unsupported(&self, set: &[&str]) -> FieldError {
        match self.value {
            Value::Null => FieldError::unsupported(self.to_string(), &Value::from(""), set),
            value => FieldError::unsupported(self.to_string(), value, set),
        }
    }

    /// `path: Duplicate value: value`
    pub(super) fn duplicate(&self) -> FieldError {
        match self.value {
            Value::Null => self.duplicate_of(""),
            value => FieldError::duplicate(self.to_string(), value),
        }
    }

    /// `path: Not found: value`
    pub(super) fn not_found(&self) -> FieldError {
        FieldError::not_found(self.to_string(), &Value::from(self.text()))
    }

    /// `path: Too many: N: must have at most M items`, when there are more.
    pub(super) fn at_most(&self, most: usize, errors: &mut Vec<FieldError>) {
        if self.len() > most {
            errors.push(FieldError::too_many(self.to_string(), self.len(), most));
        }
    }

    /// A text that must be there; its value.
    pub(super) fn require(&self, errors: &mut Vec<FieldError>) -> &'v str {
        if self.is_empty() {
            errors.push(self.required(""));
        }
        self.text()
    }

    /// A text that, when it is there, is one of a closed set.
    pub(super) fn one_of(&self, set: &[&str], errors: &mut Vec<FieldError>) {
        if !self.text().is_empty() && !set.contains(&self.text()) {
            errors.push(self.unsupported(set));
        }
    }

    /// A text that must be there and is one of a closed set.
    pub(super) fn require_one_of(&self, set: &[&str], errors: &mut Vec<FieldError>) {
        if self.require(errors).is_empty() {
            return;
        }
        self.one_of(set, errors);
    }

    /// A text in the form of a name, if it is there: `rule` tells its faults.
    pub(super) fn named(&self, rule: fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
        if !self.text().is_empty() {
            errors.extend(rule(self.text()).iter().map(|fault| self.invalid(fault)));
        }
    }

    /// The same for a text that must have the form also when it is empty.
    pub(super) fn formed(&self, rule: fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
        if is_full(errors) {
            return;
        }
        errors.extend(rule(self.text()).iter().map(|fault| self.invalid_text(self.text(), fault)));
    }

    /// A name that must be there and have its form.
    pub(super) fn require_named(&self, rule: fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
        if self.require(errors).is_empty() {
            return;
        }
        self.named(rule, errors);
    }

    /// Labels, or another map in their form.
    pub(super) fn labels(&self, errors: &mut Vec<FieldError>) {
        for (key, value) in self.entries() {
            if is_full(errors) {
                return;
            }
            errors.extend(name::qualified(key).iter().map(|fault| self.invalid_text(key, fault)));
            errors.extend(name::label_value(value.text()).iter().map(|fault| self.invalid_text(value.text(), fault)));
        }
    }

    /// Annotations: the form of their keys and their size.
    pub(super) fn annotations(&self, errors: &mut Vec<FieldError>) {
        if !self.is_empty() {
            crate::api::meta::check_annotations(self.value, &self.to_string(), errors);
        }
    }

    /// A label selector, if it is there.
    pub(super) fn selector(&self, errors: &mut Vec<FieldError>) {
        self.at("matchLabels").labels(errors);
        for term in self.at("matchExpressions").items() {
            if is_full(errors) {
                return;
            }
            term.selector_term(errors);
        }
    }

    fn selector_term(&self, errors: &mut Vec<FieldError>) {
        let values = self.at("values");
        match self.at("operator").text() {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(self.at("operator").invalid("not a valid selector operator")),
        }
        self.at("key").formed(name::qualified, errors);
        for value in values.items() {
            value.named(name::label_value, errors);
        }
    }

    /// A value that does not change.
    pub(super) fn immutable(&self, old: &Value, errors: &mut Vec<FieldError>) {
        if self.value != old {
            errors.push(match self.value {
                Value::Null => self.invalid_text("null", "field is immutable"),
                _ => self.invalid("field is immutable"),
            });
        }
    }

    /// A number that, when it is there, is not negative.
    pub(super) fn not_negative(&self, errors: &mut Vec<FieldError>) {
        if self.number().is_some_and(|number| number < 0) {
            errors.push(self.invalid("must be greater than or equal to 0"));
        }
    }

    /// A number that, when it is there, is greater than nothing.
    pub(super) fn positive(&self, errors: &mut Vec<FieldError>) {
        if self.number().is_some_and(|number| number <= 0) {
            errors.push(self.invalid("must be greater than 0"));
        }
    }

    /// A port's number; an absent one is 0.
    pub(super) fn port(&self, errors: &mut Vec<FieldError>) {
        if !(1..=65535).contains(&self.count()) {
            errors.push(FieldError::invalid(
                self.to_string(),
                &Value::from(self.count()),
                "must be between 1 and 65535, inclusive",
            ));
        }
    }

    /// A port's number, or its name in a container; an absent one is 0.
    pub(super) fn port_or_name(&self, errors: &mut Vec<FieldError>) {
        match self.value {
            Value::String(_) => self.formed(name::port, errors),
            _ => self.port(errors),
        }
    }

    /// A number that, when it is there, is within bounds.
    pub(super) fn within(&self, bounds: std::ops::RangeInclusive<i64>, errors: &mut Vec<FieldError>) {
        if self.number().is_some_and(|number| !bounds.contains(&number)) {
            errors.push(self.invalid(&format!("must be between {} and {}, inclusive", bounds.start(), bounds.end())));
        }
    }
}

impl fmt::Display for Field<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Member(name) if self.parent.is_none_or(Self::is_root) => f.write_str(name),
            Step::Member(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

impl Field<'_, '_> {
    /// Whether nothing stands before the first member.
    fn is_root(&self) -> bool {
        self.parent.is_none() && matches!(self.step, Step::Member(""))
    }
}

/// Whether there are as many errors as a refusal tells: what comes after them need not be found. A body can hold hundreds of
/// thousands of faults; kube-apiserver would tell them all.
pub(super) fn is_full(errors: &[FieldError]) -> bool {
    errors.len() >= error::MOST
}

/// A value that does not change.
pub(super) fn immutable(new: &Value, old: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if new != old {
        errors.push(FieldError::invalid(path, new, "field is immutable"));
    }
}

/// The members of a map.
pub(super) fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

/// Whether a number is absent or nothing.
pub(super) fn is_zero(value: &Value) -> bool {
    value.as_i64().unwrap_or(0) == 0
}

/// Whether a value is absent or says nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a label selector selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let terms = selector["matchExpressions"].as_array().into_iter().flatten();
    entries(&selector["matchLabels"]).all(|(key, value)| &labels[key] == value) && { terms }.all(|term| matches(term, labels))
}

fn matches(term: &Value, labels: &Value) -> bool {
    let own = term["key"].as_str().map_or(&Value::Null, |key| &labels[key]);
    let listed = term["values"].as_array().is_some_and(|values| values.contains(own));
    match term["operator"].as_str().unwrap_or("") {
        "In" => !own.is_null() && listed,
        "NotIn" => own.is_null() || !listed,
        "Exists" => !own.is_null(),
        "DoesNotExist" => own.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_tells_where_it_stands() {
        let pod = json!({"spec": {"containers": [{}, {"name": "a"}], "nodeSelector": {"x.y/z": "1"}}});
        let root = Field::new(&pod, "");
        let spec = root.at("spec");
        let names: Vec<_> = spec.at("containers").items().map(|container| container.at("name").to_string()).collect();
        assert_eq!(names, ["spec.containers[0].name", "spec.containers[1].name"]);
        let texts: Vec<_> = spec.at("containers").items().map(|container| container.at("name").text()).collect();
        assert_eq!(texts, ["", "a"]);
        assert_eq!(spec.at("nodeSelector").key("x.y/z").to_string(), "spec.nodeSelector[x.y/z]");
        let template = Field::new(&pod, "spec.template");
        assert_eq!(template.at("spec").at("containers").to_string(), "spec.template.spec.containers");
        assert_eq!(Field::new(&pod, "").at("a").at("b").at("c").required("").to_string(), "a.b.c: Required value");
    }

    #[test]
    fn selectors_select() {
        let labels = json!({"a": "1", "b": "2"});
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"a": "1"}}), true),
            (json!({"matchLabels": {"a": "2"}}), false),
            (json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "3"]}]}), true),
            (json!({"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["1"]}]}), true),
            (json!({"matchExpressions": [{"key": "c", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}), false),
        ] {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}
