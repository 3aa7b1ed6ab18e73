//! All statements; the tables are in a module of their own.

mod placed;
mod tables;

pub(super) use placed::{ADD_BATCHES, ADD_BATCHES_AT, SET_PROGRESS, SET_PROGRESS_AT, SET_PUBLISHED, SET_PUBLISHED_AT};
pub(super) use tables::{STEPS, VERSION};

pub(super) const HANDLER: &str = "SELECT id FROM handlers WHERE name = $1";
pub(super) const HANDLERS: &str = "SELECT name FROM handlers ORDER BY name";
pub(super) const ADD_HANDLER: &str = "INSERT INTO handlers (name) VALUES ($1) ON CONFLICT DO NOTHING";

/// The held letters of the key are read with its state, from the same snapshot.
pub(super) const STATE: &str = "
    SELECT s.id, s.revision, s.document, s.recent, s.since, h.count, h.bytes, h.released
    FROM state s CROSS JOIN LATERAL (
        SELECT count(*) AS count, coalesce(sum(l.bytes), 0)::bigint AS bytes,
            coalesce((array_agg(l.ordered OR l.held = 2 ORDER BY l.id))[1], false) AS released
        FROM letters l WHERE l.handler = $1 AND l.key = $2 AND l.held > 0) AS h
    WHERE s.handler = $1 AND s.key = $2";
/// A key with held letters has a row, even if that has no document.
pub(super) const REVISE_STATE: &str =
    "UPDATE state SET revision = revision + 1, changed = $3 WHERE handler = $1 AND key = $2";
pub(super) const ADD_HELD_STATES: &str = "
    INSERT INTO state (handler, key, revision, bare, changed, since)
    SELECT DISTINCT handler, key, 1, true, at, 0 FROM letters WHERE held > 0 ON CONFLICT DO NOTHING";
/// Always in the same order, to avoid deadlocks.
pub(super) const LOCK_WRITTEN: &str =
    "SELECT id, revision, ctid::text FROM state WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE";
pub(super) const LOCK_READ: &str = "SELECT id, revision FROM state WHERE id = ANY($1::bigint[]) ORDER BY id FOR SHARE";
pub(super) const LOOK_READ: &str = "SELECT id, revision FROM state WHERE id = ANY($1::bigint[])";
pub(super) const FOUND: &str = "
    SELECT s.handler, s.key FROM unnest($1::integer[], $2::bytea[]) AS u (handler, key)
    JOIN state s ON s.handler = u.handler AND s.key = u.key";
/// At the places where [`LOCK_WRITTEN`] has found the rows, which its lock keeps there. The parameter `what`: 0 keeps the
/// document, 1 writes it, 2 deletes it.
pub(super) const SET_STATES: &str = "
    UPDATE state s SET
        revision = s.revision + 1,
        document = CASE u.what WHEN 0 THEN s.document WHEN 1 THEN u.document END,
        recent = CASE WHEN u.remember THEN u.recent ELSE s.recent END,
        bare = (u.what = 2 OR u.what = 0 AND s.document IS NULL),
        changed = $6,
        since = greatest(s.since, u.since)
    FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::boolean[], $5::bytea[], $7::bigint[], $8::text[]::tid[])
        AS u (id, what, document, remember, recent, since, place)
    WHERE s.ctid = u.place AND s.id + 0 = u.id";
pub(super) const DROP_EMPTY: &str =
    "DELETE FROM state s WHERE id = ANY($1::bigint[]) AND document IS NULL AND recent IS NULL
        AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.handler = s.handler AND l.key = s.key AND l.held > 0)
    RETURNING id";
pub(super) const ADD_STATES: &str = "
    INSERT INTO state (handler, key, revision, document, recent, bare, changed, since)
    SELECT handler, key, 1, document, recent, document IS NULL, $5, since
    FROM unnest($1::integer[], $2::bytea[], $3::text[], $4::bytea[], $6::bigint[])
        AS u (handler, key, document, recent, since)
    ON CONFLICT DO NOTHING RETURNING id, handler, key";
pub(super) const DROP_BARE: &str = "
    DELETE FROM state WHERE id IN
        (SELECT id FROM state s WHERE bare AND changed < $1
            AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.handler = s.handler AND l.key = s.key AND l.held > 0)
        LIMIT 1000 FOR UPDATE SKIP LOCKED)";

