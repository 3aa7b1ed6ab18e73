//! Who may do what, and how requests and their events are traced.

use anyhow::{Context, ensure};
use sandman_tests::{Ask, Behaviour, DreamScape, Form, OWN, Reply, Result, SECRET, User, World, forged, signed};
use serde_json::{Value, json};
use uuid::Uuid;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("only_a_valid_access_token_of_the_user_opens_a_route", only_valid_tokens),
    Behaviour::new(
        "a_correlation_id_is_taken_or_made_and_carried_by_every_event",
        correlation,
    ),
];

const HS256: &str = "HS256";

fn unauthorized(reply: &Reply, message: &str) -> Result {
    reply.is(401, &json!({ "success": false, "message": message }))?;
    let scheme = reply.header("www-authenticate");
    ensure!(scheme == "Bearer", "www-authenticate is {scheme:?}");
    Ok(())
}

/// Tokens that open nothing, and what is said of each.
fn bad_tokens(user: &User) -> Vec<(&'static str, String, &'static str)> {
    const INVALID: &str = "the token is not valid";
    let with = |field: &str, value: Value| {
        let mut claims = user.claims();
        claims[field] = value;
        claims
    };
    let without = |field: &str| {
        let mut claims = user.claims();
        claims.as_object_mut().and_then(|claims| claims.remove(field));
        signed(&claims)
    };
    let header = |algorithm: &str| forged(&json!({ "alg": algorithm, "typ": "JWT" }), &user.claims(), SECRET);
    let good = user.token();
    let (message, signature) = good.rsplit_once('.').unwrap_or_default();
    let (head, _) = message.split_once('.').unwrap_or_default();
    let others = signed(&with("userId", json!("somebody-else")));
    let payload = others.split('.').nth(1).unwrap_or_default();
    vec![
        (
            "expired",
            signed(&with("exp", json!(1_700_000_000))),
            "the token has expired",
        ),
        ("not yet valid", signed(&with("nbf", json!(4_102_444_700_i64))), INVALID),
        ("never expires", without("exp"), INVALID),
        ("a refresh token", signed(&with("type", json!("refresh"))), INVALID),
        ("of no type", without("type"), INVALID),
        (
            "of a type that is no text",
            signed(&with("type", json!(["access"]))),
            INVALID,
        ),
        ("of nobody", without("userId"), INVALID),
        ("of a user that is no text", signed(&with("userId", json!(7))), INVALID),
        ("of an empty user", signed(&with("userId", json!(""))), INVALID),
        ("alg none", header("none"), INVALID),
        ("alg None", header("None"), INVALID),
        ("alg RS256", header("RS256"), INVALID),
        ("alg HS512, rightly signed", header("HS512"), INVALID),
        (
            "no alg",
            forged(&json!({ "typ": "JWT" }), &user.claims(), SECRET),
            INVALID,
        ),
        (
            "another secret",
            forged(
                &json!({ "alg": HS256 }),
                &user.claims(),
                "not the secret at all, by no means",
            ),
            INVALID,
        ),
        (
            "an empty secret",
            forged(&json!({ "alg": HS256 }), &user.claims(), ""),
            INVALID,
        ),
        ("no signature", format!("{message}."), INVALID),
        (
            "half a signature",
            format!("{message}.{}", signature.get(..20).unwrap_or_default()),
            INVALID,
        ),
        (
            "another's claims under our signature",
            format!("{head}.{payload}.{signature}"),
            INVALID,
        ),
        ("two parts", message.to_owned(), INVALID),
        ("garbage", "garbage".to_owned(), INVALID),
        ("dots", "...".to_owned(), INVALID),
        ("nothing", String::new(), INVALID),
    ]
}

fn only_valid_tokens(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let user = app.user("ada")?;
    let form = json!({ "profile": { "name": "Stolen" } });
    let names = json!({ "firstName": "Stolen", "lastName": "Name" });
    for (what, token, message) in bad_tokens(&user) {
        let check = || -> Result {
            for ask in [
                Ask::new("GET", OWN),
                Ask::new("PUT", OWN).json(&form),
                // Routes that need none do not take a bad one for none.
                Ask::new("POST", &user.path()).json(&names),
                user.picturing(&Form::avatar(Form::PNG)),
                Ask::new("DELETE", &user.path()),
            ] {
                unauthorized(&user.client().ask(&ask.token(&token))?, message)?;
            }
            Ok(())
        };
        check().with_context(|| what.to_owned())?;
    }
    without_token(&user)?;
    another_users(&app.user("eve")?, &user)?;
    ensure!(app.uploads()?.is_empty(), "files were stored: {:?}", app.uploads()?);
    events.of(&user)?.is(&[])
}

