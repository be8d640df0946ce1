//! What is said when a copy of the superblock, or both, are gone.

use mizan_journal::{
    FileStorage, FormatOptions, Journal, JournalError, ScanEvent, Superblock, scan,
};
use tempfile::TempDir;

fn formatted() -> (TempDir, FileStorage) {
    let directory = TempDir::new().unwrap();
    let storage = FileStorage::new(directory.path());
    let options = FormatOptions { segment_size: 2 << 20, ..FormatOptions::new(7, 1) };
    Journal::format(&storage, &options).unwrap();
    (directory, storage)
}

#[test]
fn both_copies_missing_beside_segments_are_damage_and_not_an_empty_directory() {
    let (directory, storage) = formatted();
    for copy in ["superblock-0", "superblock-1"] {
        std::fs::remove_file(directory.path().join(copy)).unwrap();
    }
    let error = Superblock::read(&storage).unwrap_err();
    assert!(matches!(error, JournalError::SuperblockDamaged { .. }), "{error}");
    let empty = TempDir::new().unwrap();
    let error = Superblock::read(&FileStorage::new(empty.path())).unwrap_err();
    assert!(matches!(error, JournalError::NotFormatted { .. }), "{error}");
}

#[test]
fn one_copy_missing_is_a_problem_that_names_it_and_what_becomes_of_it() {
    let (directory, storage) = formatted();
    std::fs::remove_file(directory.path().join("superblock-1")).unwrap();
    let mut problems = Vec::new();
    scan(&storage, false, &mut |event| {
        if let ScanEvent::Problem(problem) = event {
            problems.push(problem.to_string());
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(
        problems,
        [
            "superblock-1 is unreadable (missing); the other copy holds, and the next start rewrites this one"
        ]
    );
}
