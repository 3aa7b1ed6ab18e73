//! What values are taken, and that a refusal names the field and leaves nothing behind.

use anyhow::{Context, ensure};
use sandman::guest::Language;
use sandman_tests::{Behaviour, DreamScape, Result, User, World};
use serde_json::{Map, Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("values_within_their_limits_are_taken", taken),
    Behaviour::new("a_value_beyond_its_limits_is_refused_by_the_name_of_its_field", refused),
    Behaviour::new("values_within_their_limits_are_taken_by_typescript", taken).in_language(Language::TypeScript),
    Behaviour::new(
        "a_value_beyond_its_limits_is_refused_by_typescript_by_the_name_of_its_field",
        refused,
    )
    .in_language(Language::TypeScript),
];

/// A value at a path such as `travel.dietary`.
fn at(path: &str, value: &Value) -> Value {
    let parts = path.rsplit('.');
    parts.fold(value.clone(), |inner, part| {
        Value::Object(Map::from_iter([(part.to_owned(), inner)]))
    })
}

fn read<'a>(body: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(body, |body, part| &body[part])
}

fn long(letter: &str, count: usize) -> Value {
    json!(letter.repeat(count))
}

/// An address of `bytes` bytes.
fn mail(bytes: usize) -> Value {
    json!(format!("{}@example.com", "a".repeat(bytes - 12)))
}

/// A path of `bytes` bytes.
fn picture(bytes: usize) -> Value {
    json!(format!("/{}", "p".repeat(bytes - 1)))
}

/// By field of the settings form, what is taken as it is.
fn good_settings() -> Vec<(&'static str, Vec<Value>)> {
    let seats = ["window", "aisle", "middle", "no-preference"];
    let meals = [
        "standard",
        "vegetarian",
        "vegan",
        "halal",
        "kosher",
        "gluten-free",
        "no-preference",
    ];
    let classes = ["economy", "premium-economy", "business", "first", "no-preference"];
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
    let lists = || vec![json!([]), json!(["anything"]), Value::Array(vec![long("é", 100); 50])];
    let switch = || vec![json!(false), json!(true)];
    vec![
        (
            "profile.name",
            vec![json!("A"), long("é", 100), json!("O'Brien-Šmíd 李")],
        ),
        (
            "profile.email",
            vec![json!("a@b.c"), json!("a+b@sub.example.com"), mail(254)],
        ),
        (
            "profile.photo",
            vec![json!("/a"), json!("http://a.b/c?d=e#f"), picture(2048)],
        ),
        (
            "preferences.language",
            texts(&["en", "fr", "zu", "aa", "English", "French"]),
        ),
        ("preferences.currency", texts(&["EUR", "USD", "ZWG", "AED"])),
        ("preferences.timezone", vec![json!("UTC"), long("é", 100)]),
        ("notifications.dealAlerts", switch()),
        ("notifications.tripReminders", switch()),
        ("notifications.priceAlerts", switch()),
        ("notifications.newsletter", switch()),
        ("privacy.profileVisibility", vec![json!("public"), long("v", 100)]),
        ("privacy.dataSharing", switch()),
        ("privacy.marketing", switch()),
        ("travel.travelPreferences.seatPreference", texts(&seats)),
        ("travel.travelPreferences.mealPreference", texts(&meals)),
        ("travel.travelPreferences.classPreference", texts(&classes)),
        ("travel.preferredDestinations", lists()),
        ("travel.accommodationType", lists()),
        ("travel.activities", lists()),
        ("travel.dietary", lists()),
    ]
}

