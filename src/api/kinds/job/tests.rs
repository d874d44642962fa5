//! Tables of fragments of jobs and the exact faults that kube-apiserver tells of them.

use serde_json::{Value, json};

use super::*;

fn texts(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn with(base: &Value, more: &Value) -> Value {
    let mut base = base.clone();
    for (key, value) in entries(more) {
        base[key] = value.clone();
    }
    base
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File"}], "restartPolicy": "Never", "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30}})
}

fn base() -> Value {
    json!({"selector": {"matchLabels": {"a": "b"}}, "manualSelector": true, "template": template(), "completionMode": "NonIndexed",
        "completions": 3, "parallelism": 1})
}

#[test]
fn a_job_selects_its_own_pods() {
    let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"spec": {}}}});
    prepare_create(&mut job);
    assert_eq!(job["spec"]["selector"], json!({"matchLabels": {UID: "u"}}));
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    assert_eq!(job["metadata"]["labels"][NAME], "j");
}

#[test]
fn faults_of_specs() {
    let failure = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}, "podReplacementPolicy": "Failed"});
    let success = |rule: Value| json!({"completionMode": "Indexed", "successPolicy": {"rules": [rule]}});
    let rows = [
        (json!({}), ""),
        (json!({"parallelism": -1}), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (
            json!({"maxFailedIndexes": 1}),
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified; \
             spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        ),
        (
            json!({"completionMode": "Indexed", "completions": null}),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            json!({"completionMode": "X"}),
            "spec.completionMode: Unsupported value: \"X\": supported values: \"NonIndexed\", \"Indexed\"",
        ),
        (
            json!({"managedBy": "x"}),
            "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            failure(json!({"action": "X", "onExitCodes": {"operator": "In", "values": [0, 2, 1]}})),
            "spec.podFailurePolicy.rules[0].action: Unsupported value: \"X\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \
             \"Ignore\"; spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator; \
             spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,2,1]: must be ordered",
        ),
        (
            failure(json!({"action": "Ignore"})),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            success(json!({"succeededIndexes": "0,5", "succeededCount": 9})),
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0,5\": error parsing succeededIndexes: too large index: \
             \"5\"; spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or equal to 3 (the number of \
             specified completions); spec.successPolicy.rules[0].succeededCount: Invalid value: 9: must be less than or equal to 0 \
             (the number of indexes in the specified succeededIndexes field)",
        ),
        (
            json!({"podReplacementPolicy": "X"}),
            "spec.podReplacementPolicy: Unsupported value: \"X\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
        (
            json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": with(&template()["spec"], &json!({"restartPolicy": "Always"}))}}),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            json!({"selector": {"matchLabels": {"x": "y"}}}),
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ),
    ];
    for (more, expected) in rows {
        let spec = with(&base(), &more);
        let mut errors = Vec::new();
        spec::check_whole(&Field::new(&spec, "spec"), &mut errors);
        assert_eq!(texts(&errors), expected);
    }
}

#[test]
fn generated_labels_are_the_servers() {
    let mut job = json!({"metadata": {"name": "j", "uid": "u", "namespace": "n"}, "spec": base()});
    job["spec"]["manualSelector"] = json!(false);
    job["spec"]["selector"] = Value::Null;
    job["spec"]["template"]["metadata"]["labels"] = json!({"job-name": "other"});
    prepare_create(&mut job);
    let mut errors = Vec::new();
    check(&job, &mut errors);
    let labels = job["spec"]["template"]["metadata"]["labels"].to_string();
    assert_eq!(texts(&errors), format!("spec.template.metadata.labels[job-name]: Invalid value: {labels}: must be 'j'"));
}

#[test]
fn what_may_change() {
    let old = json!({"spec": base(), "status": {"startTime": "t"}});
    let mut waiting = json!({"spec": base()});
    waiting["spec"]["suspend"] = json!(true);
    let image = |mut spec: Value| {
        spec["template"]["spec"]["containers"][0]["image"] = json!("j");
        spec
    };
    let node = |mut spec: Value| {
        spec["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
        spec["template"]["spec"]["affinity"] = json!({"nodeAffinity": {}});
        spec
    };
    let rows = [
        (base(), &old, ""),
        (with(&base(), &json!({"completions": 4})), &old, "spec.completions: Invalid value: 4: field is immutable"),
        (with(&base(), &json!({"parallelism": 4})), &old, ""),
        (
            with(&base(), &json!({"completionMode": "Indexed", "completions": 4})),
            &old,
            "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism; \
             spec.completionMode: Invalid value: \"Indexed\": field is immutable",
        ),
        (image(base()), &old, "spec.template: Invalid value: {\"labels\":{\"a\":\"b\"},\"Spec\":"),
        (node(base()), &old, "spec.template: Invalid value: {\"labels\":{\"a\":\"b\"},\"Spec\":"),
        (node(waiting["spec"].clone()), &waiting, ""),
        (image(waiting["spec"].clone()), &waiting, "spec.template: Invalid value: "),
        (
            with(&base(), &json!({"backoffLimitPerIndex": 1})),
            &old,
            "spec.backoffLimitPerIndex: Invalid value: 1: field is immutable",
        ),
    ];
    for (spec, old, expected) in rows {
        let mut errors = Vec::new();
        change::check(&Field::new(&spec, "spec"), old, &mut errors);
        assert_eq!(errors.is_empty(), expected.is_empty(), "{}", texts(&errors));
        assert!(texts(&errors).starts_with(expected), "{}", texts(&errors));
    }
}

#[test]
fn faults_of_statuses() {
    let job = |status: Value| json!({"metadata": {}, "spec": {"completions": 3}, "status": status});
    let on = |kinds: &[&str]| kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect::<Value>();
    let rows = [
        (json!({"active": 1}), json!({}), ""),
        (json!({"active": -1}), json!({}), "status.active: Invalid value: -1: must be greater than or equal to 0"),
        (
            json!({"conditions": on(&["Complete"]), "startTime": "2020-01-01T00:00:00Z"}),
            json!({}),
            "status.completionTime: Required value: completionTime is required for Complete jobs; \
             status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (json!({}), json!({"failed": 2}), "status.failed: Invalid value: 0: cannot decrease the failed counter"),
        (
            json!({}),
            json!({"conditions": on(&["Failed", "FailureTarget"])}),
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition; \
             status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
        ),
        (
            json!({"completedIndexes": "0"}),
            json!({}),
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
        ),
    ];
    for (new, old, expected) in rows {
        let mut errors = Vec::new();
        status::check_update((&job(new), &job(old)), &mut errors);
        assert_eq!(texts(&errors), expected);
    }
}

#[test]
fn faults_of_cron_jobs() {
    let base = json!({"schedule": "* * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": {"template": template()}}});
    let rows = [
        (json!({}), ""),
        (json!({"schedule": ""}), "spec.schedule: Required value"),
        (
            json!({"schedule": "* * * *"}),
            "spec.schedule: Invalid value: \"* * * *\": expected exactly 5 fields, found 4: [* * * *]",
        ),
        (
            json!({"schedule": "TZ=UTC * * * * *"}),
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        (json!({"timeZone": "Mars/Base"}), "spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"),
        (
            json!({"timeZone": "local"}),
            "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in \
             https://www.iana.org/time-zones; spec.timeZone: Invalid value: \"local\": unknown time zone local",
        ),
        (
            json!({"concurrencyPolicy": "X", "failedJobsHistoryLimit": -1}),
            "spec.concurrencyPolicy: Unsupported value: \"X\": supported values: \"Allow\", \"Forbid\", \"Replace\"; \
             spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
    ];
    for (more, expected) in rows {
        let mut errors = Vec::new();
        check_cron(&json!({"metadata": {"name": "c"}, "spec": with(&base, &more)}), &mut errors);
        assert_eq!(texts(&errors), expected);
    }
    let mut errors = Vec::new();
    let name = "a".repeat(53);
    check_cron(&json!({"metadata": {"name": name}, "spec": base}), &mut errors);
    assert_eq!(texts(&errors), format!("metadata.name: Invalid value: \"{name}\": must be no more than 52 bytes"));
}
