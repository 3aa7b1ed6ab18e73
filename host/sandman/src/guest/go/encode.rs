//! Turns a core module of Go into a component whose instances have already started.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::{Go, Toolchain};
use crate::guest::{BuildError, GuestPackage, Progress, wit};

/// The stub for WASI, as text.
const STAND_IN: &str = include_str!("stand_in.wat");
/// Its module name in Go's runtime.
const WASI: &str = "wasi_snapshot_preview1";
/// The imports of the stub.
const STAND_IN_WORLD: &str = "package sandman:stand-in; world stand-in { import sandman:handler/log@0.1.0; }";

/// The component of the started module: starting Go's runtime would take hundreds of microseconds of each fresh call.
pub(super) fn component(package: &GuestPackage, module: &[u8], progress: &Progress) -> Result<Vec<u8>, BuildError> {
    let unfit = |fault: anyhow::Error| BuildError::Component {
        package: package.name.clone(),
        reason: format!("{fault:#}"),
        hint: Go.no_handler(),
    };
    let stand_in = wat::parse_str(exporting(STAND_IN)).map_err(|fault| unfit(fault.into()))?;
    let started = sandman_sandbox::start(module, &stand_in, WASI).map_err(|source| BuildError::Start {
        package: package.name.clone(),
        source,
    })?;
    for line in started.logged {
        progress.say(&format!("{} logs as it starts: {line}", package.name));
    }
    encoded(started.module, &continued(STAND_IN, &started.globals)).map_err(unfit)
}

fn encoded(mut module: Vec<u8>, stand_in: &str) -> anyhow::Result<Vec<u8>> {
    let (mut resolve, contract) = wit::resolved()?;
    let handler = resolve.select_world(&[contract], Some("event-handler"))?;
    embed_component_metadata(&mut module, &resolve, handler, StringEncoding::UTF8)?;

    let package = resolve.push_str("stand-in.wit", STAND_IN_WORLD)?;
    let world = resolve.select_world(&[package], Some("stand-in"))?;
    let mut stand_in = wat::parse_str(stand_in)?;
    embed_component_metadata(&mut stand_in, &resolve, world, StringEncoding::UTF8)?;

    ComponentEncoder::default()
        .validate(true)
        .debug_names(false)
        .module(&module)?
        .adapter(WASI, &stand_in)?
        .encode()
}

/// The text before and after the name in a line that declares a variable of the stub.
const VARIABLE: (&str, &str) = ("  (global $", " (mut i");

/// The name of the variable that a line of the stub declares.
fn variable(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix(VARIABLE.0)?.split_once(VARIABLE.1)
}

/// The stub with its variables exported.
fn exporting(stand_in: &str) -> String {
    lines(stand_in, |name, declared| {
        format!("{}{name} (export \"{name}\"){}{declared}", VARIABLE.0, VARIABLE.1)
    })
}

/// The stub with its variables initialised to the values `globals`.
fn continued(stand_in: &str, globals: &[(String, i64)]) -> String {
    lines(stand_in, |name, declared| {
        let value = globals
            .iter()
            .find(|(global, _)| global == name)
            .map(|(_, value)| value);
        match (value, declared.split_once(')')) {
            (Some(value), Some((bits, _))) => {
                format!("{}{name}{}{bits}) (i{bits}.const {value}))", VARIABLE.0, VARIABLE.1)
            }
            _ => format!("{}{name}{}{declared}", VARIABLE.0, VARIABLE.1),
        }
    })
}

fn lines(stand_in: &str, change: impl Fn(&str, &str) -> String) -> String {
    let changed =
        |line: &str| variable(line).map_or_else(|| line.to_owned(), |(name, declared)| change(name, declared));
    let changed: Vec<_> = stand_in.lines().map(changed).collect();
    changed.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_offers_all_that_wasi_has() {
        // The functions of the snapshot, as its specification lists them.
        let names = "args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate \
            fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size \
            fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_seek \
            fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open \
            path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise \
            sched_yield random_get sock_accept sock_recv sock_send sock_shutdown";
        for name in names.split_whitespace() {
            assert!(STAND_IN.contains(&format!("(export \"{name}\")")), "{name}");
        }
        assert!(wat::parse_str(STAND_IN).is_ok());
    }

    #[test]
    fn the_stand_in_goes_on_where_it_was() {
        assert_eq!(
            STAND_IN.matches("(mut i").count(),
            STAND_IN.lines().filter_map(variable).count()
        );
        assert!(wat::parse_str(exporting(STAND_IN)).is_ok());
        assert!(exporting(STAND_IN).contains("(global $elapsed (export \"elapsed\") (mut i64) (i64.const 1))"));
        let globals = [("elapsed".to_owned(), 1_000), ("kept".to_owned(), -4)];
        let continued = continued(STAND_IN, &globals);
        assert!(
            continued.contains("(global $elapsed (mut i64) (i64.const 1000))"),
            "{continued}"
        );
        assert!(
            continued.contains("(global $kept (mut i32) (i32.const -4))"),
            "{continued}"
        );
        assert!(wat::parse_str(continued).is_ok());
    }
}
