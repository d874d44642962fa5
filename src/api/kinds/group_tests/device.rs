//! Claims for devices, slices and classes of them.

use serde_json::{Value, json};

use super::{LABEL, creates, updates};
use crate::api::kinds::Part;

#[test]
fn device_claims() {
    creates(
        "resource.k8s.io/v1 resourceclaims",
        &[
            (json!({"spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "c"}}]}}}), &[]),
            (
                json!({"spec": {"devices": {
                    "requests": [{"name": "A"}, {"name": "b", "exactly": {"allocationMode": "All", "count": 1, "selectors": [{}],
                        "tolerations": [{"key": "-", "operator": "Exists", "value": "v", "effect": "X"}]}},
                        {"name": "b", "firstAvailable": [{"name": "s", "deviceClassName": "c", "allocationMode": "X"}]}],
                    "constraints": [{"requests": ["b/s", "b/x", "a/b/c"]}, {"matchAttribute": "foo"}, {"distinctAttribute": "/"}],
                    "config": [{"requests": ["z", "z"]}, {"opaque": {"driver": "D_", "parameters": "x"}}]}}}),
                &[
                    &format!("spec.devices.requests[0].name: Invalid value: \"A\": {LABEL}"),
                    "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
                    "spec.devices.requests[1].exactly.deviceClassName: Required value",
                    "spec.devices.requests[1].exactly.selectors[0].cel: Required value",
                    "spec.devices.requests[1].exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'",
                    "spec.devices.requests[1].exactly.tolerations[0].key: Invalid value: \"-\": name part must consist of alphanumeric \
                     characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
                     '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                    "spec.devices.requests[1].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
                    "spec.devices.requests[1].exactly.tolerations[0].effect: Unsupported value: \"X\": supported values: \"NoExecute\", \
                     \"NoSchedule\", \"None\"",
                    "spec.devices.requests[2].firstAvailable[0].allocationMode: Unsupported value: \"X\": supported values: \"All\", \
                     \"ExactCount\"",
                    "spec.devices.requests[2]: Duplicate value: \"b\"",
                    "spec.devices.constraints[0].requests[1]: Invalid value: \"b/x\": must be the name of a request in the claim or the name \
                     of a request and a subrequest separated by '/'",
                    "spec.devices.constraints[0].requests[2]: Invalid value: \"a/b/c\": must be the name of a request in the claim or the \
                     name of a request and a subrequest separated by '/'",
                    "spec.devices.constraints[0]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, \
                     but multiple fields are set",
                    "spec.devices.constraints[1].matchAttribute: Invalid value: \"foo\": a fully qualified name must be a domain and a name \
                     separated by a slash",
                    "spec.devices.constraints[2].distinctAttribute: Invalid value: \"\": the domain must not be empty",
                    "spec.devices.constraints[2].distinctAttribute: Invalid value: \"\": the name must not be empty",
                    "spec.devices.config[0].requests[0]: Invalid value: \"z\": must be the name of a request in the claim or the name of a \
                     request and a subrequest separated by '/'",
                    "spec.devices.config[0].requests[1]: Invalid value: \"z\": must be the name of a request in the claim or the name of a \
                     request and a subrequest separated by '/'",
                    "spec.devices.config[0].requests[1]: Duplicate value: \"z\"",
                    "spec.devices.config[0].opaque: Required value",
                    "spec.devices.config[1].opaque.driver: Invalid value: \"D_\": a lowercase RFC 1123 subdomain must consist of lower case \
                     alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex \
                     used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                    "spec.devices.config[1].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object",
                ],
            ),
            (
                json!({"spec": {"devices": {"constraints": vec![json!({}); 33]}}}),
                &["spec.devices.constraints: Too many: 33: must have at most 32 items"],
            ),
        ],
    );
    let claim = |class: &str| json!({"spec": {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": class}}]}}});
    updates(
        "resource.k8s.io/v1 resourceclaims",
        Part::Whole,
        &[(
            claim("c"),
            claim("d"),
            &[
                "spec: Invalid value: {\"Devices\":{\"Requests\":[{\"Name\":\"a\",\"Exactly\":{\"DeviceClassName\":\"d\",\"Selectors\":null,\
               \"AllocationMode\":\"ExactCount\",\"Count\":1,\"AdminAccess\":null,\"Tolerations\":null,\"Capacity\":null},\"FirstAvailable\":\
               null}],\"Constraints\":null,\"Config\":null}}: field is immutable",
            ],
        )],
    );
    let mut reported = claim("c");
    reported["status"] = json!({"reservedFor": [{"resource": "pods", "name": "p"}],
        "devices": [{"driver": "d.e", "pool": "p", "device": "x", "networkData": {"ips": ["1.2.3.4", "10.0.0.01/24"]}}]});
    updates(
        "resource.k8s.io/v1 resourceclaims",
        Part::Status,
        &[(
            claim("c"),
            reported,
            &[
                "status.reservedFor[0].uid: Required value",
                "status.devices[0]: Invalid value: d.e/p/x: must be an allocated device in the claim",
                "status.devices[0].networkData.ips[0]: Invalid value: \"1.2.3.4\": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 \
                 or 2001:db8::1/64)",
                "status.devices[0].networkData.ips[1]: Invalid value: \"10.0.0.01/24\": must be in canonical form (\"10.0.0.1/24\")",
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ],
        )],
    );
}

#[test]
fn device_slices() {
    let slice = |more: Value| {
        let mut spec = json!({"driver": "d.e", "pool": {"name": "p", "resourceSliceCount": 1}, "nodeName": "n"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"spec": spec})
    };
    creates(
        "resource.k8s.io/v1 resourceslices",
        &[
            (
                slice(json!({"devices": [{"name": "a", "attributes": {"x": {"int": 1}}, "capacity": {"m": {"value": "1Gi"}}}]})),
                &[],
            ),
            (
                json!({"spec": {}}),
                &[
                    "spec.driver: Required value",
                    "spec.pool.name: Required value",
                    "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                    "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
                ],
            ),
            (
                slice(json!({"allNodes": true, "nodeSelector": {}})),
                &[
                    "spec.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term",
                    "spec.nodeSelector.nodeSelectorTerms: Invalid value: null: must have exactly one node selector term",
                    "spec: Invalid value: \"{`nodeName`, `nodeSelector`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, \
                     `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set",
                ],
            ),
            (
                slice(
                    json!({"devices": [{"name": "a", "attributes": {"v": {"version": "1.0"}, "y": {}, "z": {"int": 1, "bool": true}},
                    "capacity": {"m": {"value": "1", "requestPolicy": {}}}, "taints": [{"key": "k"}], "allNodes": true,
                    "bindingConditions": ["a", "a"]}, {"name": "a", "consumesCounters": [{}]}]}),
                ),
                &[
                    "spec.devices[0].attributes[v].version: Invalid value: \"1.0\": must be a string compatible with semver.org spec 2.0.0",
                    "spec.devices[0].attributes[y]: Invalid value: \"\": exactly one value must be specified",
                    "spec.devices[0].attributes[z]: Invalid value: {\"IntValue\":1,\"BoolValue\":true,\"StringValue\":null,\
                     \"VersionValue\":null}: exactly one value must be specified",
                    "spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true",
                    "spec.devices[0].taints[0].effect: Required value",
                    "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if \
                     `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
                    "spec.devices[0].bindingConditions[1]: Duplicate value: \"a\"",
                    "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use \
                     bindingConditions",
                    "spec.devices[1].consumesCounters[0].counterSet: Required value",
                    "spec.devices[1].consumesCounters[0].counters: Required value",
                    "spec.devices[1]: Duplicate value: \"a\"",
                ],
            ),
            (
                slice(json!({"devices": [{"name": "a", "allowMultipleAllocations": true, "capacity": {
                    "a": {"value": "10", "requestPolicy": {"default": "3", "validValues": ["4", "2", "2", "11"]}},
                    "b": {"value": "10", "requestPolicy": {"default": "3", "validRange": {"min": "2", "max": "12", "step": "4"}}},
                    "c": {"value": "1", "requestPolicy": {"validRange": {"min": "1"}}}}}]})),
                &[
                    "spec.devices[0].capacity[a].requestPolicy.validValues[1]: Invalid value: \"2\": values must be sorted in ascending order",
                    "spec.devices[0].capacity[a].requestPolicy.validValues[3]: Invalid value: \"11\": option is larger than capacity value: 10",
                    "spec.devices[0].capacity[a].requestPolicy.validValues[2]: Duplicate value: \"2\"",
                    "spec.devices[0].capacity[a].requestPolicy.validValues: Invalid value: \"3\": default value is not valid according to the \
                     requestPolicy",
                    "spec.devices[0].capacity[b].requestPolicy.validRange.max: Invalid value: \"12\": max is larger than capacity value: 10",
                    "spec.devices[0].capacity[b].requestPolicy.validRange.step: Invalid value: \"3\": value is not a multiple of a given step \
                     (4) from (2)",
                    "spec.devices[0].capacity[b].requestPolicy.validRange.step: Invalid value: \"12\": value is not a multiple of a given \
                     step (4) from (2)",
                    "spec.devices[0].capacity[c].requestPolicy.default: Required value: required when validRange is defined",
                ],
            ),
        ],
    );
    updates(
        "resource.k8s.io/v1 resourceslices",
        Part::Whole,
        &[(slice(json!({})), slice(json!({"driver": "f.g"})), &["spec.driver: Invalid value: \"f.g\": field is immutable"])],
    );
}

#[test]
fn device_classes() {
    creates(
        "resource.k8s.io/v1 deviceclasses",
        &[(
            json!({"spec": {"selectors": [{}], "config": [{}], "extendedResourceName": "cpu"}}),
            &[
                "spec.selectors[0].cel: Required value",
                "spec.config[0].opaque: Required value",
                "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name",
            ],
        )],
    );
}
