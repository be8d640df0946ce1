//! The file with a cluster's secret: 64 hexadecimal digits that only its owner may read.

use crate::error::CliError;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The mode of the file.
const MODE: u32 = 0o600;
const SECRET_SIZE: usize = 32;

/// Reads a secret.
///
/// # Errors
/// No file, one that others may read, or one with other content.
pub fn read(path: &Path) -> Result<[u8; SECRET_SIZE], CliError> {
    let file = |source| CliError::File {
        what: format!("cannot read the secret in {}", path.display()),
        source,
    };
    let mode = std::fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CliError::Usage(format!(
            "{} has mode {mode:o}: others may read the cluster's secret; chmod 600 it, and if others did read it, `mizan change-secret`",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(file)?;
    let secret = parse(text.trim()).ok_or_else(|| {
        CliError::Usage(format!("{} does not hold 64 hexadecimal digits", path.display()))
    })?;
    if secret == [0; SECRET_SIZE] {
        return Err(CliError::Usage(format!(
            "{} holds only zeros, which is no secret: remove it, and `mizan format --nodes` draws one",
            path.display()
        )));
    }
    Ok(secret)
}

/// Reads a secret, or draws one into a new file.
///
/// # Errors
/// As [`read`]; a file that cannot be made.
pub fn read_or_make(path: &Path) -> Result<[u8; SECRET_SIZE], CliError> {
    if path.exists() {
        return read(path);
    }
    let file = |source| CliError::File {
        what: format!("cannot make the secret in {}", path.display()),
        source,
    };
    let mut secret = [0; SECRET_SIZE];
    getrandom(&mut secret, GetRandomFlags::empty()).map_err(|error| file(error.into()))?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = std::fs::OpenOptions::new();
    let mut made = options.write(true).create_new(true).mode(MODE).open(path).map_err(file)?;
    made.write_all(format!("{text}\n").as_bytes()).and_then(|()| made.sync_all()).map_err(file)?;
    Ok(secret)
}

fn parse(text: &str) -> Option<[u8; SECRET_SIZE]> {
    if text.len() != 2 * SECRET_SIZE || !text.is_ascii() {
        return None;
    }
    let mut secret = [0; SECRET_SIZE];
    for (byte, at) in secret.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_again_and_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(read(&path).is_err());
        let made = read_or_make(&path).unwrap();
        assert_ne!(made, [0; SECRET_SIZE]);
        assert_eq!(read_or_make(&path).unwrap(), made);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("640") && error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "abc").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("64"));
        std::fs::write(&path, "0".repeat(2 * SECRET_SIZE)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("zeros"));
    }
}
