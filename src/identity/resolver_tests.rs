use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Uri};

use super::*;
use crate::identity::token::tests::p256;
use crate::identity::{Grant, Holder, Life, Named, PrivateKey, TokenSigner};
use crate::pki::{Authority, Order};

const ISSUER: &str = "https://kubernetes.default.svc";
const HOUR: u64 = 3600;

/// An authority, a signing key, and a resolver that believes both and knows one account.
struct Lab {
    authority: Authority,
    key: PrivateKey,
    facts: Arc<Live<Facts>>,
    resolver: Resolver,
    now: u64,
}

impl Lab {
    fn new() -> Self {
        let (authority, key) = (Authority::new("lab", Duration::from_secs(2 * HOUR)).unwrap(), p256());
        let mut facts = Facts::new();
        for (holder, namespace, name) in
            [(Holder::Account, "ns", "robot"), (Holder::Pod, "ns", "p"), (Holder::Secret, "ns", "s"), (Holder::Node, "", "n")]
        {
            facts.insert(holder, namespace, name, life("u1", None));
        }
        let facts = Arc::new(Live::new(facts));
        let resolver = Resolver::new(trust(&authority, &key), Arc::clone(&facts));
        Self { authority, key, facts, resolver, now: now() }
    }

    fn peer(&self, order: &Order) -> Peer {
        peer(&[self.authority.issue(order).unwrap().der])
    }

    fn token(&self, change: impl FnOnce(&mut Grant)) -> String {
        let mut grant = Grant {
            namespace: "ns".to_owned(),
            account: named("robot"),
            audiences: vec![ISSUER.to_owned()],
            issued: self.now,
            lifetime: HOUR,
            ..Grant::default()
        };
        change(&mut grant);
        TokenSigner::new(&self.key, ISSUER).sign(&grant).unwrap()
    }

    fn ask(&self, peer: &Peer, headers: &[(&str, &str)], path: &str, later: u64) -> Result<Caller, Refusal> {
        let mut map = header_map(headers);
        let attributes = Attributes::parse(&Method::GET, &path.parse::<Uri>().unwrap());
        let outcome = self.resolver.resolve_at(peer, &Resolver::take(&mut map), &attributes, self.now + later);
        assert!(map.is_empty(), "credentials are left: {map:?}");
        outcome
    }

    fn ask_by_token(&self, token: &str, later: u64) -> Result<Caller, Refusal> {
        self.ask(&peer(&[]), &[("authorization", &format!("Bearer {token}"))], "/api/v1/pods", later)
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let mut facts = Facts::clone(&self.facts.load());
        change(&mut facts);
        self.facts.swap(facts);
    }
}

fn trust(authority: &Authority, key: &PrivateKey) -> Trust {
    Trust {
        authorities: Authorities::parse(authority.certificate_pem().as_bytes()).unwrap(),
        keys: vec![key.public().clone()],
        issuers: vec![ISSUER.to_owned()],
        ..Trust::default()
    }
}

fn life(uid: &str, deleted: Option<u64>) -> Life {
    Life { uid: uid.into(), deleted }
}

fn named(name: &str) -> Named {
    Named { name: name.to_owned(), uid: "u1".to_owned() }
}

fn peer(chain: &[Vec<u8>]) -> Peer {
    Peer::new(([127, 0, 0, 1], 4).into(), chain.iter().map(|der| Bytes::from(der.clone())).collect())
}

fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    map
}

fn order(user: &str, groups: &[&str]) -> Order {
    Order::client(user, groups, Duration::from_secs(HOUR))
}

