//! The tables, the settings of a connection, and every statement.

mod settings;
mod tables;

pub(super) use settings::{set_up_reader, set_up_writer, shape_file};
pub(super) use tables::{APPLICATION_ID, STEPS, TABLES, VERSION};

pub(super) const ADD_LEDGER: &str = "INSERT INTO ledger VALUES (1, ?1, 0, 0, 0, 1)";
pub(super) const OPEN_LEDGER: &str = "UPDATE ledger SET generation = generation + 1 RETURNING *";
pub(super) const SET_LEDGER: &str =
    "UPDATE ledger SET last_batch = ?1, published = ?2, claimed = ?3, next_row = ?4 WHERE one = 1 AND generation = ?5";

pub(super) const DROP_SKIPPED: &str = "DELETE FROM skipped WHERE through <= ?1";
pub(super) const EXTEND_SKIPPED: &str = "UPDATE skipped SET through = ?2 WHERE through = ?1";
pub(super) const ADD_SKIPPED: &str = "INSERT INTO skipped (after, through) VALUES (?1, ?2)";
pub(super) const SKIPPED: &str = "SELECT after FROM skipped WHERE after < ?1 AND through >= ?1";
pub(super) const FORGET_SKIPPED: &str = "DELETE FROM skipped";

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
/// Rows without a document have ids downwards from -1.
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

/// A letter that waits behind a key that is being redriven is redriven as well.
pub(super) const ADD_LETTER: &str = "
    INSERT INTO letters (handler, key, topic, partition, record, at, code, reason, version, digest, attempts, batch, bytes,
        timestamp, headers, record_key, state, value, held, ordered)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, CASE ?19 WHEN 2 THEN coalesce(
        (SELECT ordered FROM letters WHERE handler = ?1 AND key = ?2 AND held > 0 ORDER BY id LIMIT 1), 0) ELSE 0 END)";

/// The condition of a filter, with its first six parameters.
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
/// A letter that was redriven: it is still ordered, or is held. For a held key only the first letter, so that none
/// overtakes another.
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
/// The letters that wait behind this one are no longer to be redriven.
pub(super) const STALL_KEY: &str = "
    UPDATE letters SET ordered = 0 WHERE held > 0 AND (handler, key) = (SELECT handler, key FROM letters WHERE id = ?1 AND held > 0)";
pub(super) const RELEASE: &str = "UPDATE letters SET ordered = 1 WHERE handler = ?1 AND key = ?2 AND held > 0";
pub(super) const HELD_LETTERS: &str = "
    SELECT id FROM letters WHERE handler = (SELECT id FROM handler WHERE name = ?1) AND key = ?2 AND held > 0
    ORDER BY id LIMIT ?3";
/// A key whose first letter only waits is being redriven: the letter that held it is done.
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

/// Is there as long as a move into the file has not come to its end, and says how far it has.
pub(super) const HAS_MOVE_MARK: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'move_mark')";
pub(super) const MAKE_MOVE_MARK: &str = "
    CREATE TABLE move_mark (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        source TEXT NOT NULL,
        table_number INTEGER NOT NULL,
        copied INTEGER NOT NULL
    ) STRICT";
pub(super) const ADD_MOVE_MARK: &str = "INSERT INTO move_mark VALUES (1, ?1, 0, 0)";
pub(super) const MOVE_MARK: &str = "SELECT source, table_number, copied FROM move_mark";
pub(super) const SET_MOVE_MARK: &str =
    "UPDATE move_mark SET table_number = ?3, copied = ?4 WHERE table_number = ?1 AND copied = ?2";
pub(super) const END_MOVE: &str = "
    UPDATE ledger SET next_row = (SELECT coalesce(max(abs(id)), 0) + 1 FROM state);
    DROP TABLE move_mark";

/// A letter whose record is in the outbox will never be in Kafka then; it may be dropped like the others.
pub(super) const FORGET: &str = "DELETE FROM progress; DELETE FROM topics; DELETE FROM attempts; DELETE FROM outbox;
    DELETE FROM skipped; UPDATE letters SET batch = 0;";
