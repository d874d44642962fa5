//! What the recordings of a real server say.

use serde_json::{Value, json};

use super::*;
use crate::schema::patch::shared;
use crate::schema::{patch, yaml};

const NOW: &str = "2026-01-01T00:00:00Z";

/// A request of a scenario.
struct Step {
    note: String,
    path: String,
    query: String,
    kind: String,
    body: String,
}

#[test]
fn applies_as_recorded() {
    let (Some(scenario), Some(recorded)) = (shared("oracle/scenarios/05-apply.http"), shared("oracle/recorded/05-apply.json"))
    else {
        return;
    };
    let recorded: Value = serde_json::from_str(&recorded.replace("<time>", NOW)).unwrap();
    let mut live: std::collections::HashMap<String, Value> = std::collections::HashMap::new();
    let mut seen = 0;
    for (step, answer) in steps(&scenario).iter().zip(recorded.as_array().unwrap()) {
        assert_eq!(answer["note"], step.note.as_str());
        let Some(name) = step.query.strip_prefix("fieldManager=").and_then(|rest| rest.split('&').next()) else { continue };
        let object = step.path.trim_end_matches("/status").to_owned();
        let made = run(step, name, live.get(&object));
        let expected = &answer["body"];
        match made {
            Ok(mut made) => {
                assert!(answer["status"].as_u64().unwrap() < 300, "{}", step.note);
                timeless(&mut made);
                let mut expected = expected.clone();
                timeless(&mut expected);
                assert_eq!(made["metadata"]["managedFields"], expected["metadata"]["managedFields"], "{}", step.note);
                for (name, value) in made["data"].as_object().into_iter().flatten() {
                    assert_eq!(*value, expected["data"][name], "{}", step.note);
                }
                assert_eq!(made["metadata"]["labels"], expected["metadata"]["labels"], "{}", step.note);
                live.insert(object, answer["body"].clone());
            }
            Err(why) => {
                assert_eq!(why.to_string(), expected["message"].as_str().unwrap(), "{}", step.note);
                let code = match &why {
                    ApplyError::Invalid(_) => 400,
                    ApplyError::Failed(_) => 500,
                    ApplyError::Conflicts(_) => 409,
                };
                assert_eq!(answer["status"], code, "{}", step.note);
                if let ApplyError::Conflicts(conflicts) = why {
                    let causes = conflicts.iter().map(|conflict| {
                        json!({"field": conflict.field, "message": conflict.message(), "reason": "FieldManagerConflict"})
                    });
                    assert_eq!(causes.collect::<Value>(), expected["details"]["causes"], "{}", step.note);
                }
            }
        }
        seen += 1;
    }
    assert!(seen >= 12, "{seen} steps");
}

#[test]
fn creates_as_recorded() {
    let Some(sample) = shared("facts/protobuf-samples/object.json") else { return };
    let recorded: Value = serde_json::from_str(&sample).unwrap();
    let mut object = recorded.clone();
    managed::take(&mut object);
    let schema = Schema::builtin("", "v1", "ConfigMap").unwrap();
    let time = recorded["metadata"]["managedFields"][0]["time"].as_str().unwrap();
    let manager = Manager { name: "curl", subresource: "", api_version: "v1", time };
    on_create(
        &Context { schema: &schema, manager: &manager, filter: &Filter::All, versions: &OneVersion },
        &mut object,
        Sent::Nothing,
    );
    assert_eq!(object, recorded);
}

fn run(step: &Step, name: &str, live: Option<&Value>) -> Result<Value, ApplyError> {
    let (schema, api_version) = match step.path.contains("/apis/apps/v1/") {
        true => (Schema::builtin("apps", "v1", "Deployment").unwrap(), "apps/v1"),
        false => (Schema::builtin("", "v1", "ConfigMap").unwrap(), "v1"),
    };
    let subresource = if step.path.ends_with("/status") { "status" } else { "" };
    let filter = Filter::without(if subresource.is_empty() { &[&["status"]] } else { &[&["spec"]] });
    let manager = Manager { name, subresource, api_version, time: NOW };
    let context = Context { schema: &schema, manager: &manager, filter: &filter, versions: &OneVersion };
    if step.kind == "application/apply-patch+yaml" {
        let text = yaml::json(step.body.as_bytes()).unwrap().0;
        let force = if step.query.contains("force=true") { Force::Yes } else { Force::No };
        return Ok(on_apply(&context, live, &text, force)?.object);
    }
    let mut object = patch::merge(live.unwrap(), &serde_json::from_str(&step.body).unwrap()).unwrap();
    let sent = Sent::take(&mut object);
    schema.normalise(&mut object);
    on_update(&context, live.unwrap(), &mut object, sent);
    Ok(object)
}

fn timeless(object: &mut Value) {
    for entry in object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.as_object_mut().unwrap().remove("time");
    }
}

fn steps(scenario: &str) -> Vec<Step> {
    let blocks = scenario.split("### ").skip(1).map(|block| {
        let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
        let mut lines = head.lines().filter(|line| !line.starts_with('@'));
        let note = lines.next().unwrap_or_default().to_owned();
        let request = lines.next().unwrap_or_default();
        let target = request.split_once(' ').unwrap_or_default().1;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kind = lines.find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
        Step {
            note,
            path: path.to_owned(),
            query: query.to_owned(),
            kind: kind.to_owned(),
            body: body.trim_end().to_owned() + "\n",
        }
    });
    blocks.collect()
}
