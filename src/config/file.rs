//! The YAML file, read piece by piece: every mistake is noted with its path, none ends the reading.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

/// The largest configuration that is read.
const LIMIT: usize = 4 << 20;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Like `listen.limits.connections`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.path, self.text) }
    }
}

/// All mistakes of one reading.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Notes one.
    pub fn note(&mut self, path: impl Into<String>, text: impl fmt::Display) {
        self.0.push(Mistake { path: path.into(), text: text.to_string() });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the file's order.
    pub fn into_vec(self) -> Vec<Mistake> {
        self.0
    }
}

/// A mapping of the file that is being read: what is taken is known, what is left at the end is a mistake.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    rest: Mapping,
}

impl Section {
    /// The file's outermost mapping.
    ///
    /// # Errors
    /// When the text is no YAML mapping at all.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let whole = |text: String| Mistake { path: String::new(), text };
        if text.len() > LIMIT {
            return Err(whole(format!("the file is larger than {LIMIT} bytes")));
        }
        match serde_yaml::from_str(text) {
            Ok(Value::Mapping(rest)) => Ok(Self { path: String::new(), rest }),
            Ok(_) => Err(whole("the file holds no mapping; it begins with `apiVersion: portcullis.dev/v1`".to_owned())),
            Err(error) => Err(whole(format!("no YAML: {error}"))),
        }
    }

    /// The path of a key of this section.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The section under `key`; an empty one when it is absent.
    pub(super) fn section(&mut self, key: &str, mistakes: &mut Mistakes) -> Self {
        self.optional_section(key, mistakes).unwrap_or_else(|| Self { path: self.at(key), rest: Mapping::new() })
    }

    /// The section under `key`, if it is there.
    pub(super) fn optional_section(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let path = self.at(key);
        match self.rest.remove(key)? {
            Value::Mapping(rest) => Some(Self { path, rest }),
            Value::Null => Some(Self { path, rest: Mapping::new() }),
            other => {
                mistakes.note(path, format!("a mapping is expected, not {}", name(&other)));
                None
            }
        }
    }

    /// Whether anything stands under `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.rest.get(key).is_some_and(|value| !value.is_null())
    }

    /// The value under `key`, if it is there and right.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<T> {
        let value = self.rest.remove(key).filter(|value| !value.is_null())?;
        read(self.at(key), value, mistakes)
    }

    /// The value under `key`, or what stands for an absent one.
    pub(super) fn or<T: DeserializeOwned>(&mut self, key: &str, absent: T, mistakes: &mut Mistakes) -> T {
        self.optional(key, mistakes).unwrap_or(absent)
    }

    /// The value under `key`, which must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<T> {
        if self.rest.get(key).is_none_or(Value::is_null) {
            self.rest.remove(key);
            mistakes.note(self.at(key), "is required");
            return None;
        }
        self.optional(key, mistakes)
    }

    /// A time like `90s`, `5m`, `1h30m` or `250ms`.
    pub(super) fn duration(&mut self, key: &str, absent: Duration, mistakes: &mut Mistakes) -> Duration {
        let Some(text) = self.optional::<String>(key, mistakes) else { return absent };
        duration(&text).unwrap_or_else(|| {
            mistakes.note(self.at(key), format!("{text:?} is no duration; write it like 90s, 5m or 1h30m"));
            absent
        })
    }

    /// The items of a list, each read on its own; the faulty ones are noted and left out.
    pub(super) fn list<T: DeserializeOwned>(&mut self, key: &str, mistakes: &mut Mistakes) -> Vec<T> {
        let path = self.at(key);
        match self.rest.remove(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Sequence(items)) => {
                let read = |(index, item)| read(format!("{path}[{index}]"), item, mistakes);
                items.into_iter().enumerate().filter_map(read).collect()
            }
            Some(other) => {
                mistakes.note(path, format!("a list is expected, not {}", name(&other)));
                Vec::new()
            }
        }
    }

    /// Ends the section: keys that nobody asked for are mistakes.
    pub(super) fn end(self, mistakes: &mut Mistakes) {
        for key in self.rest.keys() {
            let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
            mistakes.note(self.at(&key), "unknown key");
        }
    }
}

/// A file that is one value; an empty one is the value's default.
///
/// # Errors
/// In words: it is far too large, no YAML, or not what is expected.
pub(super) fn document<T: DeserializeOwned + Default>(text: &str) -> Result<T, String> {
    if text.len() > LIMIT {
        return Err(format!("the file is larger than {LIMIT} bytes"));
    }
    let value: Option<T> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    Ok(value.unwrap_or_default())
}

fn read<T: DeserializeOwned>(path: String, value: Value, mistakes: &mut Mistakes) -> Option<T> {
    match serde_path_to_error::deserialize(value) {
        Ok(read) => Some(read),
        Err(error) => {
            let inner = error.path().to_string();
            let path = if inner == "." { path } else { format!("{path}.{inner}") };
            mistakes.note(path, error.into_inner());
            None
        }
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}

/// Go's form of a duration, without fractions.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let part = match &unit[..end] {
            "ms" => Duration::from_millis(count),
            "s" => Duration::from_secs(count),
            "m" => Duration::from_secs(count.checked_mul(60)?),
            "h" => Duration::from_secs(count.checked_mul(3600)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let table = [
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("m5", None),
            ("5 m", None),
            ("99999999999999999999s", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn every_mistake_is_noted_with_its_path() {
        let mut mistakes = Mistakes::default();
        let mut root = Section::parse("a: {n: x, m: 3, typo: 1}\nlist: [1, two, 3]\nodd: 1\n").expect("a mapping");
        let mut a = root.section("a", &mut mistakes);
        assert_eq!(a.optional::<u16>("n", &mut mistakes), None);
        assert_eq!(a.or("m", 0_u16, &mut mistakes), 3);
        assert_eq!(a.required::<u16>("missing", &mut mistakes), None);
        a.end(&mut mistakes);
        assert_eq!(root.list::<u16>("list", &mut mistakes), [1, 3]);
        root.end(&mut mistakes);
        let paths: Vec<_> = mistakes.into_vec().into_iter().map(|mistake| mistake.path).collect();
        assert_eq!(paths, ["a.n", "a.missing", "a.typo", "list[1]", "odd"]);
    }

    #[test]
    fn what_is_no_mapping_is_one_mistake() {
        for text in ["", "- a\n", "a: [", "\tx: 1"] {
            assert!(Section::parse(text).is_err(), "{text:?}");
        }
    }
}
