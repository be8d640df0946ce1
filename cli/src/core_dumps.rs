//! No core dumps: the memory of a node holds the cluster's secret and everybody's balances.

use crate::error::CliError;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Lets the system keep nothing of this process's memory when it dies, neither as a file nor through a handler of
/// crashes. Only root can attach a debugger from then on.
///
/// # Errors
/// What the system says.
pub fn forbid() -> Result<(), CliError> {
    let refused = |errno: rustix::io::Errno| CliError::File {
        what: "cannot turn core dumps off".to_owned(),
        source: errno.into(),
    };
    // The limit alone is not enough: a handler that the kernel pipes dumps to is started in spite of it.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_forbids_core_dumps_leaves_none() {
        forbid().expect("a process may forbid its own");
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!(limit, Rlimit { current: Some(0), maximum: Some(0) });
        let behavior = rustix::process::dumpable_behavior().expect("it can be asked");
        assert_eq!(behavior, DumpableBehavior::NotDumpable);
        forbid().expect("and again");
    }
}
