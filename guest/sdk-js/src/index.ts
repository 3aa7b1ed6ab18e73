/**
 * What a Sandman handler in TypeScript or JavaScript depends on.
 *
 * A handler is a pure function: an event or a request, the state of its key and a context go in; a new state, events to
 * publish and a reply come out. It sees no clock, no random source, no network and no disk: the same input gives the same
 * outcome, to the byte. `defineHandler` describes one; `sandman build` makes it a component.
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
