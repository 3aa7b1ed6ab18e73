/** Reading and writing JSON. */

/** JSON text that is passed on unchanged, so that numbers keep all their digits. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    JSON.parse(text);
    this.text = text;
  }
}

/** Passes JSON text on unchanged, for example `emit("thing.echoed", raw(event.payloadText))`. */
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

/** A human-readable value on one line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** Formats values like `console`: placeholders such as `%s` in the first string are replaced by the values that follow. */
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

/** Text without unpaired surrogates, which UTF-8 cannot represent. */
export function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (part) => (part.length === 2 ? part : "\ufffd"));
}
