//! YAML bodies: bounded, and what was read is read again as the same; JSON is YAML.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{Encoding, parse_yaml, write};
use serde_json::Value;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 4 == 0 {
        portcullis_fuzz::documents(data, size, max_size, seed)
    } else {
        libfuzzer_sys::fuzzer_mutate(data, size, max_size)
    }
});

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = parse_yaml(data) {
        match parse_yaml(&write(&value)) {
            Ok(again) => assert!(again == value || breaks(&value), "{again}\n{value}"),
            // A key of YAML without a question mark has 1024 characters at most, and stands on one line.
            Err(why) => assert!(longest(&value) > 150 || breaks(&value), "{why}: {value}"),
        }
    }
    let schema = portcullis_fuzz::schema(data, Encoding::Yaml);
    if let Ok(reading) = schema.read(data, Encoding::Yaml) {
        let again = schema.read(&write(&reading.value), Encoding::Json).expect("what was read can be read");
        assert_eq!(again.value, reading.value);
    }
});

/// Whether a text holds what breaks lines in YAML, or may not stand there, and is nothing special in JSON.
fn breaks(value: &Value) -> bool {
    let odd = |char: char| matches!(char, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    value.to_string().contains(odd)
}

/// The longest key.
fn longest(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| key.len().max(longest(value))).max().unwrap_or(0),
        Value::Array(list) => list.iter().map(longest).max().unwrap_or(0),
        _ => 0,
    }
}
