//! What a client should know about a pod or a template that is taken.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::annotation::{ARMOR, SECCOMP, SECCOMP_OF};
use super::container;
use crate::api::error::quoted;
use crate::api::kinds::field::Field;
use crate::api::kinds::quantity::nanos;
use crate::api::meta::name;

/// A new pod.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    warn_of_name(new, "the Pod's hostname", warnings);
    let root = Field::new(new, "");
    for (key, _) in new["metadata"]["annotations"].as_object().into_iter().flatten().filter(|(key, _)| key.starts_with(ARMOR)) {
        // A field's own annotation is no news.
        let title = &key[ARMOR.len()..];
        let known = |list: &str| new["spec"][list].as_array().is_some_and(|list| list.iter().any(|own| own["name"] == title));
        if new["metadata"]["managedFields"].to_string().contains(key.as_str()) && (known("containers") || known("initContainers"))
        {
            warnings.push(format!("metadata.annotations[{key}]: {OLD_ARMOR}"));
        }
    }
    warn_of_spec(&root, Of::Pod, warnings);
}

/// A template of a pod.
pub(in crate::api::kinds) fn warn_of_template(template: &Field<'_, '_>, warnings: &mut Vec<String>) {
    warn_of_spec(template, Of::Template, warnings);
}

/// A name that is no label, though it becomes `part` of a host's name.
pub(in crate::api::kinds) fn warn_of_name(new: &Value, part: &str, warnings: &mut Vec<String>) {
    let faults = name::label(new["metadata"]["name"].as_str().unwrap_or(""));
    if !faults.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in {part}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            faults.join(" ")
        ));
    }
}

/// The wishes of a claim.
pub(in crate::api::kinds) fn warn_of_claim(spec: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let resources = spec.at("resources");
    for which in ["requests", "limits"] {
        let list = resources.at(which);
        warn_of_fraction(&list.key("storage"), warnings);
    }
}

/// What the spec belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Pod,
    Template,
}

/// Warnings that one spec can give; more than fit into headers help nobody.
const MOST: usize = 1000;