pub(super) const PROGRESS: &str = "SELECT topic, partition, done FROM progress WHERE handler = $1 AND done IS NOT NULL";
pub(super) const ASSIGN: &str = "
    INSERT INTO progress (handler, topic, partition, epoch) VALUES ($1, $2, $3, 1)
    ON CONFLICT (handler, topic, partition) DO UPDATE SET epoch = progress.epoch + 1
    RETURNING epoch, done";

pub(super) const TOPIC_ID: &str = "SELECT id FROM topics WHERE handler = $1 AND topic = $2";
pub(super) const SET_TOPIC_ID: &str =
    "INSERT INTO topics VALUES ($1, $2, $3) ON CONFLICT (handler, topic) DO UPDATE SET id = excluded.id";
pub(super) const FORGET_TOPIC_PROGRESS: &str =
    "UPDATE progress SET done = NULL, epoch = epoch + 1 WHERE handler = $1 AND topic = $2";
pub(super) const FORGET_TOPIC_ATTEMPTS: &str = "DELETE FROM attempts WHERE handler = $1 AND topic = $2";

pub(super) const ATTEMPTS: &str = "
    SELECT record, failed, due FROM attempts WHERE handler = $1 AND topic = $2 AND partition = $3 ORDER BY record";
pub(super) const SET_ATTEMPTS: &str = "
    INSERT INTO attempts (handler, topic, partition, record, failed, due)
    SELECT * FROM unnest($1::integer[], $2::text[], $3::integer[], $4::bigint[], $5::integer[], $6::bigint[])
    ON CONFLICT (handler, topic, partition, record) DO UPDATE SET failed = excluded.failed, due = excluded.due";
pub(super) const DROP_ATTEMPTS: &str = "
    DELETE FROM attempts a
    USING unnest($1::integer[], $2::text[], $3::integer[], $4::bigint[]) AS u (handler, topic, partition, record)
    WHERE a.handler = u.handler AND a.topic = u.topic AND a.partition = u.partition AND a.record = u.record";

pub(super) const ANSWER: &str = "
    SELECT digest, status, body FROM answers WHERE key = $1 AND idempotency_key = $2 AND committed >= $3";
pub(super) const ADD_ANSWERS: &str = "
    INSERT INTO answers (key, idempotency_key, digest, status, body, committed)
    SELECT u.*, $6 FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::integer[], $5::text[]) AS u
    ON CONFLICT DO NOTHING RETURNING key, idempotency_key";
pub(super) const DROP_ANSWERS: &str = "
    DELETE FROM answers WHERE (key, idempotency_key) IN
        (SELECT key, idempotency_key FROM answers WHERE committed < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)";

/// The locks are taken one after the other, in the order of the array.
pub(super) const LOCK_SHARDS: &str = "
    SELECT pg_advisory_xact_lock($1, shard)
    FROM (SELECT shard FROM unnest($2::integer[]) WITH ORDINALITY AS u (shard, n) ORDER BY n) AS ordered";
pub(super) const OUTBOX: &str = "
    SELECT number, committed, bytes, records FROM (
        SELECT number, committed, octet_length(records)::bigint AS bytes, records,
            (sum(octet_length(records)) OVER (ORDER BY number))::bigint AS total,
            row_number() OVER (ORDER BY number) AS n
        FROM (SELECT * FROM outbox WHERE shard = $1
            AND number > greatest($2, (SELECT published FROM relays WHERE shard = $1)) ORDER BY number LIMIT 500) AS next
    ) AS counted WHERE n = 1 OR total <= $3 ORDER BY number";
pub(super) const OUTBOX_SIZE: &str = "
    SELECT s.last, r.published, r.claimed, count(o.number), coalesce(sum(octet_length(o.records)), 0)::bigint,
        min(o.committed)
    FROM shards s JOIN relays r USING (shard) LEFT JOIN outbox o ON o.shard = s.shard AND o.number > r.published
    WHERE s.shard = $1 GROUP BY s.last, r.published, r.claimed";
