//! From the file to the [`Config`]: defaults, cross-checks, and the files it names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Mistake, Mistakes, Section};
use super::{
    Authentication, Authority, Builtin, Config, Crl, Format, FrontProxy, Limits, Listen, Log, Material, ServiceAccounts, Storage,
};
use crate::identity::{Denylist, Limit};
use crate::policy::file::Policy;

/// What every file begins with.
const API_VERSION: &str = "portcullis.dev/v1";
const KIND: &str = "Gateway";

/// Reads the file at `path` and everything it names. Relative paths start at the file's folder.
///
/// # Errors
/// All mistakes, in the order of the file's sections.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    let whole = |text: String| vec![Mistake { path: String::new(), text }];
    let text = std::fs::read_to_string(path).map_err(|error| whole(format!("cannot read {}: {error}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    read(&text, Reader { folder, given: &BTreeMap::new(), files: vec![path.to_owned()], mistakes: Mistakes::default() })
}

/// Reads a configuration that is in no file. What it names is taken from `given`, and from the disk where that has no such name.
///
/// # Errors
/// As [`load`].
pub fn compose(text: &str, given: &BTreeMap<PathBuf, Vec<u8>>) -> Result<Config, Vec<Mistake>> {
    read(text, Reader { folder: PathBuf::new(), given, files: Vec::new(), mistakes: Mistakes::default() })
}

fn read(text: &str, mut reader: Reader<'_>) -> Result<Config, Vec<Mistake>> {
    let root = Section::parse(text).map_err(|mistake| vec![mistake])?;
    let config = reader.config(root);
    let mistakes = reader.mistakes.into_vec();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes),
    }
}

/// One of `clientAuthorities`.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "expected a path, or {file, users, groups}")]
enum Entry {
    Anybody(PathBuf),
    Limited(Limited),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Limited {
    file: PathBuf,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// The state of one reading.
struct Reader<'a> {
    folder: PathBuf,
    /// Files that are in memory.
    given: &'a BTreeMap<PathBuf, Vec<u8>>,
    files: Vec<PathBuf>,
    mistakes: Mistakes,
}

impl Reader<'_> {
    /// Reads every section, also after a mistake; `None` when a part is missing that has no default.
    fn config(&mut self, mut root: Section) -> Option<Config> {
        self.header(&mut root);
        let listen = self.listen(&mut root);
        let health = self.health(&mut root);
        let authentication = self.authentication(&mut root);
        let policy = self.policy(&mut root);
        let limits = self.limits(&mut root);
        let builtin = self.backend(&mut root);
        let log = self.log(&mut root);
        root.end(&mut self.mistakes);
        let files = std::mem::take(&mut self.files);
        Some(Config { listen: listen?, health, authentication, policy, limits, builtin: builtin?, log, files })
    }

    fn header(&mut self, root: &mut Section) {
        for (key, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let found: Option<String> = root.required(key, &mut self.mistakes);
            if let Some(found) = found.filter(|found| found != expected) {
                self.mistakes.note(key, format!("{found:?} is not known; this version reads {expected:?}"));
            }
        }
    }

    fn listen(&mut self, root: &mut Section) -> Option<Listen> {
        let mut section = root.section("listen", &mut self.mistakes);
        let absent = SocketAddr::from(([0, 0, 0, 0], 6443));
        let address = section.or("address", absent, &mut self.mistakes);
        let certificate = self.public(&mut section, "certificate");
        let key = self.private(&mut section, "key");
        let connections = section.or("connections", 20_000, &mut self.mistakes);
        let handshakes = section.or("handshakes", 256, &mut self.mistakes);
        let drain = section.duration("drain", Duration::from_secs(30), &mut self.mistakes);
        for (key, value) in [("connections", connections), ("handshakes", handshakes)] {
            if value == 0 {
                self.mistakes.note(section.at(key), "must be at least 1");
            }
        }
        section.end(&mut self.mistakes);
        Some(Listen { address, certificate: certificate?, key: key?, connections, handshakes, drain })
    }