fn warn_of_spec(owner: &Field<'_, '_>, of: Of, warnings: &mut Vec<String>) {
    let spec = owner.at("spec");
    warn_of_nodes(&spec, warnings);
    let metadata = owner.at("metadata");
    let annotations = metadata.at("annotations");
    for (key, text) in ANNOTATIONS {
        if !annotations.key(key).is_absent() {
            warnings.push(format!("{}: {text}", annotations.key(key)));
        }
    }
    warn_of_volumes(&spec.at("volumes"), warnings);
    warn_of_doubles(&spec, warnings);
    for resource in ["memory", "ephemeral-storage"] {
        warn_of_fraction(&spec.at("overhead").key(resource), warnings);
    }
    let context = &spec.value()["securityContext"];
    if context["seccompProfile"].is_null() && !annotations.key(SECCOMP).is_absent() {
        warnings.push(format!("{}: {OLD_SECCOMP}", annotations.key(SECCOMP)));
    }
    container::each(&spec, |container| {
        if warnings.len() < MOST {
            warn_of_profiles(container, (&annotations, context, of), warnings);
            warn_of_container(container, warnings);
        }
    });
    warn_of_ports(&spec, warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.count() < 0 {
        warnings.push(format!("{grace}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    warn_of_selectors(&spec.at("affinity"), warnings);
}

fn warn_of_nodes(spec: &Field<'_, '_>, warnings: &mut Vec<String>) {
    for (key, value) in spec.at("nodeSelector").entries() {
        if let Some(text) = deprecated(key) {
            warnings.push(format!("{value}: {text}"));
        }
    }
    let affinity = spec.at("affinity");
    let nodes = affinity.at("nodeAffinity");
    let required = nodes.at(REQUIRED);
    for term in required.at("nodeSelectorTerms").items() {
        warn_of_term(&term, Values::Checked, warnings);
    }
    for term in nodes.at(PREFERRED).items() {
        warn_of_term(&term.at("preference"), Values::Told, warnings);
    }
    for constraint in spec.at("topologySpreadConstraints").items() {
        let key = constraint.at("topologyKey");
        if let Some(text) = deprecated(key.text()) {
            warnings.push(format!("{key}: {} is {text}", key.text()));
        }
        warn_of_selector(&constraint.at("labelSelector"), warnings);
    }
}

/// What becomes of values that are no label's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// They have been refused.
    Checked,
    Told,
}

fn warn_of_term(term: &Field<'_, '_>, values: Values, warnings: &mut Vec<String>) {
    for rule in term.at("matchExpressions").items() {
        if warnings.len() >= MOST {
            return;
        }
        let key = rule.at("key");
        if let Some(text) = deprecated(key.text()) {
            warnings.push(format!("{key}: {} is {text}", key.text()));
        }
        if values == Values::Checked {
            continue;
        }
        for value in rule.at("values").items() {
            let faults = name::label_value(value.text());
            warnings.extend(faults.iter().map(|fault| format!("{value}: {} is invalid, {fault}", value.text())));
        }
    }
}

fn warn_of_volumes(volumes: &Field<'_, '_>, warnings: &mut Vec<String>) {
    for volume in volumes.items() {
        if warnings.len() >= MOST {
            return;
        }
        for (member, told, text) in VOLUMES {
            if !volume.at(member).is_absent() {
                warnings.push(format!("{}: {text}", volume.at(told)));
            }
            if *member == "glusterfs" {
                let claim = volume.at("ephemeral");
                let claim = claim.at("volumeClaimTemplate");
                if !claim.is_absent() {
                    warn_of_claim(&claim.at("spec"), warnings);
                }
            }
        }
    }
    for volume in volumes.items() {
        if warnings.len() >= MOST {
            return;
        }
        warn_of_paths(&volume, warnings);
    }
}

/// A path of a file in a volume, and where the file comes from.
struct Place<'a> {
    path: &'a str,
    source: String,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&quoted(self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// Files of one volume that hide each other.
fn warn_of_paths(volume: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let own = volume.value();
    let text = |value: &Value, member: &str| quoted(value[member].as_str().unwrap_or(""));
    let rows: [(&str, String); 3] = [
        ("configMap", format!("ConfigMap {}", text(&own["configMap"], "name"))),
        ("secret", format!("Secret {}", text(&own["secret"], "secretName"))),
        ("downwardAPI", "DownwardAPI".to_owned()),
    ];
    for (member, what) in rows {
        let places = places(&own[member]["items"], "");
        warn_of_overlaps(volume, &what, places, warnings);
    }
    let mut all = Vec::new();
    for source in own["projected"]["sources"].as_array().into_iter().flatten() {
        if source.as_object().is_none_or(serde_json::Map::is_empty) {
            warnings.push(format!("volume {} (Projected) has no sources provided", quoted(volume.at("name").text())));
            continue;
        }
        for (member, what) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
            all.extend(places(&source[member]["items"], &format!("{what} {}", text(&source[member], "name"))));
        }
        all.extend(places(&source["downwardAPI"]["items"], "DownwardAPI"));
        if let Some(path) = source["serviceAccountToken"]["path"].as_str() {
            all.push(Place { path, source: "ServiceAccountToken".to_owned() });
        }
        if let Some(path) = source["clusterTrustBundle"]["path"].as_str() {
            let bundle = &source["clusterTrustBundle"];
            let name = if bundle["name"].is_null() { "signerName" } else { "name" };
            all.push(Place { path, source: format!("ClusterTrustBundle {}", text(bundle, name)) });
        }
    }
    warn_of_overlaps(volume, "Projected", all, warnings);
}

fn places<'a>(items: &'a Value, source: &str) -> Vec<Place<'a>> {
    let items = items.as_array().into_iter().flatten();
    items
        .map(|item| Place { path: item["path"].as_str().unwrap_or("").trim_end_matches('/'), source: source.to_owned() })
        .collect()
}

fn warn_of_overlaps(volume: &Field<'_, '_>, what: &str, places: Vec<Place<'_>>, warnings: &mut Vec<String>) {
    let mut seen: HashMap<&str, Vec<usize>> = HashMap::new();
    // Which paths lie below a directory.
    let mut below: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, place) in places.iter().enumerate() {
        if warnings.len() >= MOST {
            return;
        }
        let parents: Vec<&str> = place.path.match_indices('/').map(|(at, _)| &place.path[..at]).collect();
        let mut hits: Vec<usize> = seen.get(place.path).into_iter().chain(below.get(place.path)).flatten().copied().collect();
        hits.extend(parents.iter().filter_map(|parent| seen.get(parent)).flatten());
        hits.sort_unstable();
        for hit in hits.into_iter().take(MOST) {
            let name = quoted(volume.at("name").text());
            warnings.push(format!("volume {name} ({what}): overlapping paths: {place} with {}", places[hit]));
        }
        seen.entry(place.path).or_default().push(index);
        for parent in parents {
            below.entry(parent).or_default().push(index);
        }
    }
}

/// What stands twice where only one of the two counts.
fn warn_of_doubles(spec: &Field<'_, '_>, warnings: &mut Vec<String>) {
    for (member, key) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = HashSet::new();
        for item in spec.at(member).items() {
            if warnings.len() >= MOST {
                return;
            }
            let own = item.at(key);
            if !seen.insert(own.text()) {
                warnings.push(format!("{own}: duplicate {key} {}", quoted(own.text())));
            }
        }
    }
    for secret in spec.at("imagePullSecrets").items().filter(|secret| secret.at("name").is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", secret.at("name")));
    }
}

