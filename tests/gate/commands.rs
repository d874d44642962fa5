//! The commands that no server runs: certificates and tokens, copies of the store, completion.

use std::path::Path;
use std::process::Command;

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::client::{Client, Credentials, Protocol, tls};
use crate::support::{Cluster, Server, Store, portcullis};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(portcullis()).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// It must succeed; its standard output.
fn good(args: &[&str]) -> String {
    let (code, out, err) = run(args);
    assert_eq!(code, 0, "portcullis {}: {err}", args.join(" "));
    out
}

fn modes(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let secret = path.extension().is_some_and(|ending| ending == "key" || ending == "kubeconfig");
        assert!(!secret || mode == 0o600, "{} has mode {mode:o}", path.display());
    }
    let mode = dir.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "{}", dir.display());
}

#[test]
fn what_pki_makes_opens_a_server() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("pki");
    let at = dir.display().to_string();
    let made = good(&["pki", "init", &at]);
    assert!(made.contains("clients-ca.crt") && made.contains("serving-ca.crt") && made.contains("sa.pub"), "{made}");
    let authority = std::fs::read(dir.join("clients-ca.crt")).unwrap();
    good(&["pki", "init", &at]);
    assert_eq!(std::fs::read(dir.join("clients-ca.crt")).unwrap(), authority, "what is there is kept");
    good(&["pki", "issue", "--dir", &at, "--name", "server", "--serving", "--san", "localhost", "--san", "127.0.0.1"]);
    good(&["pki", "issue", "--dir", &at, "--name", "root", "--user", "root", "--group", "system:masters"]);
    let config = home.path().join("portcullis.yaml");
    std::fs::write(
        &config,
        format!(
            "apiVersion: portcullis.dev/v1
kind: Gateway
listen: {{address: \"127.0.0.1:0\", certificate: pki/server.crt, key: pki/server.key, drain: 1s}}
health: {{address: \"127.0.0.1:0\"}}
authentication:
  clientAuthorities: [pki/clients-ca.crt]
  serviceAccounts: {{issuers: [\"https://kubernetes.default.svc\"], verificationKeys: [pki/sa.pub]}}
backend: {{builtin: {{store: {{embedded: {{path: {}}}}}}}}}
",
            home.path().join("store").display()
        ),
    )
    .unwrap();
    let server = Server::start(&config, home.path().join("log"));
    let url = format!("https://{}", server.address());
    let jane = ["pki", "issue", "--dir", &at, "--name", "jane", "--group", "developers", "--group", "testers", "--server", &url];
    assert!(good(&jane).contains("jane.kubeconfig"));
    modes(&dir);

    let shown = good(&["pki", "show", &dir.join("jane.crt").display().to_string()]);
    for part in ["user         jane", "groups       developers, testers", "authority    no", "valid until", "sha256"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(good(&["pki", "show", &dir.join("serving-ca.crt").display().to_string()]).contains("authority    yes"));
    assert!(good(&["pki", "show", &dir.join("sa.pub").display().to_string()]).contains("kid"));

    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let credentials = |name: &str| Credentials {
        authority: read("serving-ca.crt"),
        certificate: Some((read(&format!("{name}.crt")), read(&format!("{name}.key")))),
        token: None,
    };
    runtime().block_on(async {
        let connect = async |credentials: &Credentials| {
            Client::connect(server.address(), tls(credentials, Protocol::Http2), credentials.token.clone()).await.unwrap()
        };
        let root = connect(&credentials("root")).await;
        let path = "/api/v1/namespaces/default/serviceaccounts";
        let made = root.send(Method::POST, path, &json!({"metadata": {"name": "app"}})).await;
        let uid = made.json()["metadata"]["uid"].as_str().unwrap().to_owned();
        let token = good(&["pki", "token", "--dir", &at, "--name", "app", "--uid", &uid]).trim().to_owned();
        let app = connect(&Credentials { authority: read("serving-ca.crt"), certificate: None, token: Some(token) }).await;
        let jane = connect(&credentials("jane")).await;
        for (client, user) in [(&jane, "jane"), (&app, "system:serviceaccount:default:app")] {
            let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
            let who = client.send(Method::POST, path, &json!({})).await;
            assert_eq!(who.status, StatusCode::CREATED, "{user}: {:?}", who.body);
            assert_eq!(who.json()["status"]["userInfo"]["username"], user);
        }
    });
    // The kubeconfig is one for kubectl, which knows jane and refuses her nothing it can do without a right.
    let kubectl = Command::new("kubectl")
        .env("HOME", home.path())
        .args(["--kubeconfig", &dir.join("jane.kubeconfig").display().to_string(), "auth", "whoami", "-o", "name"])
        .output()
        .expect("kubectl is on the PATH");
    assert!(kubectl.status.success(), "{}", String::from_utf8_lossy(&kubectl.stderr));
}

#[test]
fn mistakes_of_pki_are_said() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("pki").display().to_string();
    let rows: &[(&[&str], i32, &str)] = &[
        (&["pki", "issue", "--dir", &at, "--name", "x"], 1, "made by: portcullis pki init"),
        (&["pki", "issue", "--dir", &at, "--name", "clients-ca"], 1, "cannot be the name"),
        (&["pki", "issue", "--dir", &at, "--name", "../x"], 1, "cannot be the name"),
        (&["pki", "issue", "--dir", &at], 2, "--name"),
        (&["pki", "issue", "--dir", &at, "--name", "x", "--san", "y"], 2, "--serving"),
        (&["pki", "token", "--dir", &at, "--name", "x", "--uid", "u"], 1, "sa.key"),
        (&["pki", "token", "--dir", &at, "--name", "x", "--uid", "u", "--pod", "p"], 1, ""),
        (&["pki", "show", "/dev/null"], 1, "/dev/null"),
        (&["pki", "show", "/no/such"], 1, "/no/such"),
    ];
    for (args, code, text) in rows {
        let (got, out, err) = run(args);
        assert_eq!(got, *code, "{args:?}: {out}{err}");
        assert!(err.contains(text), "{args:?}: {err}");
    }
}

#[test]
fn a_store_is_copied_checked_and_restored() {
    let mut cluster = Cluster::start_now(Store::Embedded, "");
    let store = cluster.dir.path().join("store").display().to_string();
    let maps = "/api/v1/namespaces/default/configmaps";
    let before = runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        for number in 0..50 {
            let map = json!({"metadata": {"name": format!("map-{number}")}, "data": {"n": number.to_string()}});
            assert_eq!(admin.send(Method::POST, maps, &map).await.status, StatusCode::CREATED);
        }
        admin.get(maps).await.json()
    });
    let (code, _, err) = run(&["store", "check", "--path", &store]);
    assert_eq!(code, 1, "a running server's store is not looked into");
    assert!(err.contains(&store), "{err}");
    cluster.server().signal("TERM");
    assert_eq!(cluster.servers()[0].wait(), Some(0));

    let checked = good(&["store", "check", "--path", &store]);
    let file = cluster.dir.path().join("copy").display().to_string();
    let copied = good(&["store", "snapshot", "--path", &store, "--to", &file]);
    let line = |text: &str, name: &str| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    for name in ["revision", "keys", "digest"] {
        assert_eq!(line(&checked, name), line(&copied, name));
    }
    let (code, _, err) = run(&["store", "snapshot", "--path", &store, "--to", &file]);
    assert_eq!(code, 1, "a file that is there is kept");
    assert!(!err.is_empty());

    let again = cluster.dir.path().join("again");
    let restored = good(&["store", "restore", "--from", &file, "--path", &again.display().to_string()]);
    assert_eq!(line(&restored, "keys"), line(&copied, "keys"));
    assert_eq!(
        run(&["store", "restore", "--from", &file, "--path", &again.display().to_string()]).0,
        1,
        "a store that is there is kept"
    );
    // A copy with a flipped bit is found out.
    let mut spoiled = std::fs::read(&file).unwrap();
    let middle = spoiled.len() / 2;
    for byte in &mut spoiled[middle..middle + 4096] {
        *byte ^= 0x55;
    }
    let bad = cluster.dir.path().join("bad");
    std::fs::write(&bad, spoiled).unwrap();
    let third = cluster.dir.path().join("third").display().to_string();
    assert_eq!(
        run(&["store", "restore", "--from", &bad.display().to_string(), "--path", &third]).0,
        1,
        "a damaged copy is refused"
    );
    assert_eq!(run(&["store", "check", "--path", "/no/such"]).0, 1);

    let config = cluster.config("").replace(&store, &again.display().to_string());
    let path = cluster.dir.path().join("restored.yaml");
    std::fs::write(&path, config).unwrap();
    let server = Server::start(&path, cluster.dir.path().join("restored.log"));
    runtime().block_on(async {
        let admin = cluster.connect(server.address(), &cluster.admin(), Protocol::Http2).await;
        let after = admin.get(maps).await.json();
        assert_eq!(before["items"], after["items"], "every object is as it was, its version too");
        let version = |list: &serde_json::Value| list["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        assert!(version(&after) >= version(&before) + 1_000_000, "no client meets a revision twice");
        let stale = format!("{maps}?watch=true&resourceVersion={}", version(&before));
        let line = admin.watch(&stale).await.next().await.unwrap();
        assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(410)), "{line}");
    });
}

#[test]
fn completion_and_help_teach() {
    for (shell, part) in [
        ("bash", "_portcullis"),
        ("zsh", "#compdef portcullis"),
        ("fish", "complete -c portcullis"),
        ("elvish", "portcullis"),
        ("powershell", "portcullis"),
    ] {
        assert!(good(&["completion", shell]).contains(part), "{shell}");
    }
    let script = good(&["completion", "bash"]);
    let checked = Command::new("bash").args(["-n", "-c", &script]).status().unwrap();
    assert!(checked.success(), "bash cannot read its script");
    for command in ["up", "serve", "check", "pki", "store", "health", "completion"] {
        let help = good(&[command, "--help"]);
        assert!(help.contains("Usage: portcullis") && help.len() > 150, "{command}: {help}");
    }
    assert!(good(&["--version"]).starts_with("portcullis 0."));
    assert_eq!(run(&["health", "--address", "127.0.0.1:1"]).0, 1);
}
