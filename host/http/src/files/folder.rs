//! The folder of the files, as a sweep sees it: only files whose names are of our own making.

use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use super::names::field_of;

/// Where files are put aside before they are removed; nothing in it is served.
const ASIDE: &str = "removed";

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// One of our files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// Its path inside the folder: `avatars/avatar-1765535400000-0af3.png`. A file that was not written to its end has
    /// `#` and a number behind that.
    pub(super) path: String,
}

impl FoundFile {
    /// The path that it has, or would have if it had been written to its end.
    pub(super) fn whole(&self) -> &str {
        self.path.split('#').next().unwrap_or_default()
    }

    /// The last part of it.
    pub(super) fn name(&self) -> &str {
        self.whole().rsplit('/').next().unwrap_or_default()
    }
}

impl Folder {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Every file, one at a time: there may be millions.
    pub(super) fn files(&self) -> io::Result<impl Iterator<Item = io::Result<FoundFile>> + use<>> {
        files(&self.0)
    }

    /// The files that are put aside.
    pub(super) fn aside(&self) -> io::Result<Vec<FoundFile>> {
        let aside = self.0.join(ASIDE);
        if aside.is_dir() {
            files(&aside)?.collect()
        } else {
            Ok(Vec::new())
        }
    }

    pub(super) fn put_aside(&self, file: &FoundFile) -> io::Result<()> {
        move_file(&self.0.join(&file.path), &self.0.join(ASIDE).join(&file.path))
    }

    pub(super) fn put_back(&self, file: &FoundFile) -> io::Result<()> {
        move_file(&self.0.join(ASIDE).join(&file.path), &self.0.join(&file.path))
    }

    /// Removes a file that is put aside.
    pub(super) fn remove(&self, file: &FoundFile) -> io::Result<()> {
        fs::remove_file(self.0.join(ASIDE).join(&file.path))
    }
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::rename(from, to)
}

fn files(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<FoundFile>> + use<>> {
    let folders = fs::read_dir(folder)?;
    Ok(folders.flat_map(|entry| match entry.and_then(|entry| inside(&entry)) {
        Ok(Some((field, files))) => Box::new(named(field, files)) as Box<dyn Iterator<Item = _>>,
        Ok(None) => Box::new(std::iter::empty()),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }))
}

/// What lies in a folder of a form field: `avatars` holds the files of `avatar`.
fn inside(entry: &fs::DirEntry) -> io::Result<Option<(String, ReadDir)>> {
    let name = entry.file_name();
    let field = name.to_str().and_then(|name| name.strip_suffix('s'));
    match field {
        Some(field) if entry.file_type()?.is_dir() => Ok(Some((field.to_owned(), fs::read_dir(entry.path())?))),
        _ => Ok(None),
    }
}

fn named(field: String, files: ReadDir) -> impl Iterator<Item = io::Result<FoundFile>> {
    files.filter_map(move |entry| {
        let found = entry.and_then(|entry| {
            let is_file = entry.file_type()?.is_file();
            let name = entry.file_name().into_string().ok();
            let ours = |name: &String| is_file && name.split('#').next().and_then(field_of) == Some(&field);
            let name = name.filter(ours);
            Ok(name.map(|name| FoundFile {
                path: format!("{field}s/{name}"),
            }))
        });
        found.transpose()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_our_making_are_seen_and_they_move_there_and_back() {
        let place = tempfile::tempdir().expect("a folder");
        for path in [
            "avatars/avatar-1-a.png",
            "avatars/avatar-2-b.png#1",
            "avatars/photo-1-a.png",
            "avatars/notes.txt",
            "avatar-1-a.png",
            "unnamed.json",
            "other/avatar-1-a.png",
        ] {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, "x").expect("a file");
        }
        let folder = Folder::new(place.path());
        let seen = || -> Vec<String> {
            let files = folder.files().expect("a folder");
            let mut paths: Vec<_> = files.map(|file| file.expect("a file").path).collect();
            paths.sort();
            paths
        };
        assert_eq!(seen(), ["avatars/avatar-1-a.png", "avatars/avatar-2-b.png#1"]);
        let file = FoundFile {
            path: "avatars/avatar-2-b.png#1".to_owned(),
        };
        assert_eq!(
            (file.whole(), file.name()),
            ("avatars/avatar-2-b.png", "avatar-2-b.png")
        );
        assert_eq!(folder.aside().expect("no folder yet"), []);
        folder.put_aside(&file).expect("a move");
        assert_eq!(
            (seen().len(), folder.aside().expect("a folder")),
            (1, vec![file.clone()])
        );
        folder.put_back(&file).expect("a move");
        assert_eq!(seen().len(), 2);
        folder.put_aside(&file).expect("a move");
        folder.remove(&file).expect("a file");
        assert_eq!((seen().len(), folder.aside().expect("a folder")), (1, vec![]));
    }
}
