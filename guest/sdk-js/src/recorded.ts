/**
 * Recordings from `sandman recordings NAME --export FILE`, as test fixtures.
 *
 *     for (const recording of recorded(readFileSync("profile.jsonl", "utf8"))) recording.check(handler);
 */

import type { Handler } from "./define.ts";
import { Rejected, Retry } from "./effects.ts";
import type { WitRequest, WitTrigger } from "./run.ts";
import { Call } from "./testing.ts";

/** The outcome of a recorded invocation; JSON is kept as text, as written by the handler. */
export type RecordedOutcome =
  | "ignored"
  | {
      readonly decided: {
        readonly state: "keep" | "delete" | { readonly put: string };
        readonly events: readonly RecordedEvent[];
        readonly reply?: { readonly status: number; readonly body?: string | null } | null;
      };
    }
  | { readonly failed: { readonly cause: string; readonly reason: string } };

/** An event that was published. */
export interface RecordedEvent {
  readonly eventType: string;
  readonly version: string;
  readonly payload: string;
}

/** A recorded invocation: a call to run, and its outcome in the host. */
export class Recorded {
  constructor(
    /** Its name in the host, such as `r12-0`; empty if it has none. */
    readonly id: string,
    /** The name of the recorded handler. */
    readonly handler: string,
    /** The call, with the recorded state and context. */
    readonly call: Call,
    /** Its outcome. */
    readonly outcome: RecordedOutcome,
  ) {}

  /**
   * Runs the call, and throws if the outcome differs from the recorded one; JSON is compared as text.
   * A function cannot return a trap or an exceeded limit, so for those any failure is accepted.
   */
  check(handler: Handler): void {
    const { outcome } = this;
    if (outcome === "ignored") return;
    let now: unknown;
    try {
      const made = this.call.run(handler);
      const state = made.stateText === undefined ? made.change : { put: made.stateText };
      const events = made.events.map(({ eventType, version, payloadText }) => ({ eventType, version, payload: payloadText }));
      const { reply } = made;
      now = { decided: { state, events, reply: reply && { status: reply.status, body: reply.bodyText ?? null } } };
    } catch (error) {
      const cause = error instanceof Rejected ? "rejected" : error instanceof Retry ? "retry" : "other";
      now = { failed: { cause, reason: error instanceof Error ? error.message : String(error) } };
    }
    const [before, after] = [JSON.stringify(told(outcome)), JSON.stringify(told(now as RecordedOutcome))];
    if (before !== after) throw new Error(`${this.id}: recorded is ${before}, now it is ${after}`);
  }
}

/** The compared values, in a fixed order. */
function told(outcome: RecordedOutcome): unknown {
  if (outcome === "ignored") return outcome;
  if ("failed" in outcome) {
    const { cause, reason } = outcome.failed;
    return cause === "rejected" || cause === "retry" ? { cause, reason } : "failed";
  }
  const { state, events, reply } = outcome.decided;
  return {
    state,
    events: events.map(({ eventType, version, payload }) => ({ eventType, version, payload })),
    reply: reply ? { status: reply.status, body: reply.body ?? null } : null,
  };
}

/** The format that this SDK reads. */
const FORMAT = 1;

/** Reads the recordings in the text of a file, one per line. Throws with the line number of an invalid line. */
export function recorded(text: string): Recorded[] {
  const lines = text.split("\n").map((line, number) => ({ line, number: number + 1 }));
  return lines
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, number }) => {
      try {
        return read(JSON.parse(line));
      } catch (error) {
        throw new Error(`line ${number}: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
}

interface Line {
  format: number;
  id?: string;
  handler: string;
  key: string;
  trigger: { event?: { value: unknown }; request?: Omit<WitRequest, "key"> };
  state: string | null;
  context: { nowMillis: number; attempt: number; settings: string };
  outcome: RecordedOutcome;
}

function read(line: Line): Recorded {
  if (line.format !== FORMAT) throw new Error(`it has format ${line.format}, this SDK reads format ${FORMAT}`);
  const { nowMillis, attempt, settings } = line.context;
  const call = Call.recorded(trigger(line), line.state ?? undefined, { nowMillis, attempt, settings });
  return new Recorded(line.id ?? "", line.handler, call, line.outcome);
}

function trigger({ key, trigger: { event, request } }: Line): WitTrigger {
  if (request !== undefined) return { tag: "request", val: { ...request, key } };
  const text = event?.value;
  if (typeof text !== "string") throw new Error("the event's value is no text");
  const envelope = JSON.parse(text);
  const payload = member(text, "payload");
  if (payload === undefined) throw new Error("the event has no payload");
  const val = {
    key,
    eventId: envelope.eventId,
    eventType: envelope.eventType,
    version: envelope.version,
    timestamp: envelope.timestamp,
    source: envelope.source,
    correlationId: envelope.correlationId ?? null,
    causationId: envelope.causationId ?? null,
    metadata: envelope.metadata == null ? null : (member(text, "metadata") ?? null),
    payload,
  };
  return { tag: "event", val };
}

/** The text of a member of a JSON object, unchanged. */
function member(object: string, name: string): string | undefined {
  let at = object.indexOf("{") + 1;
  for (;;) {
    at = next(object, at);
    if (object[at] === "}") return undefined;
    const colon = next(object, end(object, at));
    const from = next(object, colon + 1);
    const to = end(object, from);
    if (JSON.parse(object.slice(at, end(object, at))) === name) return object.slice(from, to);
    at = next(object, to);
    if (object[at] === ",") at += 1;
  }
}

/** The position of the next character that is not whitespace. */
function next(text: string, at: number): number {
  while (/\s/.test(text[at] ?? "}")) at += 1;
  return at;
}

/** The end of the JSON value that starts here, in valid JSON text. */
function end(text: string, from: number): number {
  let [at, depth] = [from, 0];
  do {
    const char = text[at] ?? "";
    if (char === '"') {
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
    } else if (char === "{" || char === "[") {
      depth += 1;
    } else if (char === "}" || char === "]") {
      depth -= 1;
    } else if (depth === 0) {
      while (/[^\s,\]}]/.test(text[at + 1] ?? ",")) at += 1;
    }
    at += 1;
  } while (depth > 0);
  return at;
}
