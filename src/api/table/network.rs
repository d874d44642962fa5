//! Cells of services, endpoints, ingresses and addresses.

use serde_json::Value;

use super::format::{each, items, none, number, some_of, text};

/// A service's addresses from outside.
pub(super) fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let own: Vec<&str> = items(&spec["externalIPs"]).iter().filter_map(Value::as_str).collect();
    match text(spec, "type") {
        "ClusterIP" | "NodePort" => none(own.join(",")),
        "LoadBalancer" => {
            let given = balancer(service);
            let all: Vec<&str> = given.split(',').filter(|address| !address.is_empty()).chain(own).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(spec, "externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses a load balancer gave, ordered.
pub(super) fn balancer(object: &Value) -> String {
    let ingress = items(&object["status"]["loadBalancer"]["ingress"]).iter();
    let address = |given: &Value| {
        if text(given, "ip").is_empty() { text(given, "hostname").to_owned() } else { text(given, "ip").to_owned() }
    };
    let mut addresses: Vec<String> = ingress.map(address).filter(|address| !address.is_empty()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}

/// `80:30080/TCP,443/TCP`
pub(super) fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let node = number(&port["nodePort"]);
        let node = if node > 0 { format!(":{node}") } else { String::new() };
        format!("{}{node}/{}", number(&port["port"]), text(port, "protocol"))
    };
    none(items(&service["spec"]["ports"]).iter().map(port).collect::<Vec<_>>().join(","))
}

pub(super) fn endpoints(object: &Value) -> String {
    let mut list = Vec::new();
    for subset in items(&object["subsets"]) {
        let addresses = each(&subset["addresses"], "ip");
        let ports = items(&subset["ports"]);
        if ports.is_empty() {
            list.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in ports {
            list.extend(addresses.iter().map(|address| join(address, number(&port["port"]))));
        }
    }
    some_of(&list, "<none>")
}

pub(super) fn slice_ports(slice: &Value) -> String {
    let port = |port: &Value| port["port"].as_i64().map_or_else(|| "*".to_owned(), |port| port.to_string());
    some_of(&items(&slice["ports"]).iter().map(port).collect::<Vec<_>>(), "<unset>")
}

pub(super) fn slice_endpoints(slice: &Value) -> String {
    let addresses = items(&slice["endpoints"]).iter().flat_map(|endpoint| items(&endpoint["addresses"]));
    some_of(&addresses.filter_map(|address| address.as_str().map(str::to_owned)).collect::<Vec<_>>(), "<unset>")
}

pub(super) fn hosts(ingress: &Value) -> String {
    let hosts = each(&ingress["spec"]["rules"], "host").into_iter().filter(|host| !host.is_empty());
    some_of(&hosts.map(str::to_owned).collect::<Vec<_>>(), "*")
}

/// `Kind.group/name` of an ingress class' parameters.
pub(super) fn parameters(class: &Value) -> String {
    let parameters = &class["spec"]["parameters"];
    if !parameters.is_object() {
        return "<none>".to_owned();
    }
    let group = parameters["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
    format!("{}{group}/{}", text(parameters, "kind"), text(parameters, "name"))
}

/// `services/default/web`: whose an address is.
pub(super) fn parent(address: &Value) -> String {
    let parent = &address["spec"]["parentRef"];
    let parts = [text(parent, "resource"), text(parent, "namespace"), text(parent, "name")];
    none(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
}

fn join(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
