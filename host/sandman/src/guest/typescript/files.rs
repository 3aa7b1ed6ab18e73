//! The template of a new guest in TypeScript, and its copy of the SDK.

use crate::guest::{AGENTS, EVENT, EVENT_TO_TRY, TemplateFiles};

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../templates/ts/", $file))
    };
}

macro_rules! sdk {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../../guest/sdk-js/", $file)))),*]
    };
}

/// The guest's own files.
pub(super) const TEMPLATE: TemplateFiles = &[
    ("package.json", template!("package.json.template")),
    ("package-lock.json", template!("package-lock.json.template")),
    ("tsconfig.json", template!("tsconfig.json")),
    ("tests/tsconfig.json", template!("tests/tsconfig.json")),
    ("src/handler.ts", template!("src/handler.ts")),
    ("tests/handler.test.ts", template!("tests/handler.test.ts")),
    (EVENT, EVENT_TO_TRY),
    AGENTS,
    ("README.md", template!("README.md.template")),
    (".gitignore", template!("gitignore.template")),
];

/// The SDK, which is not in a registry.
pub(super) const SDK: TemplateFiles = sdk![
    "package.json",
    "build/build.mjs",
    "build/entry.mjs",
    "build/loader.mjs",
    "build/runtime.mjs",
    "src/component.ts",
    "src/define.ts",
    "src/effects.ts",
    "src/globals.d.ts",
    "src/host.ts",
    "src/index.ts",
    "src/json.ts",
    "src/position.ts",
    "src/pure.ts",
    "src/purity.ts",
    "src/recorded.ts",
    "src/run.ts",
    "src/schema.ts",
    "src/testing.ts",
    "src/types.ts",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::SDK;

    #[test]
    fn the_copy_of_the_sdk_is_all_of_it() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/sdk-js");
        let mut there = BTreeSet::from(["package.json".to_owned()]);
        for folder in ["src", "build"] {
            for entry in std::fs::read_dir(sdk.join(folder)).unwrap() {
                there.insert(format!("{folder}/{}", entry.unwrap().file_name().display()));
            }
        }
        let copied: BTreeSet<_> = SDK.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(copied, there);
    }
}
