//! The tables, and the way from those of each version to the next.

/// Marks the file as ours in its header: "Sndm".
pub(in super::super) const APPLICATION_ID: i32 = 0x536e_646d;

/// Version of the tables; a file with a higher one is refused, one with a lower one is brought up to it.
pub(in super::super) const VERSION: i32 = 5;

/// The migrations from each version to the next, beginning with 1. A new file goes through all of them, so that an old
/// one ends up the same.
pub(in super::super) const STEPS: &[&str] = &[SINCE_2, SINCE_3, SINCE_4, SINCE_5];

/// Since 2: whether the relay's cursor has ever named the store, and the versions of handlers. A component's bytes are
/// stored once, however many versions have them; `replaced` is the version that a deploy replaced by this one, the
/// target of a rollback. `active` has a row for each handler that was ever active.
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

/// Since 3: the topics to which the progress of a handler belongs, by the ids that Kafka gave them. A topic without a
/// row was not read yet, or last read by an older version: the first id that is seen is stored for it.
const SINCE_3: &str = "
    CREATE TABLE topics (
        handler INTEGER NOT NULL,
        topic TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (handler, topic)
    ) STRICT, WITHOUT ROWID;
";

/// Since 4: the recent events of a key, as hashes, in the row of its state. A key with recent events but no state has a
/// row with a negative id, and the time of its last change.
///
/// Dead letters: `batch` is the outbox batch with a letter's record for Kafka: a letter may be dropped once it is
/// published and the letters exceed their limit. A letter with `held` 1 holds its key, those with 2 wait behind it;
/// none of them is dropped automatically. `ordered` marks those that are to be redriven, `job` is their order,
/// `through` the version to run them on (null: the active one). `redrives` has the results of the last orders. Long
/// columns come last, so that a list need not read them.
///
/// Recordings: a row has the invocations of one handler in one commit, one line of JSON each; the oldest rows of a
/// handler are dropped when they exceed the bytes that it may keep.
///
/// Uploaded files: `file_names` has each file that a state names, `unnamed_files` each other file that is, or may be,
/// stored. In a store of an older version the states are read once to find the names in them.
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

/// Since 5: the numbers of batches that a start has skipped, after the first up to the second.
const SINCE_5: &str = "
    CREATE TABLE skipped (
        after INTEGER PRIMARY KEY,
        through INTEGER NOT NULL
    ) STRICT;
";

/// Handlers have ids, because every row refers to one. A state is found by row id when it is updated and by (handler,
/// key) when it is not in the cache. The outbox has one row per batch. `ledger` is the store's own row.
pub(in super::super) const TABLES: &str = "
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