    fn health(&mut self, root: &mut Section) -> Option<SocketAddr> {
        let mut section = root.section("health", &mut self.mistakes);
        let enabled = section.or("enabled", true, &mut self.mistakes);
        let address = section.or("address", SocketAddr::from(([127, 0, 0, 1], 6480)), &mut self.mistakes);
        section.end(&mut self.mistakes);
        enabled.then_some(address)
    }

    fn authentication(&mut self, root: &mut Section) -> Authentication {
        let mut section = root.section("authentication", &mut self.mistakes);
        let client_authorities = self.authorities(&mut section);
        let proxy = section.optional_section("frontProxy", &mut self.mistakes);
        let front_proxy = proxy.map(|proxy| self.front_proxy(proxy));
        let crl = section.optional_section("crl", &mut self.mistakes).and_then(|crl| self.crl(crl));
        let denylist = self.denylist(&mut section);
        let mut anonymous = section.section("anonymous", &mut self.mistakes);
        let paths = anonymous.optional::<Vec<String>>("paths", &mut self.mistakes);
        anonymous.end(&mut self.mistakes);
        let anonymous = paths.unwrap_or_else(|| ["/livez", "/readyz", "/healthz", "/version"].map(str::to_owned).to_vec());
        let service_accounts =
            section.optional_section("serviceAccounts", &mut self.mistakes).map(|accounts| self.service_accounts(accounts));
        if client_authorities.is_empty() && service_accounts.is_none() {
            self.mistakes
                .note(section.at("clientAuthorities"), "nobody could be known: name an authority here, or serviceAccounts");
        }
        section.end(&mut self.mistakes);
        Authentication { client_authorities, front_proxy, crl, denylist, anonymous, service_accounts }
    }

    fn authorities(&mut self, section: &mut Section) -> Vec<Authority> {
        let at = section.at("clientAuthorities");
        let mut authorities = Vec::new();
        for (index, entry) in section.list::<Entry>("clientAuthorities", &mut self.mistakes).into_iter().enumerate() {
            let (path, limit) = match entry {
                Entry::Anybody(path) => (path, None),
                Entry::Limited(Limited { file, users, groups }) => (file, Some(Limit { users, groups })),
            };
            let file = self.material(format!("{at}[{index}]"), path, Material::public);
            authorities.extend(file.map(|file| Authority { file, limit }));
        }
        authorities
    }

    fn front_proxy(&mut self, mut section: Section) -> FrontProxy {
        let authorities = self.publics(&mut section, "authorities");
        let names = section.list::<String>("names", &mut self.mistakes);
        let users = section.list::<String>("users", &mut self.mistakes);
        let groups = section.list::<String>("groups", &mut self.mistakes);
        for (key, empty, what) in [
            ("authorities", authorities.is_empty(), "an authority of the front proxies' own"),
            ("names", names.is_empty(), "the common names of the proxies whose word counts"),
            ("groups", groups.is_empty(), "the groups that they may name; `\"*\"` for all, system:masters too"),
        ] {
            if empty {
                self.mistakes.note(section.at(key), format!("is required: {what}"));
            }
        }
        section.end(&mut self.mistakes);
        FrontProxy { authorities, names, limit: Limit { users, groups } }
    }

    fn crl(&mut self, mut section: Section) -> Option<Crl> {
        let files = self.publics(&mut section, "files");
        if files.is_empty() {
            self.mistakes.note(section.at("files"), "at least one file of revocation lists is required");
        }
        if !section.has("expired") {
            let choice = "say what becomes of certificates whose list has ended: `refuse` or `accept`";
            self.mistakes.note(section.at("expired"), choice);
        }
        let expired = section.optional("expired", &mut self.mistakes);
        section.end(&mut self.mistakes);
        Some(Crl { files, expired: expired? })
    }