fn user(outcome: Result<Caller, Refusal>) -> String {
    match outcome {
        Ok(caller) => format!("{} [{}]", caller.real().user(), caller.real().groups().join(",")),
        Err(Refusal::Unauthenticated(Unauthenticated::Certificate(_))) => "401 certificate".to_owned(),
        Err(Refusal::Unauthenticated(Unauthenticated::Proxy(_))) => "401 proxy".to_owned(),
        Err(Refusal::Unauthenticated(Unauthenticated::Token(_))) => "401 token".to_owned(),
        Err(Refusal::Unauthenticated(Unauthenticated::Header(_))) => "401 header".to_owned(),
        Err(Refusal::Unauthenticated(Unauthenticated::Denied(_))) => "401 denied".to_owned(),
        Err(Refusal::Unauthenticated(Unauthenticated::NoCredential)) => "401 nothing".to_owned(),
        Err(Refusal::Impersonation(_)) => "400".to_owned(),
    }
}

#[test]
fn a_credential_is_believed_or_refused_and_never_less() {
    let lab = Lab::new();
    let none = || peer(&[]);
    let good = || lab.peer(&order("eve", &["dev"]));
    let bad = || peer(&[Authority::new("lab", Duration::from_secs(HOUR)).unwrap().issue(&order("eve", &["dev"])).unwrap().der]);
    let nameless = || lab.peer(&order("", &["system:masters"]));
    let marked = || lab.peer(&order("eve", &["system:authenticated"]));
    let token = format!("Bearer {}", lab.token(|_| {}));
    let (eve, robot) = (
        "eve [dev,system:authenticated]",
        "system:serviceaccount:ns:robot [system:serviceaccounts,system:serviceaccounts:ns,system:authenticated]",
    );
    let nobody = "system:anonymous [system:unauthenticated]";
    #[rustfmt::skip]
    let rows: Vec<(Peer, Option<&str>, &str, &str)> = vec![
        (good(), None, "/api/v1/pods", eve),
        (good(), Some(&token), "/api/v1/pods", eve),
        (good(), Some("Bearer garbage"), "/api/v1/pods", eve),
        (good(), Some("Basic garbage"), "/api/v1/pods", eve),
        (marked(), None, "/api/v1/pods", "eve [system:authenticated]"),
        (bad(), None, "/api/v1/pods", "401 certificate"),
        (bad(), None, "/healthz", "401 certificate"),
        (bad(), Some(&token), "/api/v1/pods", "401 certificate"),
        (nameless(), None, "/api/v1/pods", "401 certificate"),
        (nameless(), Some(&token), "/api/v1/pods", "401 certificate"),
        (none(), Some(&token), "/api/v1/pods", robot),
        (none(), Some(&token), "/healthz", robot),
        (none(), Some("Bearer garbage"), "/healthz", "401 token"),
        (none(), Some("Basic garbage"), "/healthz", "401 header"),
        (none(), Some("Bearer"), "/healthz", "401 header"),
        (none(), None, "/healthz", nobody),
        (none(), None, "/version", nobody),
        (none(), Some(""), "/livez", nobody),
        (none(), None, "/livez/etcd", "401 nothing"),
        (none(), None, "/healthz/", "401 nothing"),
        (none(), None, "/healthz/../api/v1/pods", "401 nothing"),
        (none(), None, "/api/v1/pods", "401 nothing"),
    ];
    for (peer, authorization, path, expected) in rows {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        assert_eq!(user(lab.ask(&peer, &headers, path, 0)), expected, "{authorization:?} {path}");
    }
}

#[test]
fn anonymous_everywhere_is_still_no_shelter_for_bad_credentials() {
    let lab = Lab::new();
    lab.resolver.install(Trust { anonymous: Anonymous::of(vec!["*".to_owned()]), ..trust(&lab.authority, &lab.key) });
    let nobody = "system:anonymous [system:unauthenticated]";
    assert_eq!(user(lab.ask(&peer(&[]), &[], "/api/v1/pods", 0)), nobody);
    assert_eq!(user(lab.ask(&peer(&[]), &[("authorization", "Bearer x")], "/api/v1/pods", 0)), "401 token");
    assert_eq!(user(lab.ask(&peer(&[b"x".to_vec()]), &[], "/api/v1/pods", 0)), "401 certificate");
    assert_eq!(Anonymous::of(vec!["/a".to_owned()]), Anonymous::Paths(vec!["/a".to_owned()]));
}

