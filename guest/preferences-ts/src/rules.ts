// What a value must look like.

import { isCurrency } from "./codes.ts";
import { codeOf } from "./languages.ts";

type Ruled<T> = T | { readonly must: string };

/** A language as it was sent: its code, and the text where it was a name. */
export interface Language {
  code: string;
  name: string | undefined;
}

export function language(value: unknown): Ruled<Language> {
  if (typeof value !== "string") return { must: "must be a text" };
  const code = codeOf(value);
  if (code === undefined) return { must: "must be a language in ISO 639-1, for example fr, or its English name" };
  return { code, name: code === value ? undefined : value };
}

export const currency = (text: string): Ruled<string> =>
  isCurrency(text) ? text : { must: "must be a currency in ISO 4217, for example EUR" };

const oneOf = (choices: readonly string[]) => {
  const must = `must be ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  return (text: string): Ruled<string> => (choices.includes(text) ? text : { must });
};

export const seat = oneOf(["window", "aisle", "middle", "no-preference"]);
export const meal = oneOf(["standard", "vegetarian", "vegan", "halal", "kosher", "gluten-free", "no-preference"]);
export const travelClass = oneOf(["economy", "premium-economy", "business", "first", "no-preference"]);

const isWord = (text: string) => [...text].length <= 100 && !/\p{Cc}/u.test(text);

/** A short text in one line: a time zone, a visibility. */
export const word = (text: string): Ruled<string> =>
  isWord(text) && /\S/.test(text) ? text : { must: "must be a line of 1 to 100 characters" };

/** One of the form's older lists. A text alone is a list of one. */
export function list(value: unknown): Ruled<string[]> {
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  const fits = entries.length <= 50 && entries.every((entry) => typeof entry === "string" && isWord(entry));
  return fits ? (entries as string[]) : { must: "must be a list of up to 50 texts of up to 100 characters" };
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d+))?)?(?:[Zz]|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?$/;

/** A time from outside, as events write it. */
export function time(text: string): Ruled<string> {
  const must = { must: "must be an ISO 8601 date and time, for example 2025-12-12T10:30:00.000Z" };
  const parts = TIME.exec(text);
  if (parts === null) return must;
  const [, year, month, day, hours, minutes, seconds = "0", fraction = "0", sign, ahead = "0", aheadMinutes = "0"] = parts;
  const date = `${year}-${month}-${day}`;
  const midnight = Date.parse(`${date}T00:00:00.000Z`);
  // A day that its month does not have.
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(date)) return must;
  const offset = (Number(ahead) * 60 + Number(aheadMinutes)) * (sign === "-" ? -1 : 1);
  const clock = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  const millis = midnight + clock + Number(fraction.padEnd(3, "0").slice(0, 3)) - offset * 60_000;
  return new Date(millis).toISOString();
}
