//! What earlier releases made of the same text under other ids: whoever imported it so would pay it twice, or pay accounts
//! that only look like those of then.
//!
//! Invariants: the whole file is looked up before the first transfer is sent, and whatever is found ends the import. A
//! line whose present id is there pays nothing and is no matter; an id that the file has in its own right is no
//! evidence. Whoever follows the advice pays no line twice: an import under the ids of then looks for the present ones.

use super::ledgers::Ledgers;
use super::rows::{Line, Row, Rows, Side};
use super::sender::{Plan, Sender, attempt_id};
use super::source::Source;
use super::{BATCH_SIZE_MAX, Talk};
use crate::error::CliError;
use crate::exit;
use crate::names;
use crate::signals::Signals;
use mizan_client::names::{transfer_id, transfer_id_as_written};
use mizan_wire::{Operation, Transfer};
use std::collections::{HashMap, HashSet};
use zerocopy::IntoBytes;

/// Lines that are looked up together.
const LINES: usize = 2_048;
/// Attempts of a line under another form that are looked for at the least: a file does not say how often its rejects were
/// imported. A file of rejects is looked for with as many as it names.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 3..=64;
/// Ids found after which no more are looked for.
const FOUND_MAX: usize = 65_536;

/// Another way to make an id of a line's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// Behind the name of its ledger, as earlier releases did by themselves.
    Ledger,
    /// Without a namespace.
    Plain,
    /// Of the bytes as they stand, however the letters are composed.
    AsWritten,
}

/// Where an id of another form stands in the file.
#[derive(Clone, Debug)]
struct Hit {
    line: u64,
    text: String,
    ledger: usize,
    form: Form,
}

/// What is done with a batch of lines; gives whether the next one is wanted.
type Each<'e> =
    dyn FnMut(&mut Sender<'_>, &mut Talk<'_>, &[(Row, Transfer)]) -> Result<bool, CliError> + 'e;

/// Whether a namespace is the one that earlier releases gave to a ledger.
fn is_of_ledger(namespace: &str) -> bool {
    let number = namespace.strip_prefix("ledger-");
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

impl Plan {
    /// Ids of other forms that the line may have been paid under.
    fn other_ids(&self, row: &Row, own: u128) -> Vec<(u128, Form)> {
        let plan = &self.ledgers[row.ledger];
        let namespace = plan.namespace.as_deref();
        let of_ledger = format!("ledger-{}/{}", plan.number, row.id);
        let mut forms = Vec::new();
        if namespace.is_none_or(is_of_ledger) {
            forms.push((of_ledger, Form::Ledger));
            forms.push((row.id.clone(), Form::Plain));
        }
        if let Some(namespace) = namespace {
            // Its present form is the line's own id.
            forms.push((format!("{namespace}/{}", row.id), Form::Plain));
        }
        let mut ids: Vec<(u128, Form)> = Vec::new();
        let normal = forms.iter().filter_map(|(text, form)| Some((transfer_id(text).ok()?, *form)));
        let written = forms.iter().map(|(text, _)| (transfer_id_as_written(text), Form::AsWritten));
        for (id, form) in normal.chain(written) {
            if id != own && ids.iter().all(|(known, _)| *known != id) {
                ids.push((id, form));
            }
        }
        // The first attempt may have spent the id, and a later one paid. No release that took the bytes as they stand had those.
        let attempts = row.attempt.clamp(*ATTEMPTS.start(), *ATTEMPTS.end());
        let later: Vec<(u128, Form)> = ids
            .iter()
            .filter(|(_, form)| *form != Form::AsWritten)
            .flat_map(|(id, form)| (1..=attempts).map(|attempt| (attempt_id(*id, attempt), *form)))
            .collect();
        ids.extend(later);
        ids
    }

    /// The accounts of the line whose names earlier releases hashed as they are, with the ids that they had then.
    fn earlier_accounts<'a>(&self, row: &'a Row) -> impl Iterator<Item = (u128, &'a str)> {
        let plan = &self.ledgers[row.ledger];
        let sides = [
            (Side::From, self.from_prefix.as_str(), row.from.as_str()),
            (Side::To, self.to_prefix.as_str(), row.to.as_str()),
        ];
        let is_own = move |side: Side| plan.own.is_some() && row.own == Some(side);
        sides.into_iter().filter(move |(side, ..)| !is_own(*side)).filter_map(
            |(_, prefix, name)| {
                let id = names::earlier_account_id(plan.number, &format!("{prefix}{name}"))?;
                Some((id, name))
            },
        )
    }
}

