//! Tables: what `kubectl get` prints. Columns and plain cells are data (`columns.txt`); what needs thought is in one file a family.

mod age;
mod cell;
mod cluster;
mod format;
mod network;
mod pod;
mod scaler;
mod storage;
mod workload;

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::catalog::Kind;
use crate::schema::html_safe;
use cell::Cell;

/// The columns of a kind.
pub(super) struct Columns {
    cells: Vec<Cell>,
    /// The JSON of `columnDefinitions`.
    pub(super) definitions: Vec<u8>,
    is_pod: bool,
}

impl Columns {
    /// The columns of a kind; name and creation time for kinds without any of their own.
    pub(super) fn of(kind: &Kind) -> &'static Self {
        let group = if kind.group == "events.k8s.io" { "" } else { kind.group.as_str() };
        let name = if group.is_empty() { kind.kind.clone() } else { format!("{group}/{}", kind.kind) };
        TABLES.get(name.as_str()).unwrap_or(&TABLES["*"])
    }

    /// The columns of a scale, which is no kind's own object.
    pub(super) fn of_scale() -> &'static Self {
        TABLES.get("autoscaling/Scale").unwrap_or(&TABLES["*"])
    }

    /// Writes the members of a row up to its `object`: `"cells":[...]`, and `"conditions"` where there are any.
    pub(super) fn row(&self, object: &Value, now: Timestamp, out: &mut Vec<u8>) {
        let cells: Vec<Value> = self.cells.iter().map(|cell| cell.of(object, now)).collect();
        out.extend_from_slice(b"\"cells\":");
        append(out, &cells);
        if let Some(conditions) = self.is_pod.then(|| pod::conditions(object)).flatten() {
            out.extend_from_slice(b",\"conditions\":");
            append(out, &conditions);
        }
    }
}

/// The items of a list in the order of its rows; `None` where that is the order of names.
pub(super) fn order(kind: &Kind) -> Option<fn(&Value) -> i64> {
    let flows = kind.group == "flowcontrol.apiserver.k8s.io" && kind.kind == "FlowSchema";
    flows.then_some(|schema| schema["spec"]["matchingPrecedence"].as_i64().unwrap_or_default())
}

fn append(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Values without maps of odd keys cannot fail to print.
    out.extend_from_slice(&html_safe(serde_json::to_vec(value).unwrap_or_default()));
}

fn parse(text: &str) -> HashMap<&str, Columns> {
    let mut tables = HashMap::new();
    let mut known = HashMap::new();
    let mut current: Option<(&str, Vec<Value>, Vec<Cell>)> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')).chain(["= "]) {
        if let Some(name) = line.strip_prefix("= ") {
            let done = current.replace((name, Vec::new(), Vec::new()));
            tables.extend(done.map(|(name, definitions, cells)| (name, columns(name, &definitions, cells))));
            continue;
        }
        match (line.split('\t').collect::<Vec<_>>().as_slice(), &mut current) {
            ([word, text], None) => drop(known.insert(*word, *text)),
            (["-", cell], Some((_, _, cells))) => cells.push(Cell::parse(cell)),
            ([name, kind, priority, cell, description], Some((_, definitions, cells))) => {
                let description = known.get(description).unwrap_or(description).replace("\\n", "\n");
                definitions.push(definition(name, kind, priority, &description));
                cells.push(Cell::parse(cell));
            }
            _ => panic!("columns.txt: {line}"),
        }
    }
    tables
}

fn columns(name: &str, definitions: &[Value], cells: Vec<Cell>) -> Columns {
    Columns { cells, definitions: serde_json::to_vec(definitions).unwrap_or_default(), is_pod: name == "Pod" }
}

fn definition(name: &str, kind: &str, priority: &str, description: &str) -> Value {
    let (kind, format) = if kind == "name" { ("string", "name") } else { (kind, "") };
    let priority: u8 = priority.parse().unwrap_or_default();
    serde_json::json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

static TABLES: LazyLock<HashMap<&'static str, Columns>> = LazyLock::new(|| parse(include_str!("columns.txt")));

#[cfg(test)]
mod tests;
