// What `GET` and `PUT` answer: every section complete, with a default for what was never set.

import type { General, Preferences, Privacy } from "./state.ts";

/** The language as the user chose it: by its code or by its name. */
export const shownLanguage = ({ languageName, language }: General) => languageName ?? language ?? "English";
export const shownCurrency = ({ currency }: General) => currency ?? "USD";
export const shownTimezone = ({ timezone }: General) => timezone ?? "UTC";

/** The privacy that is in force. */
export const shownPrivacy = ({ profileVisibility, dataSharing, marketing }: Privacy) => ({
  profileVisibility: profileVisibility ?? "public",
  dataSharing: dataSharing ?? false,
  marketing: marketing ?? true,
});

/** All of the preferences. */
export function shown({ general, notifications, newsletter, privacy, travelPreferences, travelLists }: Preferences) {
  const { preferredDestinations = [], accommodationType = [], activities = [], dietary = [] } = travelLists;
  return {
    preferences: {
      language: shownLanguage(general),
      currency: shownCurrency(general),
      timezone: shownTimezone(general),
    },
    notifications: {
      dealAlerts: notifications.email,
      tripReminders: notifications.sms,
      priceAlerts: notifications.push,
      newsletter: newsletter ?? false,
    },
    privacy: shownPrivacy(privacy),
    travel: {
      preferredDestinations,
      accommodationType,
      activities,
      dietary,
      ...(Object.keys(travelPreferences).length > 0 ? { travelPreferences } : {}),
    },
  };
}
