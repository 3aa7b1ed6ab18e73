//! Reading the settings form, under all the names that its fields have had.

use sandman_sdk::Request;
use sandman_sdk::form::Form;

use crate::rules;
use crate::state::{Preferences, TravelPreferences};

/// Where the notification switches may come; all are checked, and for each switch the first place that has it counts.
const NOTIFICATIONS: [&str; 2] = ["notifications", "preferences.notifications"];
/// Where seat, meal and class may come; all are checked, and for each of them the first place that has it counts.
const TRAVEL: [&str; 4] = [
    "travelPreferences",
    "travel.travelPreferences",
    "preferences.travelPreferences",
    "travel",
];
/// The form's older lists.
const LISTS: [&str; 4] = ["preferredDestinations", "accommodationType", "activities", "dietary"];

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

/// The preferences as the request wants them, from what they are, and the sections it named.
///
/// # Errors
///
/// Everything that is wrong, each with its field.
pub fn read(request: &Request, before: &Preferences) -> Result<(Preferences, Named), String> {
    let mut form = Form::of(request)?;
    let mut after = before.clone();
    let named = Named {
        general: read_general(&mut form, &mut after),
        notifications: read_notifications(&mut form, &mut after),
        travel: read_travel(&mut form, &mut after.travel_preferences),
    };
    read_privacy(&mut form, &mut after);
    for list in LISTS {
        if let Some(value) = form.value(&format!("travel.{list}"), rules::list) {
            after.travel_lists.insert(list.to_owned(), value);
        }
    }
    form.finish()?;
    Ok((after, named))
}

/// Takes what was sent; says whether anything was.
fn set<T>(field: &mut Option<T>, sent: Option<T>) -> bool {
    let is_sent = sent.is_some();
    if is_sent {
        *field = sent;
    }
    is_sent
}

fn read_general(form: &mut Form, after: &mut Preferences) -> bool {
    let general = &mut after.general;
    set(&mut general.timezone, form.text("preferences.timezone", rules::word));
    let language = set(
        &mut general.language,
        form.text("preferences.language", rules::language),
    );
    let currency = set(
        &mut general.currency,
        form.text("preferences.currency", rules::currency),
    );
    language || currency
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
        let seat = form.text(&format!("{section}.seatPreference"), rules::seat);
        let meal = form.text(&format!("{section}.mealPreference"), rules::meal);
        let class = form.text(&format!("{section}.classPreference"), rules::class);
        let seat = set(&mut travel.seat_preference, seat);
        let meal = set(&mut travel.meal_preference, meal);
        let class = set(&mut travel.class_preference, class);
        named |= seat || meal || class;
    }
    named
}

fn read_privacy(form: &mut Form, after: &mut Preferences) {
    let privacy = &mut after.privacy;
    set(
        &mut privacy.profile_visibility,
        form.text("privacy.profileVisibility", rules::word),
    );
    set(&mut privacy.data_sharing, form.flag("privacy.dataSharing"));
    set(&mut privacy.marketing, form.flag("privacy.marketing"));
}
