//! What earlier releases made of the same text under other ids: whoever imported it so would pay it twice, or pay accounts
//! that only look like those of then.
//!
//! Invariant: it is looked up before anything of a batch is sent, and whatever is found ends the import.

use super::Talk;
use super::rows::{Row, Side};
use super::sender::{Plan, Sender};
use crate::error::CliError;
use crate::exit;
use crate::names;
use mizan_wire::{Operation, Transfer};
use std::collections::HashMap;
use zerocopy::IntoBytes;

impl Plan {
    /// Ids that earlier releases gave the line: the ledger stood before it, and its bytes were hashed as they are.
    fn earlier_ids(&self, row: &Row, id: u128) -> Vec<u128> {
        let plan = &self.ledgers[row.ledger];
        let namespace = plan.namespace.clone().unwrap_or_else(|| format!("ledger-{}", plan.number));
        let earlier = format!("{namespace}/{}", row.id);
        let mut ids = vec![mizan_client::names::transfer_id_as_written(&earlier)];
        ids.extend(mizan_client::names::transfer_id(&earlier).ok());
        if plan.namespace.is_none() {
            ids.push(mizan_client::names::transfer_id_as_written(&row.id));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|earlier| *earlier != id);
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

impl Sender<'_> {
    /// Looks up the ids that the lines had in earlier forms: whoever imported them so would pay them twice.
    pub(super) fn refuse_earlier_ids(
        &mut self,
        rows: &[(Row, Transfer)],
        talk: &mut Talk<'_>,
    ) -> Result<(), CliError> {
        let mut lines: HashMap<u128, usize> = HashMap::with_capacity(rows.len());
        for (index, (row, transfer)) in rows.iter().enumerate() {
            let earlier = self.plan.earlier_ids(row, transfer.id);
            lines.extend(earlier.into_iter().map(|id| (id, index)));
        }
        let ids: Vec<u128> = lines.keys().copied().collect();
        let size_max = self.client.events_max_of(Operation::LookupTransfers).max(1) as usize;
        let mut first: Option<usize> = None;
        for ids in ids.chunks(size_max) {
            let reply = self.ask(Operation::LookupTransfers, ids.as_bytes(), talk)?;
            let transfers = reply.transfers();
            let found = transfers.iter().filter_map(|found| lines.get(&found.id).copied());
            first = first.into_iter().chain(found).min();
        }
        let Some((row, _)) = first.map(|index| &rows[index]) else { return Ok(()) };
        let plan = &self.plan.ledgers[row.ledger];
        let advice = match plan.namespace {
            Some(_) => "give the id as it was written then".to_owned(),
            None => format!("import the file with --id-namespace ledger-{}", plan.number),
        };
        Err(CliError::failed(
            exit::STATE,
            format!(
                "line {}: {} was imported before under the id that earlier releases gave it, and would be paid twice: {advice}",
                row.line,
                row.id.escape_debug()
            ),
        ))
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
