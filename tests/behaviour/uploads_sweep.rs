//! Files that nothing names go in time; a file that a state names never does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, DreamScape, Form, Result, User, World};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("files_that_no_state_names_are_removed_after_their_time", removed),
    Behaviour::new("replaced_and_orphaned_files_are_kept_for_a_while", kept).on_postgres_too(),
];

/// What a crash between the storing of a file and its commit leaves behind, whole or half written.
const ORPHANS: [&str; 2] = ["avatar-1733992200000-0af3.png", "avatar-1733992200001-0af4.png#1"];

fn folder(world: &World) -> PathBuf {
    world.folder().join("data/uploads/avatars")
}

fn plant(folder: &Path, names: &[&str]) -> Result {
    fs::create_dir_all(folder)?;
    for name in names {
        fs::write(folder.join(name), Form::PNG)?;
    }
    Ok(())
}

/// Gives the user another picture, and returns its name.
fn pictured(user: &User) -> Result<String> {
    let body = user.picture(&Form::avatar(Form::PNG))?.has(200)?;
    let url = body["avatar"].as_str().context("no avatar")?;
    Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
}

fn member(app: &DreamScape<'_>) -> Result<User> {
    let user = app.user("ada")?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    Ok(user)
}

/// Waits until the host has swept once since its start.
pub(crate) fn swept(app: &DreamScape<'_>) -> Result {
    app.host().metrics_when("it has swept", |metrics| {
        metrics.sum("sandman_upload_sweeps_total", &[]) == Some(1.0)
    })?;
    Ok(())
}

fn removed(world: &World) -> Result {
    let app = DreamScape::start_with(world, &[("SANDMAN_UPLOADS__KEEP", "0s")])?;
    swept(&app)?;
    let first = pictured(&member(&app)?)?;
    let there = |name: &str| folder(world).join(name).exists();
    plant(&folder(world), &ORPHANS)?;
    plant(&folder(world), &["notes.txt"])?;

    let app = app.kill_and_start()?;
    swept(&app)?;
    for name in ORPHANS {
        ensure!(!there(name), "{name} is still there");
    }
    ensure!(there(&first) && there("notes.txt"), "too much was removed");
    let removed = app.host().metrics()?.sum("sandman_uploads_removed_total", &[]);
    ensure!(removed == Some(2.0), "{removed:?} files were removed");
    let served = app.client()?.get(&format!("/uploads/avatars/{first}"))?;
    ensure!(served.status == 200 && served.body == Form::PNG, "{}", served.status);

    let user = app.user("ada")?;
    let second = pictured(&user)?;
    ensure!(there(&first), "it was removed at once");
    let app = app.kill_and_start()?;
    swept(&app)?;
    ensure!(!there(&first) && there(&second), "the replaced one was to go");

    app.user("ada")?.delete()?.has(200)?;
    let app = app.kill_and_start()?;
    swept(&app)?;
    ensure!(!there(&second), "the picture of a deleted user is still there");
    Ok(())
}

fn kept(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = member(&app)?;
    let (first, second) = (pictured(&user)?, pictured(&user)?);
    plant(&folder(world), &ORPHANS)?;
    let app = app.kill_and_start()?;
    swept(&app)?;
    for name in [&*first, &*second, ORPHANS[0], ORPHANS[1]] {
        ensure!(folder(world).join(name).exists(), "{name} was removed");
    }
    let old = app.client()?.get(&format!("/uploads/avatars/{first}"))?;
    ensure!(
        old.status == 200,
        "its address stands in published events: {}",
        old.status
    );
    Ok(())
}
