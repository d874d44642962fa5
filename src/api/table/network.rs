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
    some_of(&list, if items(&object["subsets"]).is_empty() { "<none>" } else { "" })
}

pub(super) fn slice_ports(slice: &Value) -> String {
    let port = |port: &Value| match (port["port"].as_i64(), port["name"].as_str()) {
        (Some(number), _) => number.to_string(),
        (None, name) => name.unwrap_or("*").to_owned(),
    };
    some_of(&items(&slice["ports"]).iter().map(port).collect::<Vec<_>>(), "<unset>")
}

pub(super) fn slice_endpoints(slice: &Value) -> String {
    let addresses = items(&slice["endpoints"]).iter().flat_map(|endpoint| items(&endpoint["addresses"]));
    some_of(&addresses.filter_map(|address| address.as_str().map(str::to_owned)).collect::<Vec<_>>(), "<unset>")
}

pub(super) fn hosts(ingress: &Value) -> String {
    let rules = each(&ingress["spec"]["rules"], "host");
    let named = |host: &(usize, &&str)| !host.1.is_empty();
    let shown: Vec<(usize, &&str)> = rules.iter().enumerate().filter(named).take(SHOWN).collect();
    let last = shown.last().map_or(0, |(at, _)| at + 1);
    let list = shown.iter().map(|(_, host)| **host).collect::<Vec<_>>().join(",");
    match shown.len() {
        0 => "*".to_owned(),
        SHOWN if last < rules.len() => format!("{list} + {} more...", rules.len() - SHOWN),
        _ => list,
    }
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
    if !parent.is_object() {
        return "<none>".to_owned();
    }
    let dot = if text(parent, "group").is_empty() { "" } else { "." };
    let resource = format!("{}{dot}{}", text(parent, "resource"), text(parent, "group")).to_lowercase();
    let parts = [resource.as_str(), text(parent, "namespace"), text(parent, "name")];
    parts
        .into_iter()
        .enumerate()
        .filter(|(at, part)| *at != 1 || !part.is_empty())
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        .join("/")
}

fn join(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

const SHOWN: usize = 3;
