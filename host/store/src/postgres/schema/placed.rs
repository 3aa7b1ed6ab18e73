//! The statements that change the few rows that every commit changes, each in two forms: with the places where the rows were
//! last, as a hint, or by the rows' keys alone. Both return the new places.

/// At the places, which are the first parameter, as text. The keys are only compared: with `+ 0` no index is used for them,
/// which looks cheaper for a table of few rows.
macro_rules! at {
    ($statement:ident) => {
        $statement!("= u.place", " + 0")
    };
}

/// By the keys: the parameter is there, and not used.
macro_rules! anywhere {
    ($statement:ident) => {
        $statement!("IS NOT NULL", "")
    };
}

/// Only where the epoch is the expected one: a row that is not returned has another one.
macro_rules! set_progress {
    ($place:literal, $compared:literal) => {
        concat!(
            "UPDATE progress p SET done = coalesce(u.done, p.done)
            FROM unnest($1::text[]::tid[], $2::integer[], $3::text[], $4::integer[], $5::bigint[], $6::bytea[])
                AS u (place, handler, topic, partition, epoch, done)
            WHERE p.ctid ",
            $place,
            " AND p.handler",
            $compared,
            " = u.handler AND p.topic = u.topic AND p.partition",
            $compared,
            " = u.partition AND p.epoch = u.epoch
            RETURNING p.ctid::text, p.handler, p.topic, p.partition"
        )
    };
}

/// Draws the number of each batch and adds it. Under the locks of the shards.
macro_rules! add_batches {
    ($place:literal, $compared:literal) => {
        concat!(
            "WITH drawn AS (UPDATE shards s SET last = s.last + 1
                FROM unnest($1::text[]::tid[], $2::integer[]) AS u (place, shard) WHERE s.ctid ",
            $place,
            " AND s.shard",
            $compared,
            " = u.shard RETURNING s.ctid::text AS place, s.shard, s.last),
            added AS (INSERT INTO outbox (slot, shard, number, committed, records)
                SELECT o.slot, d.shard, d.last, $4, u.records FROM drawn d
                JOIN unnest($2::integer[], $3::bytea[]) AS u (shard, records) ON u.shard = d.shard, outbox_slot o)
            SELECT place, shard, last FROM drawn"
        )
    };
}

/// Only the holder of a shard's lease may report published batches.
macro_rules! set_published {
    ($place:literal, $compared:literal) => {
        concat!(
            "UPDATE relays r SET published = greatest(r.published, u.batch)
            FROM unnest($1::text[]::tid[], $2::integer[], $3::bigint[], $4::bigint[]) AS u (place, shard, batch, epoch)
            WHERE r.ctid ",
            $place,
            " AND r.shard",
            $compared,
            " = u.shard AND r.epoch = u.epoch RETURNING r.ctid::text, r.shard"
        )
    };
}

pub(in super::super) const SET_PROGRESS_AT: &str = at!(set_progress);
pub(in super::super) const SET_PROGRESS: &str = anywhere!(set_progress);
pub(in super::super) const ADD_BATCHES_AT: &str = at!(add_batches);
pub(in super::super) const ADD_BATCHES: &str = anywhere!(add_batches);
pub(in super::super) const SET_PUBLISHED_AT: &str = at!(set_published);
pub(in super::super) const SET_PUBLISHED: &str = anywhere!(set_published);