pub(super) const BACKLOG: &str = "
    SELECT (SELECT max(last) FROM shards), max(r.published), bool_and(r.claimed), coalesce(sum(w.batches), 0)::bigint,
        coalesce(sum(w.bytes), 0)::bigint, min(w.oldest)
    FROM relays r LEFT JOIN LATERAL (
        SELECT count(*) AS batches, sum(octet_length(records)) AS bytes, min(committed) AS oldest
        FROM outbox o WHERE o.shard = r.shard AND o.number > r.published) AS w ON true";
/// The table for new batches, and its size.
pub(super) const OUTBOX_SLOT: &str =
    "SELECT slot, pg_total_relation_size(format('outbox_%s', slot)::regclass) FROM outbox_slot";
pub(super) const SLOT_WAITS: &str = "
    SELECT EXISTS (SELECT 1 FROM outbox o JOIN relays r USING (shard) WHERE o.slot = $1 AND o.number > r.published)";
pub(super) const SET_SLOT: &str = "UPDATE outbox_slot SET slot = $1";
pub(super) const CLAIMED: &str = "UPDATE relays SET claimed = true WHERE shard = $1";
pub(super) const RAISE_LAST: &str = "UPDATE shards SET last = greatest(last, $2) WHERE shard = $1 RETURNING last";
pub(super) const RAISE_PUBLISHED: &str =
    "UPDATE relays SET published = greatest(published, $2) WHERE shard = $1 RETURNING published";
pub(super) const PUBLISHED: &str = "SELECT published FROM relays WHERE shard = $1";
pub(super) const WAITING: &str = "SELECT number FROM outbox WHERE shard = $1 AND number > $2 ORDER BY number";
/// The parameter of those that skip: how many numbers.
pub(super) const DROP_SKIPPED: &str =
    "DELETE FROM skipped k USING relays r WHERE k.shard = r.shard AND k.through <= r.published";
pub(super) const EXTEND_SKIPPED: &str = "
    UPDATE skipped k SET through = k.through + $1 FROM shards s WHERE k.shard = s.shard AND k.through = s.last";
pub(super) const ADD_SKIPPED: &str = "
    INSERT INTO skipped (shard, after, through) SELECT s.shard, s.last, s.last + $1 FROM shards s
    WHERE NOT EXISTS (SELECT 1 FROM skipped k WHERE k.shard = s.shard AND k.through = s.last + $1)";
pub(super) const SKIP: &str = "UPDATE shards SET last = last + $1";
pub(super) const SKIPPED: &str = "SELECT after FROM skipped WHERE shard = $1 AND after < $2 AND through >= $2";
pub(super) const FORGET_SKIPPED: &str = "DELETE FROM skipped WHERE shard = $1";
pub(super) const MOVE_BATCH: &str = "UPDATE outbox SET number = $3 WHERE shard = $1 AND number = $2";

/// `batch` is the batch of the shard with the letter's record for Kafka: a letter may be dropped once it is published.
/// A letter that waits behind a key that is being redriven is redriven as well.
pub(super) const ADD_LETTER: &str = "
    INSERT INTO letters (handler, key, topic, partition, record, at, code, reason, version, digest, attempts, shard, batch,
        bytes, timestamp, headers, record_key, state, value, held, ordered)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20::integer,
        $20 = 2 AND coalesce(
            (SELECT ordered FROM letters WHERE handler = $1 AND key = $2 AND held > 0 ORDER BY id LIMIT 1), false))";
/// Drops the oldest letters that may be dropped, as many as necessary for the rest to be within the limit.
pub(super) const SHRINK_LETTERS: &str = "
    DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE id IN (
        SELECT id FROM (
            SELECT l.id, sum(l.bytes) OVER (ORDER BY l.id) - l.bytes AS before
            FROM letters l JOIN relays r USING (shard)
            WHERE l.batch <= r.published AND l.held = 0 AND NOT l.ordered) AS free
        WHERE before < (SELECT coalesce(sum(bytes), 0) FROM letters WHERE held = 0) - $1::bigint)
    ORDER BY id FOR UPDATE SKIP LOCKED)";

