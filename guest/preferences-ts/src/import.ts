// `sandman import`: a document from the service before this one, held to the rules of requests and written as this handler
// puts it.

import { put, reply, type Request } from "sandman-sdk";

import { Fields, text } from "./fields.ts";
import { readChoices, readLists, readPrivacy } from "./form.ts";
import * as rules from "./rules.ts";
import { CHOICES, GENERAL, LISTS, type Notifications, type Preferences, preferencesOf, PRIVACY } from "./state.ts";

/** A field that is misspelt would be lost without a word. */
const KNOWN: [section: string, fields: readonly string[]][] = [
  ["", ["general", "notifications", "newsletter", "privacy", "travelPreferences", "travelLists", "updatedAt"]],
  ["general", GENERAL],
  ["notifications", ["email", "sms", "push"]],
  ["privacy", PRIVACY],
  ["travelPreferences", CHOICES],
  ["travelLists", LISTS],
];

/** Takes over one document. */
export function takeOver(request: Request) {
  const fields = Fields.of(request.bodyText);
  if (!(fields instanceof Fields)) return reply(400, fields);
  for (const [section, names] of KNOWN) fields.only(section, names);
  fields.require("updatedAt");
  const preferences: Preferences = { ...preferencesOf(undefined), ...readGeneral(fields) };
  preferences.notifications = readNotifications(fields);
  const newsletter = fields.flag("newsletter");
  if (newsletter !== undefined) preferences.newsletter = newsletter;
  preferences.updatedAt = fields.value("updatedAt", text(rules.time)) ?? "";
  readPrivacy(fields, "privacy", preferences.privacy);
  readChoices(fields, "travelPreferences", preferences.travelPreferences);
  readLists(fields, "travelLists", preferences.travelLists);
  const error = fields.faults();
  return error === undefined ? [reply(200, {}), put(preferencesOf(preferences))] : reply(400, { error });
}

function readGeneral(fields: Fields): Pick<Preferences, "general"> {
  const general: Preferences["general"] = {};
  const language = fields.value("general.language", rules.language);
  // A document of this handler's own has the code and the name.
  const named = fields.value("general.languageName", rules.language);
  if (named !== undefined && named.code !== language?.code) {
    fields.value("general.languageName", () => ({ must: "must name the language of general.language" }));
  } else if (language !== undefined) {
    general.language = language.code;
    const name = named === undefined ? language.name : named.name;
    if (name !== undefined) general.languageName = name;
  }
  const currency = fields.value("general.currency", text(rules.currency));
  if (currency !== undefined) general.currency = currency;
  const timezone = fields.value("general.timezone", text(rules.word));
  if (timezone !== undefined) general.timezone = timezone;
  return { general };
}

/** All three switches, or none, which means all of them. */
function readNotifications(fields: Fields): Notifications {
  const notifications = { email: true, sms: true, push: true };
  if (!fields.has("notifications")) return notifications;
  for (const name of ["email", "sms", "push"] as const) {
    fields.require(`notifications.${name}`);
    notifications[name] = fields.flag(`notifications.${name}`) ?? true;
  }
  return notifications;
}
