//! A full disk: 5xx, nothing half written, nothing acknowledged lost, and it recovers by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::client::{Client, Protocol};
use crate::support::{Cluster, Store, wait_until};

/// A file system of its own that is small.
struct Small(PathBuf);

impl Small {
    /// `None` where mounting is not permitted; the test then says so aloud.
    fn mount(at: &Path, megabytes: usize) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(at).output().ok()?;
        if !mounted.status.success() {
            eprintln!("SKIPPED: no small file system could be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Fills what is left.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast")).unwrap();
        let block = vec![0; 4096];
        while ballast.write_all(&block).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn create(client: &Client, number: usize) -> StatusCode {
    let map = json!({"metadata": {"name": format!("map-{number}")}, "data": {"text": "x".repeat(50_000)}});
    let answer = client.send(Method::POST, MAPS, &map).await;
    if answer.status.is_server_error() {
        assert_eq!(answer.json()["kind"], "Status", "{:?}", answer.body);
    }
    answer.status
}

/// The names of the objects that a consistent read shows.
async fn names(client: &Client) -> Vec<String> {
    let list = client.get(&format!("{MAPS}?resourceVersion=0")).await;
    assert_eq!(list.status, StatusCode::OK, "reads are served all the while: {:?}", list.body);
    let name = |item: &serde_json::Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list.json()["items"].as_array().unwrap().iter().map(name).filter(|name| name.starts_with("map-")).collect()
}

#[test]
fn a_full_disk_loses_nothing_and_passes() {
    let place = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(&place.path().join("disk"), 48) else { return };
    let store = small.0.join("store").display().to_string();
    let mut cluster = Cluster::start_with(Store::Embedded, |config| {
        let old = config.split("embedded: {path: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap().to_owned();
        config.replace(&old, &store)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut kept, mut number) = (Vec::new(), 0);
    runtime.block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        for _ in 0..3 {
            assert_eq!(create(&admin, number).await, StatusCode::CREATED);
            kept.push(format!("map-{number}"));
            number += 1;
        }
        // The server sets a reserve aside for this moment, a little after its start.
        let reserve = Path::new(&store).join("store.redb.reserve");
        while !std::fs::metadata(&reserve).is_ok_and(|file| file.len() >= 8 << 20) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        small.fill();
        let mut refused = 0;
        while refused < 3 {
            let status = create(&admin, number).await;
            if status == StatusCode::CREATED {
                kept.push(format!("map-{number}"));
            } else {
                assert!(status.is_server_error(), "{status}");
                refused += 1;
            }
            number += 1;
            assert!(number < 2_000, "the disk is never full");
        }
        let mut sorted = kept.clone();
        sorted.sort();
        assert_eq!(names(&admin).await, sorted, "what was refused is not there, what was acknowledged is");
        // Room is made where it is asked for most: deletions go on.
        let victim = kept.remove(0);
        let answer = admin.request(Method::DELETE, &format!("{MAPS}/{victim}"), &[], "").await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    });
    small.empty();
    let mut recovered = false;
    wait_until("writes are taken again", || {
        number += 1;
        recovered = runtime.block_on(async {
            let admin = cluster.client(Protocol::Http2).await;
            create(&admin, number).await == StatusCode::CREATED
        });
        recovered
    });
    kept.push(format!("map-{number}"));
    kept.sort();
    for restarted in [false, true] {
        if restarted {
            cluster.restart();
        }
        runtime.block_on(async {
            let admin = cluster.client(Protocol::Http2).await;
            assert_eq!(names(&admin).await, kept, "after the end of the shortage, restarted: {restarted}");
        });
    }
    cluster.server().signal("TERM");
    cluster.servers()[0].wait();
    let checked = Command::new(crate::support::portcullis()).args(["store", "check", "--path", &store]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