#[test]
fn a_certificate_names_its_own_hash() {
    let lab = Lab::new();
    let der = lab.authority.issue(&order("eve", &[])).unwrap().der;
    let caller = lab.ask(&peer(std::slice::from_ref(&der)), &[], "/api/v1/pods", 0).unwrap();
    let expected = vec![format!("X509SHA256={}", hex(&sha256(&der)))];
    assert_eq!(caller.real().extra()["authentication.kubernetes.io/credential-id"], expected);
    assert_eq!(*caller.real().proof(), Proof::Certificate(sha256(&der)));
}

#[test]
fn a_certificate_expires_on_an_open_connection() {
    let lab = Lab::new();
    let peer = lab.peer(&order("eve", &[]));
    let caller = lab.ask(&peer, &[], "/api/v1/pods", 0).unwrap();
    assert!(lab.ask(&peer, &[], "/api/v1/pods", HOUR - 5).is_ok());
    assert!(lab.resolver.holds_at(&peer, &caller, lab.now + HOUR - 5));
    for _ in 0..1000 {
        assert_eq!(user(lab.ask(&peer, &[], "/api/v1/pods", HOUR + 5)), "401 certificate");
    }
    assert!(!lab.resolver.holds_at(&peer, &caller, lab.now + HOUR + 5));
    // A clock that is put right believes again.
    assert!(lab.ask(&peer, &[], "/api/v1/pods", 10).is_ok());
}

#[test]
fn an_authority_is_withdrawn_on_an_open_connection() {
    let lab = Lab::new();
    let peer = lab.peer(&order("eve", &[]));
    let caller = lab.ask(&peer, &[], "/api/v1/pods", 0).unwrap();
    let other = Authority::new("other", Duration::from_secs(HOUR)).unwrap();
    lab.resolver.install(trust(&other, &lab.key));
    assert_eq!(user(lab.ask(&peer, &[], "/api/v1/pods", 0)), "401 certificate");
    assert!(!lab.resolver.holds_at(&peer, &caller, lab.now));
    lab.resolver.install(trust(&lab.authority, &lab.key));
    assert!(lab.ask(&peer, &[], "/api/v1/pods", 0).is_ok());
    assert!(lab.resolver.holds_at(&peer, &caller, lab.now));
}

#[test]
fn a_certificate_is_verified_once_a_connection() {
    let lab = Lab::new();
    let peer = lab.peer(&order("eve", &[]));
    let first = lab.ask(&peer, &[], "/api/v1/pods", 0).unwrap();
    let second = lab.ask(&peer, &[], "/api/v1/pods", 5).unwrap();
    assert!(Arc::ptr_eq(first.real(), second.real()));
}

