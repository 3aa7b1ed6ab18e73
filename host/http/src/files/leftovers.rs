//! Files in the folder that the object store does not list: incompletely written ones, and those left by older versions.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sandman_core::files::path_of;

/// The folder in which older versions put files before removing them.
const ASIDE: &str = "removed";
/// The file in which older versions recorded since when a file was unreferenced.
const LEDGER: &str = "unnamed.json";

/// The folder of uploads.
#[derive(Clone, Debug)]
pub(super) struct Leftovers(PathBuf);

impl Leftovers {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The names of incompletely written files: these have `#` and a number after the name. Unreadable entries are left
    /// for the next time.
    pub(super) fn partial_names(&self) -> Vec<String> {
        let folders = entries(&self.0).filter(is_folder);
        let files = folders.flat_map(|folder| entries(&folder.path()).map(move |file| (folder.file_name(), file)));
        let partial = files.filter_map(|(folder, file)| {
            let file = file.file_name().into_string().ok()?;
            let (name, _) = file.split_once('#')?;
            let path = format!("{}/{name}", folder.to_str()?);
            (path_of(name)? == path).then(|| name.to_owned())
        });
        partial.collect()
    }

    /// Removes the parts of an incompletely written file. Returns whether there were any.
    pub(super) fn remove_partial(&self, path: &str) -> io::Result<bool> {
        for number in 1.. {
            match fs::remove_file(self.0.join(format!("{path}#{number}"))) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(number > 1),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Restores the files that a sweep of an older version had put aside, and removes its records.
    pub(super) fn bring_back(&self) -> io::Result<()> {
        let aside = self.0.join(ASIDE);
        for folder in entries(&aside).filter(is_folder) {
            let to = self.0.join(folder.file_name());
            fs::create_dir_all(&to)?;
            for file in entries(&folder.path()) {
                fs::rename(file.path(), to.join(file.file_name()))?;
            }
        }
        for gone in [fs::remove_dir_all(aside), fs::remove_file(self.0.join(LEDGER))] {
            match gone {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, path: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "x").expect("a file");
    }

    #[test]
    fn files_that_were_not_written_to_their_end_are_found_by_their_names_and_removed() {
        let place = tempfile::tempdir().expect("a folder");
        for path in [
            "avatars/avatar-1-a.png",
            "avatars/avatar-2-b.png#1",
            "avatars/photo-1-a.png#1",
            "avatars/notes.txt#1",
            "avatar-3-c.png#1",
        ] {
            file(place.path(), path);
        }
        let leftovers = Leftovers::of(place.path());
        assert_eq!(leftovers.partial_names(), ["avatar-2-b.png"]);
        assert!(leftovers.remove_partial("avatars/avatar-2-b.png").expect("a file"));
        assert!(!leftovers.remove_partial("avatars/avatar-2-b.png").expect("no file"));
        assert!(leftovers.partial_names().is_empty());
    }

    #[test]
    fn what_an_older_version_has_put_aside_comes_back() {
        let place = tempfile::tempdir().expect("a folder");
        file(place.path(), "removed/avatars/avatar-1-a.png");
        file(place.path(), "unnamed.json");
        let leftovers = Leftovers::of(place.path());
        leftovers.bring_back().expect("a move");
        leftovers.bring_back().expect("nothing to do");
        assert!(place.path().join("avatars/avatar-1-a.png").exists());
        assert_eq!(entries(place.path()).count(), 1);
    }
}
