use serde_json::{Value, json};

use crate::api::kinds::Part;
use crate::api::kinds::testing::{changes, faults, warnings};

fn check(kind: &str, rows: Vec<(Value, &[&str])>) {
    for (fragment, expected) in rows {
        assert_eq!(faults(kind, fragment.clone()), expected, "{fragment}");
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
                         and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

#[test]
fn endpoints() {
    check(
        "endpoints",
        vec![
            (json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}), &[]),
            (json!({"subsets": [{}]}), &["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
            (
                json!({"subsets": [{"addresses": [{"ip": "127.0.0.1"}, {"ip": "x"}], "ports": [{"port": 0}, {"name": "b", "port": 1,
                    "protocol": "X"}]}]}),
                &[
                    "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, \
                     ::1/128)",
                    "subsets[0].addresses[1].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    "subsets[0].addresses[1].ip: Invalid value: \"x\": must be a valid IP address",
                    "subsets[0].ports[0].name: Required value",
                    "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                    "subsets[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                ],
            ),
        ],
    );
}

#[test]
fn slices() {
    let endpoint = |endpoint: Value| json!({"addressType": "IPv4", "endpoints": [endpoint]});
    check(
        "discovery.k8s.io/endpointslices",
        vec![
            (endpoint(json!({"addresses": ["10.0.0.1"]})), &[]),
            (json!({"endpoints": []}), &["addressType: Required value"]),
            (
                json!({"addressType": "X", "endpoints": []}),
                &["addressType: Unsupported value: \"X\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""],
            ),
            (endpoint(json!({"addresses": []})), &["endpoints[0].addresses: Required value: must contain at least 1 address"]),
            (
                endpoint(
                    json!({"addresses": ["fd00::1", "x", "127.0.0.1"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}),
                ),
                &[
                    "endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be an IPv4 address",
                    "endpoints[0].addresses[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    "endpoints[0].addresses[2]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                    "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\"",
                ],
            ),
            (
                json!({"addressType": "FQDN", "endpoints": [{"addresses": ["example"]}]}),
                &[
                    "endpoints[0].addresses[0]: Invalid value: \"example\": should be a domain with at least two segments separated \
                     by dots",
                ],
            ),
            (
                json!({"addressType": "IPv4", "endpoints": [], "ports": [{"name": "a"}, {"name": "a", "protocol": "X"}]}),
                &[
                    "ports[1].name: Duplicate value: \"a\"",
                    "ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                ],
            ),
            (
                json!({"addressType": "IPv4", "endpoints": vec![json!({"addresses": ["10.0.0.1"]}); 1001]}),
                &["endpoints: Too many: 1001: must have at most 1000 items"],
            ),
            (
                endpoint(json!({"addresses": vec!["10.0.0.1"; 101]})),
                &["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
            ),
        ],
    );
    let with = |kind: &str| json!({"addressType": kind, "endpoints": []});
    assert_eq!(
        changes("discovery.k8s.io/endpointslices", Part::Whole, with("IPv6"), with("IPv4")),
        ["addressType: Invalid value: \"IPv6\": field is immutable"]
    );
    assert_eq!(
        warnings("discovery.k8s.io/endpointslices", json!({"addressType": "FQDN", "endpoints": []})),
        ["spec.addressType: FQDN endpoints are deprecated"]
    );
}

#[test]
fn ingresses() {
    let path = |path: Value| json!({"spec": {"rules": [{"http": {"paths": [path]}}]}});
    let service = json!({"service": {"name": "s", "port": {"number": 80}}});
    let bad_host = format!("spec.rules[0].host: Invalid value: \"A.b\": {SUBDOMAIN}");
    check(
        "networking.k8s.io/ingresses",
        vec![
            (path(json!({"path": "/", "pathType": "Prefix", "backend": service})), &[]),
            (json!({"spec": {}}), &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
            (
                path(json!({"backend": service})),
                &["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"],
            ),
            (
                path(json!({"path": "a//b/..", "pathType": "Exact", "backend": {}})),
                &[
                    "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must be an absolute path",
                    "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must not contain '//'",
                    "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": cannot end with '/..'",
                    "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend is required",
                ],
            ),
            (
                path(json!({"pathType": "X", "backend": {"service": {"name": "", "port": {}}}})),
                &[
                    "spec.rules[0].http.paths[0].pathType: Unsupported value: \"X\": supported values: \"Exact\", \
                     \"ImplementationSpecific\", \"Prefix\"",
                    "spec.rules[0].http.paths[0].backend.service.name: Required value",
                    "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
                ],
            ),
            (
                json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1, "name": "a"}}, "resource": {"kind":
                    "K", "name": "n"}}}}),
                &["spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends"],
            ),
            (
                json!({"spec": {"defaultBackend": {"resource": {"kind": "", "name": "a/b"}}}}),
                &[
                    "spec.defaultBackend.resource.kind: Required value",
                    "spec.defaultBackend.resource.name: Invalid value: \"a/b\": may not contain '/'",
                ],
            ),
            (json!({"spec": {"rules": [{"host": "*.a.b"}]}}), &[]),
            (
                json!({"spec": {"rules": [{"host": "A.b", "http": {"paths": []}}]}}),
                &[bad_host.as_str(), "spec.rules[0].http.paths: Required value"],
            ),
            (
                json!({"spec": {"rules": [{"host": "1.2.3.4"}]}}),
                &["spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"],
            ),
            (
                json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"ingressClassName": "b", "rules":
                    [{}]}}),
                &["annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are \
                     specified"],
            ),
        ],
    );
    let old = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"rules": [{}]}});
    assert_eq!(
        warnings("networking.k8s.io/ingresses", old),
        ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]
    );
}

