//! Runs a text table against a ledger, row by row.
//!
//! A row is a line; `#` begins a comment. What a row may be:
//! ```text
//! clock 5000                          the clock's reading from here on, nanoseconds
//! tick                                lets time pass
//! account FIELDS -> STATUS            a request of one event, made of zeros and the fields
//! & FIELDS -> STATUS                  one more event of the same kind in the same request
//! with account FIELDS                 from here on, this event stands before the walk's in the same request
//! alone                               from here on, none does
//! walk transfer FIELDS -> STATUS      begins a walk: the event with everything wrong
//! fix FIELDS -> STATUS                the walk's event with these fields changed, sent again
//! ```
//! A walk proves the order of statuses: each `fix` takes one fault away, and the answer must move on to a status that
//! is lower in the table. What a refused event changes is checked, too: nothing.

use super::record::{Record, status_number, status_place};
use super::requests::request;
use super::subject::Subject;
use mizan_wire::{CREATED, Genesis, Operation, ResultException, expand_results};
use std::collections::BTreeSet;
use zerocopy::{FromBytes, IntoBytes};

/// What a script has reached: operation and status number.
pub(crate) type Reached = BTreeSet<(u16, u32)>;

struct Run<S> {
    subject: S,
    sequence: u64,
    clock: u64,
    context: Vec<Record>,
    walk: Option<Record>,
    walk_place: usize,
    reached: Reached,
}

/// Runs the table. Gives all statuses that a row expected and got.
///
/// # Panics
/// With line and reason, if a row gets another status, or a walk does not go down the table.
pub(crate) fn run<S: Subject>(genesis: &Genesis, script: &str) -> Reached {
    let mut run = Run {
        subject: S::begin(genesis),
        sequence: 0,
        clock: 0,
        context: Vec::new(),
        walk: None,
        walk_place: 0,
        reached: Reached::new(),
    };
    run.enter(Operation::Genesis, genesis.as_bytes());
    let rows: Vec<(usize, &str)> = script
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let mut position = 0;
    while position < rows.len() {
        let more = rows[position + 1..].iter().take_while(|(_, line)| line.starts_with('&'));
        let next = position + 1 + more.count();
        let request: Vec<&str> = rows[position..next].iter().map(|(_, line)| *line).collect();
        if let Err(reason) = run.row(&request) {
            panic!("{}, line {}: {:?}: {reason}", S::NAME, rows[position].0 + 1, rows[position].1);
        }
        position = next;
    }
    run.reached
}

/// The event that a text like `account id=1` means.
fn begun(text: &str) -> Record {
    let (kind, fields) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let mut record = Record::zeroed(kind);
    record.set_all(fields);
    record
}

impl<S: Subject> Run<S> {
    fn row(&mut self, lines: &[&str]) -> Result<(), String> {
        let (word, rest) = lines[0].split_once(' ').unwrap_or((lines[0], ""));
        match word {
            "clock" => self.clock = rest.parse().map_err(|_| "no number".to_owned())?,
            "tick" => {
                self.enter(Operation::Tick, &[]);
            }
            "with" => self.context = vec![begun(rest)],
            "alone" => self.context.clear(),
            "walk" => {
                let (fields, status) = rest.split_once("->").ok_or("no status is expected")?;
                self.walk = Some(begun(fields));
                self.walk_place = 0;
                self.step("", status)?;
            }
            "fix" => {
                let (fields, status) = rest.split_once("->").ok_or("no status is expected")?;
                self.step(fields, status)?;
            }
            kind => self.plain(kind, rest, &lines[1..])?,
        }
        Ok(())
    }

    fn plain(&mut self, kind: &str, first: &str, more: &[&str]) -> Result<(), String> {
        let mut events = Vec::new();
        let mut expected = Vec::new();
        let others = more.iter().map(|line| line.trim_start_matches('&'));
        for line in std::iter::once(first).chain(others) {
            let (fields, status) = line.split_once("->").ok_or("no status is expected")?;
            let mut record = Record::zeroed(kind);
            record.set_all(fields);
            expected.push(status_number(record.operation(), status.trim()));
            events.push(record);
        }
        let statuses = self.send(&events);
        for (index, (found, expected)) in statuses.iter().zip(&expected).enumerate() {
            self.compare(events[index].operation(), *found, *expected)?;
        }
        Ok(())
    }

    fn step(&mut self, fields: &str, status: &str) -> Result<(), String> {
        let mut record = self.walk.ok_or("a fix before its walk")?;
        record.set_all(fields);
        self.walk = Some(record);
        let mut events = self.context.clone();
        events.push(record);
        let operation = record.operation();
        let expected = status_number(operation, status.trim());

        let before = (self.subject.accounts(), self.subject.trial_balance());
        let statuses = self.send(&events);
        let found = statuses[statuses.len() - 1];
        self.compare(operation, found, expected)?;
        if found != CREATED && before != (self.subject.accounts(), self.subject.trial_balance()) {
            return Err("a refused event has changed an account".to_owned());
        }

        let (place, name) = status_place(operation, found);
        if place < self.walk_place {
            return Err(format!("{name} stands above what the walk had reached"));
        }
        self.walk_place = place;
        Ok(())
    }

    fn compare(&mut self, operation: Operation, found: u32, expected: u32) -> Result<(), String> {
        if found != expected {
            return Err(format!("the answer is {}", status_place(operation, found).1));
        }
        self.reached.insert((operation.number(), found));
        Ok(())
    }

    /// Sends one request; gives the status of each event.
    fn send(&mut self, events: &[Record]) -> Vec<u32> {
        let body: Vec<u8> = events.iter().flat_map(|event| event.bytes()).copied().collect();
        let reply = self.enter(events[0].operation(), &body);
        let read = |bytes| ResultException::read_from_bytes(bytes).expect("the size is right");
        let exceptions: Vec<_> =
            reply.body.chunks_exact(size_of::<ResultException>()).map(read).collect();
        let results = expand_results(reply.timestamp, reply.event_count, &exceptions);
        assert_eq!(results.len(), events.len(), "{}: one result per event", S::NAME);
        results.iter().map(|result| result.status).collect()
    }

    fn enter(&mut self, operation: Operation, body: &[u8]) -> mizan_model::ModelReply {
        self.sequence += 1;
        let header = request(operation, body, self.clock);
        let reply = self.subject.apply(self.sequence, &header, body);
        reply.unwrap_or_else(|error| panic!("{}: {error}", S::NAME))
    }
}
