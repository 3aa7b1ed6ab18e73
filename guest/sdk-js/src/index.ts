/**
 * The SDK for Sandman handlers in TypeScript and JavaScript.
 *
 * A handler is a pure function. Its inputs are an event or a request, the state of its key and a context; its outputs are a new state, events to
 * publish and a reply. It has no clock, no source of randomness, no network and no disk: the same input gives the same
 * outcome, to the byte. `defineHandler` defines a handler; `sandman build` builds the component.
 */

export { defineHandler } from "./define.ts";
export type { Consumed, Definition, Emitted, Handler, On, Outcomes, Routes } from "./define.ts";
export { emit, put, reject, Rejected, remove, reply, Retry, retry } from "./effects.ts";
export type { Effect, EmitOptions } from "./effects.ts";
export { log } from "./host.ts";
export type { Context, Event, Json, Request, UploadedFile } from "./types.ts";
export { raw, RawJson } from "./json.ts";
export * as s from "./schema.ts";
export type { Infer, Problem, Schema } from "./schema.ts";