fn without_token(user: &User) -> Result {
    let missing = "this needs a token: Authorization: Bearer …";
    for ask in [Ask::new("GET", OWN), Ask::new("PUT", OWN).json(&json!({}))] {
        unauthorized(&user.client().ask(&ask)?, missing)?;
        let basic = ask.clone().header("Authorization", "Basic YWRhOnNlY3JldA==");
        unauthorized(&user.client().ask(&basic)?, "the token is not valid")?;
        let twice = ask.token(&user.token()).header("Authorization", "Bearer other");
        unauthorized(&user.client().ask(&twice)?, "the token is not valid")?;
    }
    // The scheme's letters may be of either case, as the present service has it.
    let lower = Ask::new("GET", OWN).header("Authorization", &format!("bearer {}", user.token()));
    user.client().ask(&lower)?.has(200)?;
    Ok(())
}

/// Routes that need no token refuse the token of somebody else.
fn another_users(eve: &User, victim: &User) -> Result {
    let refusal = json!({ "success": false, "message": "this token belongs to another user" });
    for ask in [
        Ask::new("POST", &victim.path()).json(&json!({ "firstName": "Eve", "lastName": "E" })),
        victim.picturing(&Form::avatar(Form::PNG)),
        Ask::new("DELETE", &victim.path()),
    ] {
        eve.client().ask(&ask.token(&eve.token()))?.is(403, &refusal)?;
    }
    // One's own is fine.
    let own = Ask::new("POST", &eve.path()).json(&json!({ "firstName": "Eve", "lastName": "E" }));
    eve.client().ask(&own.token(&eve.token()))?.has(201)?;
    Ok(())
}

fn correlation(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let user = app.user("ada")?;
    let mut expected = Vec::new();
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (number, sent) in [
        None,
        Some("journey-1"),
        Some(longest.as_str()),
        Some(too_long.as_str()),
        Some("a b"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut ask = user.putting(&json!({
            "profile": { "name": format!("Name {number}"), "photo": format!("/{number}.png") },
            "notifications": { "email": number % 2 == 1 },
        }));
        if let Some(id) = sent {
            ask = ask.header("X-Correlation-Id", id);
        }
        let reply = user.client().ask(&ask)?;
        reply.has(200)?;
        let answered = reply.header("x-correlation-id").to_owned();
        match sent {
            Some(id) if number == 1 || number == 2 => ensure!(answered == id, "{id} was answered with {answered}"),
            // One that cannot be carried is replaced, not refused.
            _ => ensure!(
                Uuid::parse_str(&answered).is_ok(),
                "{sent:?} was answered with {answered:?}"
            ),
        }
        expected.push(answered);
    }
    let told = events.of(&user)?;
    for event_type in sandman_tests::PUBLISHED {
        let seen: Vec<_> = told
            .events(event_type)
            .iter()
            .map(|event| event.header("correlationId"))
            .collect();
        ensure!(seen == expected, "{event_type} carries {seen:?}, not {expected:?}");
    }
    refusals_too(&user)
}

/// Refusals of every kind have an id as well, and nobody makes anything else of an answer.
fn refusals_too(user: &User) -> Result {
    for ask in [
        Ask::new("GET", "/nothing"),
        Ask::new("GET", OWN),
        Ask::new("PATCH", OWN),
        Ask::new("GET", "/health"),
        Ask::new("GET", "/uploads/avatars/none.png"),
        user.putting(&json!([])),
    ] {
        let reply = user.client().ask(&ask.header("X-Correlation-Id", "mine"))?;
        let headers = ["x-correlation-id", "x-content-type-options", "cache-control"].map(|name| reply.header(name));
        ensure!(
            headers == ["mine", "nosniff", "no-store"],
            "{headers:?}: {}",
            reply.text()
        );
    }
    Ok(())
}
