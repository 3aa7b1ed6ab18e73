//! `[uploads]`: where uploaded files are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kind::{Kind, duration};
use super::section::{Section, resolve};

/// `[uploads]`.
#[derive(Clone, Debug)]
pub struct UploadsConfig {
    /// The folder of the files.
    pub folder: PathBuf,
    /// How long a file is kept that no state names any more.
    pub keep: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn read(mut section: Section<'_>) -> UploadsConfig {
    let default = resolve(&section.report.folder, "data/uploads");
    let config = UploadsConfig {
        keep: section.or("keep", &duration(Duration::ZERO..=10 * 365 * DAY), 30 * DAY),
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
