//! Comparing an export with its manifest, before anything else is read of it.
//!
//! Absent: proof. A table that was changed together with the manifest is not found here.

use super::tables::{Source, damaged, open_regular};
use crate::args::ImportStateArgs;
use crate::error::CliError;
use crate::exit;
use crate::verbs::export::manifest::{FORMAT, File, Hashed, Manifest, NAME, TABLES, VERSION};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// More than any manifest has.
const SIZE_MAX: u64 = 64 << 10;
const BUFFER_SIZE: usize = 64 << 10;
const ENDINGS: [&str; 2] = ["csv", "jsonl"];

/// An export, and what its manifest says.
pub(super) struct Sealed {
    pub(super) source: Source,
    pub(super) seal: Seal,
}

/// How an export stands to its manifest.
pub(super) struct Seal {
    directory: PathBuf,
    /// Nothing if there is none that can be read.
    manifest: Option<Manifest>,
    /// What differs from it, and was accepted.
    pub(super) accepted: Vec<String>,
}

/// Reads the manifest and compares it with the bytes of the tables.
///
/// # Errors
/// Anything differs, unless that is accepted; the manifest is of another version; the tables cannot be read.
pub(super) fn compare(
    args: &ImportStateArgs,
    mut progress: impl FnMut(u64),
) -> Result<Sealed, CliError> {
    let directory = &args.from;
    let mut accepted = Vec::new();
    let mut accept = |what: String| {
        if !args.accept_changed {
            return Err(refusal(directory, &what));
        }
        accepted.push(what);
        Ok(())
    };
    let (manifest, ending) = match read(directory)? {
        Ok((manifest, ending)) => (Some(manifest), ending),
        Err(what) => {
            accept(what)?;
            (None, ending_of(directory))
        }
    };
    let source = Source { directory: directory.clone(), ending };
    if let Some(manifest) = &manifest {
        if !manifest.is_complete && !args.accept_incomplete {
            let text = "the export is not complete: the node's files were damaged, and it ends where the damage begins; \
                        export from sound files, or give up what is missing with --accept-incomplete";
            return Err(damaged(&directory.join(NAME), text));
        }
        for file in &manifest.files {
            let found = hash(&directory.join(&file.name), file, &mut progress)?;
            if let Some(difference) = difference(file, &found) {
                accept(difference)?;
            }
        }
    }
    let seal = Seal { directory: directory.clone(), manifest, accepted };
    Ok(Sealed { source, seal })
}

impl Seal {
    pub(super) const fn agrees(&self) -> bool {
        self.manifest.is_some() && self.accepted.is_empty()
    }

    /// Whether the export holds all that the node held, as the manifest says.
    pub(super) fn is_complete(&self) -> Option<bool> {
        self.manifest.as_ref().map(|manifest| manifest.is_complete)
    }

    /// Compares the numbers of rows, in the order of [`TABLES`].
    ///
    /// # Errors
    /// They are others, unless that is accepted.
    pub(super) fn compare_rows(
        mut self,
        args: &ImportStateArgs,
        found: [u64; TABLES.len()],
    ) -> Result<Self, CliError> {
        let files = self.manifest.iter().flat_map(|manifest| &manifest.files);
        for (file, found) in std::iter::zip(files, found).filter(|(file, rows)| file.rows != *rows)
        {
            let what =
                format!("{} has {found} rows, and the manifest says {}", file.name, file.rows);
            if !args.accept_changed {
                return Err(refusal(&self.directory, &what));
            }
            self.accepted.push(what);
        }
        Ok(self)
    }
}

fn refusal(directory: &Path, what: &str) -> CliError {
    let text = format!(
        "{what}: the export was cut or changed, and nothing was sent; export again, or take it as it is with \
         --accept-changed"
    );
    damaged(directory, &text)
}

/// The manifest and the ending of the tables' names, or what is wrong with it.
fn read(directory: &Path) -> Result<Result<(Manifest, &'static str), String>, CliError> {
    let path = directory.join(NAME);
    let file = match open_regular(&path) {
        Err(CliError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return if directory.join("accounts").with_extension(ending_of(directory)).exists() {
                Ok(Err(format!("{NAME} is missing")))
            } else {
                let what = format!(
                    "cannot read {}: is it a directory that `mizan export` wrote?",
                    path.display()
                );
                Err(CliError::File { what, source })
            };
        }
        file => file?,
    };
    let mut text = Vec::new();
    let read = file.take(SIZE_MAX).read_to_end(&mut text);
    read.map_err(|source| CliError::File {
        what: format!("cannot read {}", path.display()),
        source,
    })?;
    let value: serde_json::Value = match serde_json::from_slice(&text) {
        Ok(value) => value,
        Err(error) => return Ok(Err(format!("{NAME} is no manifest: {error}"))),
    };
    if value["format"] == FORMAT && value["version"].is_u64() && value["version"] != VERSION {
        let text = format!(
            "{}: version {} of the export is not known here, version {VERSION} is: use the release that wrote it",
            path.display(),
            value["version"]
        );
        return Err(CliError::failed(exit::VERSION, text));
    }
    let manifest: Manifest = match serde_json::from_value(value) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(format!("{NAME} is no manifest: {error}"))),
    };
    if manifest.format != FORMAT {
        return Ok(Err(format!("{NAME} is the manifest of something else")));
    }
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    let wanted = |ending: &str| TABLES.map(|table| format!("{table}.{ending}"));
    let ending = ENDINGS.into_iter().find(|ending| names == wanted(ending));
    Ok(match ending {
        Some(ending) => Ok((manifest, ending)),
        None => Err(format!("{NAME} does not name the tables of an export")),
    })
}

/// What the tables seem to be where no manifest says it.
fn ending_of(directory: &Path) -> &'static str {
    let [csv, lines] = ENDINGS;
    if directory.join("accounts.csv").exists() { csv } else { lines }
}

/// Hashes a table.
fn hash(path: &Path, said: &File, progress: &mut impl FnMut(u64)) -> Result<File, CliError> {
    let failed =
        |source| CliError::File { what: format!("cannot read {}", path.display()), source };
    let mut file = match open_regular(path) {
        Err(CliError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Err(damaged(path, "the manifest names it, and it is missing: export again"));
        }
        file => file?,
    };
    let mut hashed = Hashed::new(std::io::sink());
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hashed.write_all(&buffer[..count]).map_err(failed)?;
        progress(count as u64);
    }
    Ok(hashed.finish(&said.name, said.rows).1)
}

fn difference(said: &File, found: &File) -> Option<String> {
    if said.bytes != found.bytes {
        let (name, found, said) = (&said.name, found.bytes, said.bytes);
        return Some(format!("{name} has {found} bytes, and the manifest says {said}"));
    }
    (said.blake3 != found.blake3).then(|| format!("{} is not what the manifest says", said.name))
}
