//! Where the rows that every commit changes were last is only a hint: a commit changes the rows that it means, wherever
//! they are by then, and no others.

use ::postgres::{Client, NoTls};
use sandman_core::progress::Progress;
use sandman_core::store::{BatchNo, Commit, CommitResult, Epoch, Shard, ShardPublished, Store};
use sandman_store::PostgresStore;

use crate::on_postgres::Postgres;
use crate::suite;

/// A table whose rows are told apart by one column.
struct Rows {
    client: Client,
    table: String,
    column: &'static str,
}

impl Rows {
    fn of(deployment: &Postgres, table: &str, column: &'static str) -> Self {
        let options = &deployment.options;
        Self {
            client: Client::connect(&options.url, NoTls).unwrap(),
            table: format!("{}.{table}", options.schema),
            column,
        }
    }

    fn place(&mut self, row: i32) -> String {
        let sql = format!("SELECT ctid::text FROM {} WHERE {} = {row}", self.table, self.column);
        self.client.query_one(&sql, &[]).unwrap().get(0)
    }

    /// A new version of the row is elsewhere.
    fn rewrite(&mut self, row: i32) {
        let (table, column) = (&self.table, self.column);
        let sql = format!("UPDATE {table} SET {column} = {column} WHERE {column} = {row}");
        self.client.batch_execute(&sql).unwrap();
    }

    /// The row is at the beginning of the table, and the other one where this one was.
    fn replace(&mut self, row: i32, other: i32) {
        let before = self.place(row);
        let (table, column) = (&self.table, self.column);
        let anew = format!(
            "BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {table}; TRUNCATE {table};
            INSERT INTO {table} SELECT * FROM kept ORDER BY {column} <> {row}; COMMIT"
        );
        self.client.batch_execute(&anew).unwrap();
        for _ in 0..50 {
            if self.place(other) == before {
                assert_ne!(self.place(row), before);
                return;
            }
            self.rewrite(other);
        }
        panic!("no version of row {other} came to {before}");
    }

    fn delete(&mut self, row: i32) {
        let sql = format!("DELETE FROM {} WHERE {} = {row}", self.table, self.column);
        self.client.batch_execute(&sql).unwrap();
    }
}

/// A key of that shard.
fn key(shard: u16) -> String {
    let mut keys = (0..).map(|number| format!("u{number}"));
    keys.find(|key| Shard::of(Some(key.as_bytes()), 4) == Shard(shard))
        .unwrap()
}

/// Adds a batch to the shard and returns its number.
fn add(store: &PostgresStore, shard: u16) -> BatchNo {
    let committed = suite::committed(store, &suite::publish(&[(&key(shard), "event")]));
    committed.batches[0].number
}

/// The numbers of the batches that are still to be published.
fn waiting(store: &PostgresStore, shard: u16) -> Vec<BatchNo> {
    let batches = store.outbox(Shard(shard), 0, u64::MAX).unwrap();
    batches.iter().map(|batch| batch.number).collect()
}

#[test]
fn a_batch_is_added_to_its_own_shard_wherever_the_rows_are() {
    let deployment = Postgres::new();
    let store = deployment.open();
    let mut rows = Rows::of(&deployment, "shards", "shard");
    assert_eq!((add(&store, 0), add(&store, 1)), (1, 1));
    rows.rewrite(0);
    assert_eq!(add(&store, 0), 2);
    rows.replace(0, 1);
    assert_eq!(add(&store, 0), 3);
    assert_eq!(add(&store, 1), 2);
    rows.delete(0);
    let both = suite::publish(&[(&key(0), "event"), (&key(1), "event")]);
    let refused = store.commit(&both, 7).unwrap_err().to_string();
    assert!(refused.contains("shard 0 has no row"), "{refused}");
    // That store takes nothing more.
    let store = deployment.open();
    assert_eq!(add(&store, 1), 3);
    assert_eq!(waiting(&store, 0), [1, 2, 3]);
    assert_eq!(waiting(&store, 1), [1, 2, 3]);
}

#[test]
fn progress_is_written_to_its_own_partition_wherever_the_rows_are() {
    let deployment = Postgres::new();
    let store = deployment.open();
    let mut rows = Rows::of(&deployment, "progress", "partition");
    let names = [suite::partition(0), suite::partition(1)];
    let assigned = store.assign(&suite::text("profile"), &names).unwrap();
    let epoch = assigned[0].epoch;
    assert_eq!(assigned[1].epoch, epoch, "an epoch tells the partitions apart");
    let write = |partition, next| suite::committed(&*store, &suite::progress(partition, epoch, next));
    let all = || {
        let mut all = store.progress("profile").unwrap();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let expected = |[first, second]: [i64; 2]| {
        [
            (suite::partition(0), Progress::starting_at(first)),
            (suite::partition(1), Progress::starting_at(second)),
        ]
    };
    write(0, 5);
    write(1, 7);
    rows.rewrite(0);
    write(0, 6);
    assert_eq!(all(), expected([6, 7]));
    rows.replace(0, 1);
    write(0, 9);
    assert_eq!(all(), expected([9, 7]));
    rows.delete(0);
    let CommitResult::Conflict(conflict) = store.commit(&suite::progress(0, epoch, 10), 7).unwrap() else {
        panic!("written without a row");
    };
    assert_eq!(conflict.partitions, [(suite::text("profile"), suite::partition(0))]);
    assert_eq!(all(), expected([9, 7])[1..]);
}

#[test]
fn what_is_published_is_of_its_own_shard_wherever_the_rows_are() {
    let deployment = Postgres::new();
    let store = deployment.open();
    let mut rows = Rows::of(&deployment, "relays", "shard");
    for number in 1..=3 {
        assert_eq!((add(&store, 0), add(&store, 1)), (number, number));
    }
    // Nobody has joined: no lease moves the rows meanwhile.
    let published = |batch| {
        let news = ShardPublished {
            shard: Shard(0),
            epoch: Epoch::default(),
            batch,
        };
        let commit = Commit {
            published: vec![news],
            ..Commit::default()
        };
        suite::committed(&*store, &commit);
    };
    published(1);
    assert_eq!(waiting(&store, 0), [2, 3]);
    rows.rewrite(0);
    published(2);
    assert_eq!(waiting(&store, 0), [3]);
    rows.replace(0, 1);
    published(3);
    assert!(waiting(&store, 0).is_empty());
    assert_eq!(waiting(&store, 1), [1, 2, 3]);
    rows.delete(0);
    published(3);
    assert_eq!(waiting(&store, 1), [1, 2, 3]);
}
