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
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`${what} cannot be JSON: it is ${typeof value}`);
  return text;
}

/** Text that has no half of a surrogate pair in it, which no UTF-8 can hold. */
export function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (part) => (part.length === 2 ? part : "\ufffd"));
}
