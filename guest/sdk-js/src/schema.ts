/** Definitions that produce both a type and a JSON Schema. */

/** JSON Schema, draft 2020-12. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** A violation of a schema, and its location. */
export interface Problem {
  /** For example `payload.address.street`. */
  readonly path: string;
  readonly problem: string;
}

/** The schema of a value of type `T`. */
export interface Schema<out T> {
  /** The JSON Schema that the host checks. */
  readonly json: JsonSchema;
  /** The violations; empty if the value is valid. */
  problems(value: unknown, path: string): Problem[];
  /** Never set: it only carries the type. */
  readonly type?: T;
}

/** An optional field. */
export interface Optional<out T> extends Schema<T> {
  readonly optional: true;
}

/** The type of a schema's values. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Fields = { readonly [name: string]: Schema<unknown> };
type Flat<T> = { [Name in keyof T]: T[Name] };
type ObjectOf<F extends Fields> = Flat<
  { [Name in keyof F as F[Name] extends Optional<unknown> ? never : Name]: Infer<F[Name]> } & {
    [Name in keyof F as F[Name] extends Optional<unknown> ? Name : never]?: Infer<F[Name]> | undefined;
  }
>;

const one = (path: string, problem: string): Problem[] => [{ path, problem }];

function schema<T>(json: JsonSchema, problems: (value: unknown, path: string) => Problem[]): Schema<T> {
  return { json, problems };
}

/** A string. A pattern has the syntax of JSON Schema and is not anchored. */
export function string(rules: { minLength?: number; maxLength?: number; pattern?: string } = {}): Schema<string> {
  const pattern = rules.pattern === undefined ? undefined : new RegExp(rules.pattern, "u");
  return schema({ type: "string", ...rules }, (value, path) => {
    if (typeof value !== "string") return one(path, "must be a string");
    const { minLength = 0, maxLength = Infinity } = rules;
    const length = [...value].length;
    if (length < minLength) return one(path, `must have ${minLength} characters at least`);
    if (length > maxLength) return one(path, `must have ${maxLength} characters at most`);
    if (pattern !== undefined && !pattern.test(value)) return one(path, `must match ${rules.pattern}`);
    return [];
  });
}

type Range = { minimum?: number; maximum?: number };

function inRange(value: number, path: string, { minimum = -Infinity, maximum = Infinity }: Range): Problem[] {
  if (value < minimum) return one(path, `must be ${minimum} at least`);
  if (value > maximum) return one(path, `must be ${maximum} at most`);
  return [];
}

/** A number. */
export function number(rules: Range = {}): Schema<number> {
  return schema({ type: "number", ...rules }, (value, path) =>
    typeof value === "number" ? inRange(value, path, rules) : one(path, "must be a number"),
  );
}

/** An integer. Beyond 2^53 it loses digits. */
export function integer(rules: Range = {}): Schema<number> {
  return schema({ type: "integer", ...rules }, (value, path) =>
    Number.isInteger(value) ? inRange(value as number, path, rules) : one(path, "must be a whole number"),
  );
}

/** `true` or `false`. */
export function boolean(): Schema<boolean> {
  return schema({ type: "boolean" }, (value, path) =>
    typeof value === "boolean" ? [] : one(path, "must be true or false"),
  );
}

/** One of these values. */
export function oneOf<const Values extends readonly (string | number | boolean | null)[]>(
  ...values: Values
): Schema<Values[number]> {
  const known: readonly unknown[] = values;
  return schema({ enum: [...values] }, (value, path) =>
    known.includes(value) ? [] : one(path, `must be one of ${values.map((each) => JSON.stringify(each)).join(", ")}`),
  );
}

/** An array. */
export function array<T>(items: Schema<T>, rules: { minItems?: number; maxItems?: number } = {}): Schema<T[]> {
  return schema({ type: "array", items: items.json, ...rules }, (value, path) => {
    if (!Array.isArray(value)) return one(path, "must be a list");
    const { minItems = 0, maxItems = Infinity } = rules;
    if (value.length < minItems) return one(path, `must have ${minItems} items at least`);
    if (value.length > maxItems) return one(path, `must have ${maxItems} items at most`);
    return value.flatMap((item, at) => items.problems(item, `${path}[${at}]`));
  });
}

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object with these fields; it may have others. */
export function object<const F extends Fields>(fields: F): Schema<ObjectOf<F>> {
  const names = Object.keys(fields);
  const required = names.filter((name) => !("optional" in (fields[name] as object)));
  const properties = Object.fromEntries(names.map((name) => [name, (fields[name] as Schema<unknown>).json]));
  return schema({ type: "object", properties, required }, (value, path) => {
    if (!isObject(value)) return one(path, "must be an object");
    return names.flatMap((name) => {
      const field = Object.hasOwn(value, name) ? value[name] : undefined;
      if (field !== undefined) return (fields[name] as Schema<unknown>).problems(field, `${path}.${name}`);
      return required.includes(name) ? one(`${path}.${name}`, "is missing") : [];
    });
  });
}

/** An object with arbitrary field names. */
export function record<T>(values: Schema<T>): Schema<{ [name: string]: T }> {
  return schema({ type: "object", additionalProperties: values.json }, (value, path) => {
    if (!isObject(value)) return one(path, "must be an object");
    return Object.keys(value).flatMap((name) => values.problems(value[name], `${path}.${name}`));
  });
}

/** An optional field of an object. */
export function optional<T>(inner: Schema<T>): Optional<T> {
  return { ...inner, optional: true };
}

/** The value, or `null`. */
export function nullable<T>(inner: Schema<T>): Schema<T | null> {
  return schema({ anyOf: [inner.json, { type: "null" }] }, (value, path) =>
    value === null ? [] : inner.problems(value, path),
  );
}

/** A value that matches any of these schemas. */
export function union<const All extends readonly Schema<unknown>[]>(...all: All): Schema<Infer<All[number]>> {
  return schema({ anyOf: all.map((each) => each.json) }, (value, path) => {
    const fits = all.some((each) => each.problems(value, path).length === 0);
    return fits ? [] : one(path, "fits none of its shapes");
  });
}

/** Anything. */
export function unknown(): Schema<unknown> {
  return schema({}, () => []);
}

/** A custom JSON Schema for values of type `T`. The host checks it; the tests do not. */
export function json<T>(own: JsonSchema): Schema<T> {
  return schema(own, () => []);
}
