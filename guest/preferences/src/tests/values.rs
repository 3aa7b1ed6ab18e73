//! What values may look like, up to their limits; a wrong one is named, and nothing of its request is kept.

use super::*;

fn check(path: &str, good: &[Value], bad: &[Value]) {
    let body = |value: &Value| {
        let wrap = |value: Value, name: &str| json!({ name: value });
        path.rsplit('.').fold(value.clone(), wrap)
    };
    for value in good {
        assert_eq!(User::default().put(body(value)).status, 200, "{path} {value}");
    }
    for value in bad {
        let mut wrong = body(value);
        wrong["privacy"]["dataSharing"] = json!(true);
        let done = User::default().put(wrong);
        assert_eq!((done.status, &done.state), (400, &Change::Keep), "{path} {value}");
        let error = done.reply["error"].as_str().unwrap();
        assert!(error.starts_with(&format!("{path} must be ")), "{error}");
    }
}

#[test]
fn codes() {
    check(
        "preferences.language",
        &[json!("fr"), json!("en"), json!("French"), json!("")],
        &[
            json!("FR"),
            json!("fra"),
            json!("xx"),
            json!(" "),
            json!(1),
            json!("Klingon"),
        ],
    );
    check(
        "preferences.currency",
        &[json!("EUR"), json!("XOF"), json!("")],
        &[json!("eur"), json!("EU"), json!("ABC"), json!(" "), json!([])],
    );
}

#[test]
fn choices() {
    let all = |choices: &[&str]| choices.iter().map(|choice| json!(choice)).collect::<Vec<_>>();
    let bad = [
        json!("Window"),
        json!("vegan "),
        json!("second"),
        json!(null).to_string().into(),
        json!(false),
    ];
    check(
        "travelPreferences.seatPreference",
        &all(&["window", "aisle", "middle", "no-preference"]),
        &bad,
    );
    let meals = [
        "standard",
        "vegetarian",
        "vegan",
        "halal",
        "kosher",
        "gluten-free",
        "no-preference",
    ];
    check("travelPreferences.mealPreference", &all(&meals), &bad);
    let classes = ["economy", "premium-economy", "business", "first", "no-preference"];
    check("travelPreferences.classPreference", &all(&classes), &bad);
}

#[test]
fn switches_are_true_or_false() {
    for path in [
        "notifications.email",
        "notifications.priceAlerts",
        "notifications.newsletter",
        "privacy.marketing",
    ] {
        check(
            path,
            &[json!(true), json!(false)],
            &[json!("true"), json!(1), json!({})],
        );
    }
}

#[test]
fn words_and_lists() {
    let longest = "é".repeat(100);
    let long = "é".repeat(101);
    for path in ["preferences.timezone", "privacy.profileVisibility"] {
        check(
            path,
            &[json!("Europe/Paris"), json!(longest)],
            &[json!(" "), json!(long), json!("a\nb"), json!(1)],
        );
    }
    let full = vec!["x"; 50];
    let over = vec!["x"; 51];
    for list in ["preferredDestinations", "accommodationType", "activities", "dietary"] {
        check(
            &format!("travel.{list}"),
            &[json!([]), json!("hotel"), json!(full), json!([longest])],
            &[
                json!(over),
                json!([1]),
                json!([[]]),
                json!({}),
                json!(7),
                json!([long]),
                json!(long),
            ],
        );
    }
}

#[test]
fn sections_are_objects() {
    for section in ["preferences", "notifications", "privacy", "travel", "travelPreferences"] {
        for wrong in [json!([]), json!("x"), json!(7), json!(true)] {
            User::default()
                .put(json!({ section: wrong }))
                .is_refused(&format!("{section} must be an object"));
        }
    }
    User::default()
        .put(json!([]))
        .is_refused("the body must be a JSON object");
    User::default()
        .call(Call::request("PUT", OWN))
        .is_refused("the body must be a JSON object");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let body = json!({ "preferences": { "language": 1, "currency": "x" }, "privacy": { "marketing": "no" } });
    let error = "preferences.language must be a text; preferences.currency must be a currency in ISO 4217, for example \
                 EUR; privacy.marketing must be true or false";
    User::default().put(body).is_refused(error);
}
