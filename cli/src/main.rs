//! The one binary of Mizan: everything is in the library, so that tests and tools can embed it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mizan_cli::run(std::env::args_os()))
}
