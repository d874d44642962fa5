//! From the start of the process to its readiness.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::{Goal, Row, Scale};
use crate::support::{Cluster, Output, Server, Store, plain_get, portcullis};

/// `serve` on an empty store and `up` in an empty folder.
pub async fn times(scale: Scale) -> Vec<Row> {
    let rounds = if scale == Scale::Full { 15 } else { 1 };
    tokio::task::spawn_blocking(move || {
        vec![
            row("serve", "an empty store", serve(rounds)),
            row("up", "an empty folder: makes its authorities and keys too", up(rounds)),
        ]
    })
    .await
    .unwrap()
}

fn row(name: &str, on: &str, mut times: Vec<Duration>) -> Row {
    times.sort();
    let middle = times[times.len() / 2].as_secs_f64() * 1e3;
    let worst = times[times.len() - 1].as_secs_f64() * 1e3;
    let note = format!("on {on}; the slowest of {} {worst:.0} ms", times.len());
    Row { name: format!("`{name}` ready after its start"), value: middle, unit: "ms", goal: Goal::AtMost(200.0), note }
}

fn serve(rounds: usize) -> Vec<Duration> {
    let mut cluster = Cluster::start_now(Store::Embedded, "");
    let (config, log) = (cluster.dir.path().join("portcullis-0.yaml"), cluster.dir.path().join("again.log"));
    let mut once = || {
        cluster.servers().clear();
        std::fs::remove_dir_all(cluster.dir.path().join("store")).unwrap();
        let begun = Instant::now();
        let server = Server::spawn(&config, log.clone());
        while plain_get(server.health(), "/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(begun.elapsed() < Duration::from_secs(10), "not ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        begun.elapsed()
    };
    (0..rounds).map(|_| once()).collect()
}

fn up(rounds: usize) -> Vec<Duration> {
    let once = |_| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(portcullis());
        command.args(["up", "--address", "127.0.0.1:0", "--health", "127.0.0.1:0", "--dir"]).arg(dir.path().join("up"));
        let begun = Instant::now();
        let mut output = Output::of(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("up starts"));
        output.wait_for("ready");
        begun.elapsed()
    };
    (0..rounds).map(once).collect()
}
