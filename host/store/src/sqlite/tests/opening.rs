//! Opening: whose file it is, and every refusal with its path and what to do.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// The refusal to open `path`, which must name it.
fn refusal(path: &Path) -> String {
    let error = SqliteStore::open(path).unwrap_err().to_string();
    let folder = path.parent().unwrap().to_str().unwrap();
    assert!(error.contains(folder), "{error} does not name {}", path.display());
    error
}

#[test]
fn the_folder_is_made_for_its_owner_alone_and_the_name_of_the_store_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/data/sandman.db");
    let id = SqliteStore::open(&path).unwrap().id().clone();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(SqliteStore::open(&path).unwrap().id(), &id);
    assert_ne!(SqliteStore::open(&folder.path().join("other.db")).unwrap().id(), &id);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "a closed store is one file and its lock: {left:?}");
}

#[test]
fn a_second_host_is_refused_by_whatever_name_it_uses() {
    let mut scene = Scene::new();
    let link = scene.folder.path().join("link.db");
    symlink(scene.path(), &link).unwrap();
    for path in [
        scene.path(),
        link,
        scene
            .folder
            .path()
            .join("../")
            .join(scene.folder.path())
            .join("sandman.db"),
    ] {
        let error = SqliteStore::open(&path).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        check(
            &error,
            &[
                "sandman.db",
                "sandman.db.lock",
                &process,
                "stop that host",
                "deployment",
            ],
        );
    }
    scene.commit(publish(&["a"]));
    scene.reopen();
    assert_eq!(numbers(scene.store()), [1]);
}

#[test]
fn a_newer_file_is_refused_and_left_as_it_is() {
    let mut scene = Scene::new();
    scene.store = None;
    let newer = schema::VERSION + 1;
    Connection::open(scene.path())
        .unwrap()
        .pragma_update(None, "user_version", newer)
        .unwrap();
    let before = fs::read(scene.path()).unwrap();
    let (found, known) = (format!("format {newer}"), format!("up to {}", schema::VERSION));
    check(&refusal(&scene.path()), &["newer Sandman", &found, &known, "backup"]);
    assert_eq!(fs::read(scene.path()).unwrap(), before);
}

#[test]
fn an_older_file_is_brought_up_to_date_and_keeps_what_it_holds() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sandman.db");
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    old.execute_batch(schema::TABLES).unwrap();
    old.execute_batch("INSERT INTO ledger VALUES (1, 'its-name', 4, 9, 9, 2)")
        .unwrap();
    old.execute_batch("INSERT INTO handler VALUES (1, 'profile'); INSERT INTO state VALUES (1, 1, 'ada', 3, '{}')")
        .unwrap();
    let named = r#"INSERT INTO state VALUES (2, 1, 'bob', 1, '{"avatar":"/uploads/avatars/avatar-1-b.png"}')"#;
    old.execute_batch(named).unwrap();
    old.pragma_update(None, "application_id", schema::APPLICATION_ID)
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.id().to_string(), "its-name");
        assert_eq!(document(&store, "ada").as_deref(), Some("{}"));
        assert_eq!(size(&store).last, 9);
        assert_eq!(store.versions("profile").unwrap(), []);
        // Its states were read for the files that they name.
        store.list_files(&["avatar-1-a.png", "avatar-1-b.png"], 0).unwrap();
        assert_eq!(store.take_unnamed_files(0, 10).unwrap(), ["avatar-1-a.png"]);
    }
    let new = TempDir::new().unwrap();
    drop(SqliteStore::open(&new.path().join("new.db")).unwrap());
    let tables = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        let mut query = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<Vec<String>, _>>().unwrap()
    };
    assert_eq!(tables(&path), tables(&new.path().join("new.db")));
}

#[test]
fn another_programs_file_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("foreign.db");
    fs::write(&path, "my shopping list").unwrap();
    check(&refusal(&path), &["Sandman store", "not an SQLite file", "[store] url"]);
    assert_eq!(fs::read(&path).unwrap(), b"my shopping list");
    fs::remove_file(&path).unwrap();

    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE photo (id)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    check(&refusal(&path), &["Sandman store", "the tables of another program"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused() {
    let mut scene = Scene::new();
    scene.commit(states(
        (0..200)
            .map(|key| put(&key.to_string(), None, &"x".repeat(300)))
            .collect(),
    ));
    scene.store = None;
    let whole = fs::read(scene.path()).unwrap();

    fs::write(scene.path(), &whole[..whole.len() / 2]).unwrap();
    check(&refusal(&scene.path()), &["damaged", "backup"]);

    let mut torn = whole.clone();
    torn[100..4096].fill(0xa5);
    fs::write(scene.path(), &torn).unwrap();
    check(&refusal(&scene.path()), &["damaged", "backup"]);

    fs::write(scene.path(), &whole).unwrap();
    Connection::open(scene.path())
        .unwrap()
        .execute_batch("DELETE FROM ledger")
        .unwrap();
    check(&refusal(&scene.path()), &["damaged"]);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sandman.db");
    fs::write(&path, "").unwrap();
    SqliteStore::open(&path).unwrap();
    // A host that died after it chose the log's mode and before it made the tables.
    let path = folder.path().join("half.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_folder_in_the_files_place_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data");
    fs::create_dir(&path).unwrap();
    check(&refusal(&path), &["is a folder", "sqlite:data/sandman.db"]);
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    check(&refusal(&file.join("sandman.db")), &["folder", "[store] url"]);
    // The kernel's own folder is read-only even for root.
    check(
        &SqliteStore::open(Path::new("/proc/version")).unwrap_err().to_string(),
        &["/proc/version", "lock file"],
    );
}

#[test]
fn a_read_only_file_is_refused() {
    let mut scene = Scene::new();
    scene.store = None;
    let read_only = fs::Permissions::from_mode(0o400);
    fs::set_permissions(scene.path(), read_only).unwrap();
    // Root may write it all the same; then there is nothing to refuse.
    if fs::OpenOptions::new().write(true).open(scene.path()).is_err() {
        check(&refusal(&scene.path()), &["cannot be written", "[store] url"]);
    }
}
