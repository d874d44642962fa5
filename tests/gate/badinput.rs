//! Bad input gets a clear error and changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Server, free_port, pki::Pki, plain_get, portcullis};

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(portcullis()).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// A folder with certificates and a configuration of these lines.
fn folder(lines: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path(), "ca");
    pki.server("server");
    let config = dir.path().join("portcullis.yaml");
    std::fs::write(&config, format!("apiVersion: portcullis.dev/v1\nkind: Gateway\n{lines}")).unwrap();
    let config = config.display().to_string();
    (dir, config)
}

const GOOD: &str = "listen: {address: \"127.0.0.1:0\", certificate: server.crt, key: server.key}
health: {enabled: false}
authentication: {clientAuthorities: [ca.crt]}
backend: {builtin: {store: {embedded: {path: store}}}}
";

#[test]
fn a_good_configuration_has_no_mistake() {
    let (_dir, config) = folder(GOOD);
    let (code, text) = run(&["check", "--config", &config]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let (_dir, config) = folder(
        "listen: {address: nowhere, certificate: missing.crt, key: server.key, conections: 5}
authentication: {clientAuthorities: [ca.crt, gone.crt]}
policy: {components: [{name: x, mach: {}}]}
backend: {builtin: {history: 1s, store: {embedded: {path: a}, etcd: {endpoints: [b]}}}}
typo: 1
",
    );
    let (code, text) = run(&["check", "--config", &config]);
    assert_eq!(code, Some(2), "{text}");
    let places = [
        "listen.address:",
        "listen.certificate:",
        "listen.conections: unknown key",
        "authentication.clientAuthorities[1]:",
        "policy.components[0]",
        "backend.builtin.store.etcd:",
        "backend.builtin.history:",
        "typo: unknown key",
    ];
    for place in places {
        assert!(text.contains(place), "no {place:?} in:\n{text}");
    }
    assert!(text.contains("8 mistakes"), "{text}");
}

#[test]
fn a_key_that_everybody_may_read_is_refused() {
    let (dir, config) = folder(GOOD);
    std::fs::set_permissions(dir.path().join("server.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, text) = run(&["serve", "--config", &config]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("listen.key:") && text.contains("everybody may read"), "{text}");
}

#[test]
fn a_key_that_does_not_match_is_refused() {
    let (dir, config) = folder(GOOD);
    let certificate = std::fs::read(dir.path().join("server.crt")).unwrap();
    Pki::new(&dir.path().join("other"), "ca").server("server");
    std::fs::copy(dir.path().join("other/server.key"), dir.path().join("server.key")).unwrap();
    std::fs::write(dir.path().join("server.crt"), certificate).unwrap();
    let (code, text) = run(&["check", "--config", &config]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("listen.key:"), "{text}");
}

#[test]
fn a_port_in_use_is_said_so() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let (_dir, config) = folder(&GOOD.replace("127.0.0.1:0", &address));
    let (code, text) = run(&["serve", "--config", &config]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
}

#[test]
fn an_unreachable_etcd_is_waited_for_without_a_crash() {
    let port = free_port();
    let store = format!(
        "{{etcd: {{endpoints: [\"https://127.0.0.1:{port}\"], certificateAuthority: ca.crt, certificate: server.crt, key: server.key}}}}"
    );
    let lines = GOOD.replace("{enabled: false}", "{address: \"127.0.0.1:0\"}").replace("{embedded: {path: store}}", &store);
    let (dir, config) = folder(&lines);
    let mut server = Server::spawn(config.as_ref(), dir.path().join("log"));
    let health = server.health();
    assert_eq!(plain_get(health, "/livez").unwrap(), (200, "ok".to_owned()), "it lives");
    let (status, body) = plain_get(health, "/readyz").unwrap();
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("[-]etcd"), "{body}");
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{}", server.log());
}

#[test]
fn help_teaches() {
    let (code, text) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for word in ["up", "serve", "check", "pki", "store", "completion", "Examples:"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(run(&["no-such-command"]).0, Some(2));
}

#[test]
fn the_example_configurations_are_good() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let (dir, config) = folder("");
        let pki = Pki::new(dir.path(), "ca");
        for name in ["etcd-client", "server"] {
            pki.server(name);
        }
        for name in ["client-ca.crt", "etcd-ca.crt"] {
            std::fs::write(dir.path().join(name), pki.authority()).unwrap();
        }
        crate::support::pki::secret(&dir.path().join("sa.key"), rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes());
        std::fs::write(dir.path().join("sa.pub"), rcgen::KeyPair::generate().unwrap().public_key_pem()).unwrap();
        // What the oracle's script fills in, and where the examples expect their files.
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("${PKI}", &dir.path().display().to_string())
            .replace("/etc/portcullis/pki", &dir.path().display().to_string())
            .replace("${PORT}", "0")
            .replace("${HEALTH_PORT}", "0")
            .replace("${STORE}", "{embedded: {path: store}}");
        std::fs::write(&config, text).unwrap();
        let (code, text) = run(&["check", "--config", &config]);
        assert_eq!(code, Some(0), "{}: {text}", path.display());
        seen += 1;
    }
    assert!(seen >= 2, "{seen} examples");
}
