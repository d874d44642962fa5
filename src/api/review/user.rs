//! `UserInfo`: an identity as reviews show it.

use serde_json::{Map, Value, json};

use crate::identity::Identity;
use crate::policy::Permit;

/// The identity that acts.
pub(super) fn info(permit: &Permit) -> Value {
    match permit.identity() {
        Some(identity) => of(identity),
        None => json!({"username": "system:apiserver", "groups": ["system:masters", "system:authenticated"]}),
    }
}

/// An identity; what it has nothing of is left out.
pub(super) fn of(identity: &Identity) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), json!(identity.user()));
    for (name, value, empty) in [
        ("uid", json!(identity.uid()), identity.uid().is_empty()),
        ("groups", json!(identity.groups()), identity.groups().is_empty()),
        ("extra", json!(identity.extra()), identity.extra().is_empty()),
    ] {
        if !empty {
            info.insert(name.to_owned(), value);
        }
    }
    Value::Object(info)
}
