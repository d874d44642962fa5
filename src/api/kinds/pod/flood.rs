//! Hostile sizes: what a body of three megabytes can hold is checked in little time, and told shortly.

use std::time::Instant;

use serde_json::{Value, json};

use super::tests::pod;

#[test]
fn floods_take_little_time() {
    let many = |item: &dyn Fn(usize) -> Value| (0..100_000).map(item).collect::<Value>();
    let same = json!({"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"});
    let rows: Vec<(&str, Value)> = vec![
        ("containers", many(&|_| same.clone())),
        (
            "containers",
            many(&|index| {
                json!({"name": format!("c{index}"), "image": "i", "imagePullPolicy": "Always",
            "terminationMessagePolicy": "File"})
            }),
        ),
        ("containers/0/env", many(&|index| json!({"name": format!("A{}", index % 7)}))),
        ("containers/0/ports", many(&|_| json!({"containerPort": 80, "protocol": "TCP"}))),
        ("containers/0/volumeMounts", many(&|index| json!({"name": "v", "mountPath": format!("/{index}")}))),
        ("volumes", many(&|index| json!({"name": format!("v{index}"), "emptyDir": {}}))),
        ("tolerations", many(&|index| json!({"key": format!("k{index}"), "operator": "Exists"}))),
        (
            "topologySpreadConstraints",
            many(&|_| json!({"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "ScheduleAnyway"})),
        ),
        ("schedulingGates", many(&|index| json!({"name": format!("g{index}")}))),
        ("hostAliases", many(&|_| json!({"ip": "10.0.0.1"}))),
    ];
    for (path, value) in rows {
        let pod = pod(&[(path, value)]);
        let begun = Instant::now();
        let mut errors = Vec::new();
        super::check_create(&pod, &mut errors);
        let mut warnings = Vec::new();
        super::warn(&pod, &mut warnings);
        assert!(begun.elapsed().as_secs() < 8, "{path}: {:?}", begun.elapsed());
        assert!(errors.len() < 20_000 && warnings.len() < 20_000, "{path}: {} {}", errors.len(), warnings.len());
    }
}