/// Looks the whole file up.
///
/// # Errors
/// A line would be paid twice, or pay an account that is not the one of then.
pub(super) fn refuse(
    sender: &mut Sender<'_>,
    talk: &mut Talk<'_>,
    source: &Source,
    ledgers: &Ledgers,
    signals: &Signals,
) -> Result<(), CliError> {
    let mut hits: HashMap<u128, Hit> = HashMap::new();
    let mut each = |sender: &mut Sender<'_>, talk: &mut Talk<'_>, rows: &[(Row, Transfer)]| {
        sender.refuse_earlier_accounts(rows, talk)?;
        sender.find_other_ids(rows, &mut hits, talk)?;
        Ok(hits.len() < FOUND_MAX)
    };
    for_each_batch(sender, talk, source, ledgers, signals, &mut each)?;
    if hits.is_empty() {
        return Ok(());
    }
    let mut paid_now: Option<u64> = None;
    let mut each = |sender: &mut Sender<'_>, talk: &mut Talk<'_>, rows: &[(Row, Transfer)]| {
        for (_, transfer) in rows {
            hits.remove(&transfer.id);
        }
        if paid_now.is_none() {
            let ids: Vec<u128> = rows.iter().map(|(_, transfer)| transfer.id).collect();
            let there = sender.those_there(&ids, talk)?;
            let is_there = |row: &&(Row, Transfer)| there.contains(&row.1.id);
            paid_now = rows.iter().find(is_there).map(|(row, _)| row.line);
        }
        Ok(true)
    };
    for_each_batch(sender, talk, source, ledgers, signals, &mut each)?;
    let mut hits: Vec<Hit> = hits.into_values().collect();
    hits.sort_unstable_by_key(|hit| hit.line);
    let Some(first) = hits.first() else { return Ok(()) };
    for (hit, count) in hits.iter().zip(1..) {
        talk.say(
            count,
            hit.line,
            &format!("{} is there already under an id of another form", hit.text.escape_debug()),
        )?;
    }
    let count = hits.len();
    let is_all_of_then = hits.iter().all(|hit| hit.form == Form::Ledger);
    let has_namespace = sender.plan.ledgers[first.ledger].namespace.is_some();
    let advice = match paid_now {
        None if is_all_of_then && !has_namespace && sender.plan.ledgers.len() == 1 => {
            let number = sender.plan.ledgers[first.ledger].number;
            format!("import the file with --id-namespace ledger-{number}")
        }
        None => {
            format!("look at the {count} such lines, and take those that were paid out of the file")
        }
        Some(line) => format!(
            "look at the {count} such lines, and take those that were paid out of the file, with the same flags for the rest, because others, such as line {line}, are there under the ids that these flags give"
        ),
    };
    let how = match first.form {
        Form::Plain => "is there under its id without a namespace",
        Form::Ledger | Form::AsWritten => {
            "was imported before under the id that earlier releases gave it"
        }
    };
    Err(CliError::failed(
        exit::STATE,
        format!(
            "line {}: {} {how}, and would be there twice; nothing was sent: {advice}",
            first.line,
            first.text.escape_debug()
        ),
    ))
}

