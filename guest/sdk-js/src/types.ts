/** The inputs of a handler. */

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** An event from a topic. */
export interface Event<Payload = unknown> {
  /** The key that determines its order and its state. */
  readonly key: string;
  /** Unique for this event. */
  readonly eventId: string;
  /** For example `user.created`. */
  readonly eventType: string;
  /** The payload version, for example `1.0`. */
  readonly version: string;
  /** ISO 8601, as sent. */
  readonly timestamp: string;
  /** The service that published it. */
  readonly source: string;
  readonly correlationId: string | undefined;
  readonly causationId: string | undefined;
  readonly metadata: unknown;
  /** The payload. Integers beyond 2^53 lose digits here; `payloadText` keeps them. */
  readonly payload: Payload;
  /** The payload as sent, as JSON text. */
  readonly payloadText: string;
}

/** An HTTP request, already routed, authenticated and parsed by the host. */
export interface Request<Body = unknown> {
  /** The key that determines its order and its state, for example the user id of the verified token. */
  readonly key: string;
  /** Upper case. */
  readonly method: string;
  /** The route's pattern, for example `/users/{userId}`. */
  readonly route: string;
  /** The path parameters. */
  readonly params: { readonly [name: string]: string };
  /** The query parameters, the first of each name. */
  readonly query: { readonly [name: string]: string };
  /** All query parameters, in order. */
  readonly queryAll: readonly (readonly [string, string])[];
  /** The claims of the verified token, if one was sent. */
  readonly claims: { readonly [name: string]: unknown } | undefined;
  /** The body; `undefined` if it was empty. */
  readonly body: Body;
  /** The body as sent, as JSON text. */
  readonly bodyText: string | undefined;
  /** Files of a multipart upload, already stored by the host. */
  readonly files: readonly UploadedFile[];
  readonly correlationId: string;
}

/** A stored upload. A handler receives the location of a file, never its bytes. */
export interface UploadedFile {
  /** The name of the form field. */
  readonly field: string;
  readonly url: string;
  /** Detected from the content, for example `image/png`. */
  readonly mediaType: string;
  /** In bytes. */
  readonly size: number;
  /** SHA-256 of the content, lower-case hex. */
  readonly digest: string;
}

/** The context of a call. */
export interface Context<Settings = { readonly [name: string]: unknown }> {
  /** The time of this call: milliseconds since 1970-01-01T00:00:00Z. `Date.now()` gives the same. */
  readonly nowMillis: number;
  /** The same as ISO 8601 text. */
  readonly nowIso: string;
  /** The number of the attempt for this trigger, starting at 1. */
  readonly attempt: number;
  /** The handler's settings from `sandman.toml`. */
  readonly settings: Settings;
}
