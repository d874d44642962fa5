//! JSON bodies: what was read is read again as the same, and a document that serde_json takes is taken, with the same values.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{Encoding, parse, write};
use serde_json::Value;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let ours = parse(data);
    match (&ours, serde_json::from_slice::<Value>(data)) {
        (Ok(ours), Ok(theirs)) => assert!(same(ours, &theirs), "{ours}\n{theirs}"),
        (Err(why), Ok(theirs)) => assert!(is_bounded(&why.to_string()), "{why}: {theirs}"),
        _ => {}
    }
    if let Ok(value) = ours {
        assert_eq!(parse(&write(&value)).expect("what was read can be written"), value);
    }
    let schema = portcullis_fuzz::schema(data, Encoding::Json);
    let Ok(reading) = schema.read(data, Encoding::Json) else { return };
    assert!(reading.faults.len() <= 100);
    let again = schema.read(&write(&reading.value), Encoding::Json).expect("what was read can be read");
    assert_eq!(again.value, reading.value);
    assert_eq!(again.faults, [""; 0]);
    schema.check(&reading.value);
});

fn is_bounded(why: &str) -> bool {
    ["too many values", "depth", "nested", "cannot unmarshal number"].iter().any(|bound| why.contains(bound))
}

/// Numbers may be kept as other types: what they are worth must be the same.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, ours)| theirs.get(name).is_some_and(|theirs| same(ours, theirs)))
        }
        _ => ours == theirs,
    }
}
