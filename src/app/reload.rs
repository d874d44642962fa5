//! Reloads: what files say is looked at every second, built completely, then swapped. A bad one changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use super::parts::{self, Parts, etcd_tls};
use crate::api::review::Tokens;
use crate::cluster::Cluster;
use crate::config::{self, Config, Mistake};
use crate::listen::tls::Tls;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::store::etcd::Etcd;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What a reload swaps.
pub(super) struct Swapped {
    pub(super) cluster: Arc<Cluster>,
    pub(super) tls: Arc<Live<Tls>>,
    pub(super) tokens: Arc<Live<Option<Tokens>>>,
    pub(super) metrics: Arc<Metrics>,
    /// The connections to etcd, whose certificates change too.
    pub(super) etcd: Option<Arc<Etcd>>,
}

/// Looks at the files until the shutdown, if the server came from files.
pub(super) fn run(config: Config, source: Source, swapped: Swapped, shutdown: &Shutdown) {
    let end = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = end.begun() => {}
            () = follow(config, source, swapped) => {}
        }
    });
}

async fn follow(mut config: Config, source: Source, swapped: Swapped) {
    let Some(path) = &source.path else { return };
    let Swapped { cluster, tls, tokens, metrics, etcd } = swapped;
    let mut seen = marks(&config.files);
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = marks(&config.files);
        if now == seen {
            continue;
        }
        seen = now;
        match build(path) {
            Ok((next, parts)) => {
                fixed(&config, &next);
                tokens.swap(parts::tokens(&next, (parts.trust.keys.clone(), source.address)));
                cluster.resolver.install(parts.trust);
                cluster.authorizer.ceilings.swap(parts.ceilings);
                tls.swap(parts.tls);
                renew(etcd.as_deref(), &next).await;
                metrics.reloaded(true);
                tracing::info!("the configuration was reloaded");
                // Files that are new are followed from now on; what changed while this was built is seen at the next look.
                if next.files != config.files {
                    seen = marks(&next.files);
                }
                config = next;
            }
            Err(mistakes) => {
                metrics.reloaded(false);
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                tracing::error!(?mistakes, "the configuration was not reloaded; the old one stays");
            }
        }
    }
}

async fn renew(etcd: Option<&Etcd>, next: &Config) {
    let (Some(etcd), Some(tls)) = (etcd, etcd_tls(&next.builtin.store)) else { return };
    if let Err(error) = etcd.renew(tls).await {
        tracing::error!(%error, "etcd does not take the new certificates; the old ones stay");
    }
}

fn build(path: &Path) -> Result<(Config, Parts), Vec<Mistake>> {
    let config = config::load(path)?;
    let parts = Parts::build(&config)?;
    Ok((config, parts))
}

/// Says aloud what a reload cannot change.
fn fixed(old: &Config, new: &Config) {
    let same = old.listen.address == new.listen.address
        && old.health == new.health
        && format!("{:?}", old.builtin) == format!("{:?}", new.builtin);
    if !same {
        tracing::warn!("listen.address, health and backend take effect at the next start only");
    }
}

/// What tells a changed file from the one that was read: a replaced file has another inode, and one whose content or mode was changed
/// another time of change.
fn marks(files: &[PathBuf]) -> Vec<Option<(i64, i64, u64, u64)>> {
    use std::os::unix::fs::MetadataExt;
    let mark = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ctime(), metadata.ctime_nsec(), metadata.len(), metadata.ino()))
    };
    files.iter().map(mark).collect()
}