#[test]
fn a_token_lives_as_long_as_what_it_is_bound_to() {
    let lab = Lab::new();
    let plain = lab.token(|_| {});
    let of_pod = lab.token(|grant| grant.pod = Some(named("p")));
    let of_secret = lab.token(|grant| grant.secret = Some(named("s")));
    let of_node = lab.token(|grant| grant.node = Some(named("n")));
    let of_pod_on_node = lab.token(|grant| (grant.pod, grant.node) = (Some(named("p")), Some(named("gone"))));
    let alive = || [&plain, &of_pod, &of_secret, &of_node, &of_pod_on_node].map(|token| lab.ask_by_token(token, 10).is_ok());
    assert_eq!(alive(), [true; 5]);
    assert_eq!(alive(), [true; 5]);
    type Change<'a> = Box<dyn Fn(&mut Facts) + 'a>;
    let put = |holder, namespace: &'static str, name: &'static str, life: Life| -> Change<'_> {
        Box::new(move |facts: &mut Facts| facts.insert(holder, namespace, name, life.clone()))
    };
    #[rustfmt::skip]
    let rows: Vec<(&str, Change<'_>, [bool; 5])> = vec![
        ("the pod is another", put(Holder::Pod, "ns", "p", life("u2", None)), [true, false, true, true, false]),
        ("the pod is deleted now", put(Holder::Pod, "ns", "p", life("u1", Some(lab.now))), [true; 5]),
        ("the pod was deleted", put(Holder::Pod, "ns", "p", life("u1", Some(lab.now - 51))), [true, false, true, true, false]),
        ("the pod is back", put(Holder::Pod, "ns", "p", life("u1", None)), [true; 5]),
        ("the secret is gone", Box::new(|facts| facts.remove(Holder::Secret, "ns", "s")), [true, true, false, true, true]),
        ("the node is gone", Box::new(|facts| facts.remove(Holder::Node, "", "n")), [true, true, false, false, true]),
        ("the account is another", put(Holder::Account, "ns", "robot", life("u2", None)), [false; 5]),
        ("the account is back", put(Holder::Account, "ns", "robot", life("u1", None)), [true, true, false, false, true]),
        ("the account is gone", Box::new(|facts| facts.remove(Holder::Account, "ns", "robot")), [false; 5]),
    ];
    for (what, change, expected) in rows {
        lab.change(|facts| change(facts));
        assert_eq!(alive(), expected, "{what}");
    }
}

#[test]
fn a_remembered_signature_is_not_a_valid_token() {
    let lab = Lab::new();
    let token = lab.token(|_| {});
    let caller = lab.ask_by_token(&token, 0).unwrap();
    assert!(matches!(caller.real().proof(), Proof::Token(id) if id.len() == 36));
    let nobody = peer(&[]);
    assert!(lab.resolver.holds_at(&nobody, &caller, lab.now + HOUR));
    assert_eq!(user(lab.ask_by_token(&token, HOUR + 61)), "401 token");
    assert!(!lab.resolver.holds_at(&nobody, &caller, lab.now + HOUR + 61));
    lab.resolver.install(trust(&lab.authority, &p256()));
    assert_eq!(user(lab.ask_by_token(&token, 0)), "401 token");
    assert!(!lab.resolver.holds_at(&nobody, &caller, lab.now));
    let both = vec![p256().public().clone(), lab.key.public().clone()];
    lab.resolver.install(Trust { keys: both, ..trust(&lab.authority, &lab.key) });
    assert!(lab.ask_by_token(&token, 0).is_ok());
    lab.resolver.install(Trust { issuers: vec!["https://another".to_owned()], ..trust(&lab.authority, &lab.key) });
    assert_eq!(user(lab.ask_by_token(&token, 0)), "401 token");
}

#[test]
fn audiences() {
    let lab = Lab::new();
    let of =
        |audiences: &[&str]| lab.token(|grant| grant.audiences = audiences.iter().map(|&audience| audience.to_owned()).collect());
    let ask = |audiences: &[&str]| lab.ask_by_token(&of(audiences), 0).is_ok();
    assert_eq!([ask(&[ISSUER]), ask(&["vault"]), ask(&["vault", ISSUER]), ask(&[])], [true, false, true, false]);
    let review = |token: &str, asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(|&audience| audience.to_owned()).collect();
        lab.resolver.review(token, &asked).map(|reviewed| reviewed.audiences.join(","))
    };
    let vault = of(&["vault", "x"]);
    assert_eq!(review(&vault, &[]), Err(TokenError::Audience));
    assert_eq!(review(&vault, &["third"]), Err(TokenError::Audience));
    assert_eq!(review(&vault, &["other", "vault"]), Ok("vault".to_owned()));
    assert_eq!(review(&of(&[ISSUER]), &[]), Ok(ISSUER.to_owned()));
    assert_eq!(review("garbage", &[]), Err(TokenError::Malformed("form")));
    lab.resolver.install(Trust { audiences: vec!["api".to_owned()], ..trust(&lab.authority, &lab.key) });
    assert_eq!([ask(&[ISSUER]), ask(&["api"])], [false, true]);
}

