//! The tables, and the migration from each version to the next.

/// Version of the tables; a schema with a higher one is refused, one with a lower one is migrated.
pub(crate) const VERSION: i32 = 3;

/// The migrations from each version to the next, beginning with an empty schema.
pub(crate) const STEPS: &[&str] = &[SINCE_1, SINCE_2, SINCE_3];

/// Keys are bytes, because text cannot hold every key. A state's id and revision identify one version of it for ever.
/// `outbox` has a row per batch of a shard, in one of three tables in turn: published rows stay until their table is
/// truncated, whatever transaction is open elsewhere; rows are never deleted one by one. `shards` is written by hosts
/// that commit to the shard, `relays` by the host that publishes it, so that neither waits for the other; their rows
/// are few and change all the time.
const SINCE_1: &str = "
    CREATE TABLE meta (
        one boolean PRIMARY KEY CHECK (one),
        store text NOT NULL,
        version integer NOT NULL,
        shards integer NOT NULL
    );
    CREATE TABLE handlers (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE
    );
    CREATE TABLE state (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        handler integer NOT NULL,
        key bytea NOT NULL,
        revision bigint NOT NULL,
        document text,
        recent bytea,
        bare boolean NOT NULL,
        changed bigint NOT NULL,
        since bigint NOT NULL,
        UNIQUE (handler, key)
    ) WITH (fillfactor = 80);
    CREATE INDEX state_bare ON state (id) WHERE bare;
    CREATE TABLE progress (
        handler integer NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        epoch bigint NOT NULL,
        done bytea,
        PRIMARY KEY (handler, topic, partition)
    ) WITH (fillfactor = 30, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.1);
    CREATE TABLE topics (
        handler integer NOT NULL,
        topic text NOT NULL,
        id text NOT NULL,
        PRIMARY KEY (handler, topic)
    );
    CREATE TABLE attempts (
        handler integer NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        record bigint NOT NULL,
        failed integer NOT NULL,
        due bigint NOT NULL,
        PRIMARY KEY (handler, topic, partition, record)
    );
    CREATE TABLE answers (
        key bytea NOT NULL,
        idempotency_key bytea NOT NULL,
        digest text NOT NULL,
        status integer NOT NULL,
        body text,
        committed bigint NOT NULL,
        PRIMARY KEY (key, idempotency_key)
    );
    CREATE INDEX answers_age ON answers (committed);
    CREATE TABLE shards (
        shard integer PRIMARY KEY,
        last bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
    CREATE TABLE relays (
        shard integer PRIMARY KEY,
        published bigint NOT NULL DEFAULT 0,
        claimed boolean NOT NULL DEFAULT false,
        epoch bigint NOT NULL DEFAULT 0,
        holder text,
        renewed timestamptz
    ) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
    CREATE TABLE outbox (
        slot integer NOT NULL,
        shard integer NOT NULL,
        number bigint NOT NULL,
        committed bigint NOT NULL,
        records bytea NOT NULL,
        PRIMARY KEY (shard, number, slot)
    ) PARTITION BY LIST (slot);
    ALTER TABLE outbox ALTER COLUMN records SET STORAGE EXTERNAL;
    CREATE TABLE outbox_0 PARTITION OF outbox FOR VALUES IN (0) WITH (autovacuum_enabled = false);
    CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES IN (1) WITH (autovacuum_enabled = false);
    CREATE TABLE outbox_2 PARTITION OF outbox FOR VALUES IN (2) WITH (autovacuum_enabled = false);
    CREATE TABLE outbox_slot (one boolean PRIMARY KEY CHECK (one), slot integer NOT NULL);
    INSERT INTO outbox_slot VALUES (true, 0);
    CREATE TABLE hosts (
        name text PRIMARY KEY,
        instance text NOT NULL,
        seen timestamptz NOT NULL,
        detail text NOT NULL
    ) WITH (fillfactor = 30);
    CREATE TABLE letters (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        handler integer NOT NULL,
        key bytea,
        topic text NOT NULL,
        partition integer NOT NULL,
        record bigint NOT NULL,
        at bigint NOT NULL,
        code text NOT NULL,
        reason text NOT NULL,
        version bigint NOT NULL,
        digest text NOT NULL,
        attempts integer NOT NULL,
        shard integer NOT NULL,
        batch bigint NOT NULL,
        bytes bigint NOT NULL,
        redriven integer NOT NULL DEFAULT 0,
        held integer NOT NULL,
        ordered boolean NOT NULL,
        job bigint,
        through bigint,
        timestamp bigint,
        headers bytea NOT NULL,
        record_key bytea,
        state text,
        value bytea
    );
    CREATE INDEX letters_key ON letters (handler, key, id);
    CREATE INDEX letters_held ON letters (handler, key, id) WHERE held > 0;
    CREATE INDEX letters_ordered ON letters (id) WHERE ordered;
    CREATE INDEX letters_job ON letters (job, id) WHERE job IS NOT NULL;
    CREATE TABLE redrives (
        job bigint PRIMARY KEY,
        ordered bigint NOT NULL,
        refused bigint NOT NULL,
        held bigint NOT NULL,
        already bigint NOT NULL,
        handled bigint NOT NULL DEFAULT 0,
        duplicates bigint NOT NULL DEFAULT 0,
        failed bigint NOT NULL DEFAULT 0,
        cancelled bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE pauses (
        handler integer PRIMARY KEY,
        at bigint NOT NULL,
        by text NOT NULL,
        reason text NOT NULL
    );
    CREATE TABLE recordings (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        handler integer NOT NULL,
        committed bigint NOT NULL,
        lines bytea NOT NULL
    );
    CREATE INDEX recordings_handler ON recordings (handler, number);
    CREATE TABLE file_names (
        handler integer NOT NULL,
        key bytea NOT NULL,
        name text NOT NULL,
        PRIMARY KEY (handler, key, name)
    );
    CREATE INDEX file_names_name ON file_names (name);
    CREATE TABLE unnamed_files (
        name text PRIMARY KEY,
        since bigint NOT NULL
    );
    CREATE TABLE components (
        digest text PRIMARY KEY,
        bytes bytea NOT NULL
    );
    CREATE TABLE versions (
        handler integer NOT NULL,
        number bigint NOT NULL,
        digest text NOT NULL,
        bytes bigint NOT NULL,
        stored bigint NOT NULL,
        replaced bigint,
        PRIMARY KEY (handler, number),
        UNIQUE (handler, digest)
    );
    CREATE TABLE active (
        handler integer PRIMARY KEY,
        number bigint NOT NULL,
        since bigint NOT NULL
    );
    CREATE TABLE activations (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        handler integer NOT NULL,
        number bigint,
        digest text,
        at bigint NOT NULL,
        by text NOT NULL,
        action text NOT NULL,
        outcome text NOT NULL,
        detail text NOT NULL
    );
    CREATE INDEX activations_handler ON activations (handler, id);
";

/// How many transactions each connection has committed; every transaction updates it.
const SINCE_2: &str = "
    CREATE TABLE transactions (
        link text PRIMARY KEY,
        number bigint NOT NULL,
        used timestamptz NOT NULL
    ) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
";

/// The numbers of batches that starts of hosts have skipped, after the first up to the second.
const SINCE_3: &str = "
    CREATE TABLE skipped (
        shard integer NOT NULL,
        after bigint NOT NULL,
        through bigint NOT NULL,
        PRIMARY KEY (shard, after)
    );
";
