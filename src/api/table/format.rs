//! How labels, selectors and lists read in a cell.

use serde_json::{Map, Value};

/// Finds what is nested under names; null when it is not there.
pub(super) fn dig<'a>(value: &'a Value, path: &[impl AsRef<str>]) -> &'a Value {
    path.iter().fold(value, |value, name| &value[name.as_ref()])
}

/// A string member; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a list; none when it is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The string member `name` of each item.
pub(super) fn each<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    items(list).iter().map(|item| text(item, name)).collect()
}

/// `a=1,b=2`; `<none>` without labels.
pub(super) fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    none(pairs.collect::<Vec<_>>().join(","))
}

/// A `metav1.LabelSelector` in the form of a query, ordered by key.
pub(super) fn selector(selector: &Value) -> String {
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<(String, String)> =
        exact.map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    parts.extend(items(&selector["matchExpressions"]).iter().map(expression));
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    none(parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(","))
}

/// The string as it is, `<none>` when empty.
pub(super) fn none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// The first three, and how many more there are.
pub(super) fn some_of(list: &[String], empty: &str) -> String {
    let shown = list[..list.len().min(SHOWN)].join(",");
    match list.len() {
        0 => empty.to_owned(),
        1..=SHOWN => shown,
        all => format!("{shown} + {} more...", all - SHOWN),
    }
}

/// Whether a condition of this type has this status.
pub(super) fn has_condition(conditions: &Value, kind: &str, status: &str) -> bool {
    items(conditions).iter().any(|condition| condition["type"] == kind && condition["status"] == status)
}

/// A number; 0 when it is not there.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// How many members a map or list has.
pub(super) fn count(value: &Value) -> usize {
    value.as_object().map_or_else(|| items(value).len(), Map::len)
}

fn expression(expression: &Value) -> (String, String) {
    let key = text(expression, "key");
    let mut values: Vec<&str> = items(&expression["values"]).iter().filter_map(Value::as_str).collect();
    values.sort_unstable();
    let values = values.join(",");
    let part = match text(expression, "operator") {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    };
    (key.to_owned(), part)
}

const SHOWN: usize = 3;
