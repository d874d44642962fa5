//! What the server costs: CPU time per request of its process, rates, and memory.
//!
//! `make bench` prints the table of the README. Wall times depend on who else has the cores; the CPU time of the server process is
//! what counts. `make bench MEASURE="get list"` runs only the measurements whose names have one of these words.
//!
//! PORTCULLIS_BIN names the server's binary. Without `--bench`, as `cargo test` runs it, everything is done once in small, to show that
//! it works; its figures say nothing.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]
#![allow(unreachable_pub, reason = "the modules of one binary")]

mod lanes;
mod measure;
mod memory;
mod request;
mod start;
#[path = "../../tests/support/mod.rs"]
mod support;
mod watch;

use std::pin::Pin;

use measure::{Row, Scale};

type Measurement = (&'static str, fn(Scale) -> Pin<Box<dyn Future<Output = Vec<Row>>>>);

/// In the table's order. Every one starts servers of its own, so that none inherits another's memory.
const MEASUREMENTS: [Measurement; 12] = [
    ("start", |scale| Box::pin(start::times(scale))),
    ("connection", |scale| Box::pin(request::connections(scale))),
    ("get", |scale| Box::pin(request::gets_embedded(scale))),
    ("get-etcd", |scale| Box::pin(request::gets_etcd(scale))),
    ("create", |scale| Box::pin(request::creates_embedded(scale))),
    ("create-etcd", |scale| Box::pin(request::creates_etcd(scale))),
    ("list", |scale| Box::pin(request::lists(scale))),
    ("watch", |scale| Box::pin(watch::all(scale))),
    ("trigger", |scale| Box::pin(watch::by_node(scale))),
    ("idle-watch", |scale| Box::pin(memory::idle_watches(scale))),
    ("memory-idle", |scale| Box::pin(memory::idle(scale))),
    ("memory-pods", |scale| Box::pin(memory::pods(scale))),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let scale = if args.iter().any(|arg| arg == "--bench") { Scale::Full } else { Scale::Small };
    // One thread for all clients: the other core is the server's.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut rows = Vec::new();
    for (name, measurement) in MEASUREMENTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            eprintln!("measuring {name} ...");
            rows.extend(runtime.block_on(measurement(scale)));
        }
    }
    measure::print(&rows);
}
