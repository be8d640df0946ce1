//! `mizan export`: every account, every transfer and every spent id of a node as text, from its files alone.
//!
//! Invariants: the node's files are only read; an export is complete or says that it is not; amounts are exact decimals
//! of their ledger; rows stand in the order of their timestamps; a file that exists is never written over;
//! tables get their names when all of them are complete, and the manifest gets its own after all of them.
//!
//! What is absent: names. The log holds ids; what they were made from is known to whoever made them.

pub(crate) mod manifest;

use crate::Context;
use crate::args::{ExportArgs, ExportFormat};
use crate::balance::flag_names;
use crate::error::CliError;
use crate::exit;
use crate::files::{JournalProgress, count_text, node_error};
use crate::money::wide_text;
use crate::names::id_text;
use crate::output::Table;
use crate::units::timestamp_text;
use crate::verbs::files_status::holder;
use manifest::{Hashed, Manifest};
use mizan_engine::PendingState;
use mizan_node::offline::{self, VerifyReport};
use mizan_wire::amount::format_amount;
use mizan_wire::{Account, Transfer, TransferFlags, TrialBalanceRow, read_name};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

pub(crate) const ACCOUNT_COLUMNS: [&str; 15] = [
    "id",
    "ledger",
    "currency",
    "code",
    "flags",
    "debits_posted",
    "credits_posted",
    "debits_pending",
    "credits_pending",
    "user_data_128",
    "user_data_64",
    "user_data_32",
    "timestamp",
    "timestamp_ns",
    "scale",
];

pub(crate) const TRANSFER_COLUMNS: [&str; 17] = [
    "id",
    "debit_account_id",
    "credit_account_id",
    "amount",
    "ledger",
    "currency",
    "code",
    "flags",
    "pending_id",
    "timeout_s",
    "state",
    "user_data_128",
    "user_data_64",
    "user_data_32",
    "timestamp",
    "timestamp_ns",
    "scale",
];

pub(crate) const LEDGER_COLUMNS: [&str; 9] = [
    "ledger",
    "currency",
    "scale",
    "accounts",
    "debits_posted",
    "credits_posted",
    "debits_pending",
    "credits_pending",
    "balanced",
];

pub(crate) const SPENT_ID_COLUMNS: [&str; 1] = ["id"];

pub(crate) const TRANSFER_FLAGS: [(&str, u16); 9] = [
    ("linked", TransferFlags::LINKED),
    ("pending", TransferFlags::PENDING),
    ("post_pending_transfer", TransferFlags::POST_PENDING),
    ("void_pending_transfer", TransferFlags::VOID_PENDING),
    ("balancing_debit", TransferFlags::BALANCING_DEBIT),
    ("balancing_credit", TransferFlags::BALANCING_CREDIT),
    ("closing_debit", TransferFlags::CLOSING_DEBIT),
    ("closing_credit", TransferFlags::CLOSING_CREDIT),
    ("imported", TransferFlags::IMPORTED),
];

/// Currency and decimal places of each ledger in use.
type Scales = HashMap<u32, (String, u8)>;

/// Runs the verb.
///
/// # Errors
/// Files that cannot be read, or a place that cannot be written.
pub fn run(context: &mut Context, args: &ExportArgs) -> Result<u8, CliError> {
    let data = context.settings.data(args.data.data.as_deref())?;
    let holder = holder(&data).unwrap_or_default();
    let place = Place::make(&args.to, args.format)?;
    let bar = JournalProgress::new(&context.output, "replaying");
    let (report, engine) = offline::replay(&data, &mut |progress| bar.show(progress))
        .map_err(|error| node_error(&error))?;
    drop(bar);
    let scales: Scales = report.trial_balance.iter().map(scale_of).collect();
    let accounts = place.write(
        "accounts",
        &ACCOUNT_COLUMNS,
        engine.accounts().map(|account| account_row(&account, &scales)),
    )?;
    let transfers = place.write(
        "transfers",
        &TRANSFER_COLUMNS,
        engine
            .transfers_and_states()
            .map(|(transfer, state)| transfer_row(&transfer, state_name(state), &scales)),
    )?;
    let ledgers =
        place.write("ledgers", &LEDGER_COLUMNS, report.trial_balance.iter().map(ledger_row))?;
    let spent_ids =
        place.write("spent_ids", &SPENT_ID_COLUMNS, engine.spent_ids().map(|id| [id_text(id)]))?;
    let written = [accounts, transfers, ledgers, spent_ids];
    place.write_manifest(&Manifest::new(&report, written.clone()))?;
    place.finish()?;
    let output = &mut context.output;
    if let Some(holder) = &holder {
        output.note(format!("{holder} runs on these files: this is a snapshot of them"))?;
    }
    for problem in &report.problems {
        output.note(format!("problem: {problem}"))?;
    }
    if !report.is_sound() {
        output.note("the files are not sound: what was exported ends where the damage begins, manifest.json says so, and `mizan import-state` refuses it; see `mizan verify --data DIR`")?;
    }
    if output.is_json() {
        output.json(&as_json(&place, &report, &written))?;
    } else {
        let mut table = Table::new(&["file", "rows"], 1);
        for file in written {
            table.row([place.named(&file.name).display().to_string(), count_text(file.rows)]);
        }
        output.table(&table)?;
        output.line(format!(
            "state after sequence {}, digest {:032x}",
            report.engine.sequence, report.engine.digest
        ))?;
    }
    Ok(match (report.is_sound(), report.is_damaged) {
        (true, _) => exit::OK,
        (false, true) => exit::CORRUPT,
        (false, false) => exit::PROBLEM,
    })
}