/// The condition of a filter, with its first six parameters.
macro_rules! meant {
    () => {
        "($1::bigint IS NULL OR l.id = $1)
        AND ($2::text IS NULL OR l.handler = (SELECT id FROM handlers WHERE name = $2))
        AND ($3::bytea IS NULL OR l.key = $3 OR l.key IS NULL AND l.record_key = $3)
        AND ($4::text IS NULL OR l.code = $4 OR starts_with(l.code, $4 || '.'))
        AND ($5::bigint IS NULL OR l.at >= $5) AND ($6::bigint IS NULL OR l.job = $6)"
    };
}

pub(super) const LETTERS: &str = concat!(
    "SELECT l.id, h.name, l.key, CASE WHEN l.key IS NULL THEN l.record_key END AS record_key, l.topic, l.partition, l.record, l.at, l.code, l.reason, l.version, l.digest, l.attempts,
        l.redriven, l.held, l.ordered
    FROM letters l JOIN handlers h ON h.id = l.handler WHERE ",
    meant!(),
    " AND l.id > $7 ORDER BY l.id LIMIT $8"
);
pub(super) const LETTER: &str = "SELECT l.*, h.name FROM letters l JOIN handlers h ON h.id = l.handler WHERE l.id = $1";
pub(super) const LETTERS_SIZE: &str = "
    SELECT count(*), coalesce(sum(bytes) FILTER (WHERE held = 0), 0)::bigint,
        coalesce(sum(bytes) FILTER (WHERE held > 0), 0)::bigint FROM letters";
pub(super) const MOVE_LETTERS: &str = "UPDATE letters SET batch = $3 WHERE shard = $1 AND batch = $2";
/// A letter that was redriven: it is still ordered, or is the first held letter of its key.
macro_rules! redriven {
    () => {
        " WHERE id = $1 AND (held = 0 AND ordered OR held > 0 AND NOT EXISTS (SELECT 1 FROM letters e
            WHERE e.handler = letters.handler AND e.key = letters.key AND e.held > 0 AND e.id < letters.id))"
    };
}

pub(super) const DONE_LETTER: &str = concat!("DELETE FROM letters", redriven!(), " RETURNING job");
pub(super) const DROP_LETTERS: &str = concat!(
    "DELETE FROM letters l WHERE ",
    meant!(),
    " AND l.held = 0 AND NOT l.ordered"
);
pub(super) const DROP_HELD_LETTERS: &str = concat!("DELETE FROM letters l WHERE ", meant!(), " AND l.held > 0");
pub(super) const CANCEL_LETTERS: &str = "
    WITH named AS (SELECT id, job FROM letters WHERE id = ANY($1::bigint[]) AND ordered AND held = 0 FOR UPDATE),
    gone AS (UPDATE letters l SET ordered = false, job = NULL FROM named WHERE l.id = named.id RETURNING named.job),
    told AS (UPDATE redrives r SET cancelled = r.cancelled + counted.n
        FROM (SELECT job, count(*) AS n FROM gone GROUP BY job) AS counted WHERE r.job = counted.job)
    SELECT count(*) FROM gone";
pub(super) const LOCK_ORDERS: &str = "SELECT pg_advisory_xact_lock($1, -3)";
pub(super) const NEXT_ORDER: &str = "SELECT greatest($1::bigint, max(job) + 1) FROM redrives";
pub(super) const ADD_ORDER: &str =
    "INSERT INTO redrives (job, ordered, refused, held, already) VALUES ($1, $2, $3, $4, $5)";
pub(super) const DROP_ORDERS: &str = "
    DELETE FROM redrives WHERE job <= (SELECT job FROM redrives ORDER BY job DESC LIMIT 1 OFFSET $1)
        AND ordered <= handled + duplicates + failed + cancelled";
pub(super) const ORDER_RESULT: &str = "
    SELECT ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives WHERE job = $1";
pub(super) const COUNT_ORDER: &str = "
    UPDATE redrives SET handled = handled + $2, duplicates = duplicates + $3, failed = failed + $4 WHERE job = $1";
