//! Label and field selectors: what a selector says that it requires is what it matches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::request::{FieldSelector, LabelSelector, Operator, Requirement};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selector) = LabelSelector::parse(text) {
        labels(&selector);
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        selector.matches(|_| None);
        let terms = selector.terms().to_vec();
        for term in &terms {
            if let Some(value) = selector.requires_exact(&term.field) {
                let other = format!("{value}x");
                assert!(!selector.matches(|field| Some(if field == term.field { other.as_str() } else { "" })), "{text:?}");
            }
        }
        assert!(!terms.is_empty() || selector.matches(|_| None));
    }
});

fn labels(selector: &LabelSelector) {
    let requirements = selector.requirements().to_vec();
    assert_eq!(&LabelSelector::of(requirements.clone()), selector);
    assert!(!selector.is_everything() || selector.matches(|_| None));
    for requirement in &requirements {
        let again = Requirement::new(requirement.key(), requirement.operator(), requirement.values().to_vec());
        assert_eq!(again.as_ref(), Ok(requirement));
        let there = requirement.values().iter().all(|value| requirement.matches(Some(value)));
        match requirement.operator() {
            Operator::In => assert!(there && !requirement.matches(None)),
            Operator::NotIn => assert!(requirement.matches(None)),
            _ => {}
        }
        if let Some(value) = selector.requires_exact(requirement.key()) {
            let other = format!("{value}x");
            assert!(!selector.matches(|key| (key == requirement.key()).then_some(other.as_str())));
        }
    }
}
