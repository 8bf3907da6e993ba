//! Folders of JSON files that survive a killed process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The extension of temporary files.
const TEMPORARY: &str = "part";

/// Returns the file with this identifier.
pub(crate) fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Writes a file atomically: to a temporary name, then renamed. This survives a killed process, not a power failure.
pub(crate) fn save(folder: &Path, id: &str, value: &impl Serialize) -> io::Result<PathBuf> {
    let path = path(folder, id);
    let temporary = path.with_extension(TEMPORARY);
    fs::write(&temporary, serde_json::to_vec(value)?)?;
    fs::rename(&temporary, &path)?;
    Ok(path)
}

/// Removes the temporary files of a process that was killed.
pub(crate) fn remove_temporary(folder: &Path) -> io::Result<()> {
    paths(folder, TEMPORARY)?.iter().try_for_each(fs::remove_file)
}

/// Reads a file.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Reads every file of a folder, oldest first: the names begin with a `UUIDv7`, which sorts by time. Renames a file that
/// cannot be read, so that it is kept and the others can be used.
pub(crate) fn load<T: for<'a> Deserialize<'a>>(folder: &Path) -> io::Result<Vec<T>> {
    let mut loaded = Vec::new();
    for path in paths(folder, "json")? {
        match read(&path) {
            Ok(value) => loaded.push(value),
            // An event that was finished meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let aside = path.with_extension("unreadable");
                let (file, kept) = (path.display(), aside.display());
                tracing::error!(%error, "{file} is not a valid event and is kept as {kept}");
                fs::rename(&path, &aside)?;
            }
        }
    }
    Ok(loaded)
}

/// Returns the files of a folder that have this extension, sorted.
fn paths(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_does_not_prevent_the_start() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), "2", &"second").unwrap();
        save(folder.path(), "1", &"first").unwrap();
        for (name, text) in [("3.json", "{\"id\": "), ("4.json", ""), ("5.part", "\"half")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        remove_temporary(folder.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(load::<String>(folder.path()).unwrap(), ["first", "second"]);
            let aside = paths(folder.path(), "unreadable").unwrap();
            assert_eq!(aside, ["3.unreadable", "4.unreadable"].map(|name| folder.path().join(name)));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "the temporary file is removed");
    }
}
