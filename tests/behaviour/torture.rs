//! The torture scenarios, in their short form.

use sandman_tests::Behaviour;
use sandman_tests::torture::{Length, all};

pub fn behaviours() -> Vec<Behaviour> {
    let short = all().filter(|scenario| scenario.length == Length::Short);
    short.map(Behaviour::torture).collect()
}
