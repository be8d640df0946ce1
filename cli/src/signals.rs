//! Signals: the first SIGINT, SIGTERM or SIGHUP asks a verb to stop in order, the second ends the process at once.
//!
//! Invariants: the handlers are installed once per process and only set a flag and write to a socket; outside of a
//! verb that holds [`Signals`] the first signal already ends the process, with exit code 128 + the signal's number.
//!
//! What is absent: any reaction within a handler, and signals to other processes.

use crate::error::CliError;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The signals that ask a verb to stop.
const STOPPING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];
/// Exit code of a verb that was asked to stop before it had done its work: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

struct Handlers {
    /// Set by a signal; while it is set, the next signal ends the process.
    asked: Arc<AtomicBool>,
    wake: UnixStream,
}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();

/// Held by a verb that stops in order.
pub struct Signals(&'static Handlers);

impl Signals {
    /// Takes the stopping signals over until the value is dropped. One verb at a time holds it.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn install() -> Result<Self, CliError> {
        let refused = |source| CliError::File { what: "cannot handle signals".to_owned(), source };
        if HANDLERS.get().is_none() {
            // A second thread that gets here at the same time installs handlers that nobody reads: harmless.
            let _ = HANDLERS.set(handlers().map_err(refused)?);
        }
        let handlers = HANDLERS.get().expect("invariant: set above");
        drain(&handlers.wake).map_err(refused)?;
        handlers.asked.store(false, Ordering::SeqCst);
        Ok(Self(handlers))
    }

    /// Whether a stopping signal has come.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Fails once a stopping signal has come, so that `?` unwinds to where everything is tidied up.
    ///
    /// # Errors
    /// A stopping signal has come; the exit code is [`INTERRUPTED`].
    pub fn check(&self) -> Result<(), CliError> {
        if self.is_asked() {
            Err(CliError::failed(INTERRUPTED, "stopped by a signal before the work was done"))
        } else {
            Ok(())
        }
    }

    /// Waits for a stopping signal, at most for so long; says whether it has come.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn wait(&self, timeout: Duration) -> Result<bool, CliError> {
        if self.is_asked() {
            return Ok(true);
        }
        let failed = |source| CliError::File { what: "cannot wait for signals".to_owned(), source };
        self.0.wake.set_read_timeout(Some(timeout)).map_err(failed)?;
        match (&self.0.wake).read(&mut [0]) {
            Ok(_) => {}
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(self.is_asked())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.asked.store(true, Ordering::SeqCst);
    }
}

fn handlers() -> io::Result<Handlers> {
    let asked = Arc::new(AtomicBool::new(false));
    let (wake, woken) = UnixStream::pair()?;
    for signal in STOPPING {
        // Actions run in this order: the first signal finds the flag clear and sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
        low_level::pipe::register(signal, woken.try_clone()?)?;
    }
    Ok(Handlers { asked, wake })
}

fn drain(wake: &UnixStream) -> io::Result<()> {
    wake.set_nonblocking(true)?;
    let mut reader = wake;
    let drained = loop {
        match reader.read(&mut [0; 64]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_passing(&error) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    wake.set_nonblocking(false)?;
    drained
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// Makes a write beyond the file size limit (`ulimit -f`) an error instead of the process's end.
///
/// # Errors
/// The system refuses the handler.
pub fn survive_file_size_limit() -> Result<(), CliError> {
    static DONE: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let was_exceeded = Arc::clone(DONE.get_or_init(Arc::default));
    flag::register(SIGXFSZ, was_exceeded)
        .map(drop)
        .map_err(|source| CliError::File { what: "cannot handle SIGXFSZ".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_noticed_by_whoever_waits_and_by_whoever_asks() {
        let signals = Signals::install().expect("handlers");
        assert!(!signals.is_asked() && signals.check().is_ok());
        assert!(!signals.wait(Duration::from_millis(1)).expect("a wait"));
        low_level::raise(SIGTERM).expect("a signal");
        assert!(signals.wait(Duration::from_secs(10)).expect("a wait"));
        assert_eq!(signals.check().expect_err("stopped").exit_code(), INTERRUPTED);
        drop(signals);
        let signals = Signals::install().expect("handlers");
        assert!(!signals.is_asked(), "a verb must not be stopped by a signal for the verb before");
    }
}
