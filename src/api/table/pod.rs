//! A pod in one line: how many containers are ready, what state it is in, how often it was restarted.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::format::{has_condition, items, number, text};

/// The three telling cells of a pod.
pub(super) struct Summary {
    pub(super) ready: String,
    pub(super) reason: String,
    pub(super) restarts: String,
}

/// Restarts, and when the last one was.
#[derive(Clone, Copy, Default)]
struct Restarts<'a> {
    count: i64,
    last: Option<&'a str>,
}

struct Sum<'a> {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts<'a>,
    /// Of init containers that run beside the others.
    beside: Restarts<'a>,
}

impl Summary {
    pub(super) fn of(pod: &Value, now: Timestamp) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let inits = items(&spec["initContainers"]);
        let total = items(&spec["containers"]).len() + inits.iter().filter(|init| is_restartable(init)).count();
        let mut sum =
            Sum { ready: 0, total, reason: first_reason(status), restarts: Restarts::default(), beside: Restarts::default() };
        let initializing = sum.init_containers(inits, items(&status["initContainerStatuses"]));
        if !initializing || has_condition(&status["conditions"], "Initialized", "True") {
            sum.containers(status);
        }
        if pod["metadata"]["deletionTimestamp"].is_string() {
            if status["reason"] == "NodeLost" {
                sum.reason = "Unknown".to_owned();
            } else if !matches!(text(status, "phase"), "Succeeded" | "Failed") {
                sum.reason = "Terminating".to_owned();
            }
        }
        let restarts = match sum.restarts.last {
            Some(last) if sum.restarts.count != 0 => format!("{} ({} ago)", sum.restarts.count, age::since(&last.into(), now)),
            _ => sum.restarts.count.to_string(),
        };
        Self { ready: format!("{}/{}", sum.ready, sum.total), reason: sum.reason, restarts }
    }
}

impl<'a> Sum<'a> {
    /// True while an init container has still to run or has failed.
    fn init_containers(&mut self, specs: &[Value], statuses: &'a [Value]) -> bool {
        for (at, container) in statuses.iter().enumerate() {
            let spec = specs.iter().find(|spec| spec["name"] == container["name"]);
            let beside = spec.is_some_and(is_restartable);
            self.restarts.add(container);
            if beside {
                self.beside.add(container);
            }
            let (ended, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if ended.is_object() && number(&ended["exitCode"]) == 0 {
                continue;
            }
            if beside && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = match (ended.is_object(), text(ended, "reason"), text(waiting, "reason")) {
                (true, "", _) => format!("Init:{}", exit(ended)),
                (true, reason, _) => format!("Init:{reason}"),
                (false, _, "" | "PodInitializing") => format!("Init:{at}/{}", specs.len()),
                (false, _, reason) => format!("Init:{reason}"),
            };
            return true;
        }
        false
    }

    fn containers(&mut self, status: &'a Value) {
        self.restarts = self.beside;
        let mut running = false;
        for container in items(&status["containerStatuses"]).iter().rev() {
            self.restarts.add(container);
            let (ended, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if !text(waiting, "reason").is_empty() {
                text(waiting, "reason").clone_into(&mut self.reason);
            } else if ended.is_object() {
                self.reason = if text(ended, "reason").is_empty() { exit(ended) } else { text(ended, "reason").to_owned() };
            } else if container["ready"] == true && container["state"]["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = has_condition(&status["conditions"], "Ready", "True");
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
}

impl<'a> Restarts<'a> {
    fn add(&mut self, container: &'a Value) {
        self.count += number(&container["restartCount"]);
        // RFC 3339 in UTC with seconds: later is greater.
        self.last = self.last.max(container["lastState"]["terminated"]["finishedAt"].as_str());
    }
}

/// The conditions of a row: a pod that has run its course says so.
pub(super) fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(&pod["status"], "phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// How many readiness gates are passed.
pub(super) fn gates(pod: &Value) -> String {
    let gates = items(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let passed = |gate: &&Value| has_condition(&pod["status"]["conditions"], text(gate, "conditionType"), "True");
    format!("{}/{}", gates.iter().filter(passed).count(), gates.len())
}

fn first_reason(status: &Value) -> String {
    let gated = |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    if items(&status["conditions"]).iter().any(gated) {
        return "SchedulingGated".to_owned();
    }
    let reason = text(status, "reason");
    if reason.is_empty() { text(status, "phase").to_owned() } else { reason.to_owned() }
}

fn is_restartable(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn exit(ended: &Value) -> String {
    match number(&ended["signal"]) {
        0 => format!("ExitCode:{}", number(&ended["exitCode"])),
        signal => format!("Signal:{signal}"),
    }
}
