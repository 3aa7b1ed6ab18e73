// What is kept of a user's preferences, to the letter as guest/preferences keeps it.

/** What was never chosen is absent. */
export interface General {
  /** ISO 639-1. */
  language?: string;
  /** The language as the client wrote it, where that was a name. */
  languageName?: string;
  /** ISO 4217. */
  currency?: string;
  /** The name of a time zone. */
  timezone?: string;
}

/** By the names that events use. */
export interface Notifications {
  email: boolean;
  sms: boolean;
  push: boolean;
}

export interface Privacy {
  profileVisibility?: string;
  dataSharing?: boolean;
  marketing?: boolean;
}

export interface TravelPreferences {
  seatPreference?: string;
  mealPreference?: string;
  classPreference?: string;
}

export const LISTS = ["preferredDestinations", "accommodationType", "activities", "dietary"] as const;

/** The older lists of the `travel` section. A list that was never set is absent. */
export type TravelLists = { [Name in (typeof LISTS)[number]]?: string[] };

export interface Preferences {
  general: General;
  notifications: Notifications;
  newsletter?: boolean;
  privacy: Privacy;
  travelPreferences: TravelPreferences;
  travelLists: TravelLists;
  /** When anything last changed, ISO 8601. */
  updatedAt: string;
}

/** A document as some version has put it: sections may be missing, and a list may be a single text. */
export type Stored = Partial<Omit<Preferences, "notifications" | "travelLists">> & {
  notifications?: Partial<Notifications>;
  travelLists?: { [Name in (typeof LISTS)[number]]?: string[] | string };
};

/** Only the fields that are there, in the order in which they are put. */
function pick<T extends object>(from: T | undefined, names: readonly (keyof T)[]): T {
  const picked = {} as T;
  for (const name of names) {
    const value = from?.[name];
    if (value !== undefined && value !== null) picked[name] = value;
  }
  return picked;
}

export const GENERAL = ["language", "languageName", "currency", "timezone"] as const;
export const PRIVACY = ["profileVisibility", "dataSharing", "marketing"] as const;
export const CHOICES = ["seatPreference", "mealPreference", "classPreference"] as const;

/** The preferences of a document, or those of a user who never chose any. */
export function preferencesOf(state: Stored | undefined): Preferences {
  const { email = true, sms = true, push = true } = state?.notifications ?? {};
  const travelLists: TravelLists = {};
  for (const name of LISTS) {
    const list = state?.travelLists?.[name] ?? [];
    const entries = typeof list === "string" ? [list].filter((text) => text !== "") : list;
    if (entries.length > 0) travelLists[name] = entries;
  }
  return {
    general: pick(state?.general, GENERAL),
    notifications: { email, sms, push },
    ...pick<{ newsletter?: boolean }>(state as { newsletter?: boolean } | undefined, ["newsletter"]),
    privacy: pick(state?.privacy, PRIVACY),
    travelPreferences: pick(state?.travelPreferences, CHOICES),
    travelLists,
    updatedAt: state?.updatedAt ?? "",
  };
}

/** A copy whose sections can be changed. */
export function copyOf(preferences: Preferences): Preferences {
  return preferencesOf(preferences);
}

/** Whether two documents, or parts of them, say the same. Both are made by `preferencesOf`, so their fields come in one order. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
