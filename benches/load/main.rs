//! What the server costs: CPU time per request of its process, rates, and memory.
//!
//! `make bench` prints the table of the README. Wall times depend on who else has the cores; the CPU time of the server process is
//! what counts. `cargo bench --bench load -- get list` runs only the named measurements.
#![allow(unreachable_pub, missing_docs, reason = "nobody depends on a bench")]

mod measure;
mod workload;

#[path = "../../tests/support/mod.rs"]
mod support;

use measure::Row;
use support::{Cluster, Store};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let rows = runtime.block_on(all(&names));
    measure::print(&rows);
}

async fn all(names: &[String]) -> Vec<Row> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let mut rows = Vec::new();
    if wanted("embedded") {
        let cluster = Cluster::start(Store::Embedded).await;
        rows.push(measure::memory("RSS idle", &cluster, 30.0));
        rows.push(workload::handshakes(&cluster).await);
        rows.push(workload::creates(&cluster, "create embedded, 64 writers", None).await);
        rows.extend(workload::reads(&cluster, "GET embedded, h2 8x4", "", 25.0).await);
        rows.push(workload::idle_watches(&cluster).await);
        rows.push(workload::watchers(&cluster).await);
        rows.push(workload::triggered(&cluster).await);
    }
    if wanted("list") {
        let cluster = Cluster::start(Store::Embedded).await;
        rows.extend(workload::lists(&cluster).await);
    }
    if wanted("etcd") {
        let cluster = Cluster::start(Store::Etcd).await;
        rows.push(workload::creates(&cluster, "create on etcd, 8 writers", Some(200.0)).await);
        rows.extend(workload::reads(&cluster, "GET etcd resourceVersion=0, h2 8x4", "?resourceVersion=0", 25.0).await);
        rows.extend(workload::reads(&cluster, "GET etcd (default), h2 8x4", "", 40.0).await);
    }
    rows
}
