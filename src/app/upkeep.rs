//! What goes on beside the requests: freshness, compaction, gauges, the server's own objects, solo controllers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Extra, parts};
use crate::api::object::Object;
use crate::api::{Api, boot, solo};
use crate::cluster::{Boot, Cluster};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::policy::{Permit, Purpose};
use crate::request::{Attributes, Target, Verb};
use crate::shutdown::Shutdown;
use crate::store::{Revision, Store};

/// How often the view's freshness is proven where no reader does it.
const PROOF: Duration = Duration::from_secs(2);
/// Between two attempts at the server's own objects.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs `task` until the shutdown.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) {
    let end = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = end.begun() => {}
            () = task => {}
        }
    });
}

/// Proves freshness and fills the gauges.
pub(super) fn run(
    config: &Config,
    (api, store): (&Arc<Api>, &Arc<Store<Object>>),
    (metrics, cluster): (&Metrics, &Arc<Cluster>),
    shutdown: &Shutdown,
) {
    let proven = store.clone();
    spawn(async move { proven.prove(PROOF).await }, shutdown);
    let (api, cluster) = (api.clone(), cluster.clone());
    metrics.certificate_expiry("serving", not_after(&config.listen.certificate.pem));
    metrics.before_exposition(move |metrics| {
        let stats = cluster.store.view().stats();
        metrics.view(cluster.store.proven_fresh(), stats.revision.0);
        let (mutating, read_only) = cluster.limits.in_flight();
        metrics.in_flight(mutating.into(), read_only.into());
        for space in stats.spaces {
            let Some(kind) = api.catalog.stored(space.space) else { continue };
            let resource = kind.group_resource();
            metrics.storage_objects(&resource, i64::try_from(space.items).unwrap_or(i64::MAX));
            metrics.ring_bytes(&resource, space.ring_bytes);
        }
    });
}

fn not_after(pem: &[u8]) -> i64 {
    let ders = crate::identity::certificates(pem).unwrap_or_default();
    let summary = ders.first().and_then(|der| crate::identity::summarise(der).ok());
    summary.map_or(0, |summary| summary.not_after)
}

/// Gives up the past that is older than one to two of `history`.
pub(super) async fn compaction(store: Arc<Store<Object>>, history: Duration) {
    let mut before = Revision(0);
    loop {
        let now = store.view().revision();
        tokio::time::sleep(history).await;
        if before > Revision(0)
            && let Err(error) = store.compact(before).await
        {
            tracing::warn!(%error, "the store was not compacted; trying again later");
        }
        before = now;
    }
}

/// Makes the server's own objects, tells `booted`, and then does a controller manager's work where that is wanted.
pub(super) fn boot(
    (config, extra, address): (&Config, Extra, SocketAddr),
    (api, booted): (Arc<Api>, watch::Sender<Boot>),
    shutdown: &Shutdown,
) {
    let client_ca: Vec<u8> = config.authentication.client_authorities.iter().flat_map(|one| one.file.pem.clone()).collect();
    let settings = boot::Settings {
        service_range: config.builtin.service_range,
        advertise: parts::advertised(config.builtin.advertise, address),
        port: address.port(),
        client_ca: String::from_utf8_lossy(&client_ca).into_owned(),
        front_proxy: config.authentication.front_proxy.as_ref().map(|front| boot::FrontProxy {
            ca: String::from_utf8_lossy(&front.authorities.iter().flat_map(|file| file.pem.clone()).collect::<Vec<u8>>())
                .into_owned(),
            names: front.names.clone(),
        }),
        extra: extra.0,
    };
    let root = config.builtin.root_authority.as_ref().unwrap_or(&config.listen.certificate);
    let solo = config.builtin.solo.then(|| String::from_utf8_lossy(&root.pem).into_owned());
    let end = shutdown.clone();
    spawn(
        async move {
            while let Err(why) = boot::run(&api, &settings, &permit(Purpose::Boot)).await {
                tracing::warn!(%why, "the server's own objects are not all there yet; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            if let Some(root_ca) = solo {
                solo::start(api.clone(), solo::Settings { root_ca }, permit(Purpose::Solo), &end).await;
            }
            booted.send_replace(Boot::Done);
            boot::keep(api, settings, permit(Purpose::Boot)).await;
        },
        shutdown,
    );
}

fn permit(purpose: Purpose) -> Permit {
    Permit::internal(purpose, Attributes { verb: Verb::Other, target: Target::Path(String::new()) })
}
