//! From a configuration to running parts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::feeder::{Feeder, Outlet};
use super::{Error, Extra, STORE_FILE, Source, reload, upkeep};
use crate::api::catalog::Catalog;
use crate::api::object::Object;
use crate::api::review::{Asking, Tokens};
use crate::api::{self, Api};
use crate::audit;
use crate::backend::Backend;
use crate::cluster::{Boot, Cluster};
use crate::config::{self, Builtin, Config, Format, Log, Mistake, Mistakes, Storage};
use crate::gateway::Gateway;
use crate::health::Check;
use crate::identity::{Anonymous, Authorities, FrontProxy, PrivateKey, PublicKey, Resolver, Revocation, TokenSigner, Trust};
use crate::limits::{self, Limits};
use crate::listen::tls::{Tls, TlsError};
use crate::listen::{self};
use crate::live::Live;
use crate::metrics::{Metrics, StoreOperation};
use crate::policy::{Authorizer, Ceilings, Facts, Mode};
use crate::shutdown::Shutdown;
use crate::store::embedded::{Embedded, Medium, Options};
use crate::store::etcd::{self, Etcd};
use crate::store::{self, Ending, Observer, Operation, Store};

/// Begins every key, as kube-apiserver has it.
const KEYS: &str = "/registry";

/// Reads the configuration at `path` and builds everything it describes but the listeners and the store. A summary for a person.
///
/// # Errors
/// All mistakes.
pub fn check(path: &Path) -> Result<String, Vec<Mistake>> {
    let config = config::load(path)?;
    let parts = Parts::build(&config)?;
    let mut summary: String = parts.warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    let components: Vec<String> = parts.ceilings.names().iter().map(ToString::to_string).collect();
    summary += &format!("components: {}\n", components.join(", "));
    Ok(summary)
}

/// What a reload builds anew, completely, before anything is swapped.
pub(super) struct Parts {
    pub(super) trust: Trust,
    pub(super) ceilings: Ceilings,
    pub(super) tls: Tls,
    warnings: Vec<Mistake>,
}

