//! Uploaded files, and their removal when no state names them any more.
//!
//! A file is stored before the unit that names it commits, so a crash between the two leaves a file that no state ever
//! named; replacing a picture or deleting a user leaves a file that no state names any longer. The store knows both: a
//! file is listed there as unreferenced before it is stored, each commit has the files that its states name, and
//! [`Sweep`] removes files that have been unreferenced for `uploads.keep`. They are kept so long because their URLs are
//! still in published events.

mod held;
mod leftovers;
mod s3;
mod stored;
mod sweep;

pub(crate) use held::HeldFiles;
pub(crate) use stored::{StoredFiles, in_brief};
pub use stored::{UploadsError, check_uploads};
pub use sweep::Sweep;
