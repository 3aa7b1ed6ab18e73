// Reading what a client sent, field by field, so that an answer can name everything that is wrong with it.

type Members = { [name: string]: unknown };
/** Gives the value as it is stored, or says how it must be. */
export type Rule<T> = (value: unknown) => T | { readonly must: string };

const NO_OBJECT = "the body must be a JSON object";
const UNREADABLE = "must not hold half a surrogate or a number out of range";

const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isHalf = (text: string) => /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
const failed = <T>(ruled: T | { readonly must: string }): ruled is { readonly must: string } =>
  isObject(ruled) && typeof ruled["must"] === "string";

/** A rule for a text. */
export const text =
  (rule: (text: string) => string | { readonly must: string }): Rule<string> =>
  (value) =>
    typeof value === "string" ? rule(value) : { must: "must be a text" };

/** Whether a value that is no object cannot be stored. */
function isUnreadable(value: unknown): boolean {
  if (typeof value === "string") return isHalf(value);
  if (typeof value === "number") return !Number.isFinite(value);
  if (Array.isArray(value)) return value.some(isUnreadable);
  return isObject(value) && Object.entries(value).some(([name, inner]) => isHalf(name) || isUnreadable(inner));
}

export class Fields {
  readonly #root: Members;
  readonly #unreadable = new Set<string>();
  readonly #faults: string[] = [];

  private constructor(root: Members) {
    this.#root = this.#members(root, "");
  }

  /** What the client sent, without empty texts, which count as left out. */
  static of(bodyText: string | undefined): Fields | { error: string } {
    let root: unknown;
    try {
      root = JSON.parse(bodyText ?? "null");
    } catch {
      root = null;
    }
    if (!isObject(root) || Object.keys(root).some(isHalf)) return { error: NO_OBJECT };
    return new Fields(root);
  }

  #members(object: Members, path: string): Members {
    const read: Members = Object.create(null);
    for (const name of Object.keys(object).sort()) {
      const value = object[name];
      const at = path === "" ? name : `${path}.${name}`;
      if (isObject(value) && !Object.keys(value).some(isHalf)) {
        read[name] = this.#members(value, at);
      } else if (isUnreadable(value)) {
        this.#unreadable.add(at);
        read[name] = null;
      } else if (value !== "") {
        read[name] = value;
      }
    }
    return read;
  }

  /** The value at a path; `null` where it, or a section above it, is left out; the section's path if that is no object. */
  #find(path: string): { value: unknown } | { section: string } {
    let value: unknown = this.#root;
    let at = "";
    for (const name of path.split(".")) {
      if (value === null) return { value: null };
      if (!isObject(value)) return { section: at };
      value = Object.hasOwn(value, name) ? value[name] : null;
      at = at === "" ? name : `${at}.${name}`;
    }
    return { value };
  }

  #fault(fault: string): undefined {
    if (!this.#faults.includes(fault)) this.#faults.push(fault);
    return undefined;
  }

  #unreadableAt(path: string): string | undefined {
    return [...this.#unreadable].sort().find((place) => path === place || path.startsWith(`${place}.`));
  }

  /** Reads a field by its rule; `undefined` if it was left out, or is wrong. */
  value<T>(path: string, rule: Rule<T>): T | undefined {
    const place = this.#unreadableAt(path);
    if (place !== undefined) return this.#fault(`${place} ${UNREADABLE}`);
    const found = this.#find(path);
    if ("section" in found) return this.#fault(`${found.section} must be an object`);
    if (found.value === null) return undefined;
    const ruled = rule(found.value);
    return failed(ruled) ? this.#fault(`${path} ${ruled.must}`) : ruled;
  }

  flag(path: string): boolean | undefined {
    return this.value<boolean>(path, (value) => (typeof value === "boolean" ? value : { must: "must be true or false" }));
  }

  has(path: string): boolean {
    return this.value(path, () => true) ?? false;
  }

  require(path: string): void {
    const found = this.#find(path);
    const missing = "value" in found && found.value === null;
    if (missing && this.#unreadableAt(path) === undefined) this.#fault(`${path} is required`);
  }

  /** Fields of a section that are not among these are faults. */
  only(section: string, fields: readonly string[]): void {
    const found = section === "" ? { value: this.#root } : this.#find(section);
    if (!("value" in found) || !isObject(found.value)) return;
    for (const name of Object.keys(found.value)) {
      if (!fields.includes(name)) this.#fault(`${section}${section === "" ? "" : "."}${name} is not known`);
    }
  }

  /** All that is wrong; `undefined` if nothing is. */
  faults(): string | undefined {
    return this.#faults.length > 0 ? this.#faults.join("; ") : undefined;
  }
}
