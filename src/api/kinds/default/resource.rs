//! Lists of resources: rounded up to thousandths, and summed over the containers of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::member::{Members, each, is_absent, is_zero, make, object, put, text};

/// Rounds up the quantities of a resource list that are finer than a thousandth.
pub(super) fn round(members: &mut Members, name: &str) {
    for value in object(members, name).into_iter().flat_map(Members::values_mut) {
        if let Some(amount) = Amount::of(value).filter(|amount| amount.nano % MILLI != 0) {
            *value = Value::String(amount.up_to(MILLI).print());
        }
    }
}

/// Rounds `limits` and `requests` of a value field `resources`.
pub(super) fn round_requirements(members: &mut Members, name: &str) {
    if let Some(resources) = object(members, name) {
        round(resources, "limits");
        round(resources, "requests");
    }
}

/// Requests that are not said are the limits.
pub(super) fn request_limits(container: &mut Members) {
    let Some(resources) = object(container, "resources") else { return };
    let Some(limits) = object(resources, "limits").cloned() else { return };
    let Some(requests) = make(resources, "requests") else { return };
    for (name, limit) in limits {
        put(requests, &name, limit);
    }
}

/// The resources of a pod as a whole, where some are said: huge page limits and requests from its containers, requests from its limits.
pub(super) fn fill_pod(spec: &mut Members) {
    let (limits, requests) = (sum(spec, "limits"), sum(spec, "requests"));
    let Some(resources) = object(spec, "resources") else { return };
    if is_zero(resources, "limits") && is_zero(resources, "requests") {
        return;
    }
    for (name, amount) in limits.iter().filter(|(name, _)| name.starts_with(HUGE_PAGES)) {
        let requested = object(resources, "requests").is_some_and(|requests| requests.contains_key(name));
        if let Some(limits) = make(resources, "limits").filter(|_| !requested) {
            put(limits, name, amount.print());
        }
    }
    let limits = object(resources, "limits").cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    let Some(of_pod) = make(resources, "requests") else { return };
    for (name, amount) in requests.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory")) {
        put(of_pod, name, amount.print());
    }
    for (name, limit) in limits {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with(HUGE_PAGES) {
            put(of_pod, &name, limit);
        }
    }
    if of_pod.is_empty() {
        resources.remove("requests");
    }
}

/// A quantity. Its form is kept when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount {
    nano: i128,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

type Amounts = BTreeMap<String, Amount>;

impl Amount {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// `None` for what is no quantity or beyond all bounds.
    fn parse(text: &str) -> Option<Self> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(text) => (-1, text),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        let mantissa: i128 = if digits.is_empty() { return None } else { digits.parse().ok()? };
        let (form, factor, exponent) = Self::suffix(suffix)?;
        let exponent = exponent - i32::try_from(fraction.len()).ok()? + 9;
        let scaled = mantissa.checked_mul(factor)?;
        let nano = match exponent {
            0.. => scaled.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?,
            // Far below a billionth: what is not nothing is one.
            _ => ceil(scaled, 10_i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX)),
        };
        Some(Self { nano: sign * nano, form })
    }

    /// Form, binary factor and decimal exponent of a suffix.
    fn suffix(suffix: &str) -> Option<(Form, i128, i32)> {
        if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
            return Some((Form::Binary, 1024_i128.pow(u32::try_from(power).ok()? + 1), 0));
        }
        if let Some(place) = DECIMAL.iter().position(|known| *known == suffix) {
            return Some((Form::Decimal, 1, i32::try_from(place).ok()? * 3 - 9));
        }
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        Some((Form::Exponent, 1, exponent.parse().ok().filter(|exponent: &i32| exponent.abs() < 100)?))
    }

    /// Rounded away from zero to a multiple of `unit` billionths.
    fn up_to(self, unit: i128) -> Self {
        let units = ceil(self.nano.abs(), unit);
        Self { nano: self.nano.signum() * units * unit, ..self }
    }

    fn print(self) -> String {
        let whole = self.nano / NANO;
        match self.form {
            _ if self.nano == 0 => "0".to_owned(),
            Form::Binary if self.nano % NANO == 0 && whole % 1024 == 0 => {
                let power = (1..=6_u32).rev().find(|power| whole % 1024_i128.pow(*power) == 0).unwrap_or(1);
                format!("{}{}", whole / 1024_i128.pow(power), BINARY[power as usize - 1])
            }
            form => {
                let (count, place) = match () {
                    () if self.nano % NANO == 0 => (whole, 3),
                    () if self.nano % MILLI == 0 => (self.nano / MILLI, 2),
                    () if self.nano % 1000 == 0 => (self.nano / 1000, 1),
                    () => (self.nano, 0),
                };
                match form {
                    Form::Exponent if place < 3 => format!("{count}e{}", place as i32 * 3 - 9),
                    _ => format!("{count}{}", DECIMAL[place]),
                }
            }
        }
    }
}

