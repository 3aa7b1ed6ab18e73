//! Every combination of the settings form's sections, compared with a small model of what the documentation says.

use anyhow::Context;
use sandman::guest::Language;
use sandman_tests::{Behaviour, DreamScape, Events, Result, User, World, untouched};
use serde_json::{Map, Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("every_combination_of_sections_is_as_the_model_says", every_combination),
    Behaviour::new(
        "every_combination_is_as_the_model_says_with_preferences_in_typescript",
        every_combination,
    )
    .in_language(Language::TypeScript),
];

/// What a form may hold: the first time everything, then some of it, so that what was not sent shows where it must.
fn sections() -> [(&'static str, Value, Value); 5] {
    [
        (
            "profile",
            json!({ "name": "Ada", "email": "ada@example.com", "photo": "/ada.png" }),
            json!({ "name": "Countess", "photo": "https://example.com/ada.gif" }),
        ),
        (
            "preferences",
            json!({ "language": "French", "currency": "EUR", "timezone": "Europe/Paris" }),
            json!({ "currency": "GBP" }),
        ),
        (
            "notifications",
            json!({ "email": false, "sms": true, "push": true, "newsletter": true }),
            json!({ "tripReminders": false }),
        ),
        (
            "privacy",
            json!({ "profileVisibility": "friends", "dataSharing": true, "marketing": true }),
            json!({ "marketing": false }),
        ),
        (
            "travel",
            json!({
                "preferredDestinations": ["Lima", "Oslo"], "accommodationType": ["hotel"], "activities": [], "dietary": ["nuts"],
                "travelPreferences": { "seatPreference": "window", "mealPreference": "vegan", "classPreference": "first" },
            }),
            json!({ "dietary": [], "travelPreferences": { "mealPreference": "halal" } }),
        ),
    ]
}

/// The form with the sections of a combination; `second` chooses which of the two values.
fn form(combination: usize, second: bool) -> Value {
    let chosen = sections().into_iter().enumerate();
    let chosen = chosen.filter(|(at, _)| combination & (1 << at) != 0);
    chosen
        .map(|(_, (name, one, other))| (name.to_owned(), if second { other } else { one }))
        .collect::<Map<_, _>>()
        .into()
}

fn every_combination(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    for combination in 1..1 << sections().len() {
        let fresh = (form(combination, false), "fresh");
        let known = (form(combination, true), "known");
        for (form, kind) in [fresh, known] {
            let user = app.user(&format!("{kind}-{combination}"))?;
            let checked = check(&user, &form, kind == "known", &mut events);
            checked.with_context(|| format!("a {kind} user put {form}"))?;
        }
    }
    Ok(())
}

fn check(user: &User, form: &Value, known: bool, events: &mut Events) -> Result {
    let mut model = Model::of(user);
    let mut told = Vec::new();
    let everything = self::form(usize::MAX, false);
    let first = known.then_some(&everything);
    // The form twice: the second time nothing is different, and nothing is published.
    for sent in first.into_iter().chain([form, form]) {
        told.extend(model.put(sent));
        let mut expected = model.settings();
        expected["message"] = json!("Profile updated successfully");
        user.put(sent)?.is(200, &expected)?;
        user.settings()?.is(200, &model.settings())?;
    }
    events.of(user)?.is(&told)
}

/// What is known of a user, as objects of what was ever sent.
struct Model {
    token_email: String,
    profile: Map<String, Value>,
    general: Map<String, Value>,
    switches: Map<String, Value>,
    newsletter: Map<String, Value>,
    privacy: Map<String, Value>,
    lists: Map<String, Value>,
    travel: Map<String, Value>,
}

/// Takes over the fields of these names, each stored under its second name; says whether there were any.
fn take(from: &Value, names: &[(&str, &str)], into: &mut Map<String, Value>) -> bool {
    let sent: Vec<_> = names
        .iter()
        .filter_map(|(name, stored)| Some(((*stored).to_owned(), from.get(name)?.clone())))
        .collect();
    let any = !sent.is_empty();
    into.extend(sent);
    any
}

const SWITCHES: [(&str, &str); 3] = [
    ("email", "dealAlerts"),
    ("sms", "tripReminders"),
    ("push", "priceAlerts"),
];
const LISTS: [&str; 4] = ["preferredDestinations", "accommodationType", "activities", "dietary"];
const TRAVEL: [&str; 3] = ["seatPreference", "mealPreference", "classPreference"];

fn same<const N: usize>(names: [&str; N]) -> [(&str, &str); N] {
    names.map(|name| (name, name))
}

fn only(fields: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let of = fields.iter().filter(|(name, _)| names.contains(&name.as_str()));
    of.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Model {
    fn of(user: &User) -> Self {
        let on = |(name, _): &(&str, &str)| ((*name).to_owned(), json!(true));
        Self {
            token_email: user.token_email(),
            profile: Map::new(),
            general: Map::new(),
            switches: SWITCHES.iter().map(on).collect(),
            newsletter: Map::new(),
            privacy: Map::new(),
            lists: Map::new(),
            travel: Map::new(),
        }
    }

    /// What `GET` answers.
    fn settings(&self) -> Value {
        let mut settings = untouched(json!({ "name": "", "email": self.token_email, "photo": null }));
        let mut lay = |section: &str, fields: &Map<String, Value>| {
            for (name, value) in fields {
                settings[section][name] = value.clone();
            }
        };
        lay("profile", &self.profile);
        lay("preferences", &self.general);
        let by_form_name = SWITCHES.map(|(name, form)| (form.to_owned(), self.switches[name].clone()));
        lay("notifications", &Map::from_iter(by_form_name));
        lay("notifications", &self.newsletter);
        lay("privacy", &self.privacy);
        lay("travel", &self.lists);
        if !self.travel.is_empty() {
            settings["travel"]["travelPreferences"] = self.travel.clone().into();
        }
        settings
    }

    /// Takes over a form; returns what is to be published.
    fn put(&mut self, form: &Value) -> Vec<(&'static str, Value)> {
        let mut told = self.put_profile(&form["profile"]);
        told.extend(self.put_preferences(form));
        told
    }

    fn put_profile(&mut self, section: &Value) -> Vec<(&'static str, Value)> {
        let before = self.profile.clone();
        take(section, &same(["name", "email", "photo"]), &mut self.profile);
        let mut told = Vec::new();
        let mut changes = Map::new();
        for (field, name, unknown) in [
            ("name", "username", None),
            ("email", "email", Some(json!(self.token_email))),
        ] {
            let old = before.get(field).cloned().or(unknown);
            let new = self.profile.get(field).cloned();
            if let Some(new) = new.filter(|new| old.as_ref() != Some(new)) {
                changes.insert(name.to_owned(), json!({ "old": old, "new": new }));
            }
        }
        if !changes.is_empty() {
            told.push(("user.updated", json!({ "changes": changes })));
        }
        if before.get("photo") != self.profile.get("photo") {
            told.push((
                "user.profile.updated",
                json!({ "profile": { "avatar": self.profile["photo"] } }),
            ));
        }
        told
    }

    fn put_preferences(&mut self, form: &Value) -> Option<(&'static str, Value)> {
        let before = self.acted_on();
        take(&form["preferences"], &same(["timezone"]), &mut self.general);
        let general = take(&form["preferences"], &same(["language", "currency"]), &mut self.general);
        let by_form_name = SWITCHES.map(|(name, form)| (form, name));
        let section = &form["notifications"];
        let switches = take(section, &same(SWITCHES.map(|(name, _)| name)), &mut self.switches)
            | take(section, &by_form_name, &mut self.switches);
        take(section, &same(["newsletter"]), &mut self.newsletter);
        let privacy = same(["profileVisibility", "dataSharing", "marketing"]);
        take(&form["privacy"], &privacy, &mut self.privacy);
        take(&form["travel"], &same(LISTS), &mut self.lists);
        let travel = take(&form["travel"]["travelPreferences"], &same(TRAVEL), &mut self.travel);
        if self.acted_on() == before {
            return None;
        }
        let named = self.payload(general, switches, travel);
        let preferences = if named.is_empty() {
            self.payload(true, true, true)
        } else {
            named
        };
        Some(("user.preferences.updated", json!({ "preferences": preferences })))
    }

    /// What others act on, whether it is in a payload or not: all but the newsletter.
    fn acted_on(&self) -> Value {
        let mut settings = self.settings();
        settings["notifications"] = self.switches.clone().into();
        settings["profile"] = Value::Null;
        settings
    }

    /// The sections of an event.
    fn payload(&self, general: bool, switches: bool, travel: bool) -> Map<String, Value> {
        let mut sections = Map::new();
        if general {
            sections = only(&self.general, &["language", "currency"]);
            if let Some(language) = sections.get_mut("language") {
                *language = json!("fr");
            }
        }
        if switches {
            sections.insert("notifications".to_owned(), self.switches.clone().into());
        }
        if travel && !self.travel.is_empty() {
            sections.insert("travelPreferences".to_owned(), self.travel.clone().into());
        }
        sections
    }
}