#[test]
fn impersonation_is_asked_and_not_yet_granted() {
    let lab = Lab::new();
    let peer = lab.peer(&order("admin", &["system:masters"]));
    let caller = lab.ask(&peer, &[("impersonate-user", "bob"), ("impersonate-group", "g")], "/api/v1/pods", 0).unwrap();
    assert_eq!(caller.effective().user(), "admin");
    assert_eq!(caller.asked().map(|asked| (asked.user(), asked.groups().len())), Some(("bob", 1)));
    let caller = crate::identity::assert(caller);
    assert_eq!((caller.real().user(), caller.effective().user()), ("admin", "bob"));
    assert_eq!(user(lab.ask(&peer, &[("impersonate-group", "g")], "/api/v1/pods", 0)), "400");
    // Who is not believed is told nothing about the headers.
    assert_eq!(user(lab.ask(&self::peer(&[]), &[("impersonate-group", "g")], "/api/v1/pods", 0)), "401 nothing");
}

#[test]
fn a_web_socket_may_bring_its_token_as_a_protocol() {
    let lab = Lab::new();
    let token = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, lab.token(|_| {}));
    let protocols = format!("base64url.bearer.authorization.k8s.io.{token}, v5.channel.k8s.io");
    let mut headers = header_map(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", &protocols)]);
    headers.insert("x-remote-user", "root".parse().unwrap());
    let attributes = Attributes::parse(&Method::GET, &Uri::from_static("/api/v1/pods?watch=1"));
    let caller = lab.resolver.resolve_at(&peer(&[]), &Resolver::take(&mut headers), &attributes, lab.now).unwrap();
    assert_eq!(caller.real().user(), "system:serviceaccount:ns:robot");
    assert_eq!(headers["sec-websocket-protocol"], "v5.channel.k8s.io");
    assert!(!headers.contains_key("x-remote-user") && !headers.contains_key(AUTHORIZATION));
}

#[test]
fn the_denylist_ends_what_is_open_and_a_reload_of_the_same_ends_nothing() {
    let lab = Lab::new();
    let (eve, nobody) = (lab.peer(&order("eve", &["dev"])), peer(&[]));
    let by_certificate = lab.ask(&eve, &[], "/api/v1/pods", 0).unwrap();
    let by_token = lab.ask_by_token(&lab.token(|_| {}), 0).unwrap();
    let as_other = lab.ask(&eve, &[("impersonate-user", "joe"), ("impersonate-group", "ops")], "/api/v1/pods", 0).unwrap();
    let fingerprint = hex(&match by_certificate.real().proof() {
        Proof::Certificate(fingerprint) => *fingerprint,
        other => panic!("{other:?}"),
    });
    let Proof::Token(id) = by_token.real().proof().clone() else { panic!("no token") };
    let set = |text: &str| std::collections::HashSet::from([text.to_owned()]);
    let robot = "system:serviceaccount:ns:robot";
    #[rustfmt::skip]
    let rows = [
        (Denylist::default(), [true, true, true]),
        (Denylist { users: set("eve"), ..Denylist::default() }, [false, true, false]),
        (Denylist { groups: set("dev"), ..Denylist::default() }, [false, true, false]),
        (Denylist { fingerprints: set(&fingerprint), ..Denylist::default() }, [false, true, false]),
        (Denylist { users: set(robot), ..Denylist::default() }, [true, false, true]),
        (Denylist { service_accounts: set("ns/robot"), ..Denylist::default() }, [true, false, true]),
        (Denylist { token_ids: set(&id), ..Denylist::default() }, [true, false, true]),
        (Denylist { users: set("joe"), ..Denylist::default() }, [true, true, false]),
        (Denylist { groups: set("ops"), ..Denylist::default() }, [true, true, false]),
    ];
    for (denylist, expected) in rows {
        lab.resolver.install(Trust { denylist: denylist.clone(), ..trust(&lab.authority, &lab.key) });
        let open = [(&eve, &by_certificate), (&nobody, &by_token), (&eve, &as_other)];
        let held = open.map(|(peer, caller)| lab.resolver.holds_at(peer, caller, lab.now));
        assert_eq!(held, expected, "{denylist:?}");
        let again = lab.ask(&eve, &[], "/api/v1/pods", 0).is_ok();
        assert_eq!(again, expected[0], "{denylist:?}");
    }
    lab.resolver.install(Trust { keys: vec![p256().public().clone()], ..trust(&lab.authority, &lab.key) });
    assert!(!lab.resolver.holds_at(&nobody, &by_token, lab.now), "its key is gone");
}