fn as_json(place: &Place, report: &VerifyReport, written: &[manifest::File]) -> Value {
    let files: Vec<Value> = written
        .iter()
        .map(|file| {
            let path = place.named(&file.name).display().to_string();
            json!({ "table": file.table(), "path": path, "rows": file.rows, "bytes": file.bytes, "blake3": file.blake3 })
        })
        .collect();
    json!({
        "files": files,
        "manifest": place.named(manifest::NAME).display().to_string(),
        "sequence": report.engine.sequence,
        "digest": format!("{:032x}", report.engine.digest),
        "sound": report.is_sound(),
        "problems": report.problems,
    })
}

/// The directory that is written, and how.
struct Place {
    directory: PathBuf,
    format: ExportFormat,
    /// Tables that are complete, and the names that they get.
    finished: RefCell<Vec<(TempPath, PathBuf)>>,
}

/// With what the names of unfinished tables begin.
const UNFINISHED: &str = ".mizan-export-";

fn exists(path: &Path) -> CliError {
    let text = format!("{} exists: give --to another directory", path.display());
    CliError::failed(exit::STATE, text)
}

impl Place {
    fn make(directory: &Path, format: ExportFormat) -> Result<Self, CliError> {
        let io = |source| CliError::File {
            what: format!("cannot make the directory {}", directory.display()),
            source,
        };
        std::fs::create_dir_all(directory).map_err(io)?;
        let finished = RefCell::default();
        let place = Self { directory: directory.to_owned(), format, finished };
        place.check()?;
        Ok(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        let ending = match self.format {
            ExportFormat::Csv => "csv",
            ExportFormat::Jsonl => "jsonl",
        };
        self.named(&format!("{name}.{ending}"))
    }

    fn named(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a table; gives what the manifest says of it.
    fn write<const N: usize>(
        &self,
        name: &str,
        columns: &[&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> Result<manifest::File, CliError> {
        self.write_file(self.path(name), |file| match self.format {
            ExportFormat::Csv => write_csv(file, columns, rows),
            ExportFormat::Jsonl => write_json_lines(file, columns, rows),
        })
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<(), CliError> {
        let write = |mut file: Hashed| {
            serde_json::to_writer_pretty(&mut file, manifest)?;
            file.write_all(b"\n")?;
            Ok((file, 0))
        };
        self.write_file(self.named(manifest::NAME), write).map(|_| ())
    }

    /// Writes a file that gets its name in [`Place::finish`].
    fn write_file(
        &self,
        path: PathBuf,
        write: impl FnOnce(Hashed) -> std::io::Result<(Hashed, u64)>,
    ) -> Result<manifest::File, CliError> {
        let failed =
            |source| CliError::File { what: format!("cannot write {}", path.display()), source };
        // Nothing that was cut off stands under a table's name.
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(&self.directory)
            .map_err(failed)?;
        let (file, unfinished) = file.into_parts();
        let (file, rows) = write(Hashed::new(file)).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (file, said) = file.finish(&name, rows);
        file.sync_all().map_err(failed)?;
        self.finished.borrow_mut().push((unfinished, path));
        Ok(said)
    }

    /// Refuses to replace what is there, before anything is written.
    fn check(&self) -> Result<(), CliError> {
        let tables = manifest::TABLES.map(|name| self.path(name));
        for path in tables.into_iter().chain([self.named(manifest::NAME)]) {
            if path.symlink_metadata().is_ok() {
                return Err(exists(&path));
            }
        }
        Ok(())
    }

    /// Gives the files their names, now that all of them are complete; the manifest, written last, gets its own last.
    fn finish(&self) -> Result<(), CliError> {
        for (unfinished, path) in self.finished.borrow_mut().drain(..) {
            if path.ends_with(manifest::NAME) {
                self.sync()?;
            }
            unfinished.persist_noclobber(&path).map_err(|error| match error.error.kind() {
                std::io::ErrorKind::AlreadyExists => exists(&path),
                _ => CliError::File {
                    what: format!("cannot write {}", path.display()),
                    source: error.error,
                },
            })?;
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), CliError> {
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(|source| {
            CliError::File { what: format!("cannot sync {}", self.directory.display()), source }
        })
    }
}

fn write_csv<const N: usize>(
    file: Hashed,
    columns: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> std::io::Result<(Hashed, u64)> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(columns)?;
    let mut count = 0;
    for row in rows {
        writer.write_record(&row)?;
        count += 1;
    }
    let file = writer.into_inner().map_err(|error| error.into_error())?;
    Ok((file, count))
}

/// Every value is a string: a number of JSON loses digits beyond 2^53.
fn write_json_lines<const N: usize>(
    file: Hashed,
    columns: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> std::io::Result<(Hashed, u64)> {
    let mut writer = BufWriter::new(file);
    let mut count = 0;
    for row in rows {
        let object: Map<String, Value> = std::iter::zip(columns, row)
            .map(|(column, text)| ((*column).to_owned(), Value::String(text)))
            .collect();
        serde_json::to_writer(&mut writer, &object)?;
        writer.write_all(b"\n")?;
        count += 1;
    }
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok((file, count))
}

fn scale_of(row: &TrialBalanceRow) -> (u32, (String, u8)) {
    (row.ledger, (read_name(&row.currency).unwrap_or_default().to_owned(), row.scale))
}

fn currency_of(ledger: u32, scales: &Scales) -> (String, u8) {
    scales.get(&ledger).cloned().unwrap_or_default()
}

/// What became of a hold; nothing for a transfer that was never one.
const fn state_name(state: PendingState) -> &'static str {
    match state {
        PendingState::None => "",
        PendingState::Pending => "open",
        PendingState::Posted => "posted",
        PendingState::Voided => "voided",
        PendingState::Expired => "expired",
    }
}

fn account_row(account: &Account, scales: &Scales) -> [String; 15] {
    let (currency, scale) = currency_of(account.ledger, scales);
    let amount = |units| format_amount(units, scale);
    [
        id_text(account.id),
        account.ledger.to_string(),
        currency,
        account.code.to_string(),
        flag_names(account.flags).join("|"),
        amount(account.debits_posted),
        amount(account.credits_posted),
        amount(account.debits_pending),
        amount(account.credits_pending),
        id_text(account.user_data_128),
        account.user_data_64.to_string(),
        account.user_data_32.to_string(),
        timestamp_text(account.timestamp),
        account.timestamp.to_string(),
        scale.to_string(),
    ]
}

fn transfer_row(transfer: &Transfer, state: &str, scales: &Scales) -> [String; 17] {
    let (currency, scale) = currency_of(transfer.ledger, scales);
    let flags: Vec<&str> = TRANSFER_FLAGS
        .iter()
        .filter(|(_, bit)| transfer.flags & bit != 0)
        .map(|(name, _)| *name)
        .collect();
    [
        id_text(transfer.id),
        id_text(transfer.debit_account_id),
        id_text(transfer.credit_account_id),
        format_amount(transfer.amount, scale),
        transfer.ledger.to_string(),
        currency,
        transfer.code.to_string(),
        flags.join("|"),
        if transfer.pending_id == 0 { String::new() } else { id_text(transfer.pending_id) },
        transfer.timeout.to_string(),
        state.to_owned(),
        id_text(transfer.user_data_128),
        transfer.user_data_64.to_string(),
        transfer.user_data_32.to_string(),
        timestamp_text(transfer.timestamp),
        transfer.timestamp.to_string(),
        scale.to_string(),
    ]
}

fn ledger_row(row: &TrialBalanceRow) -> [String; 9] {
    let sum = |sum| wide_text(sum, row.scale);
    [
        row.ledger.to_string(),
        read_name(&row.currency).unwrap_or_default().to_owned(),
        row.scale.to_string(),
        row.account_count.to_string(),
        sum(row.debits_posted),
        sum(row.credits_posted),
        sum(row.debits_pending),
        sum(row.credits_pending),
        row.is_balanced().to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_a_transfer_has_a_name() {
        let named = TRANSFER_FLAGS.iter().fold(0, |flags, (_, bit)| flags | bit);
        assert_eq!(named, TransferFlags::ALL);
    }
}
