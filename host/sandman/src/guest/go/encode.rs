//! Makes a core module of Go a component.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::{Go, Toolchain};
use crate::guest::{BuildError, GuestPackage, wit};

/// The stand-in for WASI, as text.
const STAND_IN: &str = include_str!("stand_in.wat");
/// What Go's runtime calls it.
const WASI: &str = "wasi_snapshot_preview1";
/// What the stand-in itself imports.
const STAND_IN_WORLD: &str = "package sandman:stand-in; world stand-in { import sandman:handler/log@0.1.0; }";

/// The component of the module.
pub(super) fn component(package: &GuestPackage, mut module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    encoded(&mut module).map_err(|fault| BuildError::Component {
        package: package.name.clone(),
        reason: format!("{fault:#}"),
        hint: Go.no_handler(),
    })
}

fn encoded(module: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let (mut resolve, contract) = wit::resolved()?;
    let handler = resolve.select_world(&[contract], Some("event-handler"))?;
    embed_component_metadata(module, &resolve, handler, StringEncoding::UTF8)?;

    let package = resolve.push_str("stand-in.wit", STAND_IN_WORLD)?;
    let world = resolve.select_world(&[package], Some("stand-in"))?;
    let mut stand_in = wat::parse_str(STAND_IN)?;
    embed_component_metadata(&mut stand_in, &resolve, world, StringEncoding::UTF8)?;

    ComponentEncoder::default()
        .validate(true)
        .debug_names(false)
        .module(module)?
        .adapter(WASI, &stand_in)?
        .encode()
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
}
