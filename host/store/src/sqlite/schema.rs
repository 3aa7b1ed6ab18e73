//! The tables, the settings of a connection, and every statement.

use rusqlite::Connection;

/// Marks the file as ours in its header: "Sndm".
pub(super) const APPLICATION_ID: i32 = 0x536e_646d;

/// Version of the tables; a file with a higher one is refused, one with a lower one is brought up to it.
pub(super) const VERSION: i32 = 4;

/// The way from each version to the next, beginning with 1. A new file goes all of it, so that an old one ends up the same.
pub(super) const STEPS: &[&str] = &[SINCE_2, SINCE_3, SINCE_4];

/// Since 2: whether the relay's cursor has ever named the store, and the versions of handlers. A component's bytes are kept once, however many versions they are; `replaced` is the
/// version that a deploy replaced by this one, the way back. `active` has a row for each handler that ever served.
const SINCE_2: &str = "
    ALTER TABLE ledger ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE components (
        digest TEXT NOT NULL UNIQUE,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE versions (
        handler INTEGER NOT NULL,
        number INTEGER NOT NULL,
        digest TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        replaced INTEGER,
        PRIMARY KEY (handler, number),
        UNIQUE (handler, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE active (
        handler INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE activations (
        id INTEGER PRIMARY KEY,
        handler INTEGER NOT NULL,
        number INTEGER,
        digest TEXT,
        at INTEGER NOT NULL,
        by TEXT NOT NULL,
        action TEXT NOT NULL,
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX activations_handler ON activations (handler, id);
";

/// Since 3: which topic the progress of a handler is about, by the id that Kafka gave it. A topic that is not there was not
/// read yet, or last read by an older version: the id that is met first is taken for it.
const SINCE_3: &str = "
    CREATE TABLE topics (
        handler INTEGER NOT NULL,
        topic TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (handler, topic)
    ) STRICT, WITHOUT ROWID;
";

/// Since 4: the events that a key has handled last, as hashes, in the row of its state. A key without a state that remembers
/// some has a row with a negative number, and when it last changed.
///
/// Dead letters: `batch` is the outbox batch that holds a letter's record for Kafka: one that is published may go when
/// the letters are beyond their bound. A letter with `held` 1 holds its key, those with 2 wait behind it; none of them goes by
/// itself. `ordered` marks those that are to be redriven, `job` by which order, `through` by which version (null: the active
/// one). `redrives` has what the last orders came to. What is long stands last, so that a list need not read it.
///
/// Recordings: a row holds the invocations of one handler in one commit, one line of JSON each; the oldest rows of a handler go
/// when it has more bytes than it may keep.
///
/// Uploaded files: `file_names` has each file that a state names, `unnamed_files` each that is, or may be, stored and that none
/// does. In a file of an older version the states are read once for the names in them.
const SINCE_4: &str = "
    ALTER TABLE state ADD COLUMN recent BLOB;
    ALTER TABLE state ADD COLUMN changed INTEGER;
    CREATE INDEX state_recent ON state (changed) WHERE id < 0;
    CREATE TABLE letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        handler INTEGER NOT NULL,
        key TEXT,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        record INTEGER NOT NULL,
        at INTEGER NOT NULL,
        code TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        redriven INTEGER NOT NULL DEFAULT 0,
        held INTEGER NOT NULL DEFAULT 0,
        ordered INTEGER NOT NULL DEFAULT 0,
        job INTEGER,
        through INTEGER,
        timestamp INTEGER,
        reason TEXT NOT NULL,
        headers BLOB NOT NULL,
        record_key BLOB,
        state TEXT,
        value BLOB
    ) STRICT;
    CREATE INDEX letters_key ON letters (handler, key, id);
    CREATE INDEX letters_held ON letters (handler, key, id) WHERE held > 0;
    CREATE INDEX letters_ordered ON letters (id) WHERE ordered = 1;
    CREATE INDEX letters_job ON letters (job, id) WHERE job IS NOT NULL;
    CREATE TABLE redrives (
        job INTEGER PRIMARY KEY,
        ordered INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        held INTEGER NOT NULL,
        already INTEGER NOT NULL,
        handled INTEGER NOT NULL DEFAULT 0,
        duplicates INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        cancelled INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE pauses (
        handler INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        by TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE recordings (
        number INTEGER PRIMARY KEY,
        handler INTEGER NOT NULL,
        committed INTEGER NOT NULL,
        lines BLOB NOT NULL
    ) STRICT;
    CREATE INDEX recordings_handler ON recordings (handler, number);
    CREATE TABLE file_names (
        handler INTEGER NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (handler, key, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX file_names_name ON file_names (name);
    CREATE TABLE unnamed_files (
        name TEXT PRIMARY KEY,
        since INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX unnamed_files_since ON unnamed_files (since);
";

/// Names are numbered, because they stand in every row. A state is found by row id when it is updated and by
/// (handler, key) when it is not in the cache. The outbox has one row per batch. `ledger` is the store's own row.
pub(super) const TABLES: &str = "
    CREATE TABLE ledger (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store TEXT NOT NULL,
        generation INTEGER NOT NULL,
        last_batch INTEGER NOT NULL,
        published INTEGER NOT NULL,
        next_row INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE handler (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY,
        handler INTEGER NOT NULL,
        key TEXT NOT NULL,
        revision INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX state_key ON state (handler, key);
    CREATE TABLE progress (
        handler INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        done BLOB NOT NULL,
        PRIMARY KEY (handler, topic, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE attempts (
        handler INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        record INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        due INTEGER NOT NULL,
        PRIMARY KEY (handler, topic, partition, record)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE answers (
        key TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        digest TEXT NOT NULL,
        status INTEGER NOT NULL,
        body TEXT,
        committed INTEGER NOT NULL,
        PRIMARY KEY (key, idempotency_key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX answers_age ON answers (committed);
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,
        committed INTEGER NOT NULL,
        records BLOB NOT NULL
    ) STRICT;
";

pub(super) const ADD_LEDGER: &str = "INSERT INTO ledger VALUES (1, ?1, 0, 0, 0, 1)";
pub(super) const OPEN_LEDGER: &str = "UPDATE ledger SET generation = generation + 1 RETURNING *";
pub(super) const SET_LEDGER: &str =
    "UPDATE ledger SET last_batch = ?1, published = ?2, claimed = ?3, next_row = ?4 WHERE one = 1 AND generation = ?5";

pub(super) const HANDLERS: &str = "SELECT name, id FROM handler";
pub(super) const ADD_HANDLER: &str = "INSERT INTO handler (name) VALUES (?1)";

pub(super) const STATE: &str = "SELECT id, revision, document, recent FROM state WHERE handler = ?1 AND key = ?2";
pub(super) const REVISION: &str = "SELECT id, revision FROM state WHERE handler = ?1 AND key = ?2";
pub(super) const ADD_STATE: &str = "INSERT INTO state (id, handler, key, revision, document, recent) VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT DO NOTHING";
pub(super) const SET_STATE: &str =
    "UPDATE state SET revision = revision + 1, document = ?3 WHERE id = ?1 AND revision = ?2";
pub(super) const DROP_STATE: &str = "DELETE FROM state WHERE id = ?1 AND revision = ?2";
pub(super) const SET_STATE_AND_RECENT: &str =
    "UPDATE state SET revision = revision + 1, document = ?3, recent = ?4 WHERE id = ?1 AND revision = ?2";
pub(super) const SET_RECENT: &str =
    "UPDATE state SET revision = revision + 1, recent = ?3 WHERE id = ?1 AND revision = ?2";
pub(super) const HAS_ROW: &str = "SELECT 1 FROM state WHERE id = ?1 AND revision = ?2";
/// Rows without a document: they are numbered downwards from -1.
pub(super) const ADD_RECENT: &str = "
    INSERT INTO state (id, handler, key, revision, document, recent, changed) VALUES (?1, ?2, ?3, 1, '', ?4, ?5)
    ON CONFLICT DO NOTHING";
pub(super) const SET_RECENT_ALONE: &str =
    "UPDATE state SET revision = revision + 1, recent = ?3, changed = ?4 WHERE id = ?1 AND revision = ?2";
pub(super) const GIVE_DOCUMENT: &str = "
    UPDATE state SET id = ?3, revision = revision + 1, document = ?4, recent = coalesce(?5, recent), changed = NULL
    WHERE id = ?1 AND revision = ?2";
pub(super) const TAKE_DOCUMENT: &str = "
    UPDATE state SET id = ?3, revision = revision + 1, document = '', recent = coalesce(?4, recent), changed = ?5
    WHERE id = ?1 AND revision = ?2 AND coalesce(?4, recent) IS NOT NULL";
pub(super) const DROP_RECENT: &str = "DELETE FROM state INDEXED BY state_recent WHERE id < 0 AND changed < ?1";

pub(super) const PROGRESS: &str = "SELECT topic, partition, done FROM progress WHERE handler = ?1";
pub(super) const PROGRESS_OF: &str = "SELECT done FROM progress WHERE handler = ?1 AND topic = ?2 AND partition = ?3";
pub(super) const SET_PROGRESS: &str = "
    INSERT INTO progress (handler, topic, partition, generation, epoch, done) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET generation = excluded.generation, epoch = excluded.epoch, done = excluded.done
    WHERE (excluded.generation, excluded.epoch) >= (progress.generation, progress.epoch)";

pub(super) const TOPIC_ID: &str = "SELECT id FROM topics WHERE handler = ?1 AND topic = ?2";
pub(super) const SET_TOPIC_ID: &str =
    "INSERT INTO topics VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET id = excluded.id";
pub(super) const FORGET_TOPIC_PROGRESS: &str = "DELETE FROM progress WHERE handler = ?1 AND topic = ?2";
pub(super) const FORGET_TOPIC_ATTEMPTS: &str = "DELETE FROM attempts WHERE handler = ?1 AND topic = ?2";

pub(super) const ATTEMPTS: &str =
    "SELECT record, failed, due FROM attempts WHERE handler = ?1 AND topic = ?2 AND partition = ?3 ORDER BY record";
pub(super) const SET_ATTEMPTS: &str = "
    INSERT INTO attempts (handler, topic, partition, record, failed, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET failed = excluded.failed, due = excluded.due";
pub(super) const DROP_ATTEMPTS: &str =
    "DELETE FROM attempts WHERE handler = ?1 AND topic = ?2 AND partition = ?3 AND record = ?4";

pub(super) const ANSWER: &str =
    "SELECT digest, status, body FROM answers WHERE key = ?1 AND idempotency_key = ?2 AND committed >= ?3";
pub(super) const ADD_ANSWER: &str = "INSERT INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
pub(super) const DROP_ANSWERS: &str = "DELETE FROM answers WHERE committed < ?1";

pub(super) const VERSIONS_OF: &str =
    "SELECT number, digest, bytes, stored, replaced FROM versions WHERE handler = ?1 ORDER BY number DESC";
pub(super) const ACTIVE: &str = "SELECT number, since FROM active WHERE handler = ?1";
pub(super) const COMPONENT: &str = "SELECT bytes FROM components WHERE digest = ?1";
pub(super) const ADD_COMPONENT: &str = "INSERT INTO components VALUES (?1, ?2) ON CONFLICT DO NOTHING";
pub(super) const ADD_VERSION: &str = "INSERT INTO versions VALUES (?1, ?2, ?3, ?4, ?5, NULL) ON CONFLICT DO NOTHING";
pub(super) const SET_ACTIVE: &str = "
    INSERT INTO active (handler, number, since) SELECT ?1, ?2, ?3 WHERE EXISTS
        (SELECT 1 FROM versions WHERE handler = ?1 AND number = ?2)
    ON CONFLICT DO UPDATE SET number = excluded.number, since = excluded.since";
pub(super) const SET_REPLACED: &str = "UPDATE versions SET replaced = ?3 WHERE handler = ?1 AND number = ?2";
/// Keeps the newest ?2 and the active one.
pub(super) const DROP_VERSIONS: &str = "
    DELETE FROM versions WHERE handler = ?1
        AND number NOT IN (SELECT number FROM versions WHERE handler = ?1 ORDER BY number DESC LIMIT ?2)
        AND number NOT IN (SELECT number FROM active WHERE handler = ?1)";
pub(super) const DROP_COMPONENTS: &str =
    "DELETE FROM components WHERE digest NOT IN (SELECT digest FROM versions) RETURNING digest";
pub(super) const ADD_ACTIVATION: &str = "
    INSERT INTO activations (handler, number, digest, at, by, action, outcome, detail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) const DROP_ACTIVATIONS: &str = "
    DELETE FROM activations WHERE handler = ?1
        AND id NOT IN (SELECT id FROM activations WHERE handler = ?1 ORDER BY id DESC LIMIT ?2)";
pub(super) const ACTIVATIONS: &str = "
    SELECT number, digest, at, by, action, outcome, detail FROM activations WHERE handler = ?1 ORDER BY id DESC LIMIT ?2";

pub(super) const RECORDINGS_BYTES: &str = "SELECT coalesce(sum(length(lines)), 0) FROM recordings WHERE handler = ?1";
pub(super) const RECORDING_SIZES: &str = "SELECT handler, number, length(lines) FROM recordings ORDER BY number";
pub(super) const ADD_RECORDINGS: &str =
    "INSERT INTO recordings (number, handler, committed, lines) VALUES (?1, ?2, ?3, ?4)";
pub(super) const DROP_RECORDINGS: &str = "DELETE FROM recordings WHERE handler = ?1 AND number <= ?2";
pub(super) const RECORDINGS: &str =
    "SELECT number, lines FROM recordings WHERE handler = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3";
pub(super) const RECORDING_BATCH: &str = "SELECT number, lines FROM recordings WHERE number = ?1";
pub(super) const SET_RECORDINGS: &str = "UPDATE recordings SET lines = ?3 WHERE number = ?1 AND lines = ?2";
pub(super) const DROP_RECORDING_BATCH: &str = "DELETE FROM recordings WHERE number = ?1 AND lines = ?2";

pub(super) const NAMES_OF: &str = "SELECT name FROM file_names WHERE handler = ?1 AND key = ?2";
pub(super) const ADD_NAME: &str = "INSERT INTO file_names VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
pub(super) const DROP_NAME: &str = "DELETE FROM file_names WHERE handler = ?1 AND key = ?2 AND name = ?3";
pub(super) const LIST_UNNAMED: &str = "
    INSERT INTO unnamed_files SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM file_names WHERE name = ?1)
    ON CONFLICT DO NOTHING";
pub(super) const UNLIST_UNNAMED: &str = "DELETE FROM unnamed_files WHERE name = ?1";
pub(super) const TAKE_UNNAMED: &str = "
    DELETE FROM unnamed_files WHERE name IN
        (SELECT name FROM unnamed_files WHERE since <= ?1 ORDER BY since, name LIMIT ?2)
    RETURNING name";
pub(super) const ALL_DOCUMENTS: &str = "SELECT handler, key, document FROM state WHERE id > 0";

pub(super) const OUTBOX: &str =
    "SELECT number, committed, length(records), records FROM outbox WHERE number > ?1 ORDER BY number";
pub(super) const OUTBOX_SIZES: &str = "SELECT number, length(records), committed FROM outbox ORDER BY number";
pub(super) const ADD_BATCH: &str = "INSERT INTO outbox (number, committed, records) VALUES (?1, ?2, ?3)";
pub(super) const MOVE_BATCH: &str = "UPDATE outbox SET number = ?2 WHERE number = ?1";
pub(super) const DROP_BATCHES: &str = "DELETE FROM outbox WHERE number <= ?1";

/// One that waits behind a key that is being redriven is redriven as well.
pub(super) const ADD_LETTER: &str = "
    INSERT INTO letters (handler, key, topic, partition, record, at, code, reason, version, digest, attempts, batch, bytes,
        timestamp, headers, record_key, state, value, held, ordered)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, CASE ?19 WHEN 2 THEN coalesce(
        (SELECT ordered FROM letters WHERE handler = ?1 AND key = ?2 AND held > 0 ORDER BY id LIMIT 1), 0) ELSE 0 END)";

/// What a filter means, by its first six parameters.
macro_rules! meant {
    () => {
        "(?1 IS NULL OR letters.id = ?1)
        AND (?2 IS NULL OR letters.handler = (SELECT id FROM handler WHERE name = ?2)) 
        AND (?3 IS NULL OR key = ?3 OR key IS NULL AND record_key = CAST(?3 AS BLOB))
        AND (?4 IS NULL OR code = ?4 OR code LIKE ?4 || '.%') AND (?5 IS NULL OR at >= ?5) AND (?6 IS NULL OR job = ?6)"
    };
}

pub(super) const LETTERS: &str = concat!(
    "SELECT letters.id, name, key, CASE WHEN key IS NULL THEN record_key END AS record_key, topic, partition, record, at, code, reason, version, digest, attempts, redriven, held, ordered
    FROM letters JOIN handler ON handler.id = letters.handler WHERE ",
    meant!(),
    " AND letters.id > ?7 ORDER BY letters.id LIMIT ?8"
);
pub(super) const LETTER: &str = "
    SELECT letters.*, name FROM letters JOIN handler ON handler.id = letters.handler WHERE letters.id = ?1";
pub(super) const LETTERS_SIZE: &str = "
    SELECT count(*), coalesce(sum(bytes) FILTER (WHERE held = 0), 0), coalesce(sum(bytes) FILTER (WHERE held > 0), 0)
    FROM letters";
pub(super) const OLDEST_LETTERS: &str =
    "SELECT id, bytes FROM letters WHERE batch <= ?1 AND held = 0 AND ordered = 0 ORDER BY id LIMIT ?2";
pub(super) const DROP_LETTER: &str = "DELETE FROM letters WHERE id = ?1 RETURNING bytes, held, job";
/// A letter that was redriven: one that is still to be, or is held.
/// Of a held key only the first letter: none overtakes another.
pub(super) const DONE_LETTER: &str = "
    DELETE FROM letters WHERE id = ?1 AND (held = 0 AND ordered = 1 OR held > 0 AND NOT EXISTS (SELECT 1 FROM letters e
        WHERE e.handler = letters.handler AND e.key = letters.key AND e.held > 0 AND e.id < letters.id))
    RETURNING bytes, held, job";
pub(super) const DROP_LETTERS: &str = concat!(
    "DELETE FROM letters WHERE ",
    meant!(),
    " AND held = 0 AND ordered = 0 RETURNING bytes, held"
);
pub(super) const DROP_HELD_LETTERS: &str = concat!(
    "DELETE FROM letters WHERE ",
    meant!(),
    " AND held > 0 RETURNING bytes, held"
);
pub(super) const ORDER_OF: &str = "SELECT job FROM letters WHERE id = ?1 AND ordered = 1 AND held = 0";
pub(super) const CANCEL_LETTER: &str =
    "UPDATE letters SET ordered = 0, job = NULL WHERE id = ?1 AND ordered = 1 AND held = 0";
pub(super) const NEXT_ORDER: &str = "SELECT max(?1, ifnull(max(job) + 1, 0)) FROM redrives";
pub(super) const ADD_ORDER: &str =
    "INSERT INTO redrives (job, ordered, refused, held, already) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const DROP_ORDERS: &str = "
    DELETE FROM redrives WHERE job <= (SELECT job FROM redrives ORDER BY job DESC LIMIT 1 OFFSET ?1)
        AND ordered <= handled + duplicates + failed + cancelled";
pub(super) const ORDER_RESULT: &str = "
    SELECT ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives WHERE job = ?1";
pub(super) const COUNT_ORDER: &str = "
    UPDATE redrives SET handled = handled + ?2, duplicates = duplicates + ?3, failed = failed + ?4,
        cancelled = cancelled + ?5 WHERE job = ?1";
pub(super) const MOVE_LETTERS: &str = "UPDATE letters SET batch = ?2 WHERE batch = ?1";
pub(super) const ORDER_LETTERS: &str = concat!(
    "UPDATE letters SET ordered = 1, job = ?8, through = ?9 WHERE ",
    meant!(),
    " AND held = 0 AND ordered = 0 AND redriven < ?7"
);
pub(super) const NOT_HELD_COUNT: &str = concat!("SELECT count(*) FROM letters WHERE ", meant!(), " AND held = 0");
pub(super) const ORDERED_ALREADY: &str = concat!(
    "SELECT count(*) FROM letters WHERE ",
    meant!(),
    " AND held = 0 AND ordered = 1"
);
pub(super) const HELD_COUNT: &str = concat!("SELECT count(*) FROM letters WHERE ", meant!(), " AND held > 0");
pub(super) const ORDERED_LETTERS: &str = "
    SELECT letters.id, name, through FROM letters JOIN handler ON handler.id = letters.handler
    WHERE ordered = 1 AND held = 0 ORDER BY letters.id LIMIT ?1";
pub(super) const LETTER_TEXTS: &str = "
    SELECT octet_length(reason) + coalesce(octet_length(state), 0), held, job FROM letters WHERE id = ?1";
pub(super) const FAIL_LETTER: &str = "
    UPDATE letters SET at = ?2, code = ?3, reason = ?4, version = ?5, digest = ?6, attempts = ?7, state = ?8,
        bytes = bytes + ?9, redriven = redriven + 1, ordered = 0, held = CASE WHEN held > 0 THEN 1 ELSE 0 END
    WHERE id = ?1";
/// Those that wait behind the letter are not to be redriven any more.
pub(super) const STALL_KEY: &str = "
    UPDATE letters SET ordered = 0 WHERE held > 0 AND (handler, key) = (SELECT handler, key FROM letters WHERE id = ?1 AND held > 0)";
pub(super) const RELEASE: &str = "UPDATE letters SET ordered = 1 WHERE handler = ?1 AND key = ?2 AND held > 0";
pub(super) const HELD_LETTERS: &str = "
    SELECT id FROM letters WHERE handler = (SELECT id FROM handler WHERE name = ?1) AND key = ?2 AND held > 0
    ORDER BY id LIMIT ?3";
/// A key whose first letter only waits is being redriven: the one that held it is done.
pub(super) const HELD_KEYS: &str = "
    SELECT name, key, count(*), sum(bytes), max(letters.id = first AND (ordered = 1 OR held = 2)) FROM letters
    JOIN (SELECT handler AS of, key AS known, min(id) AS first FROM letters WHERE held > 0 GROUP BY handler, key)
        ON of = letters.handler AND known = key
    JOIN handler ON handler.id = letters.handler WHERE held > 0 GROUP BY letters.handler, key ORDER BY name, key";

pub(super) const PAUSES: &str = "
    SELECT name, at, by, reason FROM pauses JOIN handler ON handler.id = pauses.handler ORDER BY name";
pub(super) const SET_PAUSE: &str =
    "INSERT INTO pauses VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET reason = excluded.reason";
pub(super) const DROP_PAUSE: &str = "DELETE FROM pauses WHERE handler = ?1";

/// A letter whose record is in the outbox will never be on Kafka then; it may go as the others do.
pub(super) const FORGET: &str = "DELETE FROM progress; DELETE FROM topics; DELETE FROM attempts; DELETE FROM outbox;
    UPDATE letters SET batch = 0;";

/// Bytes of a page, fixed when the file is made. A changed state puts its whole page into the log: by `examples/store.rs`
/// 16 KiB cost twice as much CPU in commits of 200 events; 2 and 8 KiB cost the same.
const PAGE: u32 = 4096;

/// Settings that the file keeps. Before the tables are made, for a page size changes only while the file is empty.
pub(super) fn shape_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE)
}

/// Settings of the connection that writes.
pub(super) fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    // A commit is on the disk when it returns; NORMAL loses the newest ones when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS only the full barrier reaches the disk; no effect elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // KiB, negative by SQLite's convention: the pages of a large commit and the states that change most.
    connection.pragma_update(None, "cache_size", -65_536)?;
    // Pages in the log before it is written back into the file: a page that changed in many commits is written back
    // once. 64 MiB of log, a quarter less CPU than with SQLite's own 1,000 pages.
    connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
    // The log keeps its space for reuse, but gives back what a backlog made it grow beyond.
    connection.pragma_update(None, "journal_size_limit", 128 << 20)
}

/// Settings of a connection that reads.
pub(super) fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // A reader forgets its pages at every commit of the writer, so a large cache would only be filled again and again.
    connection.pragma_update(None, "cache_size", -1_024)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // A backup may hold the file for a moment; longer than this the committer had better say so.
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    // No mapped memory: a failing disk must be an error, not a SIGBUS.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The file is data: nothing in its schema may call functions.
    connection.pragma_update(None, "trusted_schema", false)
}
