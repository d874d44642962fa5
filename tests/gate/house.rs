//! The house rules: sizes, walls, one external crate in one room.

use std::path::{Path, PathBuf};

/// Lines of a source file at most, tests inside it not counted.
const LINES: usize = 600;

/// External crates, and the places that may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("x509_parser", &["identity/certificate", "identity/keys", "cli/pki", "pki"]),
    ("webpki", &["identity/certificate", "listen/tls"]),
    ("jsonwebtoken", &["identity/token", "identity/keys"]),
    ("serde_yaml", &["config/file", "schema/", "api/", "pki"]),
    ("etcd_client", &["store/etcd"]),
    ("redb", &["store/embedded"]),
    ("prometheus", &["metrics"]),
    ("rustls", &["listen/tls", "upstream/", "identity/certificate"]),
    ("clap", &["cli/"]),
];

/// Rooms, and the rooms whose names must not stand in them: arrows point down.
const WALLS: &[(&str, &[&str])] = &[
    ("store/", &["api", "schema", "policy", "identity", "gateway", "listen", "status", "request", "config", "metrics", "body"]),
    ("schema/", &["api", "store", "policy", "identity", "gateway", "listen", "config", "metrics", "body"]),
    ("request/", &["api", "store", "policy", "identity", "gateway", "listen", "config", "metrics", "status", "schema", "body"]),
    ("policy/", &["api", "store", "gateway", "listen", "metrics", "status", "schema", "body"]),
    ("identity/", &["api", "store", "policy", "gateway", "listen", "metrics", "status", "schema", "body"]),
    ("api/", &["gateway", "listen", "config", "app", "limits", "cli"]),
    ("metrics", &["api", "store", "policy", "identity", "gateway", "listen", "config", "app"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(path).expect("a source file")));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "only {} source files found: the walk is broken", found.len());
    found
}

/// The file without its tests at the end.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_file_grows_past_its_end() {
    let long = |(name, text): &(String, String)| {
        let lines = code(text).lines().count();
        (lines > LINES).then(|| format!("{name}: {lines} lines, {LINES} are the end"))
    };
    report(&sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn an_external_crate_has_one_room() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        for (krate, rooms) in CRATES {
            let used = code(&text).lines().any(|line| !line.trim_start().starts_with("//") && names(line, krate));
            if used && !rooms.iter().any(|room| name.starts_with(room)) {
                faults.push(format!("{name} names {krate}, whose room is {}", rooms.join(" or ")));
            }
        }
    }
    report(&faults);
}

fn names(line: &str, krate: &str) -> bool {
    line.match_indices(krate).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + krate.len()..].starts_with("::");
        after && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn arrows_point_down() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        for (room, strangers) in WALLS.iter().filter(|(room, _)| name.starts_with(room)) {
            for stranger in *strangers {
                if code(&text).contains(&format!("crate::{stranger}::")) {
                    faults.push(format!("{name}: {room} knows nothing of {stranger}"));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn every_file_says_what_it_is() {
    // A file of tests says what it is with its name.
    let tests = |name: &str| name.ends_with("tests.rs");
    let silent = |(name, text): &(String, String)| {
        (!text.starts_with("//!") && !tests(name)).then(|| format!("{name} has no `//!` at its top"))
    };
    report(&sources().iter().filter_map(silent).collect::<Vec<_>>());
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let empty = ["utils", "util", "common", "helpers", "helper", "manager", "handler", "handlers", "misc", "types"];
    let nameless = |(name, _): &(String, String)| {
        let parts = name.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| empty.contains(&part)).then(|| name.clone())
    };
    report(&sources().iter().filter_map(nameless).collect::<Vec<_>>());
}

#[test]
fn sources_are_ascii_and_finished() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!("];
    let mut faults = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if !line.is_ascii() || marks.iter().any(|mark| line.contains(mark)) {
                faults.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    report(&faults);
}
