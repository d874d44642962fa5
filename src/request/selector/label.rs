//! Label selectors: `tier=front,env in (a,b),!legacy,size>3`.

mod lexer;
mod parser;
mod valid;

use super::SelectorError;

/// A compiled label selector: all requirements must hold. The default matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, without duplicates.
    values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`, `==` and `in`: the label is there and has one of the values.
    In,
    /// `!=` and `notin`: the label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is a number above the value.
    Above,
    /// The label is a number below the value.
    Below,
}

impl LabelSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// The text is no selector, or a key or value cannot be a label's.
    pub fn parse(selector: &str) -> Result<Self, SelectorError> {
        let mut requirements = parser::parse(selector).map_err(SelectorError)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// The selector of the requirements, all of which must hold.
    pub fn of(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, ordered by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The value that the label must have, if the selector leaves only one.
    pub fn requires_exact(&self, key: &str) -> Option<&str> {
        let single = |requirement: &&Requirement| {
            requirement.key == key && requirement.operator == Operator::In && requirement.values.len() == 1
        };
        self.requirements.iter().find(single).map(|requirement| requirement.values[0].as_str())
    }

    /// Whether the object whose labels `lookup` knows matches.
    pub fn matches<'o>(&self, lookup: impl Fn(&str) -> Option<&'o str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(lookup(&requirement.key)))
    }
}

impl Requirement {
    /// A requirement as an object's `matchExpressions` state it, checked like a parsed one.
    ///
    /// # Errors
    /// The key or a value cannot be a label's, or the operator takes another number of values.
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, SelectorError> {
        parser::requirement(key, operator, values).map_err(SelectorError)
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The comparison.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it is compared with; sorted.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a label with this value (`None`: no label) meets the requirement.
    pub fn matches(&self, label: Option<&str>) -> bool {
        let listed = |label: &str| self.values.iter().any(|value| value == label);
        match self.operator {
            Operator::In => label.is_some_and(listed),
            Operator::NotIn => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Above => self.bounds(label).is_some_and(|(label, bound)| label > bound),
            Operator::Below => self.bounds(label).is_some_and(|(label, bound)| label < bound),
        }
    }

    fn bounds(&self, label: Option<&str>) -> Option<(i64, i64)> {
        Some((label?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_labels() {
        let labels = |key: &str| match key {
            "tier" => Some("front"),
            "n" => Some("3"),
            "empty" => Some(""),
            _ => None,
        };
        #[rustfmt::skip]
        let rows = [
            ("", true),
            ("tier=front", true),
            ("tier==front", true),
            ("tier=back", false),
            ("tier!=back", true),
            ("tier!=front", false),
            ("absent!=x", true),
            ("tier in (back, front)", true),
            ("tier in (back)", false),
            ("tier notin (back)", true),
            ("tier notin (front,back)", false),
            ("absent notin (x)", true),
            ("absent in (x)", false),
            ("absent in ()", false),
            ("tier", true),
            ("absent", false),
            ("!absent", true),
            ("! tier", false),
            ("n>2", true),
            ("n > 3", false),
            ("n<4", true),
            ("absent<4", false),
            ("tier>1", false),
            ("empty=", true),
            ("empty", true),
            ("absent=", false),
            ("empty in (,x)", true),
            ("tier=front,n=3", true),
            ("tier=front,n=4", false),
            ("in=x", false),
            ("notin", false),
        ];
        for (text, expected) in rows {
            match LabelSelector::parse(text) {
                Ok(selector) => assert_eq!(selector.matches(labels), expected, "{text}"),
                Err(error) => assert!(text.contains("()"), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn knows_what_is_fixed() {
        let selector = LabelSelector::parse("b in (x),a in (x,y),c!=x").unwrap();
        assert_eq!(selector.requires_exact("b"), Some("x"));
        assert_eq!(selector.requires_exact("a"), None);
        assert_eq!(selector.requires_exact("c"), None);
        assert_eq!(selector.requirements()[0].key(), "a");
    }

    #[test]
    fn refuses_in_kubernetes_words() {
        for row in include_str!("refused.txt").lines().filter(|row| !row.starts_with('#')) {
            let (text, expected) = row.split_once(" -> ").unwrap();
            assert_eq!(LabelSelector::parse(text).unwrap_err().0, expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "([a-z/. ]|in|notin|[=!()<>,\u{0}\u{fc}]){0,20}") {
            let _ = LabelSelector::parse(&text);
        }
    }
}
