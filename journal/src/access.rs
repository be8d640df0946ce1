//! What is said when the system does not let this process at a file: which one, whose it is, who asks, what to do.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Whether the system refused for want of a right, or because nothing may be written there.
pub(crate) fn is_denied(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// The same error with all that is needed to mend it, if it is one of rights; others are left as they are.
pub(crate) fn explained(path: &Path, error: io::Error) -> io::Error {
    let kind = error.kind();
    let path_text = path.display();
    match kind {
        ErrorKind::ReadOnlyFilesystem => io::Error::new(
            kind,
            format!(
                "{path_text} is on a file system that is mounted read-only: mount it read-write"
            ),
        ),
        ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            // The file itself may be hidden by the directory that it is in.
            let found = path.ancestors().find_map(|place| Some((place, place.metadata().ok()?)));
            let whose = found.map_or_else(String::new, |(place, found)| {
                let mode = found.permissions().mode() & 0o7777;
                format!(
                    "{} belongs to user {} with mode {mode:o}, and ",
                    place.display(),
                    found.uid()
                )
            });
            io::Error::new(
                kind,
                format!(
                    "{path_text} may not be used: {whose}this process runs as user {user}: run it as the owner of the directory, or give the directory to user {user} (chown -R {user})"
                ),
            )
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_rights_names_path_owner_and_user_and_keeps_its_kind() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = explained(file.path(), ErrorKind::PermissionDenied.into());
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        let user = rustix::process::geteuid().as_raw();
        for part in [
            file.path().display().to_string(),
            format!("belongs to user {user} with mode 600"),
            format!("runs as user {user}"),
            "chown".to_owned(),
        ] {
            assert!(text.contains(&part), "{text}");
        }
        let hidden = file.path().with_file_name("not-there");
        let text = explained(&hidden, ErrorKind::PermissionDenied.into()).to_string();
        let directory = hidden.parent().unwrap().display();
        assert!(text.contains(&format!("{directory} belongs to")), "{text}");
        let error = explained(file.path(), io::Error::from_raw_os_error(30));
        assert!(error.to_string().contains("read-only"), "{error}");
        assert_eq!(explained(file.path(), io::Error::from_raw_os_error(5)).raw_os_error(), Some(5));
    }
}