#[test]
fn only_a_front_proxy_speaks_for_others() {
    let lab = Lab::new();
    let proxies = Authority::new("proxies", Duration::from_secs(2 * HOUR)).unwrap();
    let limit = |users: &[&str], groups: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        crate::identity::Limit { users: owned(users), groups: owned(groups) }
    };
    let front = FrontProxy {
        authorities: Authorities::parse(proxies.certificate_pem().as_bytes()).unwrap(),
        names: vec!["front".to_owned()],
        limit: limit(&[], &["dev", "ops"]),
    };
    let proxied = Trust { front_proxy: Some(front.clone()), ..trust(&lab.authority, &lab.key) };
    lab.resolver.install(proxied.clone());
    let shown = |authority: &Authority, user: &str| peer(&[authority.issue(&order(user, &["dev"])).unwrap().der]);
    let joe = [("x-remote-user", "joe"), ("x-remote-group", "ops")];
    let masters = [("x-remote-user", "joe"), ("x-remote-group", "system:masters")];
    type Headers<'a> = &'a [(&'a str, &'a str)];
    #[rustfmt::skip]
    let rows: [(Peer, Headers<'_>, &str); 9] = [
        (shown(&proxies, "front"), &joe, "joe [ops,system:authenticated]"),
        (shown(&proxies, "front"), &masters, "401 proxy"),
        (shown(&proxies, "front"), &[("x-remote-user", "a"), ("x-remote-user", "b")], "401 proxy"),
        (shown(&proxies, "front"), &[], "401 certificate"),
        (shown(&proxies, "front"), &[("x-remote-group", "ops")], "401 certificate"),
        (shown(&proxies, "other"), &joe, "401 proxy"),
        (shown(&lab.authority, "front"), &joe, "front [dev,system:authenticated]"),
        (shown(&lab.authority, "eve"), &joe, "eve [dev,system:authenticated]"),
        (peer(&[]), &joe, "401 nothing"),
    ];
    for (peer, headers, expected) in rows {
        assert_eq!(user(lab.ask(&peer, headers, "/api/v1/pods", 0)), expected, "{headers:?}");
    }
    let proxy = shown(&proxies, "front");
    let caller = lab.ask(&proxy, &joe, "/api/v1/pods", 0).unwrap();
    let denied = Denylist { users: ["joe".to_owned()].into(), ..Denylist::default() };
    let narrower = FrontProxy { limit: limit(&["eve"], &["ops"]), ..front.clone() };
    let renamed = FrontProxy { names: vec!["other".to_owned()], ..front };
    for (what, trust, holds) in [
        ("the same", proxied.clone(), true),
        ("joe is denied", Trust { denylist: denied, ..proxied.clone() }, false),
        ("it may not speak for joe", Trust { front_proxy: Some(narrower), ..proxied.clone() }, false),
        ("its name counts no more", Trust { front_proxy: Some(renamed), ..proxied.clone() }, false),
        ("no front proxies", Trust { front_proxy: None, ..proxied.clone() }, false),
    ] {
        lab.resolver.install(trust);
        assert_eq!(lab.resolver.holds_at(&proxy, &caller, lab.now), holds, "{what}");
    }
}
