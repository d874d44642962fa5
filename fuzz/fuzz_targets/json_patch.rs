//! JSON patches: bounded in what they make; a patch of tests alone changes nothing.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use portcullis::schema::{parse, patch, write};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    portcullis_fuzz::documents(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((old, change)) = portcullis_fuzz::two(data) else { return };
    let Ok(old) = parse(old) else { return };
    let Ok(new) = patch::json(&old, change) else { return };
    assert!(write(&new).len() <= 6 * data.len() + (4 << 20));
    let tests = |list: &Vec<serde_json::Value>| list.iter().all(|operation| operation["op"] == "test");
    if parse(change).is_ok_and(|change| change.as_array().is_some_and(tests)) {
        assert_eq!(new, old);
    }
});
