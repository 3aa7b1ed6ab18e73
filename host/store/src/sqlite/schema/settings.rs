//! The settings of the file and of a connection, with their reasons.

use rusqlite::Connection;

/// Bytes of a page, fixed when the file is made. A changed state puts its whole page into the log: by `examples/store.rs`
/// 16 KiB cost twice as much CPU in commits of 200 events; 2 and 8 KiB cost the same.
const PAGE: u32 = 4096;

/// Settings that the file keeps. Before the tables are made, for a page size changes only while the file is empty.
pub(in super::super) fn shape_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE)
}

/// Settings of the connection that writes.
pub(in super::super) fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    // A commit is on the disk when it returns; NORMAL loses the newest ones when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS only the full barrier reaches the disk; no effect elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // KiB, negative by SQLite's convention: the pages of a large commit and the states that change most.
    connection.pragma_update(None, "cache_size", -65_536)?;
    // Pages in the log before it is written back into the file: a page that changed in many commits is written back
    // once. 64 MiB of log, a quarter less CPU than with SQLite's own 1,000 pages.
    connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
    // The log keeps its space for reuse, but gives back what a backlog made it grow beyond.
    connection.pragma_update(None, "journal_size_limit", 128 << 20)
}

/// Settings of a connection that reads.
pub(in super::super) fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // A reader forgets its pages at every commit of the writer, so a large cache would only be filled again and again.
    connection.pragma_update(None, "cache_size", -1_024)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // A backup may hold the file for a moment; longer than this the committer had better say so.
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    // No mapped memory: a failing disk must be an error, not a SIGBUS.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The file is data: nothing in its schema may call functions.
    connection.pragma_update(None, "trusted_schema", false)
}
