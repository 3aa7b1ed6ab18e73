/** JSON in and out. */

/** JSON text that is handed on as it is: its numbers keep all their digits. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    JSON.parse(text);
    this.text = text;
  }
}

/** Hands JSON text on as it is, for example `emit("thing.echoed", raw(event.payloadText))`. */
export function raw(text: string): RawJson {
  return new RawJson(text);
}

/** A value as JSON text. */
export function toText(what: string, value: unknown): string {
  if (value instanceof RawJson) return value.text;
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new TypeError(`${what} cannot be JSON`, { cause });
  }
  if (text === undefined) throw new TypeError(`${what} cannot be JSON: it is ${typeof value}`);
  return text;
}

/** A value for people, as one line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** Values as `console` shows them: `%s` and its like in the first text stand for those that follow. */
export function format([first, ...rest]: readonly unknown[]): string {
  const values = [...rest];
  const text = typeof first !== "string" ? shown(first) : first.replace(/%[sdifjoOc%]/g, (place) => {
    if (place === "%%") return "%";
    if (values.length === 0) return place;
    const value = values.shift();
    if (place === "%c") return "";
    if (place === "%d" || place === "%f") return String(Number(value));
    if (place === "%i") return String(Math.trunc(Number(value)));
    return shown(value);
  });
  return [text, ...values.map(shown)].join(" ");
}

/** Text that has no half of a surrogate pair in it, which no UTF-8 can hold. */
export function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (part) => (part.length === 2 ? part : "\ufffd"));
}
