//! Guests in every language: one reference guest in each (`tests/guests/reference`), of which all must do the same; from nothing
//! to an event handled, and changed while it serves; and what a language's runtime would ask the world for.

#[path = "guest_languages/conformance.rs"]
mod conformance;
#[path = "guest_languages/first_steps.rs"]
mod first_steps;
#[path = "guest_languages/no_world.rs"]
mod no_world;
#[path = "guest_languages/recorded.rs"]
mod recorded;
#[path = "guest_languages/take_turns.rs"]
mod take_turns;

use sandman::guest::Language;
use sandman_tests::{Behaviour, Newcomer, Result, World, guest_in, repository};

use conformance::conforms;
use recorded::replayed_and_compared;
use take_turns::take_turns;

pub const BEHAVIOURS: &[Behaviour] = &[
    // Python first: its component takes the longest to compile.
    Behaviour::new("a_guest_in_python_does_what_the_reference_says", |world| {
        conforms(world, Language::Python)
    })
    .in_language(Language::Python),
    Behaviour::new(
        "a_new_guest_in_python_is_built_tried_served_and_swapped",
        first_steps::python,
    )
    .without_broker()
    .in_language(Language::Python),
    Behaviour::new("python_is_given_no_world_but_its_call", no_world::python)
        .without_broker()
        .in_language(Language::Python),
    Behaviour::new("a_guest_in_rust_does_what_the_reference_says", |world| {
        conforms(world, Language::Rust)
    })
    .in_language(Language::Rust),
    Behaviour::new("a_guest_in_typescript_does_what_the_reference_says", |world| {
        conforms(world, Language::TypeScript)
    })
    .in_language(Language::TypeScript),
    Behaviour::new("a_guest_in_go_does_what_the_reference_says", |world| {
        conforms(world, Language::Go)
    })
    .in_language(Language::Go),
    Behaviour::new(
        "a_new_guest_in_typescript_is_built_tried_served_and_swapped",
        first_steps::typescript,
    )
    .without_broker()
    .in_language(Language::TypeScript),
    Behaviour::new("a_new_guest_in_go_is_built_tried_served_and_swapped", first_steps::go)
        .without_broker()
        .in_language(Language::Go),
    Behaviour::new("typescript_is_given_no_world_but_its_call", no_world::typescript)
        .without_broker()
        .in_language(Language::TypeScript),
    Behaviour::new("a_guest_that_keeps_something_is_waited_for_and_refused", no_world::kept)
        .without_broker()
        .in_language(Language::TypeScript),
    Behaviour::new("go_is_given_no_world_but_its_call", no_world::go)
        .without_broker()
        .in_language(Language::Go),
    Behaviour::new("what_a_guest_in_typescript_did_is_replayed_and_compared", |world| {
        replayed_and_compared(world, Language::TypeScript)
    })
    .in_language(Language::TypeScript),
    Behaviour::new("what_a_guest_in_python_did_is_replayed_and_compared", |world| {
        replayed_and_compared(world, Language::Python)
    })
    .in_language(Language::Python),
    Behaviour::new("guests_in_rust_and_in_python_take_turns_under_load", |world| {
        take_turns(world, Language::Python)
    })
    .in_language(Language::Python),
    Behaviour::new("guests_in_rust_and_in_go_take_turns_under_load", |world| {
        take_turns(world, Language::Go)
    })
    .in_language(Language::Go),
    Behaviour::new("two_builds_of_a_guest_in_rust_are_equal_to_the_byte", |world| {
        first_steps::same_anywhere(world, "rust")
    })
    .without_broker(),
    Behaviour::new("two_builds_of_a_guest_in_typescript_are_equal_to_the_byte", |world| {
        first_steps::same_anywhere(world, "ts")
    })
    .without_broker()
    .in_language(Language::TypeScript),
    Behaviour::new("two_builds_of_a_guest_in_go_are_equal_to_the_byte", |world| {
        first_steps::same_anywhere(world, "go")
    })
    .without_broker()
    .in_language(Language::Go),
    Behaviour::new("a_new_guest_asks_for_its_language_at_a_terminal", first_steps::asked)
        .without_broker()
        .in_language(Language::Python),
    Behaviour::new("the_sdk_for_typescript_and_its_guests_pass_their_own_tests", own_tests)
        .without_broker()
        .in_language(Language::TypeScript),
];

fn own_tests(world: &World) -> Result {
    // Installs what they need.
    guest_in("guest/preferences-ts")?;
    let folder = repository().join("guest/preferences-ts");
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.runs(&folder.to_string_lossy(), "npm", &["run", "check"])?;
    newcomer.runs(&folder.to_string_lossy(), "npm", &["test"])
}
