// The event of a user's preferences, to the letter of its documentation (docs/dreamscape/events.md).

import type { Named } from "./form.ts";
import { shownPrivacy, shownTimezone } from "./shown.ts";
import { type Notifications, type Preferences, same, type TravelPreferences } from "./state.ts";

/** The payload of `user.preferences.updated` 1.0. */
export interface Updated {
  userId: string;
  preferences: Sections;
  updatedAt: string;
}

interface Sections {
  language?: string;
  currency?: string;
  notifications?: Notifications;
  travelPreferences?: TravelPreferences;
}

/**
 * What to publish of a change: nothing if nothing that others act on is different. The sections are those that the request
 * named, each whole; where it named none that the event carries, they are all that is known.
 */
export function updated(userId: string, named: Named, before: Preferences, after: Preferences): Updated | undefined {
  if (isSame(before, after)) return undefined;
  const chosen = sections(named, after);
  const all = { general: true, notifications: true, travel: true };
  const preferences = Object.keys(chosen).length > 0 ? chosen : sections(all, after);
  return { userId, preferences, updatedAt: after.updatedAt };
}

function sections(named: Named, { general, notifications, travelPreferences }: Preferences): Sections {
  const chosen: Sections = {};
  if (named.general && general.language !== undefined) chosen.language = general.language;
  if (named.general && general.currency !== undefined) chosen.currency = general.currency;
  if (named.notifications) chosen.notifications = notifications;
  if (named.travel && Object.keys(travelPreferences).length > 0) chosen.travelPreferences = travelPreferences;
  return chosen;
}

/** Whether nobody would act on the difference. */
function isSame(before: Preferences, after: Preferences): boolean {
  const acted = (on: Preferences) => [
    on.general.language,
    on.general.currency,
    shownTimezone(on.general),
    on.notifications,
    on.travelPreferences,
    shownPrivacy(on.privacy),
    on.travelLists,
  ];
  return same(acted(before), acted(after));
}