/// Division that rounds up.
fn ceil(dividend: i128, divisor: i128) -> i128 {
    dividend / divisor + i128::from(dividend % divisor != 0)
}

/// What the containers of a pod need at once: all of them with their sidecars, or the neediest step of the initialisation.
fn sum(spec: &mut Members, which: &str) -> Amounts {
    let mut total = Amounts::new();
    each(spec, "containers", |container| add(&mut total, &amounts(container, which)));
    let (mut sidecars, mut initial) = (Amounts::new(), Amounts::new());
    each(spec, "initContainers", |container| {
        let own = amounts(container, which);
        let mut step = sidecars.clone();
        add(&mut step, &own);
        if text(container, "restartPolicy") == "Always" {
            add(&mut total, &own);
            sidecars.clone_from(&step);
        }
        max(&mut initial, step);
    });
    max(&mut total, initial);
    total
}

/// The same of a spec that is only read: name and printed amount.
pub(super) fn sum_of(spec: &Value, which: &str) -> Vec<(String, String)> {
    let mut copy = Members::new();
    for list in ["containers", "initContainers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        let slim = containers.map(|container| {
            serde_json::json!({"resources": {which: container["resources"][which]}, "restartPolicy": container["restartPolicy"]})
        });
        copy.insert(list.to_owned(), slim.collect());
    }
    sum(&mut copy, which).into_iter().map(|(name, amount)| (name, amount.print())).collect()
}

fn amounts(container: &mut Members, which: &str) -> Amounts {
    let list = object(container, "resources").and_then(|resources| object(resources, which));
    let list = list.into_iter().flatten();
    list.filter_map(|(name, value)| Some((name.clone(), Amount::of(value)?))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = total.entry(name.clone()).or_insert(Amount { nano: 0, ..*amount });
        sum.nano = sum.nano.saturating_add(amount.nano);
    }
}

fn max(total: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        let most = total.entry(name).or_insert(amount);
        if amount.nano > most.nano {
            *most = amount;
        }
    }
}

/// Rounds the resource lists of the containers' states.
pub(super) fn round_status(status: &mut Members) {
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        each(status, list, |container| {
            round(container, "allocatedResources");
            round_requirements(container, "resources");
        });
    }
}

/// A nil list becomes a copy of another.
pub(super) fn copy_list(members: &mut Members, from: &str, to: &str) {
    if let (true, Some(list @ Value::Object(_))) = (is_absent(members, to), members.get(from).cloned()) {
        members.insert(to.to_owned(), list);
    }
}

const HUGE_PAGES: &str = "hugepages-";
const NANO: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Members, fill_pod, round};

    fn members(value: Value) -> Members {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn quantities_are_rounded_up_to_thousandths() {
        let rows = [
            (json!("0.0001"), json!("1m")),
            (json!("0.1n"), json!("1m")),
            (json!("1.0005"), json!("1001m")),
            (json!("1500u"), json!("2m")),
            (json!("1000u"), json!("1000u")),
            (json!("1e-4"), json!("1e-3")),
            (json!("-0.0001"), json!("-1m")),
            (json!("0.0001Ki"), json!("103m")),
            (json!("1Gi"), json!("1Gi")),
            (json!("100m"), json!("100m")),
            (json!("1.500"), json!("1.500")),
            (json!("12E"), json!("12E")),
            (json!("nonsense"), json!("nonsense")),
            (json!(0.0001), json!("1m")),
            (json!(2), json!(2)),
        ];
        for (sent, kept) in rows {
            let mut list = members(json!({"l": {"cpu": sent}}));
            round(&mut list, "l");
            assert_eq!(list["l"]["cpu"], kept, "{sent}");
        }
    }

    #[test]
    fn resources_of_a_pod_as_a_whole() {
        let container = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let mut sidecar = container("50m", "64Mi");
        sidecar["restartPolicy"] = json!("Always");
        let mut spec = members(json!({
            "containers": [container("100m", "64Mi"), container("200m", "64Mi")],
            "initContainers": [sidecar, container("1", "1Mi")],
            "resources": {"limits": {"cpu": "2", "hugepages-2Mi": "4Mi", "memory": "1Gi"}},
        }));
        fill_pod(&mut spec);
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "1050m", "memory": "192Mi", "hugepages-2Mi": "4Mi"}));
        let mut spec = members(json!({"containers": [container("1", "1Mi")], "resources": {}}));
        fill_pod(&mut spec);
        assert_eq!(spec["resources"], json!({}));
    }
}
