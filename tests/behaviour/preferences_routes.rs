//! The names that preferences have had: clients of every age are understood, and read back what they know.

use anyhow::Context;
use sandman_tests::{Behaviour, DreamScape, Result, World};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "preferences_come_under_every_name_they_have_had",
    every_name,
)];

/// A form, and the `preferences` of the event that it publishes, if any.
fn forms() -> Vec<(Value, Option<Value>)> {
    let switches = |email: bool, sms: bool, push: bool| {
        Some(json!({ "notifications": { "email": email, "sms": sms, "push": push } }))
    };
    let chosen = json!({ "seatPreference": "aisle", "classPreference": "business" });
    let travel = Some(json!({ "travelPreferences": chosen }));
    vec![
        (
            json!({ "notifications": { "email": false } }),
            switches(false, true, true),
        ),
        (
            json!({ "notifications": { "dealAlerts": false } }),
            switches(false, true, true),
        ),
        (
            json!({ "notifications": { "sms": false } }),
            switches(true, false, true),
        ),
        (
            json!({ "notifications": { "tripReminders": false } }),
            switches(true, false, true),
        ),
        (
            json!({ "notifications": { "push": false } }),
            switches(true, true, false),
        ),
        (
            json!({ "notifications": { "priceAlerts": false } }),
            switches(true, true, false),
        ),
        (
            json!({ "notifications": { "dealAlerts": false, "tripReminders": false, "priceAlerts": false } }),
            switches(false, false, false),
        ),
        (
            json!({ "preferences": { "notifications": { "sms": false } } }),
            switches(true, false, true),
        ),
        // Stored and given back, told to nobody.
        (json!({ "notifications": { "newsletter": false } }), None),
        (json!({ "preferences": { "timezone": "Pacific/Auckland" } }), None),
        (
            json!({ "privacy": { "profileVisibility": "private", "dataSharing": true, "marketing": false } }),
            None,
        ),
        (
            json!({ "travel": { "preferredDestinations": ["Lima"], "accommodationType": "hotel" } }),
            None,
        ),
        (
            json!({ "travel": { "activities": ["hiking"], "dietary": ["no nuts", "vegan"] } }),
            None,
        ),
        (json!({ "travelPreferences": chosen }), travel.clone()),
        (json!({ "travel": { "travelPreferences": chosen } }), travel.clone()),
        (
            json!({ "preferences": { "travelPreferences": chosen } }),
            travel.clone(),
        ),
        (json!({ "travel": chosen }), travel.clone()),
        (
            json!({ "travel": { "dietary": ["vegan"] }, "travelPreferences": chosen, "preferences": { "language": "fr" } }),
            Some(json!({ "language": "fr", "travelPreferences": chosen })),
        ),
    ]
}

/// What the form stores, by the names under which it is read.
fn stored(form: &Value, told: Option<&Value>) -> Value {
    let mut read = json!({
        "preferences": {}, "privacy": {}, "travel": {},
        "notifications": { "email": true, "sms": true, "push": true },
    });
    let mut lay = |section: &str, fields: &Value, names: &[&str]| {
        for name in names {
            if let Some(value) = fields.get(name) {
                read[section][*name] = value.clone();
            }
        }
    };
    lay("preferences", &form["preferences"], &["language", "timezone"]);
    lay("notifications", &form["notifications"], &["newsletter"]);
    lay(
        "privacy",
        &form["privacy"],
        &["profileVisibility", "dataSharing", "marketing"],
    );
    let lists = ["preferredDestinations", "accommodationType", "activities", "dietary"];
    lay("travel", &form["travel"], &lists);
    if let Some(told) = told {
        lay("notifications", &told["notifications"], &["email", "sms", "push"]);
        lay("travel", told, &["travelPreferences"]);
    }
    for (name, form_name) in [
        ("email", "dealAlerts"),
        ("sms", "tripReminders"),
        ("push", "priceAlerts"),
    ] {
        read["notifications"][form_name] = read["notifications"][name].clone();
    }
    read
}

fn every_name(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    for (number, (form, told)) in forms().into_iter().enumerate() {
        let user = app.user(&format!("user-{number}"))?;
        let mut expected = stored(&form, told.as_ref());
        expected["profile"] = json!({ "email": user.token_email() });
        let mut answered = expected.clone();
        answered["message"] = json!("Profile updated successfully");
        let told: Vec<_> = told
            .into_iter()
            .map(|preferences| ("user.preferences.updated", json!({ "preferences": preferences })))
            .collect();
        let check = || -> Result {
            user.put(&form)?.is(200, &answered)?;
            user.settings()?.is(200, &expected)?;
            // A client that sends back what it has read changes nothing.
            user.put(&expected)?.is(200, &answered)?;
            Ok(())
        };
        check().with_context(|| form.to_string())?;
        events.of(&user)?.is(&told).with_context(|| form.to_string())?;
    }
    Ok(())
}
