//! The table of edges in ARCHITECTURE.md is the law: no room may use one that the table does not name.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a room").to_path_buf()
}

/// Room to the rooms that it may use, as ARCHITECTURE.md has them.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page is there");
    let mut rooms = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, room, _, may_use, ..] = columns[..] else { continue };
        let Some(room) = room.strip_prefix('`').and_then(|room| room.strip_suffix('`')) else {
            continue;
        };
        let used = may_use.split(',').map(str::trim).filter(|used| *used != "-");
        rooms.insert(room.to_owned(), used.map(str::to_owned).collect());
    }
    rooms
}

/// Room to the rooms that it uses, by cargo; what only tests use does not count.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo can read the workspace");
    let room = |name: &str| name.strip_prefix("mizan-").map(str::to_owned);
    let mut edges = BTreeMap::new();
    for package in metadata.workspace_packages() {
        let used = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .filter_map(|dependency| room(&dependency.name))
            .collect();
        edges.insert(room(&package.name).expect("every crate is mizan-*"), used);
    }
    edges
}

#[test]
fn every_room_uses_only_the_rooms_that_its_row_names() {
    let table = table();
    for (room, used) in edges() {
        let allowed = table.get(&room).unwrap_or_else(|| panic!("{room} is not in the table"));
        let stray: Vec<_> = used.difference(allowed).collect();
        assert!(stray.is_empty(), "{room} uses {stray:?}, which the table does not allow");
    }
}

#[test]
fn every_row_of_the_table_is_a_room() {
    let rooms: BTreeSet<String> = edges().into_keys().collect();
    let rows: BTreeSet<String> = table().into_keys().collect();
    assert_eq!(rows, rooms);
}

#[test]
fn only_ring_memory_and_journal_may_be_unsafe() {
    let may_be_unsafe = ["ring", "memory", "journal"];
    for room in edges().into_keys().filter(|room| !may_be_unsafe.contains(&room.as_str())) {
        for file in ["lib.rs", "main.rs"] {
            let path = root().join(&room).join("src").join(file);
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            assert!(
                text.contains("#![forbid(unsafe_code)]"),
                "{} does not forbid unsafe code",
                path.display()
            );
        }
    }
}

/// Room of the kernel to its most lines and the crates of others that it may use, as the page has them.
fn kernel() -> BTreeMap<String, (usize, BTreeSet<String>)> {
    let path = root().join("docs/maintaining/kernel.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let mut rooms = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, room, _, lines, crates, _] = columns[..] else { continue };
        let Some(room) = room.strip_prefix('`').and_then(|room| room.strip_suffix('`')) else {
            continue;
        };
        let lines = lines.parse().expect("the lines are a number");
        let crates = crates.split(',').map(|name| name.trim().to_owned()).collect();
        rooms.insert(room.to_owned(), (lines, crates));
    }
    assert_eq!(rooms.len(), 8, "the rows are read");
    rooms
}

fn lines_under(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let counts = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return lines_under(&path);
        }
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        if is_code { std::fs::read_to_string(&path).expect("text").lines().count() } else { 0 }
    });
    counts.sum()
}

#[test]
fn what_enters_the_kernel_stands_on_its_page() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo can read the workspace");
    for (room, (lines_max, allowed)) in kernel() {
        let packages = metadata.workspace_packages();
        let package =
            packages.iter().find(|package| package.name.as_str() == format!("mizan-{room}"));
        let used: BTreeSet<String> = package
            .unwrap_or_else(|| panic!("{room} is a crate"))
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            // What only a model checker's build has stands behind a `cfg`.
            .filter(|dependency| dependency.target.is_none())
            .filter(|dependency| !dependency.name.starts_with("mizan-"))
            .map(|dependency| dependency.name.clone())
            .collect();
        assert_eq!(used, allowed, "crates of others in {room}");
        let lines = lines_under(&root().join(&room).join("src"));
        assert!(lines <= lines_max, "{room} has {lines} lines, and its row allows {lines_max}");
    }
}

#[test]
fn the_kernel_uses_nothing_that_is_not_kernel() {
    let rooms: BTreeSet<String> = kernel().into_keys().collect();
    for (room, used) in edges().into_iter().filter(|(room, _)| rooms.contains(room)) {
        let stray: Vec<_> = used.difference(&rooms).collect();
        assert!(stray.is_empty(), "{room} uses {stray:?}, which is not of the kernel");
    }
}
