//! `sandman build`: what it makes, and what it says where it cannot.

use std::fs;
use std::path::Path;

use sandman::build_guest::{BuildError, BuildOptions, build};

use crate::support::{build_options, guests_dir};

/// A crate with this library, in a directory of its own.
fn a_crate(manifest: &str, source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/sdk");
    let manifest = manifest.replace("SDK", &sdk.canonicalize().unwrap().display().to_string());
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/lib.rs"), source).unwrap();
    dir
}

const BARE: &str =
    "[package]\nname='bare'\nversion='0.1.0'\nedition='2024'\n[lib]\ncrate-type=['cdylib']\n[workspace]\n";

fn failed(dir: &Path) -> BuildError {
    let target_dir = dir.join("target");
    build(
        dir,
        &BuildOptions {
            target_dir: Some(target_dir),
            ..BuildOptions::default()
        },
    )
    .unwrap_err()
}

#[test]
fn the_component_has_the_packages_name_and_its_digest() {
    let built = build(&guests_dir().join("echo"), &build_options()).unwrap();
    let bytes = fs::read(&built.path).unwrap();
    assert_eq!(built.name, "echo");
    assert!(
        built.path.ends_with("guests/sandman/echo.wasm"),
        "{}",
        built.path.display()
    );
    assert_eq!(built.bytes, bytes.len() as u64);
    assert_eq!(built.digest, sandman_core::digest(&bytes));
    // What was measured and a tenth more, so that a library too many shows.
    assert!(
        built.bytes < 240 << 10,
        "{} bytes: a guest this small should stay small",
        built.bytes
    );
}

#[test]
fn another_directory_can_be_named_and_gets_the_same_bytes() {
    let out = tempfile::tempdir().unwrap();
    let options = BuildOptions {
        out_dir: Some(out.path().join("deep/er")),
        ..build_options()
    };
    let there = build(&guests_dir().join("echo"), &options).unwrap();
    let here = build(&guests_dir().join("echo"), &build_options()).unwrap();
    assert_eq!(there.path, out.path().join("deep/er/echo.wasm"));
    assert_eq!(there.digest, here.digest);
    assert_eq!(fs::read_dir(out.path().join("deep/er")).unwrap().count(), 1);
}

#[test]
fn the_compilers_errors_are_shown_as_they_are() {
    let dir = a_crate(BARE, "pub fn f() -> u8 { \"text\" }");
    let fault = failed(dir.path());
    let text = fault.to_string();
    assert!(
        matches!(&fault, BuildError::Compile { package, .. } if package == "bare"),
        "{text}"
    );
    for part in [
        "`bare` does not compile",
        "error[E0308]: mismatched types",
        "src/lib.rs:1:20",
        "expected `u8`",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_library_that_is_no_handler_is_said_to_be_none() {
    let dir = a_crate(BARE, "pub fn f() {}");
    let fault = failed(dir.path());
    assert!(matches!(fault, BuildError::Component { .. }), "{fault}");
    assert!(fault.to_string().contains("sandman_sdk::export!"), "{fault}");
}

#[test]
fn a_directory_that_is_no_guest_crate_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let fault = failed(empty.path());
    assert!(
        matches!(&fault, BuildError::NoGuest { dir, .. } if dir == empty.path()),
        "{fault}"
    );

    let dir = a_crate(
        "[package]\nname='plain'\nversion='0.1.0'\nedition='2024'\n[workspace]\n",
        "",
    );
    let fault = failed(dir.path());
    assert!(matches!(&fault, BuildError::NoCdylib { .. }), "{fault}");
    assert!(
        fault.to_string().contains("crate-type = [\"cdylib\", \"rlib\"]"),
        "{fault}"
    );

    let dir = a_crate("[package]\nname=broken\n", "");
    let fault = failed(dir.path());
    assert!(matches!(&fault, BuildError::Metadata { .. }), "{fault}");
}
