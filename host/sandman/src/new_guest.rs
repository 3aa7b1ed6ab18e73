//! `sandman new`: writes the sources of a guest, and its table for the configuration.

mod name;

use std::fs;
use std::io;
use std::path::Path;

pub use crate::guest::{EVENT, NewError};
pub use name::check as check_name;

use crate::build_guest;
use crate::guest::{Language, SdkPlace};

const HANDLER: &str = include_str!("../templates/handler.toml.template");
const HOST: &str = include_str!("../templates/sandman.toml.template");

/// A guest to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewGuest<'a> {
    /// The handler's and the guest's name, checked with [`check_name`].
    pub name: &'a str,
    /// Its language.
    pub language: Language,
    /// Its folder, which must not exist yet.
    pub dir: &'a Path,
    /// The folder of the language's SDK; `None` for the default.
    pub sdk: Option<&'a Path>,
}

impl NewGuest<'_> {
    /// Writes the guest's files.
    ///
    /// # Errors
    /// If there is no SDK, the folder exists, in which case nothing is changed, or a file cannot be written.
    pub fn write(&self) -> Result<(), NewError> {
        let toolchain = self.language.toolchain();
        let sdk = toolchain.sdk(self.sdk)?;
        let sdk_path = match &sdk {
            SdkPlace::Folder(dir) => quoted(dir)?,
            SdkPlace::Copied { folder, .. } => quoted(Path::new(folder))?,
        };
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
            ("sdk", &sdk_path),
            ("sdk_path", sdk_path.trim_matches('"')),
            ("dir", &self.dir.display().to_string()),
        ];
        for (file, template) in toolchain.template() {
            write(&self.dir.join(file), &filled(template, &values))?;
        }
        if let SdkPlace::Copied { folder, files } = &sdk {
            for (file, content) in *files {
                write(&self.dir.join(folder).join(file), content)?;
            }
        }
        toolchain.complete(self.dir, &sdk);
        Ok(())
    }

    /// The table that `sandman.toml` needs, for a configuration in `folder` with this `kafka.topic_prefix`.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn handler(&self, folder: &Path, prefix: &str) -> Result<String, NewError> {
        let name = format!("{}.wasm", self.name);
        // Without the language's tools nothing can be built anyway, and `sandman build` reports that.
        let component = build_guest::package(self.dir)
            .map_or_else(|_| self.dir.join("target/sandman"), |package| package.out_dir)
            .join(name);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let component = quoted(component.strip_prefix(&folder).unwrap_or(&component))?;
        let values = [("name", self.name), ("component", &component), ("prefix", prefix)];
        let more = self.language.toolchain().handler_line();
        Ok(filled(HANDLER, &values) + &more.map_or_else(String::new, |line| format!("{line}\n")))
    }

    /// A complete `sandman.toml` for the embedded broker, in `folder`.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn configuration(&self, folder: &Path, prefix: &str) -> Result<String, NewError> {
        let handler = self.handler(folder, prefix)?;
        Ok(filled(HOST, &[("name", self.name)]) + &handler)
    }
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.map_err(|source| NewError::File {
        path: path.to_owned(),
        source,
    })
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
    use crate::guest::EVENT_TO_TRY;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for language in Language::ALL {
            let guest = NewGuest {
                name: "greeter",
                language,
                dir: Path::new("/nowhere/greeter"),
                sdk: None,
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
        }
        assert_eq!(quoted(Path::new("/a \"b\"/sdk")).unwrap(), r#""/a \"b\"/sdk""#);
    }

    #[test]
    fn the_event_to_try_is_an_envelope() {
        assert_eq!(
            sandman_core::event::decode(Some(EVENT_TO_TRY.as_bytes()))
                .unwrap()
                .event_type(),
            "user.created"
        );
    }
}
