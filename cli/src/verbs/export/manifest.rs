//! `manifest.json`: what an export consists of, so that one that was cut or changed is found.
//!
//! Absent: any secret. Whoever changes a table and the manifest with it is not found.

use mizan_node::offline::VerifyReport;
use mizan_wire::EngineStatus;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The file's name.
pub(crate) const NAME: &str = "manifest.json";
/// What `format` says.
pub(crate) const FORMAT: &str = "mizan-export";
/// The version of the tables and of the manifest.
pub(crate) const VERSION: u32 = 1;
/// The tables of an export, in the order in which the manifest names them.
pub(crate) const TABLES: [&str; 4] = ["accounts", "transfers", "ledgers", "spent_ids"];

/// See the module.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// The cluster, in hex.
    pub(crate) cluster: String,
    /// The last log entry that is part of the export.
    pub(crate) sequence: u64,
    /// The digest of the state after it, in hex.
    pub(crate) digest: String,
    /// Whether the node's files were sound: else the export ends where the damage begins.
    pub(crate) is_complete: bool,
    pub(crate) files: Vec<File>,
}

/// What the manifest says of one table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) name: String,
    /// Without the header.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// BLAKE3-256 of the file, in hex.
    pub(crate) blake3: String,
}

impl Manifest {
    pub(crate) fn new(report: &VerifyReport, files: [File; TABLES.len()]) -> Self {
        let EngineStatus { cluster, sequence, digest, .. } = report.engine;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            cluster: format!("{cluster:#034x}"),
            sequence,
            digest: format!("{digest:#034x}"),
            is_complete: report.is_sound(),
            files: files.into(),
        }
    }
}

impl File {
    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// A file that is hashed while it is written, or bytes that are hashed while they are read.
pub(crate) struct Hashed<W = std::fs::File> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    /// Gives the file back, and what the manifest says of it.
    pub(crate) fn finish(self, name: &str, rows: u64) -> (W, File) {
        let blake3 = self.hasher.finalize().to_hex().to_string();
        (self.inner, File { name: name.to_owned(), rows, bytes: self.bytes, blake3 })
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_these_bytes() {
        let file = |name: &str| {
            let mut hashed = Hashed::new(Vec::new());
            hashed.write_all(b"id\n").expect("memory");
            let (bytes, file) = hashed.finish(name, 1);
            assert_eq!(bytes, b"id\n");
            file
        };
        let mut report = VerifyReport::default();
        report.engine.cluster = 0xAB;
        report.engine.sequence = 7;
        report.engine.digest = 0xCD;
        let manifest = Manifest::new(&report, TABLES.map(|name| file(&format!("{name}.csv"))));
        let said = |name: &str| {
            format!(
                "    {{\n      \"name\": \"{name}.csv\",\n      \"rows\": 1,\n      \"bytes\": 3,\n      \"blake3\": \"6968a539f63086baef2b81f61539ee6fa2df0249917b6b2a4883cbef89d5b7c9\"\n    }}"
            )
        };
        let golden = format!(
            "{{\n  \"format\": \"mizan-export\",\n  \"version\": 1,\n  \"cluster\": \"0x000000000000000000000000000000ab\",\n  \"sequence\": 7,\n  \"digest\": \"0x000000000000000000000000000000cd\",\n  \"is_complete\": true,\n  \"files\": [\n{}\n  ]\n}}",
            TABLES.map(said).join(",\n")
        );
        assert_eq!(serde_json::to_string_pretty(&manifest).expect("text"), golden);
        report.problems.push("damage".to_owned());
        assert!(!Manifest::new(&report, TABLES.map(file)).is_complete);
    }
}
