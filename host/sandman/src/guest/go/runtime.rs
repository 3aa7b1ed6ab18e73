//! Changes to Go's runtime that make a handler pure: maps are iterated in a fixed order, and random numbers cause a
//! panic with a hint; also changes that give failing calls a message. The compiler uses the changed files instead of
//! its own (`go build -overlay`); nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::release::GoRelease;
use crate::guest::BuildError;

/// A change of one file of Go's sources: `from` occurs in it exactly once.
struct RuntimePatch {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    need: PatchNeed,
}

/// The effect of a release to which a patch does not apply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PatchNeed {
    /// A handler would not be pure.
    Purity,
    /// An error would have less text.
    Words,
}

/// The source of generators without a seed.
const DRAWN: (&str, &str) = (
    "//go:linkname runtime_rand runtime.rand\n",
    "//go:linkname runtime_rand runtime.sandmanNoRandom\n",
);

const PATCHES: [RuntimePatch; 8] = [
    // Used for seeds of maps and the start of a `range`, among others. Any number will do for its callers.
    RuntimePatch {
        file: "runtime/rand.go",
        from: "//go:linkname rand\nfunc rand() uint64 {\n",
        to: "//go:linkname rand\nfunc rand() uint64 {\n\treturn 0x9e3779b97f4a7c15\n}\n\nfunc sandmanUnusedRand() uint64 {\n",
        need: PatchNeed::Purity,
    },
    RuntimePatch {
        file: "math/rand/rand.go",
        from: DRAWN.0,
        to: DRAWN.1,
        need: PatchNeed::Purity,
    },
    RuntimePatch {
        file: "math/rand/v2/rand.go",
        from: DRAWN.0,
        to: DRAWN.1,
        need: PatchNeed::Purity,
    },
    RuntimePatch {
        file: "crypto/internal/sysrand/rand_wasip1.go",
        from: "\treturn syscall.RandomGet(b)\n",
        to: "\t_ = syscall.RandomGet\n\tpanic(\"crypto/rand: a handler is pure; derive an id from the trigger, such as the event's ID\")\n",
        need: PatchNeed::Purity,
    },
    // In a library a fatal error aborts without a message.
    RuntimePatch {
        file: "runtime/os_wasm.go",
        from: "func crash() {\n\tabort()\n",
        to: "func crash() {\n\texit(2)\n",
        need: PatchNeed::Words,
    },
    RuntimePatch {
        file: "os/proc.go",
        from: "func Exit(code int) {\n",
        to: "func Exit(code int) {\n\tpanic(\"os.Exit: a handler decides by what it returns; return an error, such as that of sandman.Reject\")\n}\n\n\
             func sandmanUnusedExit(code int) {\n",
        need: PatchNeed::Words,
    },
    RuntimePatch {
        file: "syscall/tables_wasip1.go",
        from: "\"Capabilities insufficient\"",
        to: "\"a handler has no files; read what it needs when it is built, with go:embed\"",
        need: PatchNeed::Words,
    },
    // Go's in-process network for platforms without one.
    RuntimePatch {
        file: "net/net_fake.go",
        from: "func(context.Context, string, string, syscall.RawConn) error) (*netFD, error) {\n\tif raddr != nil && ctrlCtxFn",
        to: "func(context.Context, string, string, syscall.RawConn) error) (*netFD, error) {\n\tif sotype != -1 {\n\t\t\
             return nil, errors.New(\"a handler has no network; emit an event, and let another service call\")\n\t}\n\t\
             if raddr != nil && ctrlCtxFn",
        need: PatchNeed::Words,
    },
];

/// An additional file of the runtime.
const ADDED: (&str, &str) = ("runtime/sandman.go", include_str!("sandman_runtime.go.txt"));

/// Writes the changed files into the guest's target folder, where go does not search for packages, and returns the file
/// that lists them.
pub(super) fn overlay(dir: &Path, release: &GoRelease) -> Result<PathBuf, BuildError> {
    let sources = release.root.join("src");
    let folder = super::folder(dir);
    let mut replaced = Map::new();
    let mut replace = |file: &str, text: &str| {
        let own = folder.join(file.replace('/', "_"));
        let listed = (sources.join(file).display().to_string(), own.display().to_string());
        replaced.insert(listed.0, Value::from(listed.1));
        write(&own, text)
    };
    for RuntimePatch { file, from, to, need } in PATCHES {
        let path = sources.join(file);
        let text = fs::read_to_string(&path).map_err(|source| BuildError::File {
            path: path.clone(),
            source,
        })?;
        if text.matches(from).count() != 1 {
            if need == PatchNeed::Words {
                continue;
            }
            return Err(BuildError::Manifest {
                manifest: dir.join("go.mod"),
                problem: format!(
                    "the Go in {} is one that this sandman does not know how to make pure; pin one that it does in go.mod: \
                     `toolchain go1.26.8`",
                    sources.display()
                ),
            });
        }
        replace(file, &text.replacen(from, to, 1))?;
    }
    replace(ADDED.0, ADDED.1)?;
    let list = folder.join("overlay.json");
    write(
        &list,
        &Value::from(Map::from_iter([("Replace".to_owned(), Value::from(replaced))])).to_string(),
    )?;
    Ok(list)
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.map_err(|source| BuildError::File {
        path: path.to_owned(),
        source,
    })
}
