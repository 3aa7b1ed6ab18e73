/** What the host provides: a log, and the time of the call. */

import { wellFormed } from "./json.ts";

/** In ascending order. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** The host's interface, which is replaced in tests. */
export interface Host {
  log(level: Level, message: string): void;
  /** Reports why this call is about to trap, and where in the source. */
  panicked(message: string, place: string): void;
}

const silent: Host = { log() {}, panicked() {} };
let host = silent;

/** Sets the host that the handler uses; returns the previous one. */
export function speakTo(next: Host): Host {
  const before = host;
  host = next;
  return before;
}

/** Reports an uncaught exception to the host. */
export function panicked(message: string, place: string): void {
  host.panicked(wellFormed(message), place);
}

const at = (level: Level) => (message: string) => host.log(level, wellFormed(String(message)));

/** Log messages for the operators of the handler. Do not log payloads or keys: they contain personal data. */
export const log = {
  trace: at("trace"),
  debug: at("debug"),
  info: at("info"),
  warn: at("warn"),
  error: at("error"),
};