pub(super) const ORDER_LETTERS: &str = concat!(
    "UPDATE letters l SET ordered = true, job = $8, through = $9 WHERE ",
    meant!(),
    " AND l.held = 0 AND NOT l.ordered AND l.redriven < $7::bigint"
);
pub(super) const LEFT_OUT: &str = concat!(
    "SELECT count(*) FILTER (WHERE l.held = 0 AND NOT l.ordered AND l.redriven >= $7::bigint),
        count(*) FILTER (WHERE l.held > 0), count(*) FILTER (WHERE l.held = 0 AND l.ordered) FROM letters l WHERE ",
    meant!()
);
pub(super) const ORDERED_LETTERS: &str = "
    SELECT l.id, h.name, l.through FROM letters l JOIN handlers h ON h.id = l.handler
    WHERE l.ordered AND l.held = 0 ORDER BY l.id LIMIT $1";
pub(super) const FAIL_LETTER: &str = concat!(
    "UPDATE letters SET at = $2, code = $3, reason = $4, version = $5, digest = $6, attempts = $7, state = $8,
        bytes = bytes + $9 - octet_length(reason) - coalesce(octet_length(state), 0), redriven = redriven + 1,
        ordered = false, held = CASE WHEN held > 0 THEN 1 ELSE 0 END",
    redriven!(),
    " RETURNING job"
);
/// The letters that wait behind this one are no longer to be redriven.
pub(super) const STALL_KEY: &str = "
    UPDATE letters SET ordered = false
    WHERE held > 0 AND (handler, key) = (SELECT handler, key FROM letters WHERE id = $1 AND held > 0)";
pub(super) const RELEASE_KEY: &str = "UPDATE letters SET ordered = true WHERE handler = $1 AND key = $2 AND held > 0";
/// Only for a key that is not released: if another host has released it in the meantime, its first letter is in progress.
pub(super) const DROP_HEAD: &str = "
    DELETE FROM letters WHERE held = 1 AND NOT ordered
        AND id = (SELECT min(id) FROM letters WHERE handler = $1 AND key = $2 AND held > 0)";
pub(super) const HELD_LETTERS: &str = "
    SELECT id FROM letters WHERE handler = (SELECT id FROM handlers WHERE name = $1) AND key = $2 AND held > 0
    ORDER BY id LIMIT $3";
/// A key whose first letter only waits is being redriven: the letter that held it is done.
pub(super) const HELD_KEYS: &str = "
    SELECT h.name, l.key, count(*), sum(l.bytes)::bigint, bool_or(l.id = f.first AND (l.ordered OR l.held = 2))
    FROM letters l
    JOIN (SELECT handler, key, min(id) AS first FROM letters WHERE held > 0 GROUP BY handler, key) AS f
        ON f.handler = l.handler AND f.key = l.key
    JOIN handlers h ON h.id = l.handler WHERE l.held > 0 GROUP BY h.name, l.key ORDER BY h.name, l.key";

pub(super) const PAUSES: &str =
    "SELECT h.name, p.at, p.by, p.reason FROM pauses p JOIN handlers h ON h.id = p.handler ORDER BY h.name";
pub(super) const SET_PAUSE: &str =
    "INSERT INTO pauses VALUES ($1, $2, $3, $4) ON CONFLICT (handler) DO UPDATE SET reason = excluded.reason";
pub(super) const DROP_PAUSE: &str = "DELETE FROM pauses WHERE handler = $1";

pub(super) const ADD_RECORDINGS: &str = "INSERT INTO recordings (handler, committed, lines) VALUES ($1, $2, $3)";
/// Keeps the newest batches of a handler up to a limit of bytes, at least one, and drops the others. Returns the bytes
/// before, and those that were dropped.
pub(super) const SHRINK_RECORDINGS: &str = "
    WITH counted AS (
        SELECT number, octet_length(lines) AS bytes, row_number() OVER newest AS n,
            sum(octet_length(lines)) OVER newest AS total
        FROM recordings WHERE handler = $1 WINDOW newest AS (ORDER BY number DESC)),
    gone AS (
        DELETE FROM recordings WHERE number IN (SELECT number FROM recordings WHERE number IN (
            SELECT number FROM counted WHERE n > 1 AND total > $2::bigint)
        ORDER BY number FOR UPDATE SKIP LOCKED)
        RETURNING octet_length(lines) AS bytes)
    SELECT (SELECT coalesce(sum(bytes), 0) FROM counted)::bigint, (SELECT coalesce(sum(bytes), 0) FROM gone)::bigint";
