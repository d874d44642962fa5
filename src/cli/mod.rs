//! The commands, one file each. Arguments in, an exit code out; the work is done in the rooms.

mod check;
mod completion;
mod health;
pub mod pki;
mod serve;
mod store;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What `portcullis --help` teaches.
const EXAMPLES: &str = "\
Examples:
  portcullis up                                  a Kubernetes API on 127.0.0.1:6443 in a moment, with kubeconfigs
  portcullis check --config gateway.yaml         every mistake of a configuration, with its place
  portcullis serve --config gateway.yaml         the gate itself
  portcullis pki issue --dir pki --name jane --user jane --group developers
  portcullis store check --path /var/lib/portcullis

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.";

/// A gate in front of the Kubernetes API: it knows every caller, holds each component to its policy, and serves the API itself.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a development cluster's API on this machine and serves it: certificates, kubeconfigs, embedded store.
    Up(up::Args),
    /// Serves as a configuration file says.
    Serve(serve::Args),
    /// Reads a configuration file and reports every mistake with its place; exits with 2 when there is one.
    Check(check::Args),
    /// Makes authorities, certificates and tokens, and shows what a certificate says.
    Pki(pki::Pki),
    /// Copies, restores and checks the embedded store.
    Store(store::Args),
    /// Asks a running gate whether it lives, for container health checks.
    Health(health::Args),
    /// Prints the completion script of a shell.
    Completion(completion::Args),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Pki(pki) => pki.run().map(|()| ExitCode::SUCCESS),
        Command::Store(args) => store::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Completion(args) => completion::run::<Cli>(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("portcullis: {error:#}");
        ExitCode::FAILURE
    })
}
