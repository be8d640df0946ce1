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