    /// The denylist is a file of its own: `users`, `groups`, `serials`, `fingerprints`, `tokenIds`, `serviceAccounts`.
    fn denylist(&mut self, section: &mut Section) -> Denylist {
        let at = section.at("denylist");
        let Some(path) = section.optional::<PathBuf>("denylist", &mut self.mistakes) else { return Denylist::default() };
        let path = self.folder.join(path);
        self.files.push(path.clone());
        let read = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()));
        let list = read.and_then(|text| super::file::document::<Denylist>(&text).map(Denylist::normalised));
        let list = list.and_then(|list| list.fault().map_or(Ok(list), |(key, fault)| Err(format!("{key}: {fault}"))));
        list.map_err(|why| self.mistakes.note(at, why)).unwrap_or_default()
    }

    fn service_accounts(&mut self, mut section: Section) -> ServiceAccounts {
        let issuers = section.list::<String>("issuers", &mut self.mistakes);
        if issuers.is_empty() {
            self.mistakes.note(section.at("issuers"), "at least one issuer is required, like https://kubernetes.default.svc");
        }
        let audiences = section.list::<String>("audiences", &mut self.mistakes);
        let verification_keys = self.publics(&mut section, "verificationKeys");
        let signing_key = match section.optional::<PathBuf>("signingKey", &mut self.mistakes) {
            Some(path) => self.material(section.at("signingKey"), path, Material::private),
            None => None,
        };
        if verification_keys.is_empty() && signing_key.is_none() {
            self.mistakes.note(section.at("verificationKeys"), "at least one key is required to verify tokens");
        }
        section.end(&mut self.mistakes);
        let audiences = if audiences.is_empty() { issuers.clone() } else { audiences };
        ServiceAccounts { issuers, audiences, verification_keys, signing_key }
    }

    fn policy(&mut self, root: &mut Section) -> Policy {
        let mut section = root.section("policy", &mut self.mistakes);
        let components = section.list("components", &mut self.mistakes);
        let profiles = section.or("profiles", Default::default(), &mut self.mistakes);
        section.end(&mut self.mistakes);
        Policy { components, profiles }
    }

    fn limits(&mut self, root: &mut Section) -> Limits {
        let mut section = root.section("limits", &mut self.mistakes);
        let read_only = section.or("readOnly", 400, &mut self.mistakes);
        let mutating = section.or("mutating", 200, &mut self.mistakes);
        let watches_per_identity = section.or("watchesPerIdentity", 10_000, &mut self.mistakes);
        section.end(&mut self.mistakes);
        Limits { read_only, mutating, watches_per_identity }
    }

    fn backend(&mut self, root: &mut Section) -> Option<Builtin> {
        let mut section = root.section("backend", &mut self.mistakes);
        let builtin = section.optional_section("builtin", &mut self.mistakes);
        if builtin.is_none() {
            self.mistakes.note(section.at("builtin"), "is required: the backend that answers");
        }
        section.end(&mut self.mistakes);
        self.builtin(builtin?)
    }

    fn builtin(&mut self, mut section: Section) -> Option<Builtin> {
        let store = section.optional_section("store", &mut self.mistakes);
        if store.is_none() {
            let text = "is required: `embedded: {path: ...}`, `etcd: {endpoints: [...]}` or, for tests, `memory: {}`";
            self.mistakes.note(section.at("store"), text);
        }
        let store = store.and_then(|store| self.storage(store));
        let service_range = section.optional("serviceRange", &mut self.mistakes);
        let node_ports: Option<String> = section.optional("nodePorts", &mut self.mistakes);
        let node_ports = node_ports.map_or(Some((30_000, 32_767)), |text| {
            let range = ports(&text);
            if range.is_none() {
                self.mistakes.note(section.at("nodePorts"), format!("{text:?} is no range of ports like 30000-32767"));
            }
            range
        });
        let advertise = section.optional("advertise", &mut self.mistakes);
        let solo = section.or("solo", false, &mut self.mistakes);
        let root_authority = match section.optional::<PathBuf>("rootAuthority", &mut self.mistakes) {
            Some(path) => self.material(section.at("rootAuthority"), path, Material::public),
            None => None,
        };
        let event_ttl = section.duration("eventTTL", Duration::from_secs(3600), &mut self.mistakes);
        let history = section.duration("history", Duration::from_secs(300), &mut self.mistakes);
        if history < Duration::from_secs(75) {
            self.mistakes.note(section.at("history"), "must be at least 75s: watches are resumed that late");
        }
        section.end(&mut self.mistakes);
        let service_range = service_range.unwrap_or(ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert([10, 96, 0, 0].into(), 12)));
        Some(Builtin {
            store: store?,
            service_range,
            node_ports: node_ports?,
            advertise,
            solo,
            root_authority,
            event_ttl,
            history,
        })
    }

    fn storage(&mut self, mut section: Section) -> Option<Storage> {
        let embedded = section.optional_section("embedded", &mut self.mistakes);
        let etcd = section.optional_section("etcd", &mut self.mistakes);
        let memory = section.optional_section("memory", &mut self.mistakes);
        let path = section.at("etcd");
        section.end(&mut self.mistakes);
        match (embedded, etcd, memory) {
            (Some(embedded), None, None) => self.embedded(embedded),
            (None, Some(etcd), None) => self.etcd(etcd),
            (None, None, Some(memory)) => {
                memory.end(&mut self.mistakes);
                Some(Storage::Memory)
            }
            (None, None, None) => {
                self.mistakes.note(path, "one of `embedded`, `etcd` and `memory` is required");
                None
            }
            _ => {
                self.mistakes.note(path, "only one of `embedded`, `etcd` and `memory` can hold the state");
                None
            }
        }
    }

    fn embedded(&mut self, mut section: Section) -> Option<Storage> {
        let path: Option<PathBuf> = section.required("path", &mut self.mistakes);
        section.end(&mut self.mistakes);
        Some(Storage::Embedded { path: self.folder.join(path?) })
    }

    fn etcd(&mut self, mut section: Section) -> Option<Storage> {
        let endpoints = section.list::<String>("endpoints", &mut self.mistakes);
        if endpoints.is_empty() {
            self.mistakes.note(section.at("endpoints"), "at least one endpoint is required, like https://127.0.0.1:2379");
        }
        let plain: Vec<_> = endpoints.iter().filter(|endpoint| !endpoint.starts_with("https://")).cloned().collect();
        let insecure = section.or("insecure", false, &mut self.mistakes);
        if !plain.is_empty() && !insecure {
            self.mistakes
                .note(section.at("endpoints"), format!("{} is not https; say `insecure: true` to mean it", plain.join(", ")));
        }
        let tls = if insecure {
            None
        } else {
            let authority = self.public(&mut section, "certificateAuthority");
            let certificate = self.public(&mut section, "certificate");
            let key = self.private(&mut section, "key");
            Some(Box::new((authority?, certificate?, key?)))
        };
        section.end(&mut self.mistakes);
        Some(Storage::Etcd { endpoints, tls })
    }

    fn log(&mut self, root: &mut Section) -> Log {
        let mut section = root.section("log", &mut self.mistakes);
        let format = section.or("format", Format::Json, &mut self.mistakes);
        let access = section.or("access", true, &mut self.mistakes);
        section.end(&mut self.mistakes);
        Log { format, access }
    }

    fn public(&mut self, section: &mut Section, key: &str) -> Option<Material> {
        let path = section.required(key, &mut self.mistakes)?;
        self.material(section.at(key), path, Material::public)
    }

    fn private(&mut self, section: &mut Section, key: &str) -> Option<Material> {
        let path = section.required(key, &mut self.mistakes)?;
        self.material(section.at(key), path, Material::private)
    }

    fn publics(&mut self, section: &mut Section, key: &str) -> Vec<Material> {
        let paths = section.list::<PathBuf>(key, &mut self.mistakes);
        let at = section.at(key);
        let read = |(index, path)| self.material(format!("{at}[{index}]"), path, Material::public);
        paths.into_iter().enumerate().filter_map(read).collect()
    }

    fn material(&mut self, at: String, path: PathBuf, read: fn(&Path) -> Result<Material, String>) -> Option<Material> {
        if let Some(pem) = self.given.get(&path) {
            return Some(Material { path, pem: pem.clone() });
        }
        let path = self.folder.join(path);
        self.files.push(path.clone());
        read(&path).map_err(|why| self.mistakes.note(at, why)).ok()
    }
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}
