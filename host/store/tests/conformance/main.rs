//! What every store promises, whichever database it is on: one suite, run on each of them.
//!
//! The modules say `cfg(test)`, which is always so here, for clippy to know that their helpers are tests as well.

#[cfg(test)]
mod failover;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod on_postgres;
#[cfg(test)]
mod on_sqlite;
#[cfg(test)]
mod row_places;
#[cfg(test)]
#[expect(unreachable_pub, reason = "the same file is a part of a library elsewhere")]
#[path = "../../../../tests/support/postgres.rs"]
mod server;
#[cfg(test)]
#[expect(unreachable_pub, reason = "the same file is a part of a library elsewhere")]
#[path = "../../../../tests/support/transaction_pooler.rs"]
mod pooler;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod upgrading;
