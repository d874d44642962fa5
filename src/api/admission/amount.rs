//! Amounts of resources by name, and what the containers of a pod make together.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::quantity::Quantity;

/// Amounts by the name of the resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// Which amounts of a container are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Requests,
    Limits,
}

/// Whether the overhead of a pod's runtime counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overhead {
    Counted,
    Ignored,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// The amounts in a map of quantities; what is no quantity is left out.
pub(super) fn of(map: &Value) -> Amounts {
    let read = |(name, amount): (&String, &Value)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?));
    map.as_object().into_iter().flatten().filter_map(read).collect()
}

/// `a=1,b=2`
pub(super) fn print(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// Adds what is in `more`.
pub(super) fn add(amounts: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = amounts.get(name).map_or(Some(*amount), |own| own.plus(*amount));
        amounts.insert(name.clone(), sum.unwrap_or(*amount));
    }
}

/// What a pod needs: its containers together, or an init container if that needs more; init containers that stay count among the others.
pub(super) fn pod(spec: &Value, side: Side, overhead: Overhead) -> Amounts {
    let own = |container: &Value| of(&container["resources"][side.name()]);
    let mut all = Amounts::new();
    for container in list(spec, "containers") {
        add(&mut all, &own(container));
    }
    let (mut staying, mut most) = (Amounts::new(), Amounts::new());
    for container in list(spec, "initContainers") {
        let mut needed = own(container);
        if container["restartPolicy"] == "Always" {
            add(&mut all, &needed);
            add(&mut staying, &needed);
            needed = staying.clone();
        } else {
            add(&mut needed, &staying);
        }
        raise(&mut most, &needed);
    }
    raise(&mut all, &most);
    all.extend(of(&spec["resources"][side.name()]));
    if overhead == Overhead::Counted {
        let mut extra = of(&spec["overhead"]);
        if side == Side::Limits {
            extra.retain(|name, _| all.contains_key(name));
        }
        add(&mut all, &extra);
    }
    all
}

/// The containers of one of a pod's lists.
pub(super) fn list<'a>(spec: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    spec[name].as_array().into_iter().flatten()
}

/// Raises each amount to what is in `least`.
fn raise(amounts: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        if amounts.get(name).is_none_or(|own| own < amount) {
            amounts.insert(name.clone(), *amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_needs() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let stays = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        for (spec, expected) in [
            (json!({}), ""),
            (json!({"containers": [container("1"), container("500m")]}), "cpu=1500m"),
            (json!({"containers": [container("1")], "initContainers": [container("2"), container("1")]}), "cpu=2"),
            (json!({"containers": [container("1")], "initContainers": [stays("1"), container("2")]}), "cpu=3"),
            (json!({"containers": [container("1")], "initContainers": [container("1"), stays("1")]}), "cpu=2"),
            (json!({"containers": [container("1")], "overhead": {"cpu": "1"}}), "cpu=2"),
            (json!({"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}}), "cpu=4"),
        ] {
            assert_eq!(print(&pod(&spec, Side::Requests, Overhead::Counted)), expected, "{spec}");
        }
        let spec = json!({"containers": [{}], "overhead": {"cpu": "1"}});
        assert_eq!(print(&pod(&spec, Side::Limits, Overhead::Counted)), "");
    }
}
