//! A handler is exchanged for one in another language while it serves: DreamScape's preferences in Rust and in TypeScript work
//! on the same states, and nobody notices which of them answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use sandman::guest::Language;
use sandman_tests::{Behaviour, DreamScape, Result, User, World, eventually, guest_in, untouched};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "preferences_in_rust_and_in_typescript_take_turns_under_load",
    take_turns,
)
.in_language(Language::TypeScript)];

const USERS: usize = 6;
/// How often one takes the other's place.
const TURNS: usize = 6;
/// Requests that each version answers at least before the next one comes.
const BETWEEN: usize = 60;

/// The form that is put as the `turn`-th of a user, and the event that it makes.
fn form(turn: usize) -> (Value, Value) {
    let email = turn.is_multiple_of(2);
    let seat = ["window", "aisle", "middle"][turn % 3];
    let (language, code) = [("French", "fr"), ("German", "de"), ("eo", "eo"), ("日本語", "ja")][turn % 4];
    let form = json!({
        "preferences": { "language": language },
        "notifications": { "email": email },
        "travel": { "dietary": [format!("no {turn}")], "travelPreferences": { "seatPreference": seat } },
    });
    let told = json!({
        "language": code,
        "notifications": { "email": email, "sms": true, "push": true },
        "travelPreferences": { "seatPreference": seat },
    });
    (form, told)
}

fn take_turns(world: &World) -> Result {
    // The world's own language is the first that serves.
    let app = DreamScape::start(world)?;
    let components = ["guest/preferences", "guest/preferences-ts"].map(guest_in);
    let [rust, typescript] = components;
    let components = [std::fs::read(rust?)?, std::fs::read(typescript?)?];
    let (answered, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let counts = thread::scope(|scope| -> Result<Vec<usize>> {
        let users: Vec<_> = (0..USERS)
            .map(|user| app.user(&format!("user-{user}")))
            .collect::<Result<_>>()?;
        let asking: Vec<_> = users
            .into_iter()
            .map(|user| scope.spawn(|| puts(user, &answered, &done)))
            .collect();
        let exchanged = exchange(&app, &components, &answered, || {
            asking.iter().any(|client| client.is_finished())
        });
        done.store(true, Ordering::Relaxed);
        let ended = asking.into_iter().map(|client| client.join());
        // What a client has seen says more than that it has gone.
        let counts = ended
            .map(|count| count.unwrap_or_else(|_| Err(anyhow!("a client panicked"))))
            .collect::<Result<Vec<_>>>()?;
        exchanged.map(|()| counts)
    })?;
    let mut events = app.events()?;
    for (number, turns) in counts.into_iter().enumerate() {
        let user = app.user(&format!("user-{number}"))?;
        let told: Vec<_> = (0..turns)
            .map(|turn| ("user.preferences.updated", json!({ "preferences": form(turn).1 })))
            .collect();
        events.of(&user)?.is(&told).with_context(|| user.id.clone())?;
    }
    let dead = app.host().metrics()?;
    ensure!(
        dead.sum("sandman_dead_letters_total", &[]).unwrap_or_default() == 0.0,
        "{}",
        dead.text()
    );
    app.host().still_runs()
}

/// One takes the other's place, each once it has answered for a while.
fn exchange(
    app: &DreamScape<'_>,
    components: &[Vec<u8>; 2],
    answered: &AtomicUsize,
    gone: impl Fn() -> bool,
) -> Result {
    for turn in 0..TURNS {
        let so_far = answered.load(Ordering::Relaxed);
        eventually("a version answers", || {
            ensure!(!gone(), "a client has ended");
            Ok((answered.load(Ordering::Relaxed) >= so_far + BETWEEN).then_some(()))
        })?;
        app.host().deployed("preferences", &components[turn % 2])?;
    }
    Ok(())
}

/// Puts one form after the other, each of which must be answered with all that was put; returns how many.
fn puts(user: User, answered: &AtomicUsize, done: &AtomicBool) -> Result<usize> {
    let mut turn = 0;
    while !done.load(Ordering::Relaxed) {
        let (form, _) = form(turn);
        let reply = user.put(&form)?.has(200)?;
        let mut expected = untouched(Value::Null);
        expected["preferences"]["language"] = form["preferences"]["language"].clone();
        expected["notifications"]["dealAlerts"] = form["notifications"]["email"].clone();
        for name in ["dietary", "travelPreferences"] {
            expected["travel"][name] = form["travel"][name].clone();
        }
        for section in ["preferences", "notifications", "privacy", "travel"] {
            ensure!(
                reply[section] == expected[section],
                "{}, {turn}: {section} is {}\n  not {}",
                user.id,
                reply[section],
                expected[section]
            );
        }
        answered.fetch_add(1, Ordering::Relaxed);
        turn += 1;
    }
    Ok(turn)
}
