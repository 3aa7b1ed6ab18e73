// Reading the settings form, under all the names that its fields have had.

import { Fields, text } from "./fields.ts";
import * as rules from "./rules.ts";
import { shownCurrency, shownLanguage, shownTimezone } from "./shown.ts";
import { copyOf, LISTS, type Preferences, preferencesOf, type Privacy, type TravelLists, type TravelPreferences } from "./state.ts";

/** Where the switches are looked for; the first place has the last word. */
const NOTIFICATIONS = ["notifications", "preferences.notifications"];
const TRAVEL = ["travelPreferences", "travel.travelPreferences", "preferences.travelPreferences", "travel"];
const SWITCHES = [
  ["email", "dealAlerts"],
  ["sms", "tripReminders"],
  ["push", "priceAlerts"],
] as const;

/** Which sections a request named that the event carries. */
export interface Named {
  general: boolean;
  notifications: boolean;
  travel: boolean;
}

type Answer = { after: Preferences; named: Named } | { error: string };

/** Reads the form over the preferences before it. */
export function read(bodyText: string | undefined, before: Preferences): Answer {
  const fields = Fields.of(bodyText);
  if (!(fields instanceof Fields)) return fields;
  const sent = readSections(fields, before);
  const error = fields.faults();
  return error === undefined ? sent : { error };
}

/** The same where other fields are not this handler's: only what can be read counts. */
export function readKnown(bodyText: string | undefined, before: Preferences): Answer {
  const shape = Fields.of(bodyText);
  if (!(shape instanceof Fields)) return shape;
  shape.value<unknown>("preferences", (value) =>
    typeof value === "object" && !Array.isArray(value) ? value : { must: "must be an object" },
  );
  const error = shape.faults();
  return error === undefined ? readSections(shape, before) : { error };
}

function readSections(fields: Fields, before: Preferences): { after: Preferences; named: Named } {
  const after = copyOf(before);
  const named = {
    general: readGeneral(fields, after),
    notifications: readNotifications(fields, after),
    travel: TRAVEL.toReversed().map((section) => readChoices(fields, section, after.travelPreferences)).includes(true),
  };
  readPrivacy(fields, "privacy", after.privacy);
  readLists(fields, "travel", after.travelLists);
  // Again in the order in which fields are put.
  return { after: preferencesOf(after), named };
}

function readGeneral(fields: Fields, { general }: Preferences): boolean {
  const timezone = fields.value("preferences.timezone", text(rules.word));
  const language = fields.value("preferences.language", rules.language);
  const currency = fields.value("preferences.currency", text(rules.currency));
  const named = language !== undefined || currency !== undefined;
  // A page that sends the section back as it was answered has chosen none of the defaults that it was shown.
  if (
    timezone === shownTimezone(general) &&
    currency === shownCurrency(general) &&
    language !== undefined &&
    (language.name ?? language.code) === shownLanguage(general)
  ) {
    return named;
  }
  if (timezone !== undefined) general.timezone = timezone;
  if (currency !== undefined) general.currency = currency;
  if (language !== undefined) {
    general.language = language.code;
    if (language.name === undefined) delete general.languageName;
    else general.languageName = language.name;
  }
  return named;
}

function readNotifications(fields: Fields, after: Preferences): boolean {
  const before = { ...after.notifications };
  let named = false;
  for (const section of NOTIFICATIONS.toReversed()) {
    for (const [name, formName] of SWITCHES) {
      const one = fields.flag(`${section}.${name}`);
      const other = fields.flag(`${section}.${formName}`);
      const sent = decide(before[name], one, other);
      if (sent === undefined) continue;
      named = true;
      after.notifications[name] = sent;
    }
    const newsletter = fields.flag(`${section}.newsletter`);
    if (newsletter !== undefined) after.newsletter = newsletter;
  }
  return named;
}

/** A switch that came under both of its names: the one counts that differs from what is stored. */
function decide(stored: boolean, one: boolean | undefined, other: boolean | undefined): boolean | undefined {
  if (one !== undefined && other !== undefined && one !== other) return !stored;
  return one ?? other;
}

/** Reads seat, meal and class from a section of this name; says whether there was any. */
export function readChoices(fields: Fields, section: string, travel: TravelPreferences): boolean {
  const seat = fields.value(`${section}.seatPreference`, text(rules.seat));
  const meal = fields.value(`${section}.mealPreference`, text(rules.meal));
  const travelClass = fields.value(`${section}.classPreference`, text(rules.travelClass));
  if (seat !== undefined) travel.seatPreference = seat;
  if (meal !== undefined) travel.mealPreference = meal;
  if (travelClass !== undefined) travel.classPreference = travelClass;
  return seat !== undefined || meal !== undefined || travelClass !== undefined;
}

export function readPrivacy(fields: Fields, section: string, privacy: Privacy): void {
  const visibility = fields.value(`${section}.profileVisibility`, text(rules.word));
  const sharing = fields.flag(`${section}.dataSharing`);
  const marketing = fields.flag(`${section}.marketing`);
  if (visibility !== undefined) privacy.profileVisibility = visibility;
  if (sharing !== undefined) privacy.dataSharing = sharing;
  if (marketing !== undefined) privacy.marketing = marketing;
}

export function readLists(fields: Fields, section: string, lists: TravelLists): void {
  for (const name of LISTS) {
    const sent = fields.value(`${section}.${name}`, rules.list);
    if (sent !== undefined) lists[name] = sent;
  }
}
