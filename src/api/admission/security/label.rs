//! The labels of a namespace that say which standard its pods are held to.

use std::fmt;

use serde_json::Value;

use crate::api::error::FieldError;

/// How much is forbidden; later is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A level, as it was in a minor version of Kubernetes; `None` is the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Option<u32>,
}

/// What a namespace asks for, and the labels that cannot be read.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) enforce: Standard,
    pub(super) warn: Standard,
    pub(super) faults: Vec<FieldError>,
}

/// The two labels of one mode, as far as they are there.
struct Given {
    level: Option<Level>,
    version: Option<Option<u32>>,
    is_readable: bool,
}

impl Standard {
    /// Whether rules since this minor version hold.
    pub(super) fn reaches(self, minor: u32) -> bool {
        self.version.is_none_or(|version| version >= minor)
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = LEVELS.iter().find(|(_, level)| *level == self.level).map_or("", |(name, _)| name);
        match self.version {
            None => write!(f, "{level}:latest"),
            Some(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

impl Policy {
    /// Reads the labels. What is enforced fails closed; what only warns fails open. Who enforces is warned alike.
    pub(super) fn of(labels: &Value) -> Self {
        let mut faults = Vec::new();
        let enforced = Given::of(labels, "enforce", Level::Restricted, &mut faults);
        Given::of(labels, "audit", Level::Privileged, &mut faults);
        let warned = Given::of(labels, "warn", Level::Privileged, &mut faults);
        let standard = |given: &Given| Standard {
            level: given.level.unwrap_or(Level::Privileged),
            version: given.version.unwrap_or_default(),
        };
        let (enforce, mut warn) = (standard(&enforced), standard(&warned));
        if warned.level.is_none() && enforced.is_readable && enforce.level > warn.level {
            warn.level = enforce.level;
            if warned.version.is_none() {
                warn.version = enforce.version;
            }
        }
        Self { enforce, warn, faults }
    }

    /// Whether nothing is forbidden and nothing warned of.
    pub(super) fn is_open(&self) -> bool {
        self.enforce.level == Level::Privileged && self.warn.level == Level::Privileged
    }
}

impl Given {
    /// The labels of a mode; a level that cannot be read is `otherwise`.
    fn of(labels: &Value, mode: &str, otherwise: Level, faults: &mut Vec<FieldError>) -> Self {
        let (key, field) = named(mode);
        let level = labels[&key].as_str().map(|text| {
            let known = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
            if known.is_none() {
                faults.push(FieldError::invalid_text(field, text, "must be one of privileged, baseline, restricted"));
            }
            known
        });
        let (key, field) = named(&format!("{mode}-version"));
        let version = labels[&key].as_str().map(|text| {
            let known = version(text);
            if known.is_none() {
                faults.push(FieldError::invalid_text(field, text, "must be \"latest\" or \"v1.x\""));
            }
            known.unwrap_or_default()
        });
        Self {
            level: level.map(|known| known.unwrap_or(otherwise)),
            version,
            is_readable: level.is_some_and(|known| known.is_some()),
        }
    }
}

/// A label's key, and the field that it is.
fn named(name: &str) -> (String, String) {
    let key = format!("pod-security.kubernetes.io/{name}");
    let field = format!("metadata.labels[{key}]");
    (key, field)
}

/// `latest` or `v1.x`; the outer `None` for anything else.
fn version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = minor.bytes().all(|byte| byte.is_ascii_digit()) && (minor == "0" || !minor.starts_with('0'));
    if plain { minor.parse().ok().map(Some) } else { None }
}

const LEVELS: [(&str, Level); 3] =
    [("privileged", Level::Privileged), ("baseline", Level::Baseline), ("restricted", Level::Restricted)];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels() {
        let key = |name: &str| format!("pod-security.kubernetes.io/{name}");
        #[rustfmt::skip]
        type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);
        let rows: [Row; 7] = [
            (&[], "privileged:latest", "privileged:latest", ""),
            (&[("enforce", "baseline")], "baseline:latest", "baseline:latest", ""),
            (&[("enforce", "baseline"), ("enforce-version", "v1.24")], "baseline:v1.24", "baseline:v1.24", ""),
            (&[("enforce", "baseline"), ("warn", "privileged")], "baseline:latest", "privileged:latest", ""),
            (&[("warn", "restricted"), ("warn-version", "v1.0")], "privileged:latest", "restricted:v1.0", ""),
            (&[("enforce", "x")], "restricted:latest", "privileged:latest",
                "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"x\": must be one of privileged, baseline, restricted"),
            (&[("audit-version", "v1.01")], "privileged:latest", "privileged:latest",
                "metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: \"v1.01\": must be \"latest\" or \"v1.x\""),
        ];
        for (given, enforce, warn, faults) in rows {
            let mut labels = json!({});
            for (name, value) in given {
                labels[key(name)] = json!(value);
            }
            let policy = Policy::of(&labels);
            assert_eq!((policy.enforce.to_string().as_str(), policy.warn.to_string().as_str()), (enforce, warn), "{given:?}");
            assert_eq!(policy.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), faults);
        }
    }
}
