//! JSON as Go writes a structure: its members in their own order, on one line.

use serde_json::Value;

/// A structure that is being written.
pub(super) struct Line(String);

impl Line {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A member whose value is JSON already.
    pub(super) fn put(mut self, name: &str, json: impl AsRef<str>) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&format!("\"{name}\":{}", json.as_ref()));
        self
    }

    /// The same, if there is one.
    pub(super) fn some(self, name: &str, json: Option<String>) -> Self {
        match json {
            Some(json) => self.put(name, json),
            None => self,
        }
    }

    /// A member that is left out where it says nothing.
    pub(super) fn given(self, name: &str, value: &Value) -> Self {
        let says_nothing = value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
        if says_nothing { self } else { self.put(name, escaped(&value.to_string())) }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string that is always there.
pub(super) fn text(value: &Value) -> String {
    escaped(&Value::from(value.as_str().unwrap_or("")).to_string())
}

/// Go escapes what HTML would read.
fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_in_their_order() {
        let line = Line::new().put("b", text(&json!("x<y"))).given("a", &json!(1)).given("c", &Value::Null).some("d", None);
        assert_eq!(line.end(), r#"{"b":"x\u003cy","a":1}"#);
    }
}
