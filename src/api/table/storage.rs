//! Cells of volumes, claims, classes and drivers.

use serde_json::Value;

use super::format::{each, items, none, text};

/// `RWO,ROX,RWX,RWOP`, in this order.
pub(super) fn modes(modes: &Value) -> String {
    let has = |mode: &str| items(modes).iter().any(|known| known == mode);
    let short = MODES.iter().filter(|(long, _)| has(long)).map(|(_, short)| *short);
    short.collect::<Vec<_>>().join(",")
}

/// A class' name, marked when it is the default.
pub(super) fn class_name(class: &Value) -> String {
    let annotations = &class["metadata"]["annotations"];
    let default = DEFAULTS.iter().any(|annotation| annotations[*annotation] == "true");
    let name = text(&class["metadata"], "name");
    if default { format!("{name} (default)") } else { name.to_owned() }
}

pub(super) fn phase(object: &Value) -> String {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return "Terminating".to_owned();
    }
    text(&object["status"], "phase").to_owned()
}

/// `namespace/name` of the claim a volume is bound to.
pub(super) fn claim(volume: &Value) -> String {
    let claim = &volume["spec"]["claimRef"];
    if claim.is_object() { format!("{}/{}", text(claim, "namespace"), text(claim, "name")) } else { String::new() }
}

pub(super) fn class(object: &Value) -> String {
    let old = object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    old.unwrap_or_else(|| text(&object["spec"], "storageClassName")).to_owned()
}

pub(super) fn claim_capacity(claim: &Value) -> String {
    bound(claim).map(|status| status["capacity"]["storage"].as_str().unwrap_or("0").to_owned()).unwrap_or_default()
}

pub(super) fn claim_modes(claim: &Value) -> String {
    bound(claim).map(|status| modes(&status["accessModes"])).unwrap_or_default()
}

pub(super) fn audiences(driver: &Value) -> String {
    let requests = &driver["spec"]["tokenRequests"];
    if requests.is_array() { each(requests, "audience").join(",") } else { "<unset>".to_owned() }
}

pub(super) fn driver_modes(driver: &Value) -> String {
    let modes = items(&driver["spec"]["volumeLifecycleModes"]).iter().filter_map(Value::as_str);
    none(modes.collect::<Vec<_>>().join(","))
}

/// A claim's status once it has a volume.
fn bound(claim: &Value) -> Option<&Value> {
    (!text(&claim["spec"], "volumeName").is_empty()).then(|| &claim["status"])
}

const MODES: [(&str, &str); 4] =
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

const DEFAULTS: [&str; 4] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
    "volumeattributesclass.kubernetes.io/is-default-class",
    "volumeattributesclass.alpha.kubernetes.io/is-default-class",
];
