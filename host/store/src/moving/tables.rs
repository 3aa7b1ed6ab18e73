//! All tables that a move copies, with the statements of both stores.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// 64 bits.
    Long,
    /// 32 bits on PostgreSQL.
    Short,
    /// A boolean, which SQLite stores as a number.
    Flag,
    /// Text, without the one character that PostgreSQL cannot store.
    Text,
    /// A key: text in SQLite, bytes on PostgreSQL.
    Key,
    /// Bytes.
    Bytes,
}

use ColumnKind::{Bytes, Flag, Key, Long, Short, Text};

/// A table. All four statements have the columns in the order of `columns`; those that read have the rows in one order.
pub(crate) struct MovedTable {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [ColumnKind],
    pub(crate) from_sqlite: &'static str,
    /// Its last parameter, after the columns, is the number of the row, from 1.
    pub(crate) into_sqlite: &'static str,
    pub(crate) from_postgres: &'static str,
    /// Its parameters are arrays, one for each column.
    pub(crate) into_postgres: &'static str,
}

/// The outbox is not copied: published batches are not needed, and unpublished ones prevent a move.
pub(super) const TABLES: &[MovedTable] = &[
    MovedTable {
        name: "handlers",
        columns: &[Short, Text],
        from_sqlite: "SELECT id, name FROM handler ORDER BY id",
        into_sqlite: "INSERT INTO handler (id, name) SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT id, name FROM handlers ORDER BY id",
        into_postgres: "INSERT INTO handlers (id, name) OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::integer[], $2::text[])",
    },
    MovedTable {
        name: "states",
        columns: &[Short, Key, Long, Text, Bytes, Long],
        from_sqlite: "SELECT handler, key, revision, CASE WHEN id > 0 THEN document END, recent, coalesce(changed, 0) FROM state ORDER BY id",
        into_sqlite: "
            INSERT INTO state (id, handler, key, revision, document, recent, changed)
            VALUES (CASE WHEN ?4 IS NULL THEN -?7 ELSE ?7 END, ?1, ?2, ?3, coalesce(?4, ''), ?5,
                CASE WHEN ?4 IS NULL THEN ?6 END)",
        from_postgres: "
            SELECT handler, key, revision, document, recent, CASE WHEN document IS NULL THEN changed ELSE 0 END FROM state ORDER BY id",
        into_postgres: "
            INSERT INTO state (handler, key, revision, document, recent, bare, changed, since)
            SELECT handler, key, revision, document, recent, document IS NULL, changed, 0
            FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::bigint[])
                AS u (handler, key, revision, document, recent, changed)",
    },
    MovedTable {
        name: "progress",
        columns: &[Short, Text, Short, Bytes],
        from_sqlite: "SELECT handler, topic, partition, done FROM progress ORDER BY handler, topic, partition",
        into_sqlite: "
            INSERT INTO progress (handler, topic, partition, generation, epoch, done) SELECT ?1, ?2, ?3, 0, 0, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT handler, topic, partition, done FROM progress WHERE done IS NOT NULL ORDER BY handler, topic, partition",
        into_postgres: "
            INSERT INTO progress (handler, topic, partition, epoch, done)
            SELECT handler, topic, partition, 0, done
            FROM unnest($1::integer[], $2::text[], $3::integer[], $4::bytea[]) AS u (handler, topic, partition, done)",
    },
    MovedTable {
        name: "topics",
        columns: &[Short, Text, Text],
        from_sqlite: "SELECT handler, topic, id FROM topics ORDER BY handler, topic",
        into_sqlite: "INSERT INTO topics SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, topic, id FROM topics ORDER BY handler, topic",
        into_postgres: "INSERT INTO topics SELECT * FROM unnest($1::integer[], $2::text[], $3::text[])",
    },
    MovedTable {
        name: "attempts",
        columns: &[Short, Text, Short, Long, Short, Long],
        from_sqlite: "SELECT handler, topic, partition, record, failed, due FROM attempts ORDER BY handler, topic, partition, record",
        into_sqlite: "INSERT INTO attempts SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT handler, topic, partition, record, failed, due FROM attempts ORDER BY handler, topic, partition, record",
        into_postgres: "INSERT INTO attempts SELECT * FROM unnest($1::integer[], $2::text[], $3::integer[], $4::bigint[], $5::integer[], $6::bigint[])",
    },
    MovedTable {
        name: "answers",
        columns: &[Key, Key, Text, Short, Text, Long],
        from_sqlite: "SELECT key, idempotency_key, digest, status, body, committed FROM answers ORDER BY key, idempotency_key",
        into_sqlite: "INSERT INTO answers SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT key, idempotency_key, digest, status, body, committed FROM answers ORDER BY key, idempotency_key",
        into_postgres: "INSERT INTO answers SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::integer[], $5::text[], $6::bigint[])",
    },
    LETTERS,
    MovedTable {
        name: "orders to redrive",
        columns: &[Long, Long, Long, Long, Long, Long, Long, Long, Long],
        from_sqlite: "SELECT job, ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives ORDER BY job",
        into_sqlite: "INSERT INTO redrives SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?10 > 0",
        from_postgres: "SELECT job, ordered, refused, held, already, handled, duplicates, failed, cancelled FROM redrives ORDER BY job",
        into_postgres: "INSERT INTO redrives SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])",
    },
    MovedTable {
        name: "pauses",
        columns: &[Short, Long, Text, Text],
        from_sqlite: "SELECT handler, at, by, reason FROM pauses ORDER BY handler",
        into_sqlite: "INSERT INTO pauses SELECT ?1, ?2, ?3, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT handler, at, by, reason FROM pauses ORDER BY handler",
        into_postgres: "INSERT INTO pauses SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[])",
    },
    MovedTable {
        name: "recordings",
        columns: &[Long, Short, Long, Bytes],
        from_sqlite: "SELECT number, handler, committed, lines FROM recordings ORDER BY number",
        into_sqlite: "INSERT INTO recordings SELECT ?1, ?2, ?3, ?4 WHERE ?5 > 0",
        from_postgres: "SELECT number, handler, committed, lines FROM recordings ORDER BY number",
        into_postgres: "
            INSERT INTO recordings (number, handler, committed, lines) OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bytea[])",
    },
    MovedTable {
        name: "names of files",
        columns: &[Short, Key, Text],
        from_sqlite: "SELECT handler, key, name FROM file_names ORDER BY handler, key, name",
        into_sqlite: "INSERT INTO file_names SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, key, name FROM file_names ORDER BY handler, key, name",
        into_postgres: "INSERT INTO file_names SELECT * FROM unnest($1::integer[], $2::bytea[], $3::text[])",
    },
    MovedTable {
        name: "files without a name",
        columns: &[Text, Long],
        from_sqlite: "SELECT name, since FROM unnamed_files ORDER BY name",
        into_sqlite: "INSERT INTO unnamed_files SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT name, since FROM unnamed_files ORDER BY name",
        into_postgres: "INSERT INTO unnamed_files SELECT * FROM unnest($1::text[], $2::bigint[])",
    },
    MovedTable {
        name: "components",
        columns: &[Text, Bytes],
        from_sqlite: "SELECT digest, bytes FROM components ORDER BY digest",
        into_sqlite: "INSERT INTO components SELECT ?1, ?2 WHERE ?3 > 0",
        from_postgres: "SELECT digest, bytes FROM components ORDER BY digest",
        into_postgres: "INSERT INTO components SELECT * FROM unnest($1::text[], $2::bytea[])",
    },
    MovedTable {
        name: "versions",
        columns: &[Short, Long, Text, Long, Long, Long],
        from_sqlite: "SELECT handler, number, digest, bytes, stored, replaced FROM versions ORDER BY handler, number",
        into_sqlite: "INSERT INTO versions SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 > 0",
        from_postgres: "SELECT handler, number, digest, bytes, stored, replaced FROM versions ORDER BY handler, number",
        into_postgres: "INSERT INTO versions SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])",
    },
    MovedTable {
        name: "active versions",
        columns: &[Short, Long, Long],
        from_sqlite: "SELECT handler, number, since FROM active ORDER BY handler",
        into_sqlite: "INSERT INTO active SELECT ?1, ?2, ?3 WHERE ?4 > 0",
        from_postgres: "SELECT handler, number, since FROM active ORDER BY handler",
        into_postgres: "INSERT INTO active SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[])",
    },
    MovedTable {
        name: "history",
        columns: &[Long, Short, Long, Text, Long, Text, Text, Text, Text],
        from_sqlite: "SELECT id, handler, number, digest, at, by, action, outcome, detail FROM activations ORDER BY id",
        into_sqlite: "INSERT INTO activations SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?10 > 0",
        from_postgres: "SELECT id, handler, number, digest, at, by, action, outcome, detail FROM activations ORDER BY id",
        into_postgres: "
            INSERT INTO activations (id, handler, number, digest, at, by, action, outcome, detail)
            OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[])",
    },
];

