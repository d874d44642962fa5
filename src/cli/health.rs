//! `portcullis health`: asks the health listener, for containers whose image has no other program.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

/// Arguments of `portcullis health`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The health listener.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6480")]
    address: SocketAddr,
    /// What to ask.
    #[arg(long, default_value = "/livez")]
    path: String,
}

/// Succeeds when the answer is 200.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let patience = Duration::from_secs(2);
    let mut stream =
        TcpStream::connect_timeout(&args.address, patience).with_context(|| format!("nobody listens at {}", args.address))?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", args.path, args.address)?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).context("no answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let healthy = answer.starts_with("HTTP/1.1 200 ");
    println!("{}", answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim_end());
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
