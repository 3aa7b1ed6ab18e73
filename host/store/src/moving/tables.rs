//! Every table that a move takes over, as both stores have it.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// 64 bits.
    Long,
    /// 32 bits on PostgreSQL.
    Short,
    /// A truth value, which SQLite has as a number.
    Flag,
    /// Text; without the one character that PostgreSQL cannot hold.
    Text,
    /// A key: text in SQLite, bytes on PostgreSQL.
    Key,
    /// Bytes.
    Bytes,
}

use ColumnKind::{Bytes, Flag, Key, Long, Short, Text};

/// A table. All four statements have the columns in the order of `columns`.
pub(crate) struct MovedTable {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [ColumnKind],
    pub(crate) from_sqlite: &'static str,
    /// Its last parameter, behind the columns, is the number of the row, from 1.
    pub(crate) into_sqlite: &'static str,
    pub(crate) from_postgres: &'static str,
    pub(crate) into_postgres: &'static str,
}

/// What has gone to Kafka is not needed any more; what has not keeps a store from being moved.
pub(super) const TABLES: &[MovedTable] = &[
    MovedTable {
        name: "handlers",
        columns: &[Short, Text],
        from_sqlite: "SELECT id, name FROM handler",
        into_sqlite: "INSERT INTO handler (id, name) SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT id, name FROM handlers",
        into_postgres: "INSERT INTO handlers (id, name) OVERRIDING SYSTEM VALUE VALUES ($1, $2)",
    },
    MovedTable {
        name: "states",
        columns: &[Short, Key, Long, Text, Bytes, Long],
        from_sqlite: "SELECT handler, key, revision, CASE WHEN id > 0 THEN document END, recent, coalesce(changed, 0) FROM state",
        into_sqlite: "
            INSERT INTO state (id, handler, key, revision, document, recent, changed)
            VALUES (CASE WHEN ?4 IS NULL THEN -?7 ELSE ?7 END, ?1, ?2, ?3, coalesce(?4, ''), ?5,
                CASE WHEN ?4 IS NULL THEN ?6 END)",
        from_postgres: "
            SELECT handler, key, revision, document, recent, CASE WHEN document IS NULL THEN changed ELSE 0 END FROM state",
        into_postgres: "
            INSERT INTO state (handler, key, revision, document, recent, bare, changed, since)
            VALUES ($1, $2, $3, $4::text, $5, $4::text IS NULL, $6, 0)",
    },
    MovedTable {
        name: "progress",
        columns: &[Short, Text, Short, Bytes],
        from_sqlite: "SELECT handler, topic, partition, done FROM progress",
        into_sqlite: "
            INSERT INTO progress (handler, topic, partition, generation, epoch, done) SELECT ?1, ?2, ?3, 0, 0, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT handler, topic, partition, done FROM progress WHERE done IS NOT NULL",
        into_postgres: "INSERT INTO progress (handler, topic, partition, epoch, done) VALUES ($1, $2, $3, 0, $4)",
    },
    MovedTable {
        name: "topics",
        columns: &[Short, Text, Text],
        from_sqlite: "SELECT handler, topic, id FROM topics",
        into_sqlite: "INSERT INTO topics SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, topic, id FROM topics",
        into_postgres: "INSERT INTO topics VALUES ($1, $2, $3)",
    },
    MovedTable {
        name: "attempts",
        columns: &[Short, Text, Short, Long, Short, Long],
        from_sqlite: "SELECT handler, topic, partition, record, failed, due FROM attempts",
        into_sqlite: "INSERT INTO attempts SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT handler, topic, partition, record, failed, due FROM attempts",
        into_postgres: "INSERT INTO attempts VALUES ($1, $2, $3, $4, $5, $6)",
    },
    MovedTable {
        name: "answers",
        columns: &[Key, Key, Text, Short, Text, Long],
        from_sqlite: "SELECT key, idempotency_key, digest, status, body, committed FROM answers",
        into_sqlite: "INSERT INTO answers SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT key, idempotency_key, digest, status, body, committed FROM answers",
        into_postgres: "INSERT INTO answers VALUES ($1, $2, $3, $4, $5, $6)",
    },
    LETTERS,
    MovedTable {
        name: "orders to redrive",
        columns: &[Long, Long, Long, Long, Long, Long, Long, Long, Long],
        from_sqlite: "SELECT job, ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives",
        into_sqlite: "INSERT INTO redrives SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?10 > 0",
        from_postgres: "SELECT job, ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives",
        into_postgres: "INSERT INTO redrives VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    },
    MovedTable {
        name: "pauses",
        columns: &[Short, Long, Text, Text],
        from_sqlite: "SELECT handler, at, by, reason FROM pauses",
        into_sqlite: "INSERT INTO pauses SELECT ?1, ?2, ?3, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT handler, at, by, reason FROM pauses",
        into_postgres: "INSERT INTO pauses VALUES ($1, $2, $3, $4)",
    },
    MovedTable {
        name: "recordings",
        columns: &[Long, Short, Long, Bytes],
        from_sqlite: "SELECT number, handler, committed, lines FROM recordings",
        into_sqlite: "INSERT INTO recordings SELECT ?1, ?2, ?3, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT number, handler, committed, lines FROM recordings",
        into_postgres: "
            INSERT INTO recordings (number, handler, committed, lines) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4)",
    },
    MovedTable {
        name: "names of files",
        columns: &[Short, Key, Text],
        from_sqlite: "SELECT handler, key, name FROM file_names",
        into_sqlite: "INSERT INTO file_names SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, key, name FROM file_names",
        into_postgres: "INSERT INTO file_names VALUES ($1, $2, $3)",
    },
    MovedTable {
        name: "files without a name",
        columns: &[Text, Long],
        from_sqlite: "SELECT name, since FROM unnamed_files",
        into_sqlite: "INSERT INTO unnamed_files SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT name, since FROM unnamed_files",
        into_postgres: "INSERT INTO unnamed_files VALUES ($1, $2)",
    },
    MovedTable {
        name: "components",
        columns: &[Text, Bytes],
        from_sqlite: "SELECT digest, bytes FROM components",
        into_sqlite: "INSERT INTO components SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT digest, bytes FROM components",
        into_postgres: "INSERT INTO components VALUES ($1, $2)",
    },
    MovedTable {
        name: "versions",
        columns: &[Short, Long, Text, Long, Long, Long],
        from_sqlite: "SELECT handler, number, digest, bytes, stored, replaced FROM versions",
        into_sqlite: "INSERT INTO versions SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT handler, number, digest, bytes, stored, replaced FROM versions",
        into_postgres: "INSERT INTO versions VALUES ($1, $2, $3, $4, $5, $6)",
    },
    MovedTable {
        name: "active versions",
        columns: &[Short, Long, Long],
        from_sqlite: "SELECT handler, number, since FROM active",
        into_sqlite: "INSERT INTO active SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, number, since FROM active",
        into_postgres: "INSERT INTO active VALUES ($1, $2, $3)",
    },
    MovedTable {
        name: "history",
        columns: &[Long, Short, Long, Text, Long, Text, Text, Text, Text],
        from_sqlite: "SELECT id, handler, number, digest, at, by, action, outcome, detail FROM activations",
        into_sqlite: "INSERT INTO activations SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?10 > 0",
        from_postgres: "SELECT id, handler, number, digest, at, by, action, outcome, detail FROM activations",
        into_postgres: "
            INSERT INTO activations (id, handler, number, digest, at, by, action, outcome, detail)
            OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    },
];

