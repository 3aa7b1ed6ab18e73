/** The definition of a handler, and the types that follow from it. */

import type { Effect, Emit } from "./effects.ts";
import type { Infer, Schema } from "./schema.ts";
import type { Context, Event, Request } from "./types.ts";

/** An event type that a handler consumes. */
export interface Consumed {
  /**
   * The payload versions that it reads; `1.0` means `1.0` and every later `1.x`. Default: `["1.0"]`.
   */
  readonly versions?: readonly string[];
  /** The payload. The host rejects events that do not match; without a schema it checks nothing. */
  readonly payload?: Schema<unknown>;
}

/** An event type and version that a handler publishes. */
export interface Emitted {
  /** The payload version that it writes. Default: `1.0`. */
  readonly version?: string;
  /** The payload. The host rejects an outcome whose events do not match. */
  readonly payload?: Schema<unknown>;
}

type ConsumedTypes = { readonly [type: string]: Consumed };
type EmittedTypes = { readonly [type: string]: Emitted | readonly Emitted[] };

type PayloadOf<T> = T extends { readonly payload: Schema<infer P> } ? P : T extends { readonly payload?: undefined } ? unknown : unknown;
type Each<T> = T extends readonly (infer One)[] ? One : T;

/** The events that a handler may return. */
export type EventsOf<Emits extends EmittedTypes> = {
  [Type in keyof Emits & string]: Emit<Type, PayloadOf<Each<Emits[Type]>>>;
}[keyof Emits & string];

/** What a function of a handler returns: nothing, one effect, or several, of which `undefined` and `false` are ignored. */
export type Outcomes<Emits extends EmittedTypes, State> =
  | void
  | Effect<EventsOf<Emits>, State>
  | readonly (Effect<EventsOf<Emits>, State> | undefined | null | false)[];

/** One function per consumed event type. */
export type On<Consumes extends ConsumedTypes, Emits extends EmittedTypes, State, Settings> = {
  readonly [Type in keyof Consumes]: (
    event: Event<PayloadOf<Consumes[Type]>>,
    state: State | undefined,
    context: Context<Settings>,
  ) => Outcomes<Emits, State>;
};

/**
 * One function per route, named by method and path as in `sandman.toml`: `"GET /users/{userId}"`. The route
 * `"IMPORT state"` receives the documents of `sandman import`.
 */
export type Routes<Emits extends EmittedTypes, State, Settings> = {
  readonly [route: `${string} ${string}`]: (
    request: Request,
    state: State | undefined,
    context: Context<Settings>,
  ) => Outcomes<Emits, State>;
};

/** The definition of a handler. */
export interface Definition<
  Consumes extends ConsumedTypes,
  Emits extends EmittedTypes,
  State extends Schema<unknown>,
  Settings extends Schema<unknown>,
> {
  /** The events that it consumes. */
  readonly consumes?: Consumes;
  /** The events that it may publish. */
  readonly emits?: Emits;
  /** The state of a key: one JSON document. */
  readonly state?: State;
  /** The version of the state format, starting at 0. Increase it if an older version of the handler cannot read the states of this one. */
  readonly stateVersion?: number;
  /** The handler's settings from `sandman.toml`; they are validated at each call that reads them. */
  readonly settings?: Settings;
  /** How it handles events. */
  readonly on?: On<Consumes, Emits, Infer<State>, Infer<Settings>>;
  /** How it handles requests. */
  readonly routes?: Routes<Emits, Infer<State>, Infer<Settings>>;
}

/** A handler, as expected by `sandman build` and the tests. */
export interface Handler {
  readonly consumes: ConsumedTypes;
  readonly emits: EmittedTypes;
  readonly state: Schema<unknown> | undefined;
  readonly stateVersion: number;
  readonly settings: Schema<unknown> | undefined;
  readonly on: { readonly [type: string]: HandlerFunction };
  readonly routes: { readonly [route: string]: HandlerFunction };
}

type HandlerFunction = (trigger: never, state: never, context: never) => unknown;

/** Defines a handler. A guest's module must export it as its default export. */
export function defineHandler<
  const Consumes extends ConsumedTypes = Record<never, never>,
  const Emits extends EmittedTypes = Record<never, never>,
  State extends Schema<unknown> = Schema<unknown>,
  Settings extends Schema<unknown> = Schema<{ readonly [name: string]: unknown }>,
>(definition: Definition<Consumes, Emits, State, Settings>): Handler {
  const { consumes, emits, state, stateVersion, settings, on, routes } = definition;
  const handler: Handler = {
    consumes: consumes ?? {},
    emits: emits ?? {},
    state,
    stateVersion: stateVersion ?? 0,
    settings,
    on: (on ?? {}) as { readonly [type: string]: HandlerFunction },
    routes: (routes ?? {}) as { readonly [route: string]: HandlerFunction },
  };
  for (const type of Object.keys(handler.consumes)) {
    if (typeof handler.on[type] !== "function") throw new TypeError(`the handler consumes ${type} and has no function on["${type}"]`);
  }
  for (const type of Object.keys(handler.on)) {
    if (!(type in handler.consumes)) throw new TypeError(`the handler has a function on["${type}"] and does not consume ${type}`);
  }
  for (const route of Object.keys(handler.routes)) {
    if (!/^[A-Z]+ \S+$/.test(route)) throw new TypeError(`"${route}" is no route; one is "GET /users/{userId}"`);
  }
  return handler;
}
