//! `portcullis completion`: the completion script of a shell.

use std::process::ExitCode;

use clap::CommandFactory;

/// Arguments of `portcullis completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: portcullis completion bash > /etc/bash_completion.d/portcullis")]
pub(super) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(super) fn run<C: CommandFactory>(args: &Args) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut C::command(), "portcullis", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
