//! A real etcd with mutual TLS on free ports of this machine.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::pki::Pki;

/// A running member of an etcd cluster. Its data is gone with the folder it was given.
pub struct Etcd {
    child: Child,
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
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
    /// Starts a cluster of one in `dir` and waits until it answers. `pki` must have a serving certificate `etcd`.
    pub fn start(dir: &Path, pki: &Pki) -> Self {
        Self::start_with(dir, pki, &[])
    }

    /// The same with more arguments.
    pub fn start_with(dir: &Path, pki: &Pki, more: &[&str]) -> Self {
        let etcd = Self::prepare(dir, pki, more);
        etcd.wait(pki);
        etcd
    }

    /// Starts it without waiting.
    pub fn prepare(dir: &Path, pki: &Pki, more: &[&str]) -> Self {
        Self::members(dir, pki, 1, more).remove(0)
    }

    /// Starts a cluster of several members without waiting.
    pub fn members(dir: &Path, pki: &Pki, count: usize, more: &[&str]) -> Vec<Self> {
        let ports: Vec<_> = (0..count).map(|_| (super::free_port(), super::free_port())).collect();
        let peer = |(_, peer): &(u16, u16)| format!("http://127.0.0.1:{peer}");
        let cluster: Vec<_> = ports.iter().enumerate().map(|(number, ports)| format!("m{number}={}", peer(ports))).collect();
        let cluster = cluster.join(",");
        let member = |(number, ports): (usize, &(u16, u16))| {
            let (url, peer) = (format!("https://127.0.0.1:{}", ports.0), peer(ports));
            let mut args: Vec<String> =
                ["--listen-client-urls", &url, "--advertise-client-urls", &url, "--listen-peer-urls", &peer]
                    .into_iter()
                    .chain(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster, "--client-cert-auth"])
                    .chain(more.iter().copied())
                    .map(str::to_owned)
                    .collect();
            for (flag, file) in [("cert-file", "etcd.crt"), ("key-file", "etcd.key"), ("trusted-ca-file", "ca.crt")] {
                args.push(format!("--{flag}={}", pki.path(file).display()));
            }
            args.extend([format!("--name=m{number}"), format!("--data-dir={}", dir.join(format!("etcd-{number}")).display())]);
            Self { child: Self::spawn(dir, &args), port: ports.0, dir: dir.to_owned(), args }
        };
        ports.iter().enumerate().map(member).collect()
    }

    fn spawn(dir: &Path, args: &[String]) -> Child {
        let log = OpenOptions::new().append(true).create(true).open(dir.join("etcd.log")).expect("a log");
        let mut command = Command::new(format!("{}/etcd", programs()));
        command.args(args).stdout(Stdio::null()).stderr(log).spawn().expect("etcd starts")
    }

    /// Waits until it serves a linearizable read.
    pub fn wait(&self, pki: &Pki) {
        super::wait_until("etcd answers", || self.control(pki, &["get", "x", "--command-timeout=1s"]).is_some());
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

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Stops it at once, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with its data, without waiting.
    pub fn revive(&mut self) {
        self.kill();
        self.child = Self::spawn(&self.dir, &self.args);
    }

    /// Starts it again with data from nowhere, without waiting.
    pub fn forget(&mut self) {
        self.kill();
        let data = self.args.iter().find_map(|arg| arg.strip_prefix("--data-dir=")).expect("a folder");
        std::fs::remove_dir_all(data).expect("the data");
        self.revive();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}
