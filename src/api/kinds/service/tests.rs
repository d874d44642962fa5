use serde_json::{Value, json};

use crate::api::kinds::Part;
use crate::api::kinds::testing::{changes, faults, warnings};

fn of(spec: Value) -> Vec<String> {
    faults("services", json!({"spec": spec}))
}

#[test]
fn of_a_service() {
    let port = json!([{"port": 80}]);
    let rows: Vec<(Value, &[&str])> = vec![
        (json!({"ports": port}), &[]),
        (json!({}), &["spec.ports: Required value"]),
        (json!({"clusterIP": "None", "clusterIPs": ["None"]}), &[]),
        (json!({"type": "ExternalName", "externalName": "a.b."}), &[]),
        (
            json!({"type": "ExternalName", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy":
                "SingleStack"}),
            &[
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
                "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
                "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
                "spec.externalName: Required value",
            ],
        ),
        (
            json!({"type": "LoadBalancer", "ports": port, "clusterIP": "None", "clusterIPs": ["None"]}),
            &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
        ),
        (
            json!({"ports": [{"port": 0, "protocol": "X", "targetPort": "a_b"}, {"port": 81, "name": "b", "appProtocol": "a/b/c"}]}),
            &[
                "spec.ports[0].name: Required value",
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                "spec.ports[0].targetPort: Invalid value: \"a_b\": must contain only alpha-numeric characters (a-z, 0-9), and \
                 hyphens (-)",
                "spec.ports[1].appProtocol: Invalid value: \"a/b/c\": a qualified name must consist of alphanumeric characters, '-', \
                 '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
                 regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and \
                 '/' (e.g. 'example.com/MyName')",
            ],
        ),
        (
            json!({"ports": [{"name": "b", "port": 80}, {"name": "b", "port": 80}]}),
            &[
                "spec.ports[1].name: Duplicate value: \"b\"",
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\
                 \"NodePort\":0}",
            ],
        ),
        (
            json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30080}]}),
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            json!({"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort":
                30080}]}),
            &["spec.ports[1].nodePort: Duplicate value: 30080"],
        ),
    ];
    for (spec, expected) in rows {
        assert_eq!(of(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn of_where_its_traffic_goes() {
    let port = json!([{"port": 80}]);
    let rows: Vec<(Value, &[&str])> = vec![
        (
            json!({"ports": port, "sessionAffinity": "X"}),
            &["spec.sessionAffinity: Unsupported value: \"X\": supported values: \"ClientIP\", \"None\""],
        ),
        (
            json!({"ports": port, "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}}),
            &[
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and less than 86400",
            ],
        ),
        (
            json!({"ports": port, "type": "X"}),
            &[
                "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ],
        ),
        (
            json!({"ports": port, "externalTrafficPolicy": "Local", "internalTrafficPolicy": "X", "trafficDistribution": "Y"}),
            &[
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
                "spec.internalTrafficPolicy: Unsupported value: \"X\": supported values: \"Cluster\", \"Local\"",
                "spec.trafficDistribution: Unsupported value: \"Y\": supported values: \"PreferClose\", \"PreferSameZone\", \
                 \"PreferSameNode\"",
            ],
        ),
        (
            json!({"ports": port, "type": "NodePort", "healthCheckNodePort": 30000}),
            &["spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and \
                 `externalTrafficPolicy` is 'Local'"],
        ),
        (
            json!({"ports": port, "loadBalancerClass": "a/b", "allocateLoadBalancerNodePorts": false, "loadBalancerSourceRanges":
                ["10.0.0.1/8", " 10.0.0.0/8 ", "x"]}),
            &[
                "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                "spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length",
                "spec.LoadBalancerSourceRanges[2]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or \
                 2001:db8::/64)",
                "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ],
        ),
        (
            json!({"ports": port, "externalIPs": ["127.0.0.1", "x", "0.0.0.0"]}),
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "spec.externalIPs[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "spec.externalIPs[2]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)",
            ],
        ),
        (
            json!({"ports": port, "selector": {"a b": "c"}}),
            &[
                "spec.selector: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
                 is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ],
        ),
    ];
    for (spec, expected) in rows {
        assert_eq!(of(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn of_addresses_and_families() {
    let rows: Vec<(Value, &[&str])> = vec![
        (json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"]}), &[]),
        (json!({"clusterIP": "10.0.0.1"}), &["spec.clusterIPs: Required value"]),
        (
            json!({"clusterIPs": ["10.0.0.1"]}),
            &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"],
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}),
            &["spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`"],
        ),
        (
            json!({"ipFamilies": ["IPv4", "IPv4", "X"], "ipFamilyPolicy": "Both"}),
            &[
                "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
                "spec.ipFamilies[2]: Unsupported value: \"X\": supported values: \"IPv4\", \"IPv6\"",
                "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \
                 \"SingleStack\"",
            ],
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"]}),
            &["spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family"],
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv6"]}),
            &["spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`"],
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None", "10.0.0.1"]}),
            &["spec.clusterIPs: Invalid value: [\"None\",\"10.0.0.1\"]: 'None' must be the first and only value"],
        ),
    ];
    for (mut spec, expected) in rows {
        spec["ports"] = json!([{"port": 80}]);
        assert_eq!(of(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn of_a_change() {
    let with = |addresses: Value| {
        json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80}], "clusterIP": addresses[0], "clusterIPs": addresses,
            "ipFamilyPolicy": "SingleStack"}})
    };
    let rows: Vec<(Value, Value, &[&str])> = vec![
        (with(json!(["10.0.0.8"])), with(json!(["10.0.0.8"])), &[]),
        (
            with(json!(["10.0.0.8"])),
            with(json!(["10.0.0.9"])),
            &["spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"],
        ),
        (
            with(json!(["10.0.0.8"])),
            with(json!(["None"])),
            &["spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"],
        ),
        (with(json!(["None"])), with(json!(["None"])), &[]),
        (with(json!(["10.0.0.8"])), with(json!(["10.0.0.8", "fd00::1"])), &[]),
    ];
    for (new, old, expected) in rows {
        assert_eq!(changes("services", Part::Whole, new.clone(), old), expected, "{new}");
    }
    let balancer = |class: Value| {
        json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "clusterIP": "10.0.0.8", "clusterIPs": ["10.0.0.8"],
            "loadBalancerClass": class}})
    };
    let told = changes("services", Part::Whole, balancer(Value::Null), balancer(json!("a/b")));
    assert_eq!(told, ["spec.loadBalancerClass: Invalid value: null: may not change once set"]);
}

#[test]
fn of_a_state() {
    let with = |kind: &str, ingress: Value| json!({"spec": {"type": kind, "ports": [{"port": 80}]}, "status": {"loadBalancer": {"ingress": ingress}}});
    let told = |kind: &str, ingress: Value| changes("services", Part::Status, with(kind, ingress), with(kind, Value::Null));
    assert_eq!(
        told("ClusterIP", json!([{"ip": "10.0.0.1"}])),
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    );
    assert_eq!(told("LoadBalancer", json!([{"ip": "10.0.0.1"}, {"hostname": "a.b"}])), Vec::<String>::new());
    assert_eq!(
        told("LoadBalancer", json!([{"ip": "x", "ipMode": "Y"}, {"hostname": "1.2.3.4", "ipMode": "VIP"}])),
        [
            "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "status.loadBalancer.ingress[0].ipMode: Unsupported value: \"Y\": supported values: \"Proxy\", \"VIP\"",
            "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
            "status.loadBalancer.ingress[1].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
        ]
    );
}

#[test]
fn what_a_client_should_know() {
    let told = |spec: Value| warnings("services", json!({"spec": spec}));
    assert_eq!(told(json!({"ports": [{"port": 80}]})), Vec::<String>::new());
    assert_eq!(
        told(json!({"clusterIP": "None", "clusterIPs": ["None"], "externalIPs": ["1.2.3.4"], "loadBalancerIP": "1.2.3.4",
            "sessionAffinity": "ClientIP", "externalName": "a", "trafficDistribution": "PreferClose"})),
        [
            "spec.loadBalancerIP is ignored for headless services",
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ]
    );
}

#[test]
fn many_ports_are_looked_at_once() {
    let ports: Vec<Value> =
        (0..100_000).map(|at| json!({"name": format!("p{at}"), "port": 80, "nodePort": 30000 + at})).collect();
    let begun = std::time::Instant::now();
    let told = of(json!({"type": "NodePort", "ports": ports}));
    assert_eq!(told.len(), 99_999);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