pub(super) const RECORDINGS_BYTES: &str = "
    SELECT coalesce(sum(octet_length(lines)), 0)::bigint FROM recordings
    WHERE handler = (SELECT id FROM handlers WHERE name = $1)";
pub(super) const RECORDINGS: &str = "
    SELECT number, lines FROM recordings
    WHERE handler = (SELECT id FROM handlers WHERE name = $1) AND number < $2 ORDER BY number DESC LIMIT $3";
pub(super) const RECORDING_BATCH: &str = "SELECT number, lines FROM recordings WHERE number = $1";
pub(super) const SET_RECORDINGS: &str = "UPDATE recordings SET lines = $3 WHERE number = $1 AND lines = $2";
pub(super) const DROP_RECORDING_BATCH: &str = "DELETE FROM recordings WHERE number = $1 AND lines = $2";

/// A name that one host removes while another adds it would be lost: transactions that change names wait for each other.
pub(super) const LOCK_FILES: &str = "SELECT pg_advisory_xact_lock($1, -2)";
pub(super) const NAMES_OF: &str = "SELECT name FROM file_names WHERE handler = $1 AND key = $2";
pub(super) const ADD_NAMES: &str = "INSERT INTO file_names SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING";
pub(super) const DROP_NAMES: &str = "DELETE FROM file_names WHERE handler = $1 AND key = $2 AND name = ANY($3::text[])";
pub(super) const UNLIST_UNNAMED: &str = "DELETE FROM unnamed_files WHERE name = ANY($1::text[])";
pub(super) const LIST_UNNAMED: &str = "
    INSERT INTO unnamed_files SELECT u.name, $2 FROM (SELECT DISTINCT unnest($1::text[])) AS u (name)
    WHERE NOT EXISTS (SELECT 1 FROM file_names f WHERE f.name = u.name) ON CONFLICT DO NOTHING";
pub(super) const TAKE_UNNAMED: &str = "
    DELETE FROM unnamed_files WHERE name IN
        (SELECT name FROM unnamed_files WHERE since <= $1 ORDER BY since, name LIMIT $2)
    RETURNING name";

/// Is there as long as a move into the schema has not come to its end, and says how far it has.
pub(super) const HAS_MOVE_MARK: &str = "SELECT to_regclass('move_mark') IS NOT NULL";
pub(super) const MAKE_MOVE_MARK: &str = "
    CREATE TABLE move_mark (
        one boolean PRIMARY KEY CHECK (one),
        source text NOT NULL,
        table_number bigint NOT NULL,
        copied bigint NOT NULL
    )";
pub(super) const ADD_MOVE_MARK: &str = "INSERT INTO move_mark VALUES (true, $1, 0, 0)";
pub(super) const MOVE_MARK: &str = "SELECT source, table_number, copied FROM move_mark";
pub(super) const SET_MOVE_MARK: &str =
    "UPDATE move_mark SET table_number = $3, copied = $4 WHERE table_number = $1 AND copied = $2";
pub(super) const DROP_MOVE_MARK: &str = "DROP TABLE move_mark";

/// Epochs continue, so that nobody commits under an earlier one.
pub(super) const FORGET: &str = "
    UPDATE progress SET done = NULL, epoch = epoch + 1; DELETE FROM topics; DELETE FROM attempts; DELETE FROM outbox;
    UPDATE letters SET batch = 0; UPDATE relays SET published = 0, claimed = false; DELETE FROM skipped";

// A host, or the holder of a shard, counts as live for 10 seconds after its last heartbeat.
pub(super) const OTHER_HOST: &str = "
    SELECT instance, seen::text FROM hosts
    WHERE name = $1 AND instance <> $2 AND seen > now() - interval '10 seconds'";
pub(super) const ENTER: &str = "
    INSERT INTO hosts (name, instance, seen, detail) VALUES ($1, $2, now(), '')
    ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, seen = excluded.seen, detail = ''";
/// Ends the leases of the previous host of this name: it is gone, or ends as soon as it finds its name taken.
pub(super) const RELEASE_PREDECESSOR: &str = "
    UPDATE relays SET holder = NULL WHERE holder = (SELECT instance FROM hosts WHERE name = $1 AND instance <> $2)";
