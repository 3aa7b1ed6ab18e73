//! Tables of another version: an older one is brought up to date by one of the hosts that start, a newer one is refused.

use std::sync::{Arc, Barrier};

use ::postgres::{Client, NoTls};
use sandman_core::store::{CommitResult, Store, StoreId};
use sandman_store::{PgOpenError, PostgresStore};

use crate::on_postgres::Postgres;
use crate::suite;

/// The version before the newest one: what the last step adds is taken away.
fn downgrade(client: &mut Client, schema: &str) {
    let sql = format!("DROP TABLE {schema}.skipped; UPDATE {schema}.meta SET version = 2");
    client.batch_execute(&sql).unwrap();
}

fn client(store: &Postgres) -> Client {
    Client::connect(&store.options.url, NoTls).unwrap()
}

fn version(client: &mut Client, schema: &str) -> i32 {
    let row = client.query_one(&format!("SELECT version FROM {schema}.meta"), &[]);
    row.unwrap().get(0)
}

#[test]
fn tables_of_an_older_version_are_brought_up_to_date_once_by_hosts_that_start_together() {
    let deployment = Postgres::new();
    let schema = deployment.options.schema.clone();
    let first = deployment.open();
    first
        .commit(&suite::states(vec![suite::put("ada", None, "1")]), 7)
        .unwrap();
    let id: StoreId = first.id().clone();
    drop(first);
    let mut client = client(&deployment);
    let newest = version(&mut client, &schema);
    downgrade(&mut client, &schema);
    let together = Barrier::new(4);
    let opened: Vec<Arc<PostgresStore>> = std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    deployment.open()
                })
            })
            .collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    assert_eq!(version(&mut client, &schema), newest);
    for (number, host) in opened.iter().enumerate() {
        assert_eq!(host.id(), &id);
        assert_eq!(suite::document(&**host, "ada").as_deref(), Some("1"));
        let commit = suite::states(vec![suite::put(&format!("key-{number}"), None, "2")]);
        assert!(matches!(host.commit(&commit, 8).unwrap(), CommitResult::Committed(_)));
    }
}

/// Two hosts that find no tables at all: one makes them, and both have the same store.
#[test]
fn hosts_that_start_together_without_tables_make_them_once() {
    let deployment = Postgres::new();
    let together = Barrier::new(4);
    let ids: Vec<StoreId> = std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    deployment.open().id().clone()
                })
            })
            .collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[test]
fn tables_of_a_newer_version_are_refused_and_left_as_they_are() {
    let deployment = Postgres::new();
    let schema = deployment.options.schema.clone();
    drop(deployment.open());
    let mut client = client(&deployment);
    let known = version(&mut client, &schema);
    let sql = format!("UPDATE {schema}.meta SET version = {}", known + 1);
    client.batch_execute(&sql).unwrap();
    let refused = PostgresStore::open(&deployment.options).unwrap_err();
    assert!(
        matches!(refused, PgOpenError::Newer { found, known: newest, .. } if found == known + 1 && newest == known),
        "{refused}"
    );
    assert!(refused.to_string().contains("newer Sandman"), "{refused}");
    assert_eq!(version(&mut client, &schema), known + 1);
}
