/**
 * Calls a handler as a plain function, with the same JSON conversion as the host, without WebAssembly or Kafka.
 *
 *     const outcome = Call.event("user.created", "1.0", { userId: "u-1" }).state({ times: 1 }).run(handler);
 *     assert.deepEqual(outcome.state, { times: 2 });
 *
 * Every call is run twice and must give the same outcome, to the byte. Impure globals and those of
 * Node are not available, as in a component.
 */

import type { Handler } from "./define.ts";
import { Rejected } from "./effects.ts";
import { type Level, speakTo } from "./host.ts";
import { hide, install } from "./purity.ts";
import { handle, type WitContext, type WitOutcome, type WitTrigger } from "./run.ts";
import type { Schema } from "./schema.ts";

export { Rejected, Retry } from "./effects.ts";
export { Recorded, type RecordedEvent, type RecordedOutcome, recorded } from "./recorded.ts";

/** An event that a handler publishes. */
export interface EmittedEvent {
  readonly eventType: string;
  readonly version: string;
  readonly key: string | undefined;
  readonly metadata: unknown;
  readonly payload: unknown;
  readonly payloadText: string;
}

/** The outcome of a call. */
export interface Outcome {
  /** The change of the state. */
  readonly change: "keep" | "put" | "delete";
  /** The new document, if one was put. */
  readonly state: unknown;
  readonly stateText: string | undefined;
  readonly events: readonly EmittedEvent[];
  readonly reply: { readonly status: number; readonly body: unknown; readonly bodyText: string | undefined } | undefined;
  /** The log messages. */
  readonly logs: readonly { readonly level: Level; readonly message: string }[];
}

type Given = { trigger: WitTrigger; state: string | undefined; context: WitContext };

const json = (value: unknown): string => JSON.stringify(value);

/** One call of a handler. */
export class Call {
  readonly #given: Given;

  private constructor(given: Given) {
    this.#given = given;
  }

  /** An event with this payload, under the key `key`. */
  static event(eventType: string, version: string, payload: unknown): Call {
    const val = {
      key: "key",
      eventId: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
      eventType,
      version,
      timestamp: "2025-01-01T00:00:00.000Z",
      source: "test",
      correlationId: null,
      causationId: null,
      metadata: null,
      payload: json(payload),
    };
    return Call.#of({ tag: "event", val });
  }

  /** A request of a route, under the key `key`. */
  static request(method: string, route: string): Call {
    const val = {
      key: "key",
      method,
      route,
      params: [],
      query: [],
      claims: null,
      body: null,
      files: [],
      correlationId: "b4a1b0fb-33c2-4b55-8a8b-4b7d58f2c1de",
    };
    return Call.#of({ tag: "request", val });
  }

  /** A recorded call. @internal */
  static recorded(trigger: WitTrigger, state: string | undefined, context: WitContext): Call {
    return new Call({ trigger, state, context });
  }

  static #of(trigger: WitTrigger): Call {
    return new Call({ trigger, state: undefined, context: { nowMillis: 1_735_689_600_000, attempt: 1, settings: "{}" } });
  }

  #with(changes: Partial<Given>): Call {
    return new Call({ ...this.#given, ...changes });
  }

  #set(fields: Record<string, unknown>): Call {
    const { trigger } = this.#given;
    return this.#with({ trigger: { tag: trigger.tag, val: { ...trigger.val, ...fields } } as WitTrigger });
  }

  #context(fields: Partial<WitContext>): Call {
    return this.#with({ context: { ...this.#given.context, ...fields } });
  }

  /** Sets the state of the key. */
  state(document: unknown): Call {
    return this.#with({ state: json(document) });
  }

  /** Sets the state as JSON text, for example a document in an older format. */
  stateText(text: string): Call {
    return this.#with({ state: text });
  }

  key(key: string): Call {
    return this.#set({ key });
  }

  eventId(eventId: string): Call {
    return this.#set({ eventId });
  }

  metadata(metadata: unknown): Call {
    return this.#set({ metadata: json(metadata) });
  }

  /** Sets the payload of an event as JSON text. */
  payloadText(payload: string): Call {
    return this.#set({ payload });
  }

  body(body: unknown): Call {
    return this.#set({ body: json(body) });
  }

  claims(claims: unknown): Call {
    return this.#set({ claims: json(claims) });
  }

  params(params: { readonly [name: string]: string }): Call {
    return this.#set({ params: Object.entries(params) });
  }

  query(query: { readonly [name: string]: string }): Call {
    return this.#set({ query: Object.entries(query) });
  }

  files(files: readonly { field: string; url: string; mediaType: string; size: number; digest: string }[]): Call {
    return this.#set({ files });
  }

  nowMillis(nowMillis: number): Call {
    return this.#context({ nowMillis });
  }

  attempt(attempt: number): Call {
    return this.#context({ attempt });
  }

  settings(settings: unknown): Call {
    return this.#context({ settings: json(settings) });
  }

  /** Calls the handler. Throws `Rejected`, `Retry` and whatever else the handler throws. */
  run(handler: Handler): Outcome {
    const { trigger, state, context } = this.#given;
    if (trigger.tag === "event") fits(handler.consumes[trigger.val.eventType]?.payload, trigger.val);
    const logs: { level: Level; message: string }[] = [];
    const [reveal, undo] = [hide(), install(undefined)];
    const before = speakTo({ log: (level, message) => void logs.push({ level, message }), panicked() {} });
    let made: WitOutcome;
    try {
      made = handle(handler, trigger, state, context);
      const first = json([made, logs]);
      logs.length = 0;
      const second = json([handle(handler, trigger, state, context), logs]);
      if (first !== second) throw new Error(`the handler is not pure: two runs differ\n${first}\n${second}`);
    } finally {
      speakTo(before);
      undo();
      reveal();
    }
    return outcome(handler, made, logs);
  }
}

/** The host rejects invalid input before it calls the handler. */
function fits(schema: Schema<unknown> | undefined, event: { eventType: string; version: string; payload: string }): void {
  const [problem] = schema?.problems(JSON.parse(event.payload), "payload") ?? [];
  if (problem !== undefined) {
    throw new Rejected(`${event.eventType} ${event.version}: ${problem.path}: ${problem.problem}`);
  }
}

function outcome(handler: Handler, made: WitOutcome, logs: Outcome["logs"]): Outcome {
  const stateText = made.state.tag === "put" ? made.state.val : undefined;
  const parsed = (text: string | null | undefined): unknown => (text == null ? undefined : JSON.parse(text));
  const events = made.events.map((event) => ({
    eventType: event.eventType,
    version: event.version,
    key: event.key ?? undefined,
    metadata: parsed(event.metadata),
    payload: parsed(event.payload),
    payloadText: event.payload,
  }));
  for (const { eventType, version, payload } of events) {
    const all = handler.emits[eventType];
    const known = (Array.isArray(all) ? all : [all]).find((each) => (each?.version ?? "1.0") === version);
    const [problem] = known?.payload?.problems(payload, "payload") ?? [];
    if (problem !== undefined) throw new Error(`${eventType} ${version}, emitted: ${problem.path}: ${problem.problem}`);
  }
  const { reply } = made;
  return {
    change: made.state.tag,
    state: parsed(stateText),
    stateText,
    events,
    reply: reply === null ? undefined : { status: reply.status, body: parsed(reply.body), bodyText: reply.body ?? undefined },
    logs,
  };
}
