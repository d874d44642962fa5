//! Runs the bundled `protoc` with its own include folder, for machines that have none.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let (program, include) = match (protoc_bin_vendored::protoc_bin_path(), protoc_bin_vendored::include_path()) {
        (Ok(program), Ok(include)) => (program, include),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("no bundled protoc for this platform ({error}); install protobuf-compiler and libprotobuf-dev");
            return ExitCode::FAILURE;
        }
    };
    let error = Command::new(program).args(std::env::args_os().skip(1)).arg("-I").arg(include).exec();
    eprintln!("cannot start the bundled protoc: {error}");
    ExitCode::FAILURE
}
