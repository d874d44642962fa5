//! Strategic merge patches: what they make of a stored object is an object again, and can be read or is refused.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{Encoding, parse, patch};
use serde_json::json;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((old, change)) = portcullis_fuzz::two(data) else { return };
    let schema = portcullis_fuzz::schema(old, Encoding::Json);
    let (Some(old), Ok(change)) = (portcullis_fuzz::stored(&schema, old), parse(change)) else { return };
    assert_eq!(patch::strategic(&schema, &old, &json!({})).expect("nothing is asked for"), old);
    let Ok(new) = patch::strategic(&schema, &old, &change) else { return };
    assert!(new.is_object());
    if let Ok(reading) = schema.read_value(&new) {
        let mut value = reading.value;
        schema.normalise(&mut value);
    }
});