#[test]
fn classes() {
    let with = |controller: &str| json!({"spec": {"controller": controller}});
    let long = format!("a.b/{}", "c".repeat(250));
    check(
        "networking.k8s.io/ingressclasses",
        vec![
            (with("a.b/c"), &[]),
            (json!({"spec": {}}), &["spec.controller: Required value"]),
            (with("a"), &["spec.controller: Invalid value: \"a\": must be a domain-prefixed path (such as \"acme.io/foo\")"]),
            (with(&long), &["spec.controller: Too long: may not be more than 250 bytes"]),
            (
                with("a.b/c d"),
                &["spec.controller: Invalid value: \"c d\": Invalid path (regex used for validation is \
                     '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"],
            ),
            (
                json!({"spec": {"controller": "a.b/c", "parameters": {"kind": "", "name": "n", "scope": "Namespace"}}}),
                &[
                    "spec.parameters.kind: Required value",
                    "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
                ],
            ),
            (
                json!({"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "namespace": "x"}}}),
                &["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
            ),
        ],
    );
    assert_eq!(
        changes("networking.k8s.io/ingressclasses", Part::Whole, with("a.b/d"), with("a.b/c")),
        ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]
    );
}

#[test]
fn policies() {
    let rule = |rule: Value| json!({"spec": {"podSelector": {}, "ingress": [rule]}});
    check(
        "networking.k8s.io/networkpolicies",
        vec![
            (rule(json!({"from": [{"podSelector": {}}], "ports": [{"port": 80, "endPort": 90}]})), &[]),
            (rule(json!({"from": [{}]})), &["spec.ingress[0].from[0]: Required value: must specify a peer"]),
            (
                rule(json!({"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8", "x"]}}]})),
                &[
                    "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
                    "spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 \
                     or 2001:db8::/64)",
                    "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
                ],
            ),
            (
                rule(
                    json!({"ports": [{"port": 80, "endPort": 70}, {"port": "http", "endPort": 1}, {"endPort": 1, "protocol": "X"}]}),
                ),
                &[
                    "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
                    "spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is non-numeric",
                    "spec.ingress[0].ports[2].protocol: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
                    "spec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not specified",
                ],
            ),
            (
                json!({"spec": {"podSelector": {}, "policyTypes": ["X"]}}),
                &["spec.policyTypes[0]: Unsupported value: \"X\": supported values: \"Ingress\", \"Egress\""],
            ),
            (
                json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress", "Egress"]}}),
                &[
                    "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Egress\"]: may not specify more than two policyTypes",
                ],
            ),
        ],
    );
    let with = |cidr: &str| json!({"spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]}});
    let kind = "networking.k8s.io/networkpolicies";
    assert_eq!(changes(kind, Part::Whole, with("10.0.0.1/8"), with("10.0.0.1/8")), Vec::<String>::new());
    assert_eq!(changes(kind, Part::Whole, with("10.0.0.1/8"), with("10.0.0.0/8")).len(), 1);
}

#[test]
fn ranges() {
    let parent = json!({"group": "", "resource": "services", "namespace": "n", "name": "s"});
    let other = json!({"resource": "services", "namespace": "n", "name": "t"});
    check(
        "networking.k8s.io/ipaddresses",
        vec![
            (json!({"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}}), &[]),
            (
                json!({"metadata": {"name": "010.0.0.1"}, "spec": {}}),
                &["metadata.name: Invalid value: \"010.0.0.1\": must not have leading 0s", "spec.parentRef: Required value"],
            ),
            (
                json!({"metadata": {"name": "FD00::1"}, "spec": {"parentRef": {}}}),
                &[
                    "metadata.name: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")",
                    "spec.parentRef.resource: Required value",
                    "spec.parentRef.name: Required value",
                ],
            ),
        ],
    );
    let with = |parent: &Value| json!({"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}});
    assert_eq!(
        changes("networking.k8s.io/ipaddresses", Part::Whole, with(&other), with(&parent)),
        [
            "spec.parentRef: Invalid value: {\"Group\":\"\",\"Resource\":\"services\",\"Namespace\":\"n\",\"Name\":\"t\"}: field is \
             immutable"
        ]
    );
    let with = |list: Value| json!({"spec": {"cidrs": list}});
    check(
        "networking.k8s.io/servicecidrs",
        vec![
            (with(json!(["10.0.0.0/8", "fd00::/64"])), &[]),
            (json!({"spec": {}}), &["spec.cidrs: Required value: at least one CIDR required"]),
            (
                with(json!(["10.0.0.0/8", "11.0.0.0/8"])),
                &[
                    "spec.cidrs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: may specify no more than one IP for each IP family, \
                     i.e 192.168.0.0/24 and 2001:db8::/64",
                ],
            ),
            (
                with(json!(["a", "b", "c"])),
                &["spec.cidrs: Invalid value: {\"CIDRs\":[\"a\",\"b\",\"c\"]}: may only hold up to 2 values"],
            ),
        ],
    );
    let kind = "networking.k8s.io/servicecidrs";
    let old = || with(json!(["10.0.0.0/8"]));
    assert_eq!(changes(kind, Part::Whole, with(json!(["10.0.0.0/8", "fd00::/64"])), old()), Vec::<String>::new());
    assert_eq!(
        changes(kind, Part::Whole, with(json!(["11.0.0.0/8"])), old()),
        ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]
    );
}
