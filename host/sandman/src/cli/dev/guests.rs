//! Finds the folders of handlers' guests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::build_guest::{self, BuildError, BuildOptions};
use crate::cli::output;
use crate::guest::{GuestPackage, Language};
use sandman_config::{Config, HandlerConfig};

/// The folder of a guest with sample events.
pub(super) const EVENTS: &str = "events";

/// A guest that is watched.
pub(super) struct GuestFolder {
    /// The handler that it serves.
    pub(super) handler: Arc<str>,
    /// Its folder.
    pub(super) dir: PathBuf,
    /// The path of its component in the configuration.
    pub(super) component: PathBuf,
}

impl GuestFolder {
    fn of(handler: &HandlerConfig, dir: PathBuf) -> Self {
        Self {
            handler: Arc::clone(&handler.name),
            component: handler.component.clone(),
            dir,
        }
    }

    /// Builds it to the path in the configuration.
    pub(super) fn build(&self) -> Result<(), BuildError> {
        let options = BuildOptions {
            out_dir: self.component.parent().map(Path::to_owned),
            show: true,
            ..BuildOptions::default()
        };
        build_guest::build(&self.dir, &options).map(drop)
    }

    /// The files with sample events, by name.
    pub(super) fn events(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.join(EVENTS)).into_iter().flatten();
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| is_event(path))
            .collect();
        files.sort();
        files
    }
}

/// Whether a file in the folder has sample events, and is not a temporary file of an editor.
pub(super) fn is_event(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json" || extension == "jsonl")
}

/// The guests in `dirs`, or the guests of all handlers, as far as they can be found.
pub(super) fn find(config: &Config, dirs: &[PathBuf]) -> Result<Vec<GuestFolder>> {
    if dirs.is_empty() {
        return of_all(config);
    }
    dirs.iter().map(|dir| in_folder(config, dir)).collect()
}

/// The name of a component's guest.
fn guest_name(component: &Path) -> &str {
    component.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

fn in_folder(config: &Config, dir: &Path) -> Result<GuestFolder> {
    let dir = dir
        .canonicalize()
        .with_context(|| format!("there is no folder {}", dir.display()))?;
    let found = build_guest::package(&dir)?;
    let mut handlers = config.handlers.iter();
    let Some(handler) = handlers.find(|handler| guest_name(&handler.component) == found.name) else {
        let (file, name) = (config.file.display(), found.name);
        bail!(
            "{file} has no handler with a component {name}.wasm, as {} makes it",
            dir.display()
        );
    };
    Ok(GuestFolder::of(handler, dir))
}

fn of_all(config: &Config) -> Result<Vec<GuestFolder>> {
    let mut guests = Vec::new();
    for handler in &config.handlers {
        let name = &handler.name;
        match look(config, handler) {
            Some(dir) => guests.push(GuestFolder::of(handler, dir)),
            None if handler.component.is_file() => {
                let component = handler.component.display();
                output::error(&format!(
                    "{name}: its guest was not found, so {component} is served and nothing is watched"
                ));
            }
            None => bail!("the guest of handler {name} was not found; name its folder: sandman dev DIR"),
        }
    }
    Ok(guests)
}

/// A component is in the target folder of its workspace, unless that is elsewhere; then the guest may be beside the
/// configuration.
fn look(config: &Config, handler: &HandlerConfig) -> Option<PathBuf> {
    let name = guest_name(&handler.component);
    let beside = config.file.parent().unwrap_or(Path::new(""));
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    let above = handler.component.ancestors().skip(1).map(Path::to_owned);
    let places = above.chain([beside.join(name), beside.to_owned()]);
    let found = places.into_iter().find_map(|place| {
        let packages = Language::of(&place)?.toolchain().packages(&place).ok()?;
        packages.into_iter().find(|found: &GuestPackage| found.name == name)
    });
    // The watcher reports absolute paths.
    found.map(|found| found.dir.canonicalize().unwrap_or(found.dir))
}
