//! Reading the settings form, under all the names that its fields have had.

use sandman_sdk::Request;
use sandman_sdk::form::Form;

use crate::rules;
use crate::state::{General, Preferences, Privacy, TravelLists, TravelPreferences};

/// Where the notification switches may come; all are checked, and for each switch the first place that has it counts.
const NOTIFICATIONS: [&str; 2] = ["notifications", "preferences.notifications"];
/// Where seat, meal and class may come; all are checked, and for each of them the first place that has it counts.
const TRAVEL: [&str; 4] = [
    "travelPreferences",
    "travel.travelPreferences",
    "preferences.travelPreferences",
    "travel",
];

/// Which sections of the event a request has named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// `preferences`: language and currency.
    pub general: bool,
    /// `notifications`.
    pub notifications: bool,
    /// `travelPreferences`.
    pub travel: bool,
}

impl Named {
    /// All of them.
    pub const ALL: Self = Self {
        general: true,
        notifications: true,
        travel: true,
    };
}

/// The preferences as the settings form wants them, from what they are, and the sections it named.
///
/// # Errors
///
/// Everything that is wrong, each with its field.
pub fn read(request: &Request, before: &Preferences) -> Result<(Preferences, Named), String> {
    let mut form = Form::of(request)?.without_empty_texts();
    let read = read_sections(&mut form, before);
    form.finish()?;
    Ok(read)
}

/// The same of the profile's `POST`, whose `preferences` may be any object: what is known of it is used, and the rest,
/// such as a language that is none, is not there.
///
/// # Errors
///
/// Where the body is no object, or its `preferences` are none.
pub fn read_known(request: &Request, before: &Preferences) -> Result<(Preferences, Named), String> {
    let mut shape = Form::of(request)?.without_empty_texts();
    shape.value("preferences", |value| {
        value.is_object().then_some(()).ok_or("must be an object")
    });
    shape.finish()?;
    let mut form = Form::of(request)?.without_empty_texts();
    Ok(read_sections(&mut form, before))
}

fn read_sections(form: &mut Form, before: &Preferences) -> (Preferences, Named) {
    let mut after = before.clone();
    let named = Named {
        general: read_general(form, &mut after.general),
        notifications: read_notifications(form, &mut after),
        travel: read_travel(form, &mut after.travel_preferences),
    };
    read_privacy(form, "privacy", &mut after.privacy);
    read_lists(form, "travel", &mut after.travel_lists);
    (after, named)
}

/// Takes what was sent; says whether anything was.
fn set<T>(field: &mut Option<T>, sent: Option<T>) -> bool {
    let is_sent = sent.is_some();
    if is_sent {
        *field = sent;
    }
    is_sent
}

fn read_general(form: &mut Form, general: &mut General) -> bool {
    let timezone = form.text("preferences.timezone", rules::word);
    let language = form.value("preferences.language", rules::language);
    let currency = form.text("preferences.currency", rules::currency);
    let named = language.is_some() || currency.is_some();
    // A page that sends the section back as it was answered has chosen none of the defaults that it was shown.
    if let (Some(timezone), Some(language), Some(currency)) = (&timezone, &language, &currency) {
        let shown = language.name.as_ref().unwrap_or(&language.code);
        if shown == general.shown_language()
            && currency == general.shown_currency()
            && timezone == general.shown_timezone()
        {
            return named;
        }
    }
    set(&mut general.timezone, timezone);
    set(&mut general.currency, currency);
    if let Some(language) = language {
        general.language = Some(language.code);
        general.language_name = language.name;
    }
    named
}

fn read_notifications(form: &mut Form, after: &mut Preferences) -> bool {
    let before = after.notifications;
    let mut named = false;
    // The last place first, so that the first one has the last word.
    for section in NOTIFICATIONS.into_iter().rev() {
        let mut switch = |name: &str| form.flag(&format!("{section}.{name}"));
        let switches = &mut after.notifications;
        for (field, stored, event_name, form_name) in [
            (&mut switches.email, before.email, "email", "dealAlerts"),
            (&mut switches.sms, before.sms, "sms", "tripReminders"),
            (&mut switches.push, before.push, "push", "priceAlerts"),
        ] {
            let sent = (switch(event_name), switch(form_name));
            if sent != (None, None) {
                named = true;
                *field = decide(stored, sent);
            }
        }
        set(&mut after.newsletter, switch("newsletter"));
    }
    named
}

/// A switch that came under both of its names. A client that sends back all it has read and changed one of the two
/// means the one that differs from what is stored.
fn decide(stored: bool, sent: (Option<bool>, Option<bool>)) -> bool {
    match sent {
        (Some(one), Some(other)) if one != other => !stored,
        (one, other) => one.or(other).unwrap_or(stored),
    }
}

fn read_travel(form: &mut Form, travel: &mut TravelPreferences) -> bool {
    let mut named = false;
    for section in TRAVEL.into_iter().rev() {
        named |= read_choices(form, section, travel);
    }
    named
}

/// Reads seat, meal and class from a section of this name; says whether there was any.
pub fn read_choices(form: &mut Form, section: &str, travel: &mut TravelPreferences) -> bool {
    let seat = form.text(&format!("{section}.seatPreference"), rules::seat);
    let meal = form.text(&format!("{section}.mealPreference"), rules::meal);
    let class = form.text(&format!("{section}.classPreference"), rules::class);
    let seat = set(&mut travel.seat_preference, seat);
    let meal = set(&mut travel.meal_preference, meal);
    let class = set(&mut travel.class_preference, class);
    seat || meal || class
}

/// Reads the privacy from a section of this name.
pub fn read_privacy(form: &mut Form, section: &str, privacy: &mut Privacy) {
    let visibility = form.text(&format!("{section}.profileVisibility"), rules::word);
    set(&mut privacy.profile_visibility, visibility);
    set(&mut privacy.data_sharing, form.flag(&format!("{section}.dataSharing")));
    set(&mut privacy.marketing, form.flag(&format!("{section}.marketing")));
}

/// Reads the older lists from a section of this name.
pub fn read_lists(form: &mut Form, section: &str, lists: &mut TravelLists) {
    for (list, name) in [
        (&mut lists.preferred_destinations, "preferredDestinations"),
        (&mut lists.accommodation_type, "accommodationType"),
        (&mut lists.activities, "activities"),
        (&mut lists.dietary, "dietary"),
    ] {
        if let Some(sent) = form.value(&format!("{section}.{name}"), rules::list) {
            *list = sent;
        }
    }
}