/// By field of a new profile, what is sent and what is stored.
fn good_profiles() -> Vec<(&'static str, Value, Value)> {
    let kept = |field, value: Value| (field, value.clone(), value);
    vec![
        kept("firstName", long("é", 100)),
        kept("lastName", json!("L")),
        ("lastName", json!("  Lovelace "), json!("Lovelace")),
        ("phone", json!("+33 (6) 12.34-56 78"), json!("+33612345678")),
        ("phone", json!("+[44] 20-7946.0018"), json!("+442079460018")),
        kept("phone", json!("+12")),
        kept("phone", json!("+123456789012345")),
        kept("dateOfBirth", json!("2024-02-29")),
        kept("dateOfBirth", json!("1900-12-31")),
        ("dateOfBirth", json!("1990-12-31T00:00:00Z"), json!("1990-12-31")),
        ("dateOfBirth", json!(""), Value::Null),
        ("phone", json!(""), Value::Null),
        ("nationality", json!(""), Value::Null),
        kept("nationality", json!("FR")),
        kept("nationality", json!("ZW")),
        kept("avatar", json!("https://example.com/a.png")),
        kept("avatar", json!("/a.png")),
    ]
}

/// By field of the settings form, what is refused.
fn bad_settings() -> Vec<(&'static str, Vec<Value>)> {
    let lists = || {
        vec![
            json!({}),
            json!([1]),
            json!(7),
            Value::Array(vec![json!("a"); 51]),
            json!([long("a", 101)]),
        ]
    };
    let switch = || vec![json!("yes"), json!(1), json!([])];
    let choice = |other: &str| vec![json!(other), json!(" "), json!(["economy"])];
    vec![
        ("profile", vec![json!(1), json!([]), json!("Ada")]),
        (
            "profile.name",
            vec![json!("  "), long("é", 101), json!("a\nb"), json!(7)],
        ),
        (
            "profile.email",
            vec![
                json!("x"),
                json!("a@b"),
                json!("@b.c"),
                json!("a b@c.de"),
                json!("a@b..c"),
                mail(255),
                json!(5),
            ],
        ),
        (
            "profile.photo",
            vec![
                json!("x"),
                json!("//evil.example/a"),
                json!("ftp://a/b"),
                json!("javascript:alert(1)"),
                json!("http://"),
                json!("/a b"),
                json!("/a\\b"),
                picture(2049),
            ],
        ),
        ("preferences", vec![json!([]), json!("fr")]),
        (
            "preferences.language",
            vec![
                json!("EN"),
                json!("eng"),
                json!("xx"),
                json!("e"),
                json!("Klingon"),
                json!(1),
            ],
        ),
        (
            "preferences.currency",
            vec![json!("eur"), json!("EU"), json!("ABC"), json!("EURO"), json!(978)],
        ),
        (
            "preferences.timezone",
            vec![json!(" "), long("é", 101), json!("a\u{0}"), json!(1)],
        ),
        ("notifications", vec![json!(true), json!(["email"])]),
        ("notifications.email", switch()),
        ("notifications.sms", switch()),
        ("notifications.push", switch()),
        ("notifications.dealAlerts", switch()),
        ("notifications.tripReminders", switch()),
        ("notifications.priceAlerts", switch()),
        ("notifications.newsletter", switch()),
        ("privacy", vec![json!("public")]),
        (
            "privacy.profileVisibility",
            vec![json!(" "), long("v", 101), json!(true)],
        ),
        ("privacy.dataSharing", switch()),
        ("privacy.marketing", switch()),
        ("travelPreferences.seatPreference", choice("floor")),
        ("travelPreferences.mealPreference", choice("fish")),
        ("travelPreferences.classPreference", choice("cargo")),
        ("travel", vec![json!("Lima"), json!(1)]),
        ("travel.travelPreferences.seatPreference", choice("Window")),
        ("travel.mealPreference", choice("anything")),
        ("travel.preferredDestinations", lists()),
        ("travel.accommodationType", lists()),
        ("travel.activities", lists()),
        ("travel.dietary", lists()),
    ]
}

