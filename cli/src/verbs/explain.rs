//! `mizan explain`: what a status means, and what to do about it. Needs no node.

use crate::Context;
use crate::args::ExplainArgs;
use crate::error::CliError;
use crate::exit;
use crate::output::Table;
use mizan_wire::orders::{CancelReason, OrderReject};
use mizan_wire::trading::{InstrumentStatus, OrderStatus};
use mizan_wire::{
    CreateAccountStatus, CreateTransferStatus, Explanation, RegistryStatus, RequestStatus, Status,
    explain,
};
use serde_json::{Value, json};

/// Names proposed for an unknown status at the most.
const PROPOSALS_MAX: usize = 3;

/// Words that verbs print and that are no status of the wire: where, and what they mean.
const WORDS: [(&str, &str, &str); 23] = [
    (
        "duplicate",
        "transfer, hold, post, void, order",
        "The same was done before under this id: the original result is shown, and nothing was done again.",
    ),
    (
        "duplicate_different",
        "transfer, hold, post, void, order",
        "Something else was done before under this id; the field that differs stands behind it. Nothing was done: use another id if this is another payment or order.",
    ),
    (
        "role",
        "promote, detach",
        "The node is not in a role for that: a primary is promoted already, and only a primary detaches. See `mizan status --replica`.",
    ),
    (
        "other-epoch",
        "promote",
        "The node has seen another epoch than --expect-epoch says. Look at the status of all nodes, then give the number that it has now.",
    ),
    (
        "not-admitted",
        "promote",
        "The node's disk is new to the cluster. Let it catch up with a primary first.",
    ),
    (
        "grants",
        "promote",
        "Too few nodes agreed, so that another primary may live. Start another node. Only if the missing disks are certainly lost: --accept-loss-after with the number of the refusal.",
    ),
    (
        "peer-ahead",
        "promote",
        "A node that was reached and did not agree has a longer log. Promote that one.",
    ),
    (
        "acknowledged",
        "promote",
        "What was acknowledged is in no log at hand. Start the node that has it, or confirm with --accept-loss-after that it is lost.",
    ),
    (
        "overtaken",
        "promote",
        "A higher epoch was seen meanwhile: somebody else was promoted. Look who is primary now.",
    ),
    (
        "no-epoch",
        "promote",
        "The epochs are used up, which needs the secret and ill will. Format the cluster anew.",
    ),
    (
        "no-room",
        "promote",
        "The node's disk has no room for the log that it would lead with. Make room, or promote another node.",
    ),
    (
        "peer-damaged",
        "promote",
        "The primary's journal is damaged, so it would be gone once it is fenced, and it is still needed. Start another node first; of two nodes promote with --solo.",
    ),
    (
        "journal-damaged",
        "promote",
        "The node's own journal is damaged, so it would not start again. Promote another node; if no other is left, confirm the end of its log with --accept-loss-after.",
    ),
    (
        "log-cut",
        "promote",
        "The node starts again to cut its log where the others' part from it. If it stands for an epoch, it goes on by itself; else ask again.",
    ),
    ("take-over", "promote", "The longest log could not be taken over in time. Try again."),
    (
        "wrong-loss",
        "promote",
        "--accept-loss-after names another sequence than the best log at hand ends with. Confirm the number of the refusal, if that may be lost.",
    ),
    (
        "in-sync",
        "detach",
        "Nothing waits for that node, so nothing was changed: enough copies are in sync.",
    ),
    ("no-such-node", "detach, format --join", "The cluster has no other node of that number."),
    (
        "taken",
        "format --join",
        "The node of that number runs. Stop it first, or take another number.",
    ),
    (
        "full",
        "format --join",
        "Every node of the cluster runs or has its disk. To replace a disk stop its node, and name it with --node.",
    ),
    (
        "not-persisted",
        "format --join",
        "The node could not note that it gave a first disk out. Look at its disk.",
    ),
    (
        "clock-ahead",
        "promote",
        "The node's clock is far ahead of the log, and no other node tells the time. Correct the clock.",
    ),
    (
        "disk-hangs",
        "promote",
        "Nothing becomes durable on the node's disk, so it could not lead. Promote another node, or look at the disk.",
    ),
];

