//! Merge patches: twice is once, and a patch without nulls is there afterwards.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{parse, patch};
use serde_json::Value;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((old, change)) = portcullis_fuzz::two(data) else { return };
    let (Ok(old), Ok(change)) = (parse(old), parse(change)) else { return };
    let Ok(new) = patch::merge(&old, &change) else { return };
    assert!(is_there(&change, &new), "{change} is not in {new}");
    assert_eq!(patch::merge(&new, &change).expect("it applied before"), new);
});

fn is_there(change: &Value, new: &Value) -> bool {
    match (change, new) {
        (Value::Object(change), Value::Object(new)) => change.iter().all(|(name, change)| match (change, new.get(name)) {
            (Value::Null, found) => found.is_none(),
            (change, Some(new)) => is_there(change, new),
            (_, None) => false,
        }),
        _ => change == new,
    }
}