impl Parts {
    /// Builds from the files' content as it was read.
    pub(super) fn build(config: &Config) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let trust = trust(config, &mut mistakes);
        let proxies = trust.front_proxy.iter().flat_map(|front| front.authorities.names());
        let hints = trust.authorities.names().chain(proxies).map(<[u8]>::to_vec).collect();
        let tls = Tls::new(&config.listen.certificate.pem, &config.listen.key.pem, hints).map_err(|error| match error {
            TlsError::Certificate(_) => mistakes.note("listen.certificate", error),
            _ => mistakes.note("listen.key", error),
        });
        let place = |mistake: crate::policy::Mistake| (format!("policy.{}", mistake.path), mistake.message);
        let policy = config.policy.resolve().map_err(|found| {
            for (path, text) in found.into_iter().map(place) {
                mistakes.note(path, text);
            }
        });
        match (tls, policy) {
            (Ok(tls), Ok(policy)) if mistakes.is_empty() => {
                let warning = |(path, text)| Mistake { path, text };
                let warnings = policy.warnings.into_iter().map(place).map(warning).collect();
                Ok(Self { trust, ceilings: policy.ceilings, tls, warnings })
            }
            _ => Err(mistakes.into_vec()),
        }
    }

    /// Opens the store, plugs everything together and lets it run.
    pub(super) async fn run(
        self,
        (config, extra): (Config, Extra),
        (listener, health): (TcpListener, Option<TcpListener>),
        (source, shutdown, last): (Source, &Shutdown, &Shutdown),
    ) -> Result<Arc<Cluster>, Error> {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let metrics = Arc::new(Metrics::new());
        let catalog = Arc::new(Catalog::builtin());
        let (store, etcd) = open(&config.builtin, (&catalog, &metrics), shutdown).await?;
        let accounts = Arc::new(Live::default());
        let keys = self.trust.keys.clone();
        let resolver = Arc::new(Resolver::new(self.trust, accounts.clone()));
        let authorizer = Arc::new(Authorizer::new(Mode::Builtin, self.ceilings, Facts::default()));
        let outlet = Outlet { authorizer: authorizer.clone(), identity: accounts.clone() };
        upkeep::spawn(Feeder::new(&catalog, &store, outlet).run(), shutdown);
        let settings = api::Settings { event_ttl: config.builtin.event_ttl, node_ports: config.builtin.node_ports };
        let tokens = Arc::new(Live::new(tokens(&config, (keys, source.address))));
        let asking = Asking { authorizer: authorizer.clone(), resolver: resolver.clone(), tokens: tokens.clone() };
        let api = Api::new(catalog.clone(), store.clone(), shutdown.clone());
        let api = Arc::new(api.with_asking(asking).with_settings(settings).with_metrics(metrics.clone()));
        let (booted, boot) = watch::channel(Boot::Pending);
        let settings = limits::Settings {
            read_only: clamp(config.limits.read_only),
            mutating: clamp(config.limits.mutating),
            long_running_each: clamp(config.limits.watches_per_identity),
            ..limits::Settings::default()
        };
        let cluster = Arc::new(Cluster {
            resolver,
            authorizer,
            limits: Limits::new(settings),
            backend: Backend::Builtin(api.clone()),
            store: store.clone(),
            accounts,
            boot,
        });
        let tls = Arc::new(Live::new(self.tls));
        let access = if config.log.access { access(&metrics)? } else { audit::Log::off() };
        let checks: Arc<[Check]> = checks(&config.builtin, &cluster, shutdown).into();
        let gateway = Arc::new(Gateway {
            cluster: cluster.clone(),
            metrics: metrics.clone(),
            access,
            checks: checks.clone(),
            streams: Arc::default(),
            shutdown: shutdown.clone(),
        });
        let guarded = gateway.clone();
        upkeep::spawn(async move { guarded.streams.guard(&guarded.cluster).await }, shutdown);
        upkeep::run(&config, (&api, &store), (&metrics, &cluster), shutdown);
        upkeep::boot((&config, extra, source.address), (api, booted), shutdown);
        reload::run(
            config.clone(),
            source,
            reload::Swapped { cluster: cluster.clone(), tls: tls.clone(), tokens, metrics: metrics.clone(), etcd },
            shutdown,
        );
        if let Some(listener) = health {
            last.spawn(listen::serve_health(listener, (checks, metrics), last.clone()));
        }
        let settings = listen::Settings { connections: config.listen.connections, handshakes: config.listen.handshakes };
        shutdown.spawn(listen::serve(listener, (gateway, tls), settings, shutdown.clone()));
        Ok(cluster)
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn trust(config: &Config, mistakes: &mut Mistakes) -> Trust {
    let authentication = &config.authentication;
    let mut authorities = Authorities::none();
    for (index, authority) in authentication.client_authorities.iter().enumerate() {
        match Authorities::parse(&authority.file.pem) {
            Ok(read) => authorities = authorities.and(authority.limit.iter().fold(read, Authorities::limited)),
            Err(error) => mistakes.note(format!("authentication.clientAuthorities[{index}]"), error),
        }
    }
    let revocation = Arc::new(revocation(authentication.crl.as_ref(), mistakes));
    let authorities = authorities.revoking(&revocation);
    let front_proxy = authentication.front_proxy.as_ref().map(|front| front_proxy(front, &revocation, mistakes));
    let denylist = authentication.denylist.clone();
    let anonymous = Anonymous::of(authentication.anonymous.clone());
    let mut trust = Trust { authorities, front_proxy, denylist, anonymous, ..Trust::default() };
    let Some(accounts) = &authentication.service_accounts else { return trust };
    trust.issuers.clone_from(&accounts.issuers);
    trust.audiences.clone_from(&accounts.audiences);
    for (index, key) in accounts.verification_keys.iter().enumerate() {
        match PublicKey::parse(&key.pem) {
            Ok(keys) => trust.keys.extend(keys),
            Err(error) => mistakes.note(format!("authentication.serviceAccounts.verificationKeys[{index}]"), error),
        }
    }
    if let Some(key) = &accounts.signing_key {
        match PrivateKey::parse(&key.pem) {
            Ok(key) if trust.keys.iter().all(|known| known.id() != key.public().id()) => trust.keys.push(key.public().clone()),
            Ok(_) => {}
            Err(error) => mistakes.note("authentication.serviceAccounts.signingKey", error),
        }
    }
    trust
}

fn revocation(crl: Option<&config::Crl>, mistakes: &mut Mistakes) -> Revocation {
    let mut revocation = Revocation::new(crl.map(|crl| crl.expired).unwrap_or_default());
    for (index, file) in crl.iter().flat_map(|crl| &crl.files).enumerate() {
        if let Err(error) = revocation.add(&file.pem) {
            mistakes.note(format!("authentication.crl.files[{index}]"), error);
        }
    }
    revocation
}

fn front_proxy(front: &config::FrontProxy, revocation: &Arc<Revocation>, mistakes: &mut Mistakes) -> FrontProxy {
    let mut authorities = Authorities::none();
    for (index, file) in front.authorities.iter().enumerate() {
        match Authorities::parse(&file.pem) {
            Ok(read) => authorities = authorities.and(read),
            Err(error) => mistakes.note(format!("authentication.frontProxy.authorities[{index}]"), error),
        }
    }
    FrontProxy { authorities: authorities.revoking(revocation), names: front.names.clone(), limit: front.limit.clone() }
}

/// Who signs tokens; the key has been read once already.
pub(super) fn tokens(config: &Config, (keys, address): (Vec<PublicKey>, SocketAddr)) -> Option<Tokens> {
    let accounts = config.authentication.service_accounts.as_ref()?;
    let issuer = accounts.issuers.first()?;
    let signer = TokenSigner::parse(&accounts.signing_key.as_ref()?.pem, issuer.as_str()).ok()?;
    let host = SocketAddr::new(advertised(config.builtin.advertise, address), address.port());
    Some(Tokens {
        signer: Arc::new(signer),
        audiences: accounts.audiences.clone(),
        longest: None,
        extended: true,
        keys,
        keys_at: format!("https://{host}/openid/v1/jwks"),
    })
}

async fn open(
    builtin: &Builtin,
    (catalog, metrics): (&Arc<Catalog>, &Arc<Metrics>),
    shutdown: &Shutdown,
) -> Result<(Arc<Store<Object>>, Option<Arc<Etcd>>), Error> {
    let limits = store::Limits { keep: builtin.history, ..store::Limits::default() };
    let (medium, options) = match &builtin.store {
        Storage::Embedded { path } => {
            crate::pki::make_dir(path).map_err(|error| Error::Store(error.to_string()))?;
            (Medium::File(path.join(STORE_FILE)), Options::default())
        }
        Storage::Memory => (Medium::memory(), Options { reserve_bytes: 0, ..Options::default() }),
        Storage::Etcd { endpoints, .. } => {
            let settings = etcd::Settings {
                endpoints: endpoints.clone(),
                prefix: KEYS.to_owned(),
                tls: etcd_tls(&builtin.store),
                compaction: Some(builtin.history),
                observer: Some(observer(metrics.clone())),
            };
            let etcd = Etcd::connect(settings).await.map_err(|error| Error::Store(error.to_string()))?;
            let mut started = None;
            let store = store::open(catalog.clone(), limits, |sink| {
                let etcd = etcd.start(sink, shutdown);
                started = Some(etcd.clone());
                Ok::<_, Error>(etcd as Arc<dyn store::Log>)
            })?;
            return Ok((store, started));
        }
    };
    let place = if let Medium::File(file) = &medium { format!("{}: ", file.display()) } else { String::new() };
    let opened = store::open(catalog.clone(), limits, |sink| {
        Embedded::open_on(medium, options, sink).map(|log| log as Arc<dyn store::Log>)
    });
    let store = opened.map_err(|error| Error::Store(format!("{place}{error}")))?;
    upkeep::spawn(upkeep::compaction(store.clone(), builtin.history), shutdown);
    Ok((store, None))
}

/// The certificates for etcd, where it is one that wants them.
pub(super) fn etcd_tls(storage: &Storage) -> Option<etcd::Tls> {
    let Storage::Etcd { tls: Some(tls), .. } = storage else { return None };
    let (authority, certificate, key) = &**tls;
    Some(etcd::Tls { authority: authority.pem.clone(), certificate: certificate.pem.clone(), key: key.pem.clone() })
}

fn observer(metrics: Arc<Metrics>) -> Observer {
    Arc::new(move |operation, took, ending| {
        let operation = match operation {
            Operation::Create => StoreOperation::Create,
            Operation::Update => StoreOperation::Update,
            Operation::Delete => StoreOperation::Delete,
            Operation::Probe => StoreOperation::Probe,
            Operation::Compact => StoreOperation::Compact,
            Operation::List => StoreOperation::List,
            Operation::Lease => StoreOperation::Lease,
            Operation::Batch => StoreOperation::Batch,
        };
        metrics.stored(operation, took, ending == Ending::Answered);
    })
}

fn access(metrics: &Metrics) -> Result<audit::Log, Error> {
    let sink = Box::new(std::io::stdout());
    audit::Log::to(sink, metrics.access_lines_lost()).map_err(|error| Error::Boot(format!("no thread for access lines: {error}")))
}

fn checks(builtin: &Builtin, cluster: &Arc<Cluster>, shutdown: &Shutdown) -> Vec<Check> {
    /// A view that is not proven fresh for so long makes the server not ready.
    const STALE: Duration = Duration::from_secs(10);
    let store = cluster.store.clone();
    let fresh = move || {
        let age = store.proven_fresh();
        let known = store.view().revision() > store::Revision(0);
        if known && age < STALE { Ok(()) } else { Err(format!("the view was last proven fresh {} s ago", age.as_secs())) }
    };
    let boot = cluster.boot.clone();
    let booted = move || match &*boot.borrow() {
        Boot::Done => Ok(()),
        Boot::Pending => Err("not finished".to_owned()),
        Boot::Failed(why) => Err(why.clone()),
    };
    let end = shutdown.clone();
    let serving = move || if end.has_begun() { Err("process is shutting down".to_owned()) } else { Ok(()) };
    let name = if matches!(builtin.store, Storage::Etcd { .. }) { "etcd" } else { "embedded" };
    vec![
        Check::new("ping", || Ok(())),
        Check::new("log", || Ok(())),
        Check::ready(name, fresh),
        Check::ready("poststarthook/rbac/bootstrap-roles", booted),
        Check::ready("shutdown", serving),
    ]
}

/// The address that `default/kubernetes` publishes: the configured one, the listener's own, or that of the first interface's.
pub(super) fn advertised(configured: Option<IpAddr>, listener: SocketAddr) -> IpAddr {
    let unspecified = listener.ip().is_unspecified();
    configured.unwrap_or(if unspecified { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listener.ip() })
}

/// Starts the process' log.
pub(super) fn log(log: Log) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second server in one process keeps the first one's log.
    let _ = match log.format {
        Format::Json => builder.json().try_init(),
        Format::Text => builder.try_init(),
    };
}
