//! The sandbox with real guests: what a good one gets, and what a hostile one cannot do.
//!
//! The modules say `cfg(test)`, which is always so here, for clippy to know that their helpers are tests as well.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod build;
#[cfg(test)]
mod dreamscape;
#[cfg(test)]
mod invoke;
#[cfg(test)]
mod load;
#[cfg(test)]
mod purity;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
