//! Reads `pyproject.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::guest::BuildError;

const FILE: &str = "pyproject.toml";
/// The SDK's main module of a component.
pub(super) const COMPONENT: &str = "sandman_component.py";

/// The parts of the project file that a build needs.
pub(super) struct PythonProject {
    pub(super) name: String,
    sdk: PathBuf,
}

#[derive(Deserialize)]
struct ProjectFile {
    project: Option<ProjectTable>,
    tool: Option<ToolTable>,
}

#[derive(Deserialize)]
struct ProjectTable {
    name: String,
}

#[derive(Deserialize)]
struct ToolTable {
    sandman: Option<SandmanTable>,
}

#[derive(Deserialize)]
struct SandmanTable {
    sdk: PathBuf,
}

pub(super) fn read(dir: &Path) -> Result<PythonProject, BuildError> {
    let path = dir.join(FILE);
    let text = fs::read_to_string(&path).map_err(|source| BuildError::File {
        path: path.clone(),
        source,
    })?;
    let wrong = |problem: String| BuildError::Manifest {
        manifest: path.clone(),
        problem,
    };
    let file: ProjectFile = toml::from_str(&text).map_err(|fault| wrong(fault.to_string().trim_end().to_owned()))?;
    let project = file
        .project
        .ok_or_else(|| wrong("it has no [project] with a name".to_owned()))?;
    let sandman = file.tool.and_then(|tool| tool.sandman).ok_or_else(|| {
        wrong(
            "it is no guest: it has no [tool.sandman] with the folder of the SDK, such as sdk = \"vendor/sandman-sdk\""
                .to_owned(),
        )
    })?;
    Ok(PythonProject {
        name: project.name,
        sdk: sandman.sdk,
    })
}

impl PythonProject {
    /// The folder of the SDK.
    pub(super) fn sdk(&self, dir: &Path) -> Result<PathBuf, BuildError> {
        let sdk = dir.join(&self.sdk);
        if sdk.join(COMPONENT).is_file() {
            return Ok(sdk);
        }
        Err(BuildError::Manifest {
            manifest: dir.join(FILE),
            problem: format!(
                "there is no SDK in {}; set sdk in [tool.sandman] to a folder as `sandman new --lang py` writes it",
                sdk.display()
            ),
        })
    }
}
