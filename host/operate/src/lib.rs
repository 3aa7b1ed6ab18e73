//! Queries and commands of operators: versions, deploys, rollbacks, and the admin API for them.

pub mod admin;
pub mod control;
pub mod deploy;
pub mod hosts;
pub mod letters;
pub mod explain;
pub mod load;
pub mod purity;
pub mod recordings;
pub mod replay;
