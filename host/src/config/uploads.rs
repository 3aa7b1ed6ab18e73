//! `[uploads]`: where uploaded files are kept.

use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::section::{Section, resolve};

/// `[uploads]`.
#[derive(Clone, Debug)]
pub struct UploadsConfig {
    /// The folder of the files.
    pub folder: PathBuf,
}

pub(super) fn read(mut section: Section<'_>) -> UploadsConfig {
    let default = resolve(&section.report.folder, "data/uploads");
    let config = UploadsConfig {
        folder: section.or("url", &url(&section.report.folder), default),
    };
    section.finish();
    config
}

fn url(folder: &Path) -> Kind<PathBuf> {
    let folder = folder.to_owned();
    Kind::text("\"file:PATH\", the path of a folder", move |text| {
        let path = text.strip_prefix("file:")?;
        (!path.is_empty()).then(|| resolve(&folder, path))
    })
}
