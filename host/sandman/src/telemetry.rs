//! Logs: to stderr, as text or JSON, filtered by `SANDMAN_LOG`.

mod overheard;
mod plain;

use std::env;
use std::io::{IsTerminal, stderr};

use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use sandman_config::LogFormat;

pub use overheard::{CapturedLine, overheard};

/// The variable that filters logs: a level, or `target=level` pairs separated by commas.
const VARIABLE: &str = "SANDMAN_LOG";

/// Why logs could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `SANDMAN_LOG` is not a valid filter.
    #[error(
        "SANDMAN_LOG is {filter:?}, which is not a valid filter: {reason}; use a level (error, warn, info, debug, trace)"
    )]
    Filter {
        /// Its value.
        filter: String,
        /// The problem.
        reason: ParseError,
    },
    /// A part of `SANDMAN_LOG` is neither a level nor a module with a level.
    #[error(
        "SANDMAN_LOG has {word:?}; use a level (error, warn, info, debug, trace, off), or MODULE=LEVEL, separated by commas"
    )]
    Word {
        /// The part.
        word: String,
    },
    /// `SANDMAN_LOG` has bytes that are not text.
    #[error("SANDMAN_LOG is not valid UTF-8; use a level (error, warn, info, debug, trace)")]
    NotText,
    /// Logs were set up before.
    #[error("logs are already set up in this process: {0}")]
    Installed(#[from] TryInitError),
}

/// Sends the process's logs to stderr, from the level `default` up unless `SANDMAN_LOG` is set.
///
/// # Errors
/// [`TelemetryError`] if `SANDMAN_LOG` cannot be understood or logs are set up already.
pub fn install(format: LogFormat, default: &str) -> Result<(), TelemetryError> {
    let filter = match env::var(VARIABLE) {
        Err(env::VarError::NotUnicode(_)) => return Err(TelemetryError::NotText),
        filter => filter.ok().filter(|filter| !filter.is_empty()),
    };
    let filter = filter.unwrap_or_else(|| default.to_owned());
    // The library treats a bare word as a module, so that `lound` would silence everything.
    let level = |word: &str| word.contains('=') || word.parse::<LevelFilter>().is_ok();
    if let Some(word) = filter.split(',').map(str::trim).find(|word| !level(word)) {
        return Err(TelemetryError::Word { word: word.to_owned() });
    }
    let directives = EnvFilter::try_new(&filter).map_err(|reason| TelemetryError::Filter { filter, reason })?;
    let logs = tracing_subscriber::fmt().with_env_filter(directives);
    match format {
        LogFormat::Text => {
            let logs = logs.with_writer(stderr).with_ansi(stderr().is_terminal());
            logs.fmt_fields(plain::fields()).finish().try_init()?;
        }
        LogFormat::Json => {
            let logs = logs.with_writer(plain::PlainJson).json().flatten_event(true);
            logs.finish().try_init()?;
        }
    }
    Ok(())
}
