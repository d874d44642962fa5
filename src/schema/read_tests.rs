use serde_json::json;

use super::super::Encoding;
use super::*;

fn read(kind: &str, body: &str) -> Result<Reading, ReadError> {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    Schema::builtin(group, "v1", kind).unwrap().read(body.as_bytes(), Encoding::Json)
}

#[test]
fn notes_faults_with_their_paths() {
    let rows = [
        (
            "ConfigMap",
            r#"{"data":{"a":"1","b":"2","a":"3"},"unknown":1}"#,
            vec![r#"duplicate field "data.a""#, r#"unknown field "unknown""#],
        ),
        (
            "ConfigMap",
            r#"{"Data":{},"metadata":{"name":"a","nome":"b","name":"c"}}"#,
            vec![r#"unknown field "Data""#, r#"unknown field "metadata.nome""#, r#"duplicate field "metadata.name""#],
        ),
        (
            "Pod",
            r#"{"spec":{"containers":[{"name":"a"},{"nome":"b","env":[{"x":1},{"x":2}],"env":[]}]}}"#,
            vec![
                r#"unknown field "spec.containers[1].nome""#,
                r#"unknown field "spec.containers[1].env[0].x""#,
                r#"unknown field "spec.containers[1].env[1].x""#,
                r#"duplicate field "spec.containers[1].env""#,
            ],
        ),
        ("ConfigMap", r#"{"x":1,"x":2}"#, vec![r#"unknown field "x""#]),
        ("ConfigMap", r#"{"data":null,"data":{}}"#, vec![r#"duplicate field "data""#]),
        ("ConfigMap", r#"{"a\"b":1}"#, vec![r#"unknown field "a\"b""#]),
        ("apps/ControllerRevision", r#"{"data":{"a":1,"a":2}}"#, vec![]),
    ];
    for (kind, body, faults) in rows {
        assert_eq!(read(kind, body).unwrap().faults, faults, "{body}");
    }
    let many: Vec<_> = (0..200).map(|n| format!("\"x{n}\":1")).collect();
    assert_eq!(read("Pod", &format!("{{{}}}", many.join(","))).unwrap().faults.len(), 100);
}

#[test]
fn says_which_type_is_wrong() {
    let rows = [
        ("ConfigMap", r#"{"data":{"a":1}}"#, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (
            "ConfigMap",
            r#"{"data":[]}"#,
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            "ConfigMap",
            r#"{"metadata":"x"}"#,
            "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
        ),
        (
            "Pod",
            r#"{"spec":{"containers":[{"ports":[{"containerPort":"80"}]}]}}"#,
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            "apps/Deployment",
            r#"{"spec":{"replicas":2147483648}}"#,
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/Deployment",
            r#"{"spec":{"replicas":1.0,"paused":"x"}}"#,
            "json: cannot unmarshal number 1.0 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "Pod",
            r#"{"spec":{"containers":{}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "Pod",
            r#"{"metadata":{"creationTimestamp":1}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            "Pod",
            r#"{"metadata":{"creationTimestamp":"now"}}"#,
            r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#,
        ),
        (
            "Pod",
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("Secret", r#"{"data":{"a":"!"}}"#, "illegal base64 data at input byte 0"),
        (
            "Service",
            r#"{"spec":{"ports":[{"targetPort":true}]}}"#,
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (
            "apiextensions.k8s.io/CustomResourceDefinition",
            r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"additionalProperties":1}}}]}}"#,
            "boolean or JSON schema expected",
        ),
    ];
    for (kind, body, why) in rows {
        match read(kind, body) {
            Err(ReadError::Type(told)) => assert_eq!(told, why, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn syntax_comes_before_types() {
    let rows = [
        ("", "unexpected end of JSON input"),
        (r#"{"data":{"a":1},}"#, "invalid character '}' looking for beginning of object key string"),
        (r#"{"kind":5}"#, "json: cannot unmarshal number into Go struct field .kind of type string"),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ),
    ];
    for (body, why) in rows {
        match read("ConfigMap", body) {
            Err(ReadError::Syntax(told)) => assert_eq!(told, why, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn reads_presence_as_it_is() {
    let rows = [
        ("ConfigMap", "null", json!({})),
        ("ConfigMap", r#"{"data":{"a":null},"metadata":null,"immutable":false}"#, json!({"data": {"a": ""}, "immutable": false})),
        (
            "Pod",
            r#"{"spec":{"containers":[null,{"command":["a",null],"resources":{"limits":{"cpu":1e3,"memory":" 1Gi ","x":null}}}]}}"#,
            json!({"spec": {"containers": [{}, {"command": ["a", ""], "resources": {"limits": {"cpu": "1e3", "memory": "1Gi", "x": "0"}}}]}}),
        ),
        ("Secret", r#"{"data":{"a":"aG\nk="}}"#, json!({"data": {"a": "aGk="}})),
        (
            "Service",
            r#"{"spec":{"ports":[{"targetPort":80},{"targetPort":"web"}]}}"#,
            json!({"spec": {"ports": [{"targetPort": 80}, {"targetPort": "web"}]}}),
        ),
        (
            "apps/ControllerRevision",
            r#"{"data":{"z":{"a":[1,null,1.5]}},"revision":1}"#,
            json!({"data": {"z": {"a": [1, null, 1.5]}}, "revision": 1}),
        ),
        (
            "apiextensions.k8s.io/CustomResourceDefinition",
            r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"items":{"type":"x","nope":1},"additionalProperties":false,
                "dependencies":{"a":["b"],"c":{"type":"y"}},"default":{"nope":1}}}}]}}"#,
            json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"items": {"type": "x"}, "additionalProperties": false,
                "dependencies": {"a": ["b"], "c": {"type": "y"}}, "default": {"nope": 1}}}}]}}),
        ),
    ];
    for (kind, body, value) in rows {
        let reading = read(kind, body).unwrap();
        assert_eq!(reading.value, value, "{body}");
        assert_eq!(reading.faults[..], [] as [&str; 0], "{body}");
    }
}

#[test]
fn finds_the_kind_of_any_body() {
    let rows = [
        (Encoding::Json, r#"{"spec":{"kind":"no"},"kind":"K","apiVersion":"g/v1"}"#.as_bytes()),
        (Encoding::Yaml, b"spec:\n  kind: no\nkind: K\napiVersion: g/v1\n"),
        (Encoding::Protobuf, b"k8s\0\x0a\x09\x0a\x04g/v1\x12\x01K"),
    ];
    for (encoding, body) in rows {
        assert_eq!(crate::schema::kind_of(body, encoding).unwrap(), ("g/v1".to_owned(), "K".to_owned()), "{encoding:?}");
    }
}

#[test]
fn reads_yaml_the_same_way() {
    let schema = Schema::builtin("", "v1", "ConfigMap").unwrap();
    let reading = schema.read(b"data:\n  a: x\n  a: z\nnope: 1\n", Encoding::Yaml).unwrap();
    assert_eq!(reading.value, json!({"data": {"a": "z"}}));
    assert_eq!(reading.faults, ["yaml: unmarshal errors:\n  line 3: key \"a\" already set in map", r#"unknown field "nope""#]);
    let wrong = schema.read(b"data: {a: 1}", Encoding::Yaml).unwrap_err();
    assert_eq!(wrong.to_string(), "json: cannot unmarshal number into Go struct field ConfigMap.data of type string");
    let json = schema.read(br#"{"data":{"a":"1","a":"2"},"nope":1}"#, Encoding::Yaml).unwrap();
    assert_eq!(json.faults, ["yaml: unmarshal errors:\n  line 1: key \"a\" already set in map", r#"unknown field "nope""#]);
}
