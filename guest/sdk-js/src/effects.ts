/** The effects that a handler can return. */

import type { RawJson } from "./json.ts";

/** One effect of a call. */
export type Effect<Events extends Emit<string, unknown>, State> = Events | Put<State> | Remove | Reply;

export interface Emit<Type extends string, Payload> {
  readonly effect: "emit";
  readonly type: Type;
  readonly payload: Payload | RawJson;
  readonly options: EmitOptions;
}

export interface EmitOptions {
  /** The payload version, if `emits` has several for the type. */
  readonly version?: string;
  /** The record's key in Kafka; the trigger's key by default. */
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

/** The type of what is not known: neither the state nor what a handler's function may return. */
declare const unsaid: unique symbol;
type Unsaid = typeof unsaid;

/** The events of this type among those that a function may return. */
type Among<Returned, Type> = Extract<Returned, Emit<string, unknown> & { readonly type: Type }>;
/** The event types that a function may return; any, if they are not known. */
type TypesAmong<Returned> = [Among<Returned, string>] extends [never] ? unknown : Among<Returned, string>["type"];

/**
 * Publishes an event. Its type must be declared in the handler's `emits`. If a handler's function returns it directly, `Returned` is
 * what the function may return, so that the compiler reports a type error at the type or the payload instead of at the whole function.
 */
export function emit<const Type extends string, Returned = Unsaid, Given = unknown>(
  type: Type extends TypesAmong<Returned> ? Type : TypesAmong<Returned>,
  payload: [Among<Returned, Type>] extends [never] ? Given | RawJson : NoInfer<Among<Returned, Type>["payload"]>,
  options: EmitOptions = {},
): [Among<Returned, string>] extends [never] ? Emit<Type, Given> : Among<Returned, Type> {
  // The return type depends on type parameters that are not known here.
  return { effect: "emit", type, payload, options } as never;
}

/**
 * Replaces the key's state with this document. If a handler's function returns it directly, `State` is the handler's, so
 * that the compiler reports a type error at the document instead of at the whole function.
 */
export function put<State = Unsaid, Given = unknown>(
  state: [State] extends [Unsaid] ? Given : NoInfer<State>,
): Put<[State] extends [Unsaid] ? Given : State> {
  return { effect: "put", state };
}

/** Deletes the key's state: the next trigger of the key has no state. */
export function remove(): Remove {
  return { effect: "remove" };
}

/** Answers a request with a status and an optional JSON body. With a status of 400 or above nothing is committed. */
export function reply(status: number, body?: unknown): Reply {
  return { effect: "reply", status, body };
}

/** A permanent failure. */
export class Rejected extends Error {
  override readonly name = "Rejected";
}

/** A temporary failure. */
export class Retry extends Error {
  override readonly name = "Retry";
}

/** Rejects the trigger: an event becomes a dead letter with this reason, and a request is answered with 400. */
export function reject(reason: string): never {
  throw new Rejected(reason);
}

/** Asks the host to call again later, up to `retry.attempts` attempts in total. */
export function retry(reason: string): never {
  throw new Retry(reason);
}
