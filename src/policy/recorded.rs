//! For tests: the recorded facts, where they are at hand.

use std::path::PathBuf;

use serde_json::Value;

/// A file of the shared facts: below `PORTCULLIS_SHARED`, or beside the checkout. Says aloud when there is none.
pub(super) fn text(path: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let root = std::env::var_os("PORTCULLIS_SHARED").map_or_else(beside, PathBuf::from);
    let found = std::fs::read_to_string(root.join(path)).ok();
    if found.is_none() {
        eprintln!("NOT TESTED: there is no {}", root.join(path).display());
    }
    found
}

/// The steps of a recording.
pub(super) fn steps(name: &str) -> Option<Vec<Value>> {
    let text = text(&format!("oracle/recorded/{name}.json"))?;
    Some(serde_json::from_str(&text).expect("a recording is JSON"))
}
