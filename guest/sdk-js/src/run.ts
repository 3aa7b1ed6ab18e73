/** Runs a handler on the component's input. */

import type { Handler } from "./define.ts";
import { type EmitOptions, Rejected } from "./effects.ts";
import { toText } from "./json.ts";
import { at } from "./purity.ts";
import type { Schema } from "./schema.ts";

/** A missing value in the component's bindings. */
type None = null | undefined;

/** The types of `wit/event-types.wit` in the bindings. */
export interface WitEvent {
  key: string;
  eventId: string;
  eventType: string;
  version: string;
  timestamp: string;
  source: string;
  correlationId: string | None;
  causationId: string | None;
  metadata: string | None;
  payload: string;
}

export interface WitRequest {
  key: string;
  method: string;
  route: string;
  params: [string, string][];
  query: [string, string][];
  claims: string | None;
  body: string | None;
  files: { field: string; url: string; mediaType: string; size: number | bigint; digest: string }[];
  correlationId: string;
}

export type WitTrigger = { tag: "event"; val: WitEvent } | { tag: "request"; val: WitRequest };

export interface WitContext {
  nowMillis: number | bigint;
  attempt: number;
  settings: string;
}

export interface WitEmitted {
  eventType: string;
  version: string;
  payload: string;
  key: string | null;
  metadata: string | null;
}

export interface WitOutcome {
  state: { tag: "keep" } | { tag: "put"; val: string } | { tag: "delete" };
  events: WitEmitted[];
  reply: { status: number; body: string | null } | null;
}

export interface WitContract {
  consumes: { eventType: string; versions: string[]; schema: string | null }[];
  emits: { eventType: string; version: string; schema: string | null }[];
  routes: { method: string; path: string }[];
  stateVersion: number;
  stateSchema: string | null;
}

const text = (schema: Schema<unknown> | undefined) => (schema === undefined ? null : JSON.stringify(schema.json));

const versions = (handler: Handler, type: string) => {
  const emitted = Object.hasOwn(handler.emits, type) ? handler.emits[type] : undefined;
  if (emitted === undefined) throw new TypeError(`the handler does not emit ${type}; add it to emits of its definition`);
  return Array.isArray(emitted) ? emitted : [emitted];
};

/** The handler's contract. */
export function describe(handler: Handler): WitContract {
  return {
    consumes: Object.entries(handler.consumes).map(([eventType, consumed]) => ({
      eventType,
      versions: [...(consumed.versions ?? ["1.0"])],
      schema: text(consumed.payload),
    })),
    emits: Object.keys(handler.emits).flatMap((eventType) =>
      versions(handler, eventType).map(({ version, payload }) => ({
        eventType,
        version: version ?? "1.0",
        schema: text(payload),
      })),
    ),
    routes: Object.keys(handler.routes).map((route) => {
      const [method = "", path = ""] = route.split(" ");
      return { method, path };
    }),
    stateVersion: handler.stateVersion,
    stateSchema: text(handler.state),
  };
}

function parse(what: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (fault) {
    throw new Rejected(`${what} is not JSON: ${fault instanceof Error ? fault.message : String(fault)}`);
  }
}

class EventView {
  readonly #metadata: string | None;
  readonly key: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly version: string;
  readonly timestamp: string;
  readonly source: string;
  readonly correlationId: string | undefined;
  readonly causationId: string | undefined;
  readonly payload: unknown;
  readonly payloadText: string;

  constructor(given: WitEvent) {
    this.#metadata = given.metadata;
    this.key = given.key;
    this.eventId = given.eventId;
    this.eventType = given.eventType;
    this.version = given.version;
    this.timestamp = given.timestamp;
    this.source = given.source;
    this.correlationId = given.correlationId ?? undefined;
    this.causationId = given.causationId ?? undefined;
    this.payloadText = given.payload;
    this.payload = parse("the payload", given.payload);
  }

  get metadata(): unknown {
    return this.#metadata == null ? undefined : parse("the metadata", this.#metadata);
  }
}

/** The first value of each name; names chosen by the client cannot collide with properties of the language. */
function firsts(pairs: readonly [string, string][]): { readonly [name: string]: string } {
  const found: { [name: string]: string } = Object.create(null);
  for (const [name, value] of pairs) if (!(name in found)) found[name] = value;
  return found;
}

