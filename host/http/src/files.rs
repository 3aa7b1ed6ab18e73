//! Uploaded files that nothing names any more: found, kept for a while, and removed.
//!
//! A file is stored before the unit that names it commits, so a crash between the two leaves one that no state ever
//! named; a picture that is replaced or a user who is deleted leaves one that no state names any longer. Both go the same
//! way: [`Sweep`] reads which names stand in the committed states, notes since when a file's does not, and removes it
//! `uploads.keep` later, because its address still stands in published events.

mod folder;
mod held;
mod ledger;
mod names;
mod sweep;

pub use held::HeldFiles;
pub use sweep::Sweep;
