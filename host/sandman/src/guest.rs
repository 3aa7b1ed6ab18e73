//! The languages that guests are written in, each with its toolchain: how a folder is known, what a new one starts as, and how
//! it becomes a component. [`build_guest`](crate::build_guest) and [`new_guest`](crate::new_guest) do the rest for all.

mod go;
mod language;
mod missing;
mod python;
mod rust;
mod toolchain;
mod typescript;
mod wit;

pub use language::Language;
pub use missing::MissingTool;
pub(crate) use toolchain::{GuestPackage, SdkPlace, TemplateFiles, Toolchain};
pub use wit::package as wit_package;
