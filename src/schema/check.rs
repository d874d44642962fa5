//! What a type's data says is wrong with an object. Whether kube-apiserver says so too, where and in which order, is for the
//! caller to know:
//! its validation is written by hand.

use serde_json::Value;

use super::Schema;
use super::table::{Field, Shape, Table};

/// Something wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `spec.containers[0].image`, `data[key]`
    pub path: String,
    /// What.
    pub kind: FaultKind,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A required member is missing or empty.
    Required,
    /// The value is none of a closed set.
    NotSupported {
        /// The value sent.
        value: String,
        /// The set.
        supported: Vec<String>,
    },
}

impl Schema {
    /// Required members that are missing or empty, and values outside of their closed sets. At most 100.
    pub fn check(&self, value: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        check(&self.table, (&Shape::Ref(self.id), None), value, &mut Place { path: String::new(), faults: &mut faults });
        faults
    }
}

struct Place<'f> {
    path: String,
    faults: &'f mut Vec<Fault>,
}

impl Place<'_> {
    fn within(&mut self, step: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(if length == 0 { step.trim_start_matches('.') } else { step });
        check(self);
        self.path.truncate(length);
    }

    fn fault(&mut self, kind: FaultKind) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { path: self.path.clone(), kind });
        }
    }
}

fn check(table: &Table, (shape, field): (&Shape, Option<&Field>), value: &Value, place: &mut Place) {
    match (shape, value) {
        (Shape::Ref(_), Value::Object(map)) => {
            for field in table.members(shape).map_or(&[][..], |members| members.fields()) {
                let value = map.get(&*field.name).unwrap_or(&Value::Null);
                place.within(&format!(".{}", field.name), |place| {
                    if field.required && is_missing(value) && !matches!(field.shape, Shape::Ref(_)) {
                        place.fault(FaultKind::Required);
                    }
                    check(table, (&field.shape, Some(field)), value, place);
                });
            }
        }
        (Shape::List(item), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                place.within(&format!("[{index}]"), |place| check(table, (item, field), value, place));
            }
        }
        (Shape::Map(item), Value::Object(map)) => {
            for (key, value) in map {
                place.within(&format!("[{key}]"), |place| check(table, (item, field), value, place));
            }
        }
        (Shape::String, Value::String(text)) => {
            let values = field.map_or(&[][..], |field| &field.values);
            if !values.is_empty() && !text.is_empty() && !values.iter().any(|value| **value == **text) {
                let supported = values.iter().map(ToString::to_string).collect();
                place.fault(FaultKind::NotSupported { value: text.clone(), supported });
            }
        }
        _ => {}
    }
}

fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

const MAX_FAULTS: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_what_the_data_says() {
        let schema = Schema::builtin("", "v1", "Pod").unwrap();
        let pod = json!({"spec": {"containers": [{"image": "x", "imagePullPolicy": "Sometimes"}, {"name": "a"}], "restartPolicy": "Never"}});
        let supported = ["Always", "IfNotPresent", "Never"].map(str::to_owned).to_vec();
        let wanted = [
            ("spec.containers[0].imagePullPolicy", FaultKind::NotSupported { value: "Sometimes".to_owned(), supported }),
            ("spec.containers[0].name", FaultKind::Required),
        ];
        let found = schema.check(&pod);
        assert_eq!(found.iter().map(|fault| (fault.path.as_str(), fault.kind.clone())).collect::<Vec<_>>(), wanted);
        assert_eq!(schema.check(&json!({}))[..], []);
        assert_eq!(schema.check(&json!({"spec": {}}))[0].path, "spec.containers");
    }
}
