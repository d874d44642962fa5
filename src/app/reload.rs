//! Reloads: what files say is looked at every second, built completely, then swapped. A bad one changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use super::parts::Parts;
use crate::cluster::Cluster;
use crate::config::{self, Config, Mistake};
use crate::listen::tls::Tls;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What a reload swaps.
type Swapped = (Arc<Cluster>, Arc<Live<Tls>>, Arc<Metrics>);

/// Looks at the files until the shutdown.
pub(super) fn run(config: Config, source: Source, swapped: Swapped, shutdown: &Shutdown) {
    let end = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = end.begun() => {}
            () = follow(config, source, swapped) => {}
        }
    });
}

async fn follow(mut config: Config, source: Source, (cluster, tls, metrics): Swapped) {
    let mut seen = marks(&config.files);
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = marks(&config.files);
        if now == seen {
            continue;
        }
        seen = now;
        match build(&source.path) {
            Ok((next, parts)) => {
                fixed(&config, &next);
                cluster.resolver.install(parts.trust);
                cluster.authorizer.ceilings.swap(parts.ceilings);
                tls.swap(parts.tls);
                metrics.reloaded(true);
                tracing::info!("the configuration was reloaded");
                // Files that are new are followed from now on.
                seen = marks(&next.files);
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
