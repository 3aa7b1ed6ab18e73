//! The languages of guests, each with its toolchain: how a guest's folder is recognised, the template of a new one, and
//! how it is built. `build_guest` and `new_guest` have the common parts.

mod build_error;
mod go;
mod language;
mod missing;
mod new_error;
mod progress;
mod python;
mod rust;
mod template;
mod toolchain;
mod typescript;
mod wit;

pub use build_error::BuildError;
pub use language::Language;
pub use missing::MissingTool;
pub use new_error::NewError;
pub(crate) use progress::Progress;
pub use template::EVENT;
pub(crate) use template::{AGENTS, EVENT_TO_TRY, TemplateFiles};
pub use toolchain::BuildOptions;
pub(crate) use toolchain::{GuestPackage, SdkPlace, Toolchain};
pub use wit::package as wit_package;
