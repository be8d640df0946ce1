//! `mizan demo`

use crate::Context;
use crate::args::DemoArgs;
use crate::error::CliError;
use crate::exit;

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Always: this build has no node.
pub fn run(_context: &mut Context, _args: &DemoArgs) -> Result<u8, CliError> {
    Err(CliError::failed(exit::STATE, "`mizan demo` is not part of this build; use a complete one"))
}
