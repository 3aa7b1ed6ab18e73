/** What goes into a handler. */

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** An event from a topic. */
export interface Event<Payload = unknown> {
  /** The key that orders it and owns the state. */
  readonly key: string;
  /** Unique for this event. */
  readonly eventId: string;
  /** For example `user.created`. */
  readonly eventType: string;
  /** The version of the payload's shape that was sent, for example `1.0`. */
  readonly version: string;
  /** ISO 8601, as the sender wrote it. */
  readonly timestamp: string;
  /** The service that published it. */
  readonly source: string;
  readonly correlationId: string | undefined;
  readonly causationId: string | undefined;
  readonly metadata: unknown;
  /** The payload. Whole numbers beyond 2^53 lose digits here; `payloadText` has them all. */
  readonly payload: Payload;
  /** The payload as the sender wrote it: JSON text. */
  readonly payloadText: string;
}

/** An HTTP request, already routed, authenticated and parsed by the host. */
export interface Request<Body = unknown> {
  /** The key that orders it and owns the state, for example the user id of the verified token. */
  readonly key: string;
  /** Upper case. */
  readonly method: string;
  /** The route's pattern, for example `/users/{userId}`. */
  readonly route: string;
  /** The path's parameters. */
  readonly params: { readonly [name: string]: string };
  /** The query's parameters, the first of each name. */
  readonly query: { readonly [name: string]: string };
  /** All parameters of the query, in their order. */
  readonly queryAll: readonly (readonly [string, string])[];
  /** The claims of the verified token, if one was sent. */
  readonly claims: { readonly [name: string]: unknown } | undefined;
  /** The body; `undefined` if it was empty. */
  readonly body: Body;
  /** The body as the client wrote it: JSON text. */
  readonly bodyText: string | undefined;
  /** Files of a multipart upload, which the host has already stored. */
  readonly files: readonly UploadedFile[];
  readonly correlationId: string;
}

/** A stored upload. A handler sees where a file is, never its bytes. */
export interface UploadedFile {
  /** The name of the form field. */
  readonly field: string;
  readonly url: string;
  /** Known by the content, for example `image/png`. */
  readonly mediaType: string;
  /** In bytes. */
  readonly size: number;
  /** SHA-256 of the content, lower-case hex. */
  readonly digest: string;
}

/** What a pure handler may know of its surroundings. */
export interface Context<Settings = { readonly [name: string]: unknown }> {
  /** The time of this call: milliseconds since 1970-01-01T00:00:00Z. `Date.now()` gives the same. */
  readonly nowMillis: number;
  /** The same as ISO 8601 text. */
  readonly nowIso: string;
  /** Which try of this trigger this is, from 1. */
  readonly attempt: number;
  /** The handler's settings of `sandman.toml`. */
  readonly settings: Settings;
}
