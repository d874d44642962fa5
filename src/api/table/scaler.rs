//! What a horizontal pod autoscaler aims at, and where it stands.

use serde_json::Value;

use super::format::{items, text};

/// `cpu: 12%/80%, 3/5 (avg)`: the first two metrics.
pub(super) fn targets(scaler: &Value) -> String {
    let wanted = items(&scaler["spec"]["metrics"]);
    if wanted.is_empty() {
        return "<none>".to_owned();
    }
    let current = items(&scaler["status"]["currentMetrics"]);
    let null = Value::Null;
    let shown: Vec<String> =
        wanted.iter().take(SHOWN).enumerate().map(|(at, metric)| target(metric, current.get(at).unwrap_or(&null))).collect();
    let shown = shown.join(", ");
    if wanted.len() > SHOWN { format!("{shown} + {} more...", wanted.len() - SHOWN) } else { shown }
}

fn target(metric: &Value, status: &Value) -> String {
    let kind = text(metric, "type");
    let member = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&metric[member]["target"], &status[member]["current"]);
    let resource = matches!(kind, "Resource" | "ContainerResource");
    let average = !text(target, "averageValue").is_empty();
    let now = |name: &str| match &current[name] {
        Value::String(value) if !value.is_empty() => value.clone(),
        _ => "<unknown>".to_owned(),
    };
    match (resource, average) {
        (true, true) => format!("{}: {}/{}", text(&metric[member], "name"), now("averageValue"), text(target, "averageValue")),
        (true, false) => {
            let percent =
                |value: &Value, otherwise: &str| value.as_i64().map_or_else(|| otherwise.to_owned(), |value| format!("{value}%"));
            let (now, goal) =
                (percent(&current["averageUtilization"], "<unknown>"), percent(&target["averageUtilization"], "<auto>"));
            format!("{}: {now}/{goal}", text(&metric[member], "name"))
        }
        (false, true) if kind == "Pods" => format!("{}/{}", now("averageValue"), text(target, "averageValue")),
        (false, true) => format!("{}/{} (avg)", now("averageValue"), text(target, "averageValue")),
        (false, false) => format!("{}/{}", now("value"), text(target, "value")),
    }
}

const SHOWN: usize = 2;
