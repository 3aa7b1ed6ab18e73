//! `sandman import`: a document from the service before this one, held to the rules of requests and written as this
//! handler puts it.

use sandman_sdk::form::Form;
use sandman_sdk::prelude::*;
use serde_json::json;

use crate::form::{read_choices, read_lists, read_privacy};
use crate::rules;
use crate::state::{General, Notifications, Preferences};

/// Takes over one document.
pub fn take_over(request: &Request) -> Outcome<Preferences> {
    match read(request) {
        Ok(preferences) => Outcome::new().reply(200, &json!({})).put(preferences),
        Err(why) => Outcome::new().reply(400, &json!({ "error": why })),
    }
}

fn read(request: &Request) -> Result<Preferences, String> {
    let mut form = Form::of(request)?.without_empty_texts();
    known_fields_only(&mut form);
    form.require("updatedAt");
    let mut preferences = Preferences {
        general: read_general(&mut form),
        notifications: read_notifications(&mut form),
        newsletter: form.flag("newsletter"),
        updated_at: form.text("updatedAt", rules::time).unwrap_or_default(),
        ..Preferences::default()
    };
    read_privacy(&mut form, "privacy", &mut preferences.privacy);
    read_choices(&mut form, "travelPreferences", &mut preferences.travel_preferences);
    read_lists(&mut form, "travelLists", &mut preferences.travel_lists);
    form.finish()?;
    Ok(preferences)
}

/// A field that is misspelt would be lost without a word.
fn known_fields_only(form: &mut Form) {
    let sections: [(&str, &[&str]); 6] = [
        (
            "",
            &[
                "general",
                "notifications",
                "newsletter",
                "privacy",
                "travelPreferences",
                "travelLists",
                "updatedAt",
            ],
        ),
        ("general", &["language", "languageName", "currency", "timezone"]),
        ("notifications", &["email", "sms", "push"]),
        ("privacy", &["profileVisibility", "dataSharing", "marketing"]),
        (
            "travelPreferences",
            &["seatPreference", "mealPreference", "classPreference"],
        ),
        (
            "travelLists",
            &["preferredDestinations", "accommodationType", "activities", "dietary"],
        ),
    ];
    for (section, fields) in sections {
        form.only(section, fields);
    }
}

fn read_general(form: &mut Form) -> General {
    let language = form.value("general.language", rules::language);
    // A document of this handler's own has the code and the name.
    let named = form.value("general.languageName", rules::language);
    let (language, language_name) = match (language, named) {
        (Some(language), Some(named)) if language.code == named.code => (Some(language.code), named.name),
        (Some(language), None) => (Some(language.code), language.name),
        (_, Some(_)) => {
            let must = "must name the language of general.language";
            form.value::<()>("general.languageName", |_| Err(must));
            (None, None)
        }
        (None, None) => (None, None),
    };
    General {
        language,
        language_name,
        currency: form.text("general.currency", rules::currency),
        timezone: form.text("general.timezone", rules::word),
    }
}

/// All three switches, or none, which means all of them.
fn read_notifications(form: &mut Form) -> Notifications {
    if !form.has("notifications") {
        return Notifications::default();
    }
    let mut switch = |name: &str| {
        form.require(name);
        form.flag(name).unwrap_or(true)
    };
    Notifications {
        email: switch("notifications.email"),
        sms: switch("notifications.sms"),
        push: switch("notifications.push"),
    }
}
