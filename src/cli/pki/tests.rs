use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;

use super::*;
use crate::identity::{PublicKey, certificates, summarise};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    pki: Pki,
}

fn run(line: &str) -> anyhow::Result<()> {
    let line = line.split(' ').filter(|word| !word.is_empty());
    Line::try_parse_from(std::iter::once("pki").chain(line)).map_err(anyhow::Error::from)?.pki.run()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_small_cluster_is_made() {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("pki");
    let at = dir.display();
    run(&format!("init {at}")).unwrap();
    let before = std::fs::read(dir.join("clients-ca.key")).unwrap();
    run(&format!("init {at}")).unwrap();
    assert_eq!(std::fs::read(dir.join("clients-ca.key")).unwrap(), before, "what is there is kept");
    run(&format!(
        "issue --dir {at} --name admin --user root --group system:masters --group b --group a --days 1 --server https://h:1"
    ))
    .unwrap();
    run(&format!("issue --dir {at} --name server --serving --san localhost --san 10.0.0.1")).unwrap();
    run(&format!("issue --dir {at} --name front --front-proxy")).unwrap();
    run(&format!("token --dir {at} --name robot --uid u1 --pod p:u2")).unwrap();
    run(&format!("show {at}/admin.crt")).unwrap();
    assert_eq!(mode(&dir), 0o700);
    for file in
        ["clients-ca.key", "serving-ca.key", "front-proxy-ca.key", "sa.key", "admin.key", "admin.kubeconfig", "server.key"]
    {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    let summary = |file: &str| summarise(&certificates(&std::fs::read(dir.join(file)).unwrap()).unwrap()[0]).unwrap();
    let admin = summary("admin.crt");
    assert_eq!(admin.identity, Ok(("root".to_owned(), ["system:masters", "b", "a"].map(str::to_owned).into())));
    assert_eq!((admin.issuer.as_str(), admin.not_after - admin.not_before), ("CN=portcullis clients", 86400 + 60));
    assert_eq!(summary("server.crt").names, ["DNS:localhost", "IP:10.0.0.1"]);
    assert_eq!(summary("server.crt").issuer, "CN=portcullis serving");
    assert_eq!(summary("front.crt").issuer, "CN=portcullis front proxy");
    let public = std::fs::read(dir.join("sa.pub")).unwrap();
    assert_eq!(PublicKey::parse(&public).unwrap(), PublicKey::parse(&std::fs::read(dir.join("sa.key")).unwrap()).unwrap());
    let text = show::describe(&std::fs::read(dir.join("admin.crt")).unwrap()).unwrap();
    assert!(text.contains("user         root\ngroups       system:masters, b, a\n"), "{text}");
    assert!(show::describe(&public).unwrap().contains("kid          "));
}

#[test]
fn what_cannot_be_done_is_said() {
    let room = tempfile::tempdir().unwrap();
    let at = room.path().display();
    run(&format!("init {at}")).unwrap();
    #[rustfmt::skip]
    let rows = [
        (format!("issue --dir {at}/none --name a"), "pki init"),
        (format!("issue --dir {at} --name ../a"), "cannot be the name"),
        (format!("issue --dir {at} --name clients-ca"), "cannot be the name"),
        (format!("issue --dir {at} --name a --serving --group g"), "cannot be used with"),
        (format!("issue --dir {at} --name a --san x"), "--serving"),
        (format!("issue --dir {at} --name a --serving --san a/b"), "neither a DNS name nor an IP address"),
        (format!("token --dir {at} --name a --uid u --pod p"), "is not NAME:UID"),
        (format!("show {at}/none"), "No such file"),
        (format!("show {at}/clients-ca.key x"), "unexpected argument"),
    ];
    for (line, expected) in rows {
        let error = format!("{:#}", run(&line).unwrap_err());
        assert!(error.contains(expected), "{line}: {error}");
    }
    assert!(show::describe(b"nothing").is_err());
    assert!(show::describe(pki::pem("CERTIFICATE", b"nothing").as_bytes()).is_err());
}
