//! A real etcd with mutual TLS on free ports of this machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::pki::Pki;

/// A running etcd of one member. Its data is gone with the folder it was given.
pub struct Etcd {
    child: Child,
    port: u16,
    peer: u16,
}

/// The folder that holds etcd and etcdctl.
fn programs() -> String {
    if let Ok(folder) = std::env::var("PORTCULLIS_ETCD") {
        return folder;
    }
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/etcd")).output().expect("tools/etcd runs");
    assert!(output.status.success(), "no etcd: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim().to_owned()
}

impl Etcd {
    /// Starts one in `dir` and waits until it answers. `pki` must have a serving certificate `etcd`.
    pub fn start(dir: &Path, pki: &Pki) -> Self {
        let (port, peer) = (super::free_port(), super::free_port());
        let mut etcd = Self { child: Self::spawn(dir, pki, (port, peer)), port, peer };
        etcd.wait(dir, pki);
        etcd
    }

    /// Starts it again on the same data and the same ports.
    pub fn restart(&mut self, dir: &Path, pki: &Pki) {
        self.kill();
        self.child = Self::spawn(dir, pki, (self.port, self.peer));
        self.wait(dir, pki);
    }

    fn wait(&mut self, dir: &Path, pki: &Pki) {
        let log = dir.join("etcd.log");
        super::wait_until("etcd answers", || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(self.child.try_wait().unwrap().is_none(), "etcd ended:\n{said}");
            said.contains("ready to serve client requests") && self.control(pki, &["get", "x"]).is_some()
        });
    }

    fn spawn(dir: &Path, pki: &Pki, (port, peer): (u16, u16)) -> Child {
        let log = std::fs::File::create(dir.join("etcd.log")).expect("a log");
        let url = format!("https://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{peer}");
        Command::new(format!("{}/etcd", programs()))
            .arg("--data-dir")
            .arg(dir.join("etcd"))
            .args(["--name", "test", "--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("test={peer}"), "--client-cert-auth", "--cert-file"])
            .arg(pki.path("etcd.crt"))
            .arg("--key-file")
            .arg(pki.path("etcd.key"))
            .arg("--trusted-ca-file")
            .arg(pki.path("ca.crt"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts")
    }

    /// `https://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Runs etcdctl; its output when it succeeds.
    pub fn control(&self, pki: &Pki, args: &[&str]) -> Option<String> {
        let output = Command::new(format!("{}/etcdctl", programs()))
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint(), "--cacert"])
            .arg(pki.path("ca.crt"))
            .arg("--cert")
            .arg(pki.path("etcd.crt"))
            .arg("--key")
            .arg(pki.path("etcd.key"))
            .args(args)
            .output()
            .expect("etcdctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(text)
    }

    /// Stops it for good.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}
