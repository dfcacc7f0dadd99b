//! Runs the command line and turns the outcome into an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(tenantry::cli::run())
}
