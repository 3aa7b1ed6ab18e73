//! `sandman new`: the sources of a guest, ready to be built, and what the configuration needs to serve it.

mod error;
mod lock;
mod name;
mod sdk;

use std::fs;
use std::io;
use std::path::Path;

pub use error::NewError;
pub use name::check as check_name;
pub use sdk::find as find_sdk;

use crate::build_guest;

/// The guest's files: where they go in its folder, and what they start as.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../templates/guest/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../templates/guest/src/lib.rs")),
    ("src/tests.rs", include_str!("../templates/guest/src/tests.rs")),
    (EVENT, include_str!("../templates/guest/events/created.json")),
    ("README.md", include_str!("../templates/guest/README.md.template")),
    (".gitignore", include_str!("../templates/guest/gitignore.template")),
];
const HANDLER: &str = include_str!("../templates/handler.toml.template");
const HOST: &str = include_str!("../templates/sandman.toml.template");

/// The event to try, in the guest's folder.
pub const EVENT: &str = "events/created.json";

/// A guest to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewGuest<'a> {
    /// The handler's and the crate's name; [`check_name`] has seen it.
    pub name: &'a str,
    /// Its folder, which must not be there yet.
    pub dir: &'a Path,
    /// The folder of `sandman-sdk`; [`find_sdk`] has found it.
    pub sdk: &'a Path,
}

impl NewGuest<'_> {
    /// Writes the guest's files.
    ///
    /// # Errors
    /// If the folder is there, in which case nothing is touched, or a file cannot be written.
    pub fn write(&self) -> Result<(), NewError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| NewError::File { path, source }
        };
        if let Some(parent) = self.dir.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::create_dir(self.dir).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => NewError::Exists {
                dir: self.dir.to_owned(),
            },
            _ => failed(self.dir)(source),
        })?;
        let values = [
            ("name", self.name),
            ("sdk", &quoted(self.sdk)?),
            ("dir", &self.dir.display().to_string()),
        ];
        for (file, template) in FILES {
            let path = self.dir.join(file);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed(folder))?;
            }
            fs::write(&path, filled(template, &values)).map_err(failed(&path))?;
        }
        lock::pin(self.dir, self.sdk);
        Ok(())
    }

    /// The table that `sandman.toml` needs, for a configuration in `folder` with this `kafka.topic_prefix`.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn handler(&self, folder: &Path, prefix: &str) -> Result<String, NewError> {
        let name = format!("{}.wasm", self.name);
        // Without cargo nothing is built anyway, and `sandman build` says so.
        let component = build_guest::out_dir(self.dir)
            .unwrap_or_else(|_| self.dir.join("target/sandman"))
            .join(name);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let component = quoted(component.strip_prefix(&folder).unwrap_or(&component))?;
        let values = [("name", self.name), ("component", &component), ("prefix", prefix)];
        Ok(filled(HANDLER, &values))
    }

    /// A whole `sandman.toml` for the embedded broker, to stand in `folder`.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn configuration(&self, folder: &Path, prefix: &str) -> Result<String, NewError> {
        let handler = self.handler(folder, prefix)?;
        Ok(filled(HOST, &[("name", self.name)]) + &handler)
    }
}

fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}

/// A path as a string in TOML, whose escapes JSON shares.
fn quoted(path: &Path) -> Result<String, NewError> {
    let text = path
        .to_str()
        .ok_or_else(|| NewError::NotUtf8 { path: path.to_owned() })?;
    Ok(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        let guest = NewGuest {
            name: "greeter",
            dir: Path::new("/nowhere/greeter"),
            sdk: Path::new("/a \"b\"/sdk"),
        };
        let toml = guest.configuration(Path::new("/nowhere"), "p.").unwrap();
        assert!(!toml.contains("{{"), "{toml}");
        assert!(
            toml.contains("component = \"greeter/target/sandman/greeter.wasm\""),
            "{toml}"
        );
        let config =
            sandman_config::Config::parse(Path::new("sandman.toml"), &toml, std::iter::empty::<(String, String)>());
        assert_eq!(config.unwrap().handlers.len(), 1);
        assert_eq!(quoted(guest.sdk).unwrap(), r#""/a \"b\"/sdk""#);
    }

    #[test]
    fn the_event_to_try_is_an_envelope() {
        let (_, event) = FILES.iter().find(|(file, _)| *file == EVENT).unwrap();
        assert_eq!(
            sandman_core::event::decode(Some(event.as_bytes())).unwrap().event_type,
            "user.created"
        );
    }
}
