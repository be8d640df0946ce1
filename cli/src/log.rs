//! What a running node says of itself: its events, one line each on standard error.
//!
//! What is absent: files, rotation, filters and colours. Standard error can be sent wherever lines are collected.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Events below this level are not written.
const LEVEL_MIN: Level = Level::INFO;

/// Writes the process's events to standard error from now on.
pub fn to_standard_error() {
    // An error says that somebody listens already, such as a program that embeds the command line.
    let _ = tracing::subscriber::set_global_default(Lines);
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= LEVEL_MIN
    }

    fn event(&self, event: &Event<'_>) {
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let mut line = Line(format!("{level}:"));
        event.record(&mut line);
        // There is no other place to say that standard error is gone.
        let _ = writeln!(io::stderr(), "{}", line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A line that fields are appended to.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    static SEEN: Mutex<String> = Mutex::new(String::new());

    struct Keep;

    impl Subscriber for Keep {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            Lines.enabled(metadata)
        }
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            SEEN.lock().expect("no panic").push_str(&line.0);
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_event_is_its_message_and_its_fields_and_details_are_left_out() {
        tracing::subscriber::with_default(Keep, || {
            tracing::warn!(segment = 7, "the disk is {} % full", 93);
            tracing::debug!("nobody wants to know");
        });
        assert_eq!(*SEEN.lock().expect("no panic"), " the disk is 93 % full segment=7");
    }
}