/// Runs the verb; exit 2 if there is no such status.
///
/// # Errors
/// No such status; the error proposes names that are near.
pub fn run(context: &mut Context, args: &ExplainArgs) -> Result<u8, CliError> {
    let found = match &args.status {
        Some(word) => explain(word.trim()),
        None => all(),
    };
    let words = args.status.as_deref().map(own_words).unwrap_or_default();
    let output = &mut context.output;
    match &args.status {
        Some(word) if found.is_empty() && !words.is_empty() => {
            for (name, scope, meaning) in words {
                if output.is_json() {
                    let value =
                        json!({ "scope": scope, "number": null, "name": name, "meaning": meaning });
                    output.json(&json!([value]))?;
                } else {
                    output.line(format!("{} ({scope})", word.trim()))?;
                    output.line(format!("  {meaning}"))?;
                }
            }
        }
        Some(word) if found.is_empty() => return Err(unknown(word.trim())),
        _ if output.is_json() => {
            output.json(&found.iter().map(as_json).collect::<Vec<Value>>().into())?;
        }
        Some(_) => {
            for one in &found {
                output.line(format!("{} = {} ({})", one.name, one.number, one.scope))?;
                output.line(format!("  {}", one.meaning))?;
            }
        }
        None => {
            let mut table = Table::new(&["scope", "status", "number"], 2);
            for one in &found {
                table.row([one.scope, one.name, one.number.to_string().as_str()]);
            }
            output.table(&table)?;
            output.note("`mizan explain STATUS` says what a status means and what to do")?;
        }
    }
    Ok(exit::OK)
}

fn own_words(word: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    WORDS.into_iter().filter(|(name, ..)| *name == word.trim()).collect()
}

/// All statuses, table by table, each in its order of precedence.
fn all() -> Vec<Explanation> {
    fn table<S: Status>() -> impl Iterator<Item = Explanation> {
        S::PRECEDENCE.iter().map(|status| Explanation {
            scope: S::SCOPE,
            number: status.number(),
            name: status.name(),
            meaning: status.meaning(),
        })
    }
    table::<CreateAccountStatus>()
        .chain(table::<CreateTransferStatus>())
        .chain(table::<RegistryStatus>())
        .chain(table::<RequestStatus>())
        .chain(table::<InstrumentStatus>())
        .chain(table::<OrderStatus>())
        .chain(table::<OrderReject>())
        .chain(table::<CancelReason>())
        .collect()
}

fn as_json(one: &Explanation) -> Value {
    json!({ "scope": one.scope, "number": one.number, "name": one.name, "meaning": one.meaning })
}

fn unknown(word: &str) -> CliError {
    let near = nearest(word).join(", ");
    let hint = if near.is_empty() { String::new() } else { format!("; near are {near}") };
    CliError::Usage(format!("no status is called `{word}`{hint}; `mizan explain` lists all"))
}

/// Names that contain the word, then names with few letters different, the nearest first.
fn nearest(word: &str) -> Vec<&'static str> {
    let word = word.to_ascii_lowercase().replace([' ', '-'], "_");
    let is_near = |distance: usize| distance <= word.chars().count().div_ceil(3);
    let mut names: Vec<(usize, &'static str)> = all()
        .iter()
        .map(|one| one.name)
        .map(|name| {
            let is_part = word.len() >= 3 && name.contains(&word);
            (if is_part { 0 } else { distance(&word, name) }, name)
        })
        .filter(|(distance, _)| is_near(*distance))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().take(PROPOSALS_MAX).map(|(_, name)| name).collect()
}

/// Letters to insert, delete or replace. Source: Wagner and Fischer's table, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_listed_and_can_be_asked_for_by_name_and_by_number() {
        for one in all() {
            assert!(explain(one.name).contains(&one), "{}", one.name);
            assert!(explain(&one.number.to_string()).contains(&one), "{}", one.number);
        }
    }

    #[test]
    fn words_of_the_verbs_are_known_once_and_are_no_statuses() {
        for (name, ..) in WORDS {
            assert_eq!(own_words(name).len(), 1, "{name}");
            assert!(explain(name).is_empty(), "{name}");
        }
        assert_eq!(own_words(" grants ").len(), 1);
    }

    #[test]
    fn an_unknown_status_is_a_usage_error_that_proposes_names() {
        assert_eq!(nearest("exceeds_credit").first(), Some(&"exceeds_credits"));
        assert!(nearest("exeeds_credits").contains(&"exceeds_credits"));
        assert!(nearest("Exceeds Credits").contains(&"exceeds_credits"));
        assert!(nearest("zzzzzzzzzzzzzzzzzz").is_empty());
        assert_eq!(unknown("nonsense").exit_code(), exit::USAGE);
    }

    #[test]
    fn the_distance_counts_letters_to_change() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
