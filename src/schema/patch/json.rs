//! JSON patch (RFC 6902).
//!
//! Every operation is bounded: their number, what `copy` adds, and how deep the document may become, because what is nested deeper
//! than the reader allows could be stored and never be read again. Knows no types.

use serde_json::Value;

use super::PatchError;

/// The patch applied, or why not.
pub(super) fn apply(old: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    let operations = read(patch)?;
    let mut document = Document { root: old.clone(), depth: depth(old), copied: 0, measured: 0 };
    for operation in operations {
        document.run(operation)?;
    }
    Ok(document.root)
}

/// The faults that strict field validation finds in the patch itself, like `json patch unknown field "[0].extra"`.
pub fn faults(patch: &[u8]) -> Vec<String> {
    let Ok(operations) = serde_json::from_slice::<Vec<Members>>(patch) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, Members(names)) in operations.iter().enumerate() {
        for (at, name) in names.iter().enumerate() {
            let fault = match () {
                () if !MEMBERS.contains(&name.as_str()) => "unknown",
                () if names[..at].contains(name) => "duplicate",
                () => continue,
            };
            found.push(format!("json patch {fault} field \"[{index}].{name}\""));
            if found.len() == MAX_FAULTS {
                return found;
            }
        }
    }
    found
}

enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}

/// The unescaped tokens of a JSON pointer.
struct Pointer(Vec<String>);

struct Document {
    root: Value,
    /// An upper bound of the nesting.
    depth: usize,
    /// Bytes that `copy` has added.
    copied: usize,
    /// How often the nesting had to be measured.
    measured: usize,
}

/// The names of an object's members in order, with repetitions.
struct Members(Vec<String>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an operation")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    if names.len() < MAX_FAULTS {
                        names.push(name);
                    }
                }
                Ok(Members(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl Pointer {
    fn parse(text: &str) -> Result<Self, PatchError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(unfit(format!("path {text:?} does not begin with a slash"))) };
        let tokens: Vec<String> = rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        if tokens.len() > MAX_DEPTH {
            return Err(unfit("path is too deep"));
        }
        Ok(Self(tokens))
    }

    fn find<'a>(&self, root: &'a Value) -> Result<&'a Value, PatchError> {
        self.0.iter().try_fold(root, |at, token| {
            match at {
                Value::Object(members) => members.get(token),
                Value::Array(items) => index(token, items.len()).ok().and_then(|index| items.get(index)),
                _ => None,
            }
            .ok_or_else(|| self.missing())
        })
    }

    /// The container of what the pointer names, and the last token; `None` for the whole document.
    fn parent<'a, 'p>(&'p self, root: &'a mut Value) -> Result<Option<(&'a mut Value, &'p str)>, PatchError> {
        let Some((last, way)) = self.0.split_last() else { return Ok(None) };
        let mut at = root;
        for token in way {
            at = match at {
                Value::Object(members) => members.get_mut(token),
                Value::Array(items) => index(token, items.len()).ok().and_then(|index| items.get_mut(index)),
                _ => None,
            }
            .ok_or_else(|| self.missing())?;
        }
        Ok(Some((at, last)))
    }

    fn missing(&self) -> PatchError {
        unfit(format!("doc is missing path: {}", self.0.join("/")))
    }
}

impl Document {
    fn run(&mut self, operation: Operation) -> Result<(), PatchError> {
        match operation {
            Operation::Add { path, value } => {
                self.deepen(path.0.len() + depth(&value))?;
                self.add(&path, value)
            }
            Operation::Remove { path } => self.remove(&path).map(drop),
            Operation::Replace { path, value } => {
                path.find(&self.root)?;
                self.deepen(path.0.len() + depth(&value))?;
                self.replace(&path, value)
            }
            Operation::Move { from, path } => self.shift(&from, &path),
            Operation::Copy { from, path } => self.copy(&from, &path),
            Operation::Test { path, value } => self.test(&path, &value),
        }
    }

    /// A member that an object lacks counts as null: clients test so that something is not there.
    fn test(&mut self, path: &Pointer, value: &Value) -> Result<(), PatchError> {
        match path.find(&self.root) {
            Ok(found) if same(found, value) => Ok(()),
            Ok(_) => Err(unfit("testing value failed")),
            Err(missing) => match path.parent(&mut self.root)? {
                Some((Value::Object(_), _)) if value.is_null() => Ok(()),
                _ => Err(missing),
            },
        }
    }

    fn add(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        match path.parent(&mut self.root)? {
            None => self.root = value,
            Some((Value::Object(members), name)) => {
                members.insert(name.to_owned(), value);
            }
            Some((Value::Array(items), "-")) => items.push(value),
            Some((Value::Array(items), token)) => items.insert(index(token, items.len() + 1)?, value),
            Some(_) => return Err(path.missing()),
        }
        Ok(())
    }

    fn remove(&mut self, path: &Pointer) -> Result<Value, PatchError> {
        match path.parent(&mut self.root)? {
            None => Ok(std::mem::take(&mut self.root)),
            Some((Value::Object(members), name)) => members.remove(name).ok_or_else(|| path.missing()),
            Some((Value::Array(items), token)) => Ok(items.remove(index(token, items.len())?)),
            Some(_) => Err(path.missing()),
        }
    }

    fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        match path.parent(&mut self.root)? {
            None => self.root = value,
            Some((Value::Object(members), name)) => *members.get_mut(name).ok_or_else(|| path.missing())? = value,
            Some((Value::Array(items), token)) => {
                let index = index(token, items.len())?;
                items[index] = value;
            }
            Some(_) => return Err(path.missing()),
        }
        Ok(())
    }

    fn shift(&mut self, from: &Pointer, path: &Pointer) -> Result<(), PatchError> {
        from.find(&self.root)?;
        if from.0 == path.0 {
            return Ok(());
        }
        if path.0.starts_with(&from.0) {
            return Err(unfit("a value cannot be moved into itself"));
        }
        self.sink(path.0.len().saturating_sub(from.0.len()))?;
        let value = self.remove(from)?;
        self.add(path, value)
    }

    fn copy(&mut self, from: &Pointer, path: &Pointer) -> Result<(), PatchError> {
        let value = from.find(&self.root)?;
        self.copied += size(value);
        if self.copied > MAX_COPIED {
            return Err(PatchError::TooLarge(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit {MAX_COPIED}",
                self.copied
            )));
        }
        let value = value.clone();
        self.deepen(path.0.len() + depth(&value))?;
        self.add(path, value)
    }

    /// Notes that something now stands at this depth.
    fn deepen(&mut self, to: usize) -> Result<(), PatchError> {
        self.depth = self.depth.max(to);
        if to > MAX_DEPTH { Err(unfit("the result is nested too deeply")) } else { Ok(()) }
    }

    /// Notes that something moves down by `levels`.
    fn sink(&mut self, levels: usize) -> Result<(), PatchError> {
        if self.depth + levels > MAX_DEPTH && self.measured < MAX_MEASURED {
            // The bound only grows; near the limit the truth is worth its price, but not for every operation.
            self.measured += 1;
            self.depth = depth(&self.root);
        }
        self.deepen(self.depth + levels)
    }
}

fn read(patch: &[u8]) -> Result<Vec<Operation>, PatchError> {
    let malformed = |what: String| PatchError::Malformed(format!("error decoding patch: {what}"));
    let patch = crate::schema::parse(patch).map_err(|error| malformed(error.to_string()))?;
    let items = match patch {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => {
            let what = kind(&other);
            return Err(malformed(format!("json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp")));
        }
    };
    // The count is refused before anything is made of the operations.
    if items.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            items.len()
        )));
    }
    for item in &items {
        well_formed(item).map_err(malformed)?;
    }
    items.into_iter().map(operation).collect()
}

/// Checks the Go types of an operation: what fails here is a fault of the request, not of the object.
fn well_formed(item: &Value) -> Result<(), String> {
    let members = match item {
        Value::Object(members) => members,
        Value::Null => return Ok(()),
        other => return Err(format!("json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp", kind(other))),
    };
    for name in ["op", "path", "from"] {
        match members.get(name) {
            None | Some(Value::String(_) | Value::Null) => {}
            Some(other) => {
                let what = kind(other);
                return Err(format!("json: cannot unmarshal {what} into Go struct field jsonPatchOp.{name} of type string"));
            }
        }
    }
    Ok(())
}

fn operation(item: Value) -> Result<Operation, PatchError> {
    let Value::Object(mut members) = item else { return Err(unfit("Unexpected kind: unknown")) };
    let op = members.remove("op").and_then(text).unwrap_or_default();
    let mut pointer = |name: &str| match members.remove(name).and_then(text) {
        Some(text) => Pointer::parse(&text),
        None => Err(unfit(format!("operation {op:?} has no {name}"))),
    };
    let path = pointer("path")?;
    Ok(match op.as_str() {
        "remove" => Operation::Remove { path },
        "move" => Operation::Move { from: pointer("from")?, path },
        "copy" => Operation::Copy { from: pointer("from")?, path },
        "add" | "replace" | "test" => {
            let value = members.remove("value").ok_or_else(|| unfit(format!("operation {op:?} has no value")))?;
            match op.as_str() {
                "add" => Operation::Add { path, value },
                "replace" => Operation::Replace { path, value },
                _ => Operation::Test { path, value },
            }
        }
        other => return Err(unfit(format!("Unexpected kind: {other}"))),
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// An array index below `end`: digits only, no leading zero.
fn index(token: &str, end: usize) -> Result<usize, PatchError> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token
        .parse()
        .ok()
        .filter(|index| plain && *index < end)
        .ok_or_else(|| unfit(format!("Unable to access invalid index: {token}")))
}

/// Equality of RFC 6902: numbers by value.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Roughly the bytes of the compact form, never less.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 24,
        Value::String(text) => 2 + text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + size(item)).sum::<usize>(),
        Value::Object(members) => 2 + members.iter().map(|(name, value)| 4 + name.len() + size(value)).sum::<usize>(),
    }
}

/// Go's word for the type of a JSON value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// kube-apiserver hides the reason from the client.
fn unfit(reason: impl Into<String>) -> PatchError {
    PatchError::Inapplicable(reason.into())
}

const MEMBERS: [&str; 4] = ["op", "path", "from", "value"];
const MAX_OPERATIONS: usize = 10_000;
const MAX_COPIED: usize = 3 << 20;
/// Below what serde_json reads.
const MAX_DEPTH: usize = 120;
const MAX_MEASURED: usize = 32;
const MAX_FAULTS: usize = 100;

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
