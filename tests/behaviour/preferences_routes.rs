//! The names that preferences have had: clients of every age are understood, and read back what they know.

use anyhow::Context;
use sandman::guest::Language;
use sandman_tests::{Behaviour, DreamScape, Result, World, untouched};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("preferences_come_under_every_name_they_have_had", every_name),
    Behaviour::new(
        "preferences_in_typescript_come_under_every_name_they_have_had",
        every_name,
    )
    .in_language(Language::TypeScript),
];

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
        // Stored and given back only.
        (json!({ "notifications": { "newsletter": true } }), None),
        // In no payload, and published all the same, with all that is known.
        (
            json!({ "preferences": { "timezone": "Pacific/Auckland" } }),
            switches(true, true, true),
        ),
        (
            json!({ "privacy": { "profileVisibility": "private", "dataSharing": true, "marketing": false } }),
            switches(true, true, true),
        ),
        (
            json!({ "travel": { "preferredDestinations": ["Lima"], "accommodationType": ["hotel"] } }),
            switches(true, true, true),
        ),
        (
            json!({ "travel": { "activities": ["hiking"], "dietary": ["no nuts", "vegan"] } }),
            switches(true, true, true),
        ),
        // A name is shown as it was chosen, and told as ISO 639-1.
        (
            json!({ "preferences": { "language": "French" } }),
            Some(json!({ "language": "fr" })),
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

/// What is read after the form, by the names of the settings page.
fn read_after(form: &Value, told: Option<&Value>) -> Value {
    let mut read = untouched(Value::Null);
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
        lay("travel", told, &["travelPreferences"]);
        for (name, form_name) in [
            ("email", "dealAlerts"),
            ("sms", "tripReminders"),
            ("push", "priceAlerts"),
        ] {
            if let Some(switch) = told["notifications"].get(name) {
                read["notifications"][form_name] = switch.clone();
            }
        }
    }
    read
}

fn every_name(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    for (number, (form, told)) in forms().into_iter().enumerate() {
        let user = app.user(&format!("user-{number}"))?;
        let mut expected = read_after(&form, told.as_ref());
        expected["profile"] = json!({ "name": "", "email": user.token_email(), "photo": null });
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