/// All of them are on Kafka, so that any may go when there are too many: their batch is 0.
const LETTERS: MovedTable = MovedTable {
    name: "dead letters",
    columns: &[
        Long, Short, Key, Text, Short, Long, Long, Text, Text, Long, Text, Short, Long, Short, Short, Flag, Long, Long,
        Long, Bytes, Bytes, Text, Bytes,
    ],
    from_sqlite: "
        SELECT id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes, redriven, held,
            ordered, job, through, timestamp, headers, record_key, state, value FROM letters",
    into_sqlite: "
        INSERT INTO letters (id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes,
            redriven, held, ordered, job, through, timestamp, headers, record_key, state, value, batch)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, 0
        WHERE ?24 > 0",
    from_postgres: "
        SELECT id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes, redriven, held,
            ordered, job, through, timestamp, headers, record_key, state, value FROM letters",
    into_postgres: "
        INSERT INTO letters (id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes,
            redriven, held, ordered, job, through, timestamp, headers, record_key, state, value, shard, batch)
        OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, 0, 0)",
};

/// What PostgreSQL numbers by itself goes on above what was moved.
pub(crate) const GO_ON: &str = "
    SELECT setval(pg_get_serial_sequence('handlers', 'id'), (SELECT greatest(max(id), 1) FROM handlers));
    SELECT setval(pg_get_serial_sequence('letters', 'id'), (SELECT greatest(max(id), 1) FROM letters));
    SELECT setval(pg_get_serial_sequence('recordings', 'number'), (SELECT greatest(max(number), 1) FROM recordings));
    SELECT setval(pg_get_serial_sequence('activations', 'id'), (SELECT greatest(max(id), 1) FROM activations))";