/// Deletes the rows of connections that are long gone and do not belong to a known host.
pub(super) const DROP_LINKS: &str = "
    DELETE FROM transactions WHERE used < now() - interval '1 day'
        AND split_part(link, '/', 1) NOT IN (SELECT instance FROM hosts)";
pub(super) const SEEN: &str = "UPDATE hosts SET seen = now(), detail = $3 WHERE name = $1 AND instance = $2";
pub(super) const HOSTS: &str = "
    SELECT h.name, (extract(epoch FROM now() - h.seen) * 1000)::bigint, h.seen > now() - interval '10 seconds',
        h.instance = $1, array(SELECT shard FROM relays WHERE holder = h.instance ORDER BY shard), h.detail
    FROM hosts h ORDER BY h.name";
/// The oldest snapshot that any transaction in this database, or a replica, still uses, and the start of the oldest
/// transaction.
pub(super) const OLDEST: &str = "
    SELECT coalesce((SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE datname = current_database()), 0)::bigint,
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start) * 1000) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend'), 0)::bigint";
pub(super) const TABLE_BYTES: &str = "
    SELECT relname::text, pg_total_relation_size(oid) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') ORDER BY relname";
pub(super) const LIVE_HOSTS: &str = "SELECT count(*) FROM hosts WHERE seen > now() - interval '10 seconds'";
pub(super) const RENEW: &str = "UPDATE relays SET renewed = now() WHERE holder = $1 RETURNING shard, epoch";
pub(super) const TAKE_SHARDS: &str = "
    UPDATE relays SET holder = $1, epoch = epoch + 1, renewed = now() WHERE shard IN (
        SELECT shard FROM relays WHERE holder IS NULL OR renewed < now() - interval '10 seconds'
        ORDER BY shard LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING shard, epoch";
pub(super) const RELEASE: &str = "UPDATE relays SET holder = NULL WHERE holder = $1 AND shard = ANY($2::integer[])";
pub(super) const LEAVE_SHARDS: &str = "UPDATE relays SET holder = NULL WHERE holder = $1";
pub(super) const LEAVE: &str = "DELETE FROM hosts WHERE instance = $1";

pub(super) const VERSIONS_OF: &str =
    "SELECT number, digest, bytes, stored, replaced FROM versions WHERE handler = $1 ORDER BY number DESC";
pub(super) const ACTIVE: &str = "SELECT number, since FROM active WHERE handler = $1";
pub(super) const COMPONENT: &str = "SELECT bytes FROM components WHERE digest = $1";
pub(super) const ADD_COMPONENT: &str = "INSERT INTO components VALUES ($1, $2) ON CONFLICT DO NOTHING";
pub(super) const ADD_VERSION: &str = "INSERT INTO versions VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT DO NOTHING";
pub(super) const SET_ACTIVE: &str = "
    INSERT INTO active (handler, number, since) SELECT handler, number, $3 FROM versions WHERE handler = $1 AND number = $2
    ON CONFLICT (handler) DO UPDATE SET number = excluded.number, since = greatest(excluded.since, active.since + 1)";
pub(super) const SET_REPLACED: &str = "UPDATE versions SET replaced = $3 WHERE handler = $1 AND number = $2";
/// Keeps the newest $2 and the active one.
pub(super) const DROP_VERSIONS: &str = "
    DELETE FROM versions WHERE handler = $1
        AND number NOT IN (SELECT number FROM versions WHERE handler = $1 ORDER BY number DESC LIMIT $2)
        AND number NOT IN (SELECT number FROM active WHERE handler = $1)";
pub(super) const DROP_COMPONENTS: &str =
    "DELETE FROM components WHERE digest NOT IN (SELECT digest FROM versions) RETURNING digest";
pub(super) const ADD_ACTIVATION: &str = "
    INSERT INTO activations (handler, number, digest, at, by, action, outcome, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const DROP_ACTIVATIONS: &str = "
    DELETE FROM activations WHERE handler = $1
        AND id NOT IN (SELECT id FROM activations WHERE handler = $1 ORDER BY id DESC LIMIT $2)";
pub(super) const ACTIVATIONS: &str = "
    SELECT number, digest, at, by, action, outcome, detail FROM activations WHERE handler = $1 ORDER BY id DESC LIMIT $2";
