//! Uploaded files, and their removal once no state names them any more.
//!
//! A file is stored before the unit that names it commits, so a crash between the two leaves one that no state ever
//! named; a picture that is replaced or a user who is deleted leaves one that no state names any longer. The store knows both:
//! a file is listed there as without a name before it is stored, each commit says which files its states name, and [`Sweep`]
//! removes what has had no name for `uploads.keep`, because its address still stands in published events.

mod held;
mod leftovers;
mod s3;
mod stored;
mod sweep;

pub(crate) use held::HeldFiles;
pub(crate) use stored::{StoredFiles, in_brief};
pub use stored::{UploadsError, check_uploads};
pub use sweep::Sweep;
