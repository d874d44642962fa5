//! `portcullis serve`: the gate as a configuration file describes it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::check;
use crate::app::{self, App, Error};

/// Arguments of `portcullis serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file. It and the files it names are read again when they change.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> anyhow::Result<ExitCode> {
    let app = match App::start(&args.config).await {
        Ok(app) => app,
        Err(Error::Config(mistakes)) => {
            check::report(&args.config, &mistakes);
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(address = %app.address(), health = ?app.health(), "serving");
    app::terminated().await;
    Ok(if app.finish().await { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
