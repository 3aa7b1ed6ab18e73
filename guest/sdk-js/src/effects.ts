/** What a handler decides. */

import type { RawJson } from "./json.ts";

/** One thing that a handler decided. */
export type Effect<Events extends Emit<string, unknown>, State> = Events | Put<State> | Remove | Reply;

export interface Emit<Type extends string, Payload> {
  readonly effect: "emit";
  readonly type: Type;
  readonly payload: Payload | RawJson;
  readonly options: EmitOptions;
}

export interface EmitOptions {
  /** The payload's version, where `emits` names several for the type. */
  readonly version?: string;
  /** The record's key in Kafka; the trigger's key when left out. */
  readonly key?: string;
  /** The envelope's `metadata`. */
  readonly metadata?: { readonly [name: string]: unknown };
}

export interface Put<State> {
  readonly effect: "put";
  readonly state: State;
}

export interface Remove {
  readonly effect: "remove";
}

export interface Reply {
  readonly effect: "reply";
  readonly status: number;
  readonly body: unknown;
}

/** Publishes an event. Its type must be among those that the handler emits. */
export function emit<const Type extends string, Payload>(
  type: Type,
  payload: Payload | RawJson,
  options: EmitOptions = {},
): Emit<Type, Payload> {
  return { effect: "emit", type, payload, options };
}

/** Where nothing says what the state is. */
declare const unsaid: unique symbol;
type Unsaid = typeof unsaid;

/**
 * Puts this document in the place of the key's state. Where a handler's function returns it at once, `State` is the handler's, so
 * that a mistake is shown at the document and not at the whole function.
 */
export function put<State = Unsaid, Given = unknown>(
  state: [State] extends [Unsaid] ? Given : NoInfer<State>,
): Put<[State] extends [Unsaid] ? Given : State> {
  return { effect: "put", state };
}

/** Deletes the key's state: the next trigger of the key sees none. */
export function remove(): Remove {
  return { effect: "remove" };
}

/** Answers a request with a status, and a JSON body if there is one. A status of 400 or above commits nothing. */
export function reply(status: number, body?: unknown): Reply {
  return { effect: "reply", status, body };
}

/** A failure that trying again will not cure. */
export class Rejected extends Error {
  override readonly name = "Rejected";
}

/** A failure that trying again may cure. */
export class Retry extends Error {
  override readonly name = "Retry";
}

/** Gives the trigger up: an event becomes a dead letter with this reason, a request is answered 400. */
export function reject(reason: string): never {
  throw new Rejected(reason);
}

/** Asks to be called again later, up to `retry.attempts` in all. */
export function retry(reason: string): never {
  throw new Retry(reason);
}