/// By field of a new profile, what is refused.
fn bad_profiles() -> Vec<(&'static str, Vec<Value>)> {
    let name = || {
        vec![
            json!(""),
            json!(" "),
            long("é", 101),
            json!("a\tb"),
            json!(7),
            Value::Null,
        ]
    };
    let numbers = ["0612345678", "+0123", "+1", "+1234567890123456", "12345", "+12a", "+"];
    let dates = [
        "2023-02-29",
        "1990-1-1",
        "31/12/1990",
        "1990-12-31T25:00:00Z",
        "1990-13-01",
        "1990-00-10",
    ];
    let countries = ["fr", "FRA", "XX", "UK", "F"];
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| json!(text))
            .chain([json!(1)])
            .collect::<Vec<_>>()
    };
    vec![
        ("firstName", name()),
        ("lastName", name()),
        ("phone", texts(&numbers)),
        ("dateOfBirth", texts(&dates)),
        ("nationality", texts(&countries)),
        (
            "avatar",
            texts(&["a.png", "//evil.example/a", "data:image/png;base64,AA"]),
        ),
        ("preferences", texts(&["EN"])),
    ]
}

fn taken(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = app.user("settings")?;
    for (path, values) in good_settings() {
        for value in values {
            let answered = user.put(&at(path, &value))?;
            let body = answered.has(200).with_context(|| format!("{path}: {value}"))?;
            ensure!(*read(&body, path) == value, "{path}: {value} became {body}");
        }
    }
    for (number, (field, sent, stored)) in good_profiles().into_iter().enumerate() {
        let mut body = json!({ "firstName": "Ada", "lastName": "Lovelace" });
        body[field] = sent.clone();
        let user = app.user(&format!("profile-{number}"))?;
        let created = user.create(&body)?.has(201).with_context(|| body.to_string())?;
        ensure!(created[field] == stored, "{field}: {sent} became {created}");
    }
    Ok(())
}

fn refused(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let user = app.user("settings")?;
    user.put(&json!({ "profile": { "name": "Ada" }, "preferences": { "language": "fr" } }))?
        .has(200)?;
    let before = user.settings()?.has(200)?;
    for (path, values) in bad_settings() {
        for value in values {
            refuses_settings(&user, path, &value).with_context(|| format!("{path}: {value}"))?;
        }
    }
    for body in [json!([]), json!("Ada"), json!(1), Value::Null] {
        user.put(&body)?.refuses(400, &["the body must be a JSON object"])?;
    }
    user.settings()?.is(200, &before)?;

    let new = app.user("profile")?;
    for (path, values) in bad_profiles() {
        for value in values {
            let mut body = at(path, &value);
            for name in ["firstName", "lastName"] {
                if body.get(name).is_none() {
                    body[name] = json!("Ada");
                }
            }
            let refused = new.create(&body)?.refuses(400, &[&format!("{path} ")]);
            refused.with_context(|| format!("{path}: {value}"))?;
        }
    }
    // Everything that is wrong is said at once.
    let body = json!({ "phone": "12", "dateOfBirth": "never" });
    let all = [
        "firstName is required",
        "lastName is required",
        "phone must",
        "dateOfBirth must",
    ];
    new.create(&body)?.refuses(400, &all)?;

    let first = json!({ "changes": { "username": { "old": null, "new": "Ada" } } });
    let second = json!({ "preferences": { "language": "fr" } });
    events
        .of(&user)?
        .is(&[("user.updated", first), ("user.preferences.updated", second)])?;
    events.of(&new)?.is(&[])
}

/// What stands beside it in the form, good in itself and read by the other handler as well, must not be taken either.
fn refuses_settings(user: &User, path: &str, value: &Value) -> Result {
    let mut form = at(path, value);
    if form.get("profile").is_none() {
        form["profile"] = json!({ "name": "Not this" });
    }
    if form.get("preferences").is_none() {
        form["preferences"] = json!({ "language": "es" });
    }
    user.put(&form)?.refuses(400, &[&format!("{path} must")])
}
