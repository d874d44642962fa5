//! `portcullis store`: copies of the embedded store, and a look at what is in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use crate::app::STORE_FILE;
use crate::store::embedded::{Bump, Summary, check, restore, snapshot};

/// Arguments of `portcullis store`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the store of a stopped server into one file.
    Snapshot {
        /// The store's folder.
        #[arg(long, value_name = "DIR")]
        path: PathBuf,
        /// The file to write; it must not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Makes a store from a snapshot.
    Restore {
        /// The snapshot.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The store's folder; it must not hold a store.
        #[arg(long, value_name = "DIR")]
        path: PathBuf,
        /// How far the revision jumps ahead, so that no client meets a revision twice: more than there were changes since the snapshot.
        #[arg(long, default_value_t = 1_000_000)]
        bump: u64,
    },
    /// Reads every record of a stopped server's store and says what is there.
    Check {
        /// The store's folder.
        #[arg(long, value_name = "DIR")]
        path: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (place, summary) = match &args.command {
        Command::Snapshot { path, to } => {
            (to, snapshot(&file(path), to).with_context(|| format!("no snapshot of {}", path.display()))?)
        }
        Command::Restore { from, path, bump } => {
            crate::pki::make_dir(path)?;
            let restored = restore(from, &file(path), Bump(*bump));
            (path, restored.with_context(|| format!("{} is not restored", path.display()))?)
        }
        Command::Check { path } => (path, check(&file(path)).with_context(|| format!("{} is not good", path.display()))?),
    };
    print(place, &summary);
    Ok(ExitCode::SUCCESS)
}

fn file(folder: &Path) -> PathBuf {
    folder.join(STORE_FILE)
}

fn print(place: &Path, summary: &Summary) {
    println!("{}", place.display());
    println!("  revision    {}", summary.revision);
    println!("  compacted   {}", summary.compacted);
    println!("  keys        {}", summary.keys);
    println!("  bytes       {}", summary.bytes);
    println!("  superseded  {}", summary.superseded);
    println!("  digest      {:016x}", summary.digest);
}