fn warn_of_fraction(amount: &Field<'_, '_>, warnings: &mut Vec<String>) {
    if nanos(amount.text()).is_some_and(|value| value % 1_000_000_000 != 0) {
        warnings.push(format!("{amount}: fractional byte value {} is invalid, must be an integer", quoted(amount.text())));
    }
}

fn warn_of_profiles(
    container: &Field<'_, '_>,
    (annotations, of_pod, of): (&Field<'_, '_>, &Value, Of),
    warnings: &mut Vec<String>,
) {
    if annotations.is_empty() {
        return;
    }
    let (title, context) = (container.at("name").text(), &container.value()["securityContext"]);
    let key = format!("{SECCOMP_OF}{title}");
    if context["seccompProfile"].is_null() && !annotations.key(&key).is_absent() {
        warnings.push(format!("{}: {OLD_SECCOMP}", annotations.key(&key)));
    }
    let key = format!("{ARMOR}{title}");
    let fielded = !of_pod["appArmorProfile"].is_null() || !context["appArmorProfile"].is_null();
    if of == Of::Template && !fielded && !annotations.key(&key).is_absent() {
        warnings.push(format!("{}: {OLD_ARMOR}", annotations.key(&key)));
    }
}

fn warn_of_container(container: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let resources = container.at("resources");
    if !resources.is_empty() {
        for resource in ["memory", "ephemeral-storage"] {
            for which in ["limits", "requests"] {
                warn_of_fraction(&resources.at(which).key(resource), warnings);
            }
        }
    }
    let mut seen = HashSet::new();
    for variable in container.at("env").items() {
        let own = variable.at("name").text();
        if seen.insert(own) {
            continue;
        }
        if warnings.len() >= MOST {
            return;
        }
        let (value, reference) = (variable.at("value").text(), format!("$({own})"));
        if !variable.at("valueFrom").is_absent() || value == reference || !value.contains(&reference) {
            warnings
                .push(format!("{variable}: hides previous definition of {}, which may be dropped when using apply", quoted(own)));
        }
    }
}

/// Where a port stands, and the address and port of the host that it takes.
type Opening<'a> = (String, &'a str, i64);

/// Ports of containers that are one and the same, or nearly.
fn warn_of_ports(spec: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let mut known: HashMap<(i64, &str), Vec<Opening<'_>>> = HashMap::new();
    container::each(spec, |container| {
        for port in container.at("ports").items() {
            if warnings.len() >= MOST {
                return;
            }
            let (address, host) = (port.at("hostIP").text(), port.at("hostPort").count());
            if !address.is_empty() && host == 0 {
                warnings.push(format!(
                    "{port}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{address}}}",
                    port.at("name").text(),
                    port.at("containerPort").count(),
                    port.at("protocol").text()
                ));
            }
            let others = known.entry((port.at("containerPort").count(), port.at("protocol").text())).or_default();
            for (place, other_address, other_host) in others.iter().take(MOST) {
                let kind = if (address, host) == (*other_address, *other_host) {
                    "duplicate"
                } else if host == 0 || *other_host == 0 {
                    "overlapping"
                } else if host == *other_host && (address.is_empty() != other_address.is_empty()) {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{port}: {kind} port definition with {place}"));
            }
            others.push((port.to_string(), address, host));
        }
    });
}

fn warn_of_selectors(affinity: &Field<'_, '_>, warnings: &mut Vec<String>) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let own = affinity.at(kind);
        for term in own.at(REQUIRED).items() {
            warn_of_selector(&term.at("labelSelector"), warnings);
        }
        for term in own.at(PREFERRED).items() {
            let term = term.at("podAffinityTerm");
            warn_of_selector(&term.at("labelSelector"), warnings);
        }
    }
}

fn warn_of_selector(selector: &Field<'_, '_>, warnings: &mut Vec<String>) {
    if selector.is_absent() && warnings.len() < MOST {
        warnings.push(format!("{selector}: a null labelSelector results in matching no pod"));
    }
}

/// What a node's label is called today.
fn deprecated(label: &str) -> Option<&'static str> {
    match label {
        "beta.kubernetes.io/arch" => Some("deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
        "beta.kubernetes.io/os" => Some("deprecated since v1.14; use \"kubernetes.io/os\" instead"),
        "failure-domain.beta.kubernetes.io/region" => {
            Some("deprecated since v1.17; use \"topology.kubernetes.io/region\" instead")
        }
        "failure-domain.beta.kubernetes.io/zone" => Some("deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
        "beta.kubernetes.io/instance-type" => Some("deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
        _ => None,
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const OLD_SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const OLD_ARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

const ANNOTATIONS: [(&str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "non-functional in v1.16+; use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

/// Volumes of the past: the member, the name under which it is told, the text.
const VOLUMES: &[(&str, &str, &str)] = &[
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
