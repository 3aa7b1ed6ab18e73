//! What does not load, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sandman_core::limits::{ComponentParts, Instances, Limits};
use sandman_sandbox::{LoadError, LoadStep, Sandbox, SandboxError, SandboxOptions};

use crate::support::{ECHO, MIB, ON_DEMAND, SANDBOX, label, tell};

/// A component that imports one function of WASI and nothing else.
const IMPORTS_WASI: &str = r#"
    (component
      (import "wasi:cli/environment@0.2.0" (instance
        (export "get-arguments" (func (result (list string))))))
      (import "wasi:sockets/tcp@0.2.0" (instance)))"#;

fn refused(wasm: &[u8]) -> LoadError {
    SANDBOX
        .load(label("stranger"), wasm, Limits::default(), Instances::Fresh)
        .unwrap_err()
}

#[test]
fn an_import_that_is_not_granted_is_named() {
    let fault = refused(&wat::parse_str(IMPORTS_WASI).unwrap());
    assert!(matches!(&fault, LoadError::NotGranted { import, .. } if import == "wasi:cli/environment@0.2.0"));
    let text = fault.to_string();
    assert!(
        text.starts_with("stranger version 7: the import `wasi:cli/environment@0.2.0` is not granted;"),
        "{text}"
    );
}

#[test]
fn what_is_no_component_is_said_to_be_none() {
    let text = refused(b"hello").to_string();
    assert!(
        text.contains("not a WebAssembly component") && text.contains("does not start as one"),
        "{text}"
    );
    let module = refused(&wat::parse_str("(module)").unwrap()).to_string();
    assert!(module.contains("it is a core module"), "{module}");
    assert!(module.contains("sandman build"), "{module}");
    let mut damaged = ECHO.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    assert!(matches!(
        refused(&damaged),
        LoadError::NoComponent { .. } | LoadError::Unfit { .. }
    ));
    assert!(matches!(
        refused(&ECHO[..ECHO.len() / 2]),
        LoadError::NoComponent { .. }
    ));
}

#[test]
fn a_component_that_is_no_handler_is_said_to_be_none() {
    let fault = refused(&wat::parse_str("(component)").unwrap());
    assert!(matches!(fault, LoadError::NoHandler { .. }), "{fault}");
}

#[test]
fn a_handler_of_another_shape_does_not_fit() {
    let shape = r#"
        (component
          (core module $m (func (export "f")))
          (core instance $i (instantiate $m))
          (func $f (canon lift (core func $i "f")))
          (instance $h (export "describe" (func $f)) (export "handle" (func $f)))
          (export "sandman:handler/handler@0.1.0" (instance $h)))"#;
    let fault = refused(&wat::parse_str(shape).unwrap());
    assert!(matches!(fault, LoadError::Unfit { .. }), "{fault}");
}

#[test]
fn a_component_over_the_size_bound_is_not_even_read() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(SandboxOptions::new(dir.path().join("compiled"), 1, MIB)).unwrap();
    let limits = Limits {
        component: 1000,
        ..Limits::default()
    };
    let fault = sandbox.load(label("big"), &ECHO, limits, Instances::Fresh).unwrap_err();
    assert!(matches!(fault, LoadError::TooLarge { limit: 1000, .. }), "{fault}");
}

/// What a Rust guest is made of fits; one thing less of each kind does not, and the error names the key.
#[test]
fn a_component_of_more_parts_than_its_handler_may_have_is_refused_by_the_key() {
    for sandbox in [&*SANDBOX, &*ON_DEMAND] {
        let load = |parts: ComponentParts| {
            let limits = Limits {
                parts,
                ..Limits::default()
            };
            sandbox.load(label("echo"), &ECHO, limits, Instances::Fresh)
        };
        let parts = ComponentParts {
            core_instances: 4,
            memories: 1,
            tables: 2,
            table_elements: 1_000,
        };
        load(parts).unwrap();
        for (key, less) in [
            (
                "core_instances",
                ComponentParts {
                    core_instances: 2,
                    ..parts
                },
            ),
            ("memories", ComponentParts { memories: 0, ..parts }),
            ("tables", ComponentParts { tables: 0, ..parts }),
            (
                "table_elements",
                ComponentParts {
                    table_elements: 1,
                    ..parts
                },
            ),
        ] {
            let fault = load(less).unwrap_err().to_string();
            assert!(fault.contains(&format!("limits.{key} ")), "{fault}");
        }
    }
}

#[test]
fn compiled_code_is_kept_in_private_and_checked_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("data/compiled");
    let sandbox = Sandbox::new(SandboxOptions::new(cache.clone(), 2, 16 * MIB)).unwrap();
    let load = || {
        sandbox
            .load(label("echo"), &ECHO, Limits::default(), Instances::Fresh)
            .unwrap()
    };
    load();
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(
        files[0]
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&sandman_core::digest(&ECHO))
    );
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);

    // Taken from the file: it is not written again.
    let before = fs::metadata(&files[0]).unwrap().modified().unwrap();
    load();
    assert_eq!(fs::metadata(&files[0]).unwrap().modified().unwrap(), before);

    // One bit changed: thrown away, compiled again, and the file is whole again.
    let whole = fs::read(&files[0]).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&files[0], &damaged).unwrap();
    assert!(tell(&load(), "thing.happened", r#"{"n":1}"#, None).is_ok());
    assert_ne!(fs::read(&files[0]).unwrap(), damaged);
    for short in [&whole[..10], &[]] {
        fs::write(&files[0], short).unwrap();
        load();
    }
}

#[test]
fn compiled_code_can_be_read_without_leaving_anything() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("compiled");
    let options = SandboxOptions::new(cache.clone(), 2, 16 * MIB);
    let to_read = SandboxOptions {
        cache_is_read_only: true,
        ..options.clone()
    };
    let kept = |options: &SandboxOptions| {
        let sandbox = Sandbox::new(options.clone()).unwrap();
        let mut kept = None;
        let mut passed = |step| {
            if let LoadStep::Compiled { kept: was } = step {
                kept = Some(was);
            }
        };
        let of = (label("echo"), Limits::default(), Instances::Fresh);
        let guest = sandbox.load_in_steps(of, &ECHO, &mut passed).unwrap();
        assert!(tell(&guest, "thing.happened", r#"{"n":1}"#, None).is_ok());
        kept.unwrap()
    };
    // There is no folder, and none is made.
    assert!(!kept(&to_read));
    assert!(!cache.exists());
    // The folder is empty, and stays so.
    Sandbox::new(options.clone()).unwrap();
    assert!(!kept(&to_read));
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    assert!(!kept(&options));
    assert!(kept(&to_read));
    // Others may have written to it: it is not used, and stays as it is.
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(!kept(&to_read));
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o770);
}

#[test]
fn a_directory_open_to_others_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    Sandbox::new(SandboxOptions::new(dir.path().to_owned(), 1, MIB)).unwrap();
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let fault = Sandbox::new(SandboxOptions::new(file.path().to_owned(), 1, MIB))
        .err()
        .unwrap();
    assert!(
        matches!(&fault, SandboxError::Cache { path, .. } if path == file.path()),
        "{fault}"
    );
}