function requestView(given: WitRequest): unknown {
  return {
    key: given.key,
    method: given.method,
    route: given.route,
    params: firsts(given.params),
    query: firsts(given.query),
    queryAll: given.query,
    claims: given.claims == null ? undefined : parse("the claims", given.claims),
    body: given.body == null ? undefined : parse("the body", given.body),
    bodyText: given.body ?? undefined,
    files: given.files.map((file) => ({ ...file, size: Number(file.size) })),
    correlationId: given.correlationId,
  };
}

class ContextView {
  readonly #settings: string;
  readonly #schema: Schema<unknown> | undefined;
  readonly nowMillis: number;
  readonly attempt: number;

  constructor(given: WitContext, schema: Schema<unknown> | undefined) {
    this.#settings = given.settings;
    this.#schema = schema;
    this.nowMillis = Number(given.nowMillis);
    this.attempt = given.attempt;
  }

  get nowIso(): string {
    return new Date(this.nowMillis).toISOString();
  }

  get settings(): unknown {
    const settings = parse("settings", this.#settings);
    const [problem] = this.#schema?.problems(settings, "settings") ?? [];
    if (problem !== undefined) throw new Rejected(`${problem.path}: ${problem.problem}`);
    return settings;
  }
}

interface Found {
  /** As written by the author, for example `on["user.created"]`. */
  readonly name: string;
  readonly call: (trigger: unknown, state: unknown, context: unknown) => unknown;
}

function find(handler: Handler, trigger: WitTrigger): Found {
  const [list, functions, name] =
    trigger.tag === "event"
      ? ["on", handler.on, trigger.val.eventType]
      : ["routes", handler.routes, `${trigger.val.method} ${trigger.val.route}`];
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (found === undefined) throw new Rejected(`the handler has no function for ${name}`);
  return { name: `${list}[${JSON.stringify(name)}]`, call: found as Found["call"] };
}

/** Runs the handler once. Failures and errors are thrown unchanged. */
export function handle(handler: Handler, trigger: WitTrigger, state: string | None, context: WitContext): WitOutcome {
  const { name, call } = find(handler, trigger);
  const around = new ContextView(context, handler.settings);
  return at(around.nowMillis, () => {
    const given = trigger.tag === "event" ? new EventView(trigger.val) : requestView(trigger.val);
    const before = state == null ? undefined : parse("the state", state);
    return outcome(handler, name, call(given, before, around));
  });
}

type AnyEffect =
  | { effect: "emit"; type: string; payload: unknown; options: EmitOptions }
  | { effect: "put"; state: unknown }
  | { effect: "remove" }
  | { effect: "reply"; status: number; body: unknown };

function outcome(handler: Handler, name: string, returned: unknown): WitOutcome {
  const made: WitOutcome = { state: { tag: "keep" }, events: [], reply: null };
  if (returned === undefined || returned === null) return made;
  const effects = Array.isArray(returned) ? (returned as unknown[]) : [returned];
  for (const effect of effects) {
    if (effect === undefined || effect === null || effect === false) continue;
    apply(handler, name, made, effect as AnyEffect);
  }
  return made;
}

function apply(handler: Handler, name: string, made: WitOutcome, effect: AnyEffect): void {
  switch (effect.effect) {
    case "emit":
      made.events.push(emitted(handler, effect));
      return;
    case "put":
    case "remove":
      if (made.state.tag !== "keep") throw new TypeError(`${name} returned two changes of the state`);
      made.state = effect.effect === "put" ? { tag: "put", val: toText("the state", effect.state) } : { tag: "delete" };
      return;
    case "reply":
      if (made.reply !== null) throw new TypeError(`${name} returned two replies`);
      made.reply = { status: effect.status, body: effect.body === undefined ? null : toText("the reply", effect.body) };
      return;
    default:
      throw new TypeError(wrong(name, effect));
  }
}

function wrong(name: string, returned: unknown): string {
  if (typeof (returned as { then?: unknown }).then === "function") {
    return `${name} returned a promise: a call has nothing to wait for, so the function is not async`;
  }
  return `${name} returned something that is none of emit(), put(), remove() and reply()`;
}

function emitted(handler: Handler, { type, payload, options }: AnyEffect & { effect: "emit" }): WitEmitted {
  const known = versions(handler, type).map(({ version }) => version ?? "1.0");
  const version = options.version ?? (known.length === 1 ? known[0] : undefined);
  if (version === undefined) throw new TypeError(`the handler emits ${type} in the versions ${known.join(", ")}; name one`);
  return {
    eventType: type,
    version,
    payload: toText(`the payload of ${type}`, payload),
    key: options.key ?? null,
    metadata: options.metadata === undefined ? null : toText(`the metadata of ${type}`, options.metadata),
  };
}
