//! `portcullis check`: every mistake of a configuration at once.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app;
use crate::config::Mistake;

/// Arguments of `portcullis check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Builds everything that the file describes, without serving it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match app::check(&args.config) {
        Ok(summary) => {
            println!("{}: no mistake", args.config.display());
            print!("{summary}");
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            report(&args.config, &mistakes);
            Ok(ExitCode::from(2))
        }
    }
}

/// One line a mistake, on standard error.
pub(super) fn report(config: &std::path::Path, mistakes: &[Mistake]) {
    for mistake in mistakes {
        eprintln!("{}: {mistake}", config.display());
    }
    eprintln!("{} {}", mistakes.len(), if mistakes.len() == 1 { "mistake" } else { "mistakes" });
}