/// All of them are in Kafka, so any may be dropped when there are too many: their batch is 0.
const LETTERS: MovedTable = MovedTable {
    name: "dead letters",
    columns: &[
        Long, Short, Key, Text, Short, Long, Long, Text, Text, Long, Text, Short, Long, Short, Short, Flag, Long, Long,
        Long, Bytes, Bytes, Text, Bytes,
    ],
    from_sqlite: "
        SELECT id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes, redriven, held,
            ordered, job, through, timestamp, headers, record_key, state, value FROM letters ORDER BY id",
    into_sqlite: "
        INSERT INTO letters (id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes,
            redriven, held, ordered, job, through, timestamp, headers, record_key, state, value, batch)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, 0
        WHERE ?24 > 0",
    from_postgres: "
        SELECT id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes, redriven, held,
            ordered, job, through, timestamp, headers, record_key, state, value FROM letters ORDER BY id",
    into_postgres: "
        INSERT INTO letters (id, handler, key, topic, partition, record, at, code, reason, version, digest, attempts, bytes,
            redriven, held, ordered, job, through, timestamp, headers, record_key, state, value, shard, batch)
        OVERRIDING SYSTEM VALUE SELECT u.*, 0, 0 FROM unnest($1::bigint[], $2::integer[], $3::bytea[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::integer[], $13::bigint[], $14::integer[], $15::integer[], $16::boolean[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bytea[], $21::bytea[], $22::text[], $23::bytea[]) AS u",
};

/// PostgreSQL's own sequences continue above the copied ids.
pub(crate) const GO_ON: &str = "
    SELECT setval(pg_get_serial_sequence('handlers', 'id'), (SELECT greatest(max(id), 1) FROM handlers));
    SELECT setval(pg_get_serial_sequence('letters', 'id'), (SELECT greatest(max(id), 1) FROM letters));
    SELECT setval(pg_get_serial_sequence('recordings', 'number'), (SELECT greatest(max(number), 1) FROM recordings));
    SELECT setval(pg_get_serial_sequence('activations', 'id'), (SELECT greatest(max(id), 1) FROM activations))";
