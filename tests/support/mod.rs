//! What tests and benches stand on: the real binary with its own certificates, ports and folders, a real etcd, a plain client, kubectl.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

pub mod client;
pub mod etcd;
mod kubectl;
pub mod pki;
mod port;
pub mod raw;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::{Client, Credentials, Protocol};
use etcd::Etcd;
use pki::Pki;

#[allow(unused_imports, reason = "not every test types commands")]
pub use kubectl::{Kubectl, Shell, Up};
pub use port::free_port;

/// The program under test: the one that was built beside the tests, or the one that PORTCULLIS_BIN names.
pub fn portcullis() -> PathBuf {
    std::env::var_os("PORTCULLIS_BIN").map_or_else(|| env!("CARGO_BIN_EXE_portcullis").into(), PathBuf::from)
}

/// Where the state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Embedded,
    Etcd,
}

/// Waits for `what` to hold, 20 s at most.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One server process.
pub struct Server {
    child: Child,
    address: SocketAddr,
    health: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `portcullis serve` with this configuration and waits until it is ready.
    pub fn start(config: &Path, log: PathBuf) -> Self {
        let server = Self::spawn(config, log);
        server.wait_ready();
        server
    }

    /// Starts it and waits until it listens: it tells its log where.
    pub fn spawn(config: &Path, log: PathBuf) -> Self {
        let out = fs::File::create(&log).unwrap();
        let child = Command::new(portcullis())
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .expect("the server starts");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, address: nowhere, health: nowhere, log };
        wait_until("the server listens", || {
            let log = server.log();
            let Some(line) = log.lines().find(|line| line.contains("\"message\":\"serving\"")) else {
                let ended = server.child.try_wait().unwrap();
                assert!(ended.is_none(), "the server ended, {ended:?}:\n{log}");
                return false;
            };
            let address = |key: &str| {
                let rest = line.split_once(&format!("\"{key}\":\""))?.1;
                rest.trim_start_matches("Some(").split([')', '"']).next()?.parse().ok()
            };
            server.address = address("address").expect("an address in the log");
            server.health = address("health").unwrap_or(nowhere);
            true
        });
        server
    }

    /// Waits until `/readyz` of the health listener says 200.
    pub fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while plain_get(self.health, "/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < deadline, "not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn health(&self) -> SocketAddr {
        self.health
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code, once it has ended.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the server ----\n{}", self.log().lines().rev().take(60).collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A plain-HTTP GET: status and body.
pub fn plain_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// A server (or several on one etcd) with its certificates, in a folder of its own.
pub struct Cluster {
    servers: Vec<Server>,
    pub pki: Pki,
    pub etcd: Option<Etcd>,
    pub dir: tempfile::TempDir,
}

impl Cluster {
    /// One server, ready.
    pub async fn start(store: Store) -> Self {
        tokio::task::spawn_blocking(move || Self::start_now(store, "")).await.unwrap()
    }

    /// The same outside of a runtime, with more lines of configuration.
    pub fn start_now(store: Store, more: &str) -> Self {
        let mut cluster = Self::prepare(store);
        cluster.replica(more);
        cluster
    }

    /// The same with the configuration changed by `edit`.
    pub fn start_with(store: Store, edit: impl FnOnce(String) -> String) -> Self {
        let mut cluster = Self::prepare(store);
        let config = edit(cluster.config(""));
        cluster.serve(&config);
        cluster
    }

    /// Certificates, keys and etcd; no server yet.
    fn prepare(store: Store) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(&dir.path().join("pki"), "ca");
        pki.server("server");
        pki.client("admin", "kubernetes-admin", &["system:masters"]);
        account_keys(&pki);
        let etcd = (store == Store::Etcd).then(|| {
            pki.server("etcd");
            Etcd::start(dir.path(), &pki)
        });
        Self { servers: Vec::new(), pki, etcd, dir }
    }

    /// Starts one more server on the same store (with etcd) and returns its address.
    pub fn replica(&mut self, more: &str) -> SocketAddr {
        let config = self.config(more);
        self.serve(&config)
    }

    fn serve(&mut self, config: &str) -> SocketAddr {
        let number = self.servers.len();
        fs::write(self.config_path(number), config).unwrap();
        let server = Server::start(&self.config_path(number), self.log_path(number));
        self.servers.push(server);
        self.servers[number].address
    }

    /// Stops the first server and starts it again on the same state, at another address.
    pub fn restart(&mut self) {
        self.servers[0].signal("TERM");
        self.servers[0].wait();
        self.servers[0] = Server::start(&self.config_path(0), self.log_path(0));
    }

    /// The configuration file of a server.
    pub fn config_path(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("portcullis-{number}.yaml"))
    }

    fn log_path(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("server-{number}.log"))
    }

    /// What the configuration says, with `more` at its end.
    pub fn config(&self, more: &str) -> String {
        let pki = self.pki.path("");
        let pki = pki.display();
        let store = match &self.etcd {
            None => format!("{{embedded: {{path: {}}}}}", self.dir.path().join("store").display()),
            Some(etcd) => format!(
                "{{etcd: {{endpoints: [\"{}\"], certificateAuthority: {pki}/ca.crt, certificate: {pki}/etcd.crt, key: {pki}/etcd.key}}}}",
                etcd.endpoint()
            ),
        };
        format!(
            "apiVersion: portcullis.dev/v1
kind: Gateway
listen: {{address: \"127.0.0.1:0\", certificate: {pki}/server.crt, key: {pki}/server.key, drain: 2s}}
health: {{address: \"127.0.0.1:0\"}}
authentication:
  clientAuthorities: [{pki}/ca.crt]
  serviceAccounts: {{issuers: [\"https://kubernetes.default.svc\"], signingKey: {pki}/sa.key}}
backend: {{builtin: {{serviceRange: 10.0.0.0/24, store: {store}}}}}
{more}"
        )
    }

    pub fn server(&self) -> &Server {
        &self.servers[0]
    }

    pub fn servers(&mut self) -> &mut Vec<Server> {
        &mut self.servers
    }

    pub fn address(&self) -> SocketAddr {
        self.server().address
    }

    pub fn pid(&self) -> u32 {
        self.server().pid()
    }

    /// The administrator's credentials.
    pub fn admin(&self) -> Credentials {
        let read = |name: &str| fs::read(self.pki.path(name)).unwrap();
        Credentials { authority: self.pki.authority(), certificate: Some((read("admin.crt"), read("admin.key"))), token: None }
    }

    /// A connection as the administrator.
    pub async fn client(&self, protocol: Protocol) -> Client {
        self.connect(self.address(), &self.admin(), protocol).await
    }

    /// A connection with any credentials, to any of the servers.
    pub async fn connect(&self, address: SocketAddr, credentials: &Credentials, protocol: Protocol) -> Client {
        Client::connect(address, client::tls(credentials, protocol), credentials.token.clone()).await.expect("a connection")
    }

    /// The sum of all series of a metric, or one series when its labels are given.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let of = |line: &&str| line.starts_with(name) && matches!(line.as_bytes().get(name.len()), Some(b' ' | b'{'));
        text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The whole exposition.
    pub async fn metrics(&self) -> String {
        let health = self.server().health;
        tokio::task::spawn_blocking(move || plain_get(health, "/metrics")).await.unwrap().expect("metrics").1
    }
}

fn account_keys(pki: &Pki) {
    let key = rcgen::KeyPair::generate().expect("a key");
    pki::secret(&pki.path("sa.key"), key.serialize_pem().as_bytes());
}

/// Collects what a child prints until a line has what is waited for.
pub struct Output {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    seen: String,
}

impl Output {
    pub fn of(mut child: Child) -> Self {
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: String::new() }
    }

    /// Waits for a line that contains `part`, 20 s at most, and returns it.
    pub fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { panic!("no line with {part:?} in:\n{}", self.seen) };
            self.seen += &line;
            self.seen += "\n";
            if line.contains(part) {
                return line;
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
