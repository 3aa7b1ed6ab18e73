//! Tools that a machine lacks, and the commands that install them.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A tool that is not on this machine, or too old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTool {
    /// What is needed, for example `Node.js 20 or newer`.
    pub needed: String,
    /// The installed version, if it is too old.
    pub found: Option<String>,
    /// The command that installs it here.
    pub install: String,
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, found, install } = self;
        match found {
            Some(found) => write!(
                f,
                "{needed} is needed, but {found} is installed; install it with: {install}"
            ),
            None => write!(f, "{needed} is missing; install it with: {install}"),
        }
    }
}

/// The command for this machine's package manager, from Debian's package names and Homebrew's; otherwise a place to look.
pub(super) fn install_command(debian: &str, brew: &str, elsewhere: &str) -> String {
    if cfg!(target_os = "macos") {
        format!("brew install {brew}")
    } else if Path::new("/usr/bin/apt-get").exists() {
        // Distributions may have old versions.
        format!("sudo apt-get install {debian}; where that is too old, get it from {elsewhere}")
    } else {
        elsewhere.to_owned()
    }
}

/// The output of `<tool> --version`; `None` if there is no such tool.
pub(super) fn version_of(tool: &str) -> Option<String> {
    let output = Command::new(tool).arg("--version").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| said.trim().to_owned())
}