/// Gives the good lines up to the end, or to a line that hides where the next one begins, in batches.
fn for_each_batch(
    sender: &mut Sender<'_>,
    talk: &mut Talk<'_>,
    source: &Source,
    ledgers: &Ledgers,
    signals: &Signals,
    each: &mut Each<'_>,
) -> Result<(), CliError> {
    let mut rows = Rows::open(talk.args, source)?;
    let (mut batch, mut bytes) = (Vec::with_capacity(LINES), 0);
    loop {
        let line = rows.next(ledgers)?;
        signals.check()?;
        let is_over = match line {
            Some(Line::Good(row)) => {
                bytes += row.size;
                // One that cannot be sent is reported when its turn comes.
                batch.extend(sender.plan.transfer(&row).ok().map(|transfer| (row, transfer)));
                false
            }
            Some(Line::Bad { .. } | Line::LeftOut) => false,
            Some(Line::Stop { .. }) | None => true,
        };
        if is_over || batch.len() >= LINES || bytes >= BATCH_SIZE_MAX {
            let goes_on = each(sender, talk, &batch)?;
            if is_over || !goes_on {
                return Ok(());
            }
            batch.clear();
            bytes = 0;
            talk.bar.set_position(rows.position());
        }
    }
}

impl Sender<'_> {
    /// Those of the ids under which there is a transfer.
    fn those_there(
        &mut self,
        ids: &[u128],
        talk: &mut Talk<'_>,
    ) -> Result<HashSet<u128>, CliError> {
        let size_max = self.client.events_max_of(Operation::LookupTransfers).max(1) as usize;
        let mut there = HashSet::new();
        for ids in ids.chunks(size_max) {
            let reply = self.ask(Operation::LookupTransfers, ids.as_bytes(), talk)?;
            there.extend(reply.transfers().iter().map(|found| found.id));
        }
        Ok(there)
    }

    /// Adds the lines that are there under an id of another form, and not under their own.
    fn find_other_ids(
        &mut self,
        rows: &[(Row, Transfer)],
        hits: &mut HashMap<u128, Hit>,
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let mut lines: HashMap<u128, (usize, Form)> = HashMap::with_capacity(rows.len());
        for (index, (row, transfer)) in rows.iter().enumerate() {
            for (id, form) in self.plan.other_ids(row, transfer.id) {
                lines.entry(id).or_insert((index, form));
            }
        }
        let ids: Vec<u128> = lines.keys().copied().collect();
        let there = self.those_there(&ids, talk)?;
        let found: Vec<(u128, usize, Form)> = there
            .iter()
            .filter_map(|id| lines.get(id).map(|(index, form)| (*id, *index, *form)))
            .collect();
        let own: Vec<u128> = found.iter().map(|(_, index, _)| rows[*index].1.id).collect();
        let own = self.those_there(&own, talk)?;
        for (id, index, form) in found {
            let (row, transfer) = &rows[index];
            if !own.contains(&transfer.id) {
                let (line, ledger) = (row.line, row.ledger);
                hits.entry(id).or_insert_with(|| Hit { line, text: row.id.clone(), ledger, form });
            }
        }
        Ok(())
    }

    /// Looks up the ids that the lines' accounts had in earlier releases: money would go to others of the same names.
    pub(super) fn refuse_earlier_accounts(
        &mut self,
        rows: &[(Row, Transfer)],
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let mut lines: HashMap<u128, (u64, &str)> = HashMap::new();
        for (row, _) in rows {
            for (id, name) in self.plan.earlier_accounts(row) {
                if !self.without_earlier.contains(&id) {
                    lines.entry(id).or_insert((row.line, name));
                }
            }
        }
        let ids: Vec<u128> = lines.keys().copied().collect();
        let size_max = self.client.events_max_of(Operation::LookupAccounts).max(1) as usize;
        let mut first: Option<(u64, &str, u128)> = None;
        for ids in ids.chunks(size_max) {
            let reply = self.ask(Operation::LookupAccounts, ids.as_bytes(), talk)?;
            for found in reply.accounts() {
                let Some((line, name)) = lines.get(&found.id).copied() else { continue };
                if first.is_none_or(|(before, ..)| line < before) {
                    first = Some((line, name, found.id));
                }
            }
        }
        let Some((line, name, id)) = first else {
            self.without_earlier.extend(ids);
            return Ok(());
        };
        Err(names::earlier_account(&format!("line {line}: "), name, id))
    }
}
