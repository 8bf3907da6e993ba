//! The data folder, which only its owner can open, and the secret in it. The secret signs the requests to S3 and DynamoDB.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use uuid::Uuid;

/// The file that holds the secret.
const SECRET: &str = "secret";
/// The length of AWS's secret access keys.
const LENGTH: usize = 40;

/// Creates the data folder, which only its owner can open. Restricts an existing folder only if it contains the file
/// `lock`, which shows that Upreel has used it before: the user may have named `/tmp`.
pub(crate) fn open_folder(data: &Path, lock: &str) -> io::Result<()> {
    if !data.is_dir() {
        return DirBuilder::new().recursive(true).mode(0o700).create(data);
    }
    if data.join(lock).is_file() { restrict(data, 0o700) } else { Ok(()) }
}

/// Returns the secret of the data folder. The first call creates a random one.
pub(crate) fn load_or_create(data: &Path) -> io::Result<String> {
    let path = data.join(SECRET);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            restrict(&path, 0o600)?;
            return Ok(text.trim().to_owned());
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    secret.truncate(LENGTH);
    let temporary = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(secret.as_bytes())?;
    fs::rename(temporary, path)?;
    Ok(secret)
}

/// Sets the permissions of a file or folder, unless it has them already.
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn each_folder_has_its_own_secret_that_only_the_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a/b", "c"].map(|name| folder.path().join(name));
        let secret = |data: &Path| {
            open_folder(data, "lock").unwrap();
            load_or_create(data).unwrap()
        };
        let created = secret(&first);
        assert!(created.len() == LENGTH && created.bytes().all(|b| b.is_ascii_alphanumeric()), "{created}");
        assert_eq!((mode(&first), mode(&first.join(SECRET))), (0o700, 0o600));
        fs::set_permissions(first.join(SECRET), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(secret(&first), created);
        assert_eq!(mode(&first.join(SECRET)), 0o600);
        assert_ne!(secret(&second), created);
        fs::write(second.join(SECRET), "").unwrap();
        assert_eq!(secret(&second).len(), LENGTH, "a file without a secret");
    }

    #[test]
    fn restricts_only_folders_that_upreel_has_used() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, lock: bool| {
            let data = folder.path().join(name);
            fs::create_dir(&data).unwrap();
            fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
            if lock {
                fs::write(data.join("lock"), "").unwrap();
            }
            open_folder(&data, "lock").unwrap();
            mode(&data)
        };
        assert_eq!(open("ours", true), 0o700);
        assert_eq!(open("other", false), 0o755);
    }
}
