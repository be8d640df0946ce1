//! What the nodes of this process have logged: their threads are not the test's, so one subscriber hears them all.

use std::fmt::Debug;
use std::sync::{Mutex, Once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0 = format!("{value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        // Kept for all tests of the binary: only what is asked for.
        if text.0.starts_with("alarm ") {
            LINES.lock().unwrap().push(text.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// From now on what is said of alarms is heard. To be called before the nodes of a test start.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

/// How often it was said that an alarm of this name begins, and that it ends. Names that two tests of one binary raise
/// are of no use here.
pub(crate) fn of_alarm(name: &str) -> (usize, usize) {
    let (begins, ends) = (format!("alarm {name} begins: "), format!("alarm {name} ends"));
    let lines = LINES.lock().unwrap();
    let count = |is_so: &dyn Fn(&String) -> bool| lines.iter().filter(|line| is_so(line)).count();
    (count(&|line| line.starts_with(&begins)), count(&|line| **line == ends))
}
