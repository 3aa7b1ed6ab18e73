/** What the host gives: a log, and the time of the call. */

import { wellFormed } from "./json.ts";

/** From the least. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** The host's side, which is another one in tests. */
export interface Host {
  log(level: Level, message: string): void;
  /** Why this call is about to trap, and where in the source. */
  panicked(message: string, place: string): void;
}

const silent: Host = { log() {}, panicked() {} };
let host = silent;

/** Sets whom the handler speaks to; returns who it was before. */
export function speakTo(next: Host): Host {
  const before = host;
  host = next;
  return before;
}

/** Tells the host of an exception that nobody caught. */
export function panicked(message: string, place: string): void {
  host.panicked(wellFormed(message), place);
}

const at = (level: Level) => (message: string) => host.log(level, wellFormed(String(message)));

/** Notes for whoever operates the handler. Log no payloads and no keys: they are personal data. */
export const log = {
  trace: at("trace"),
  debug: at("debug"),
  info: at("info"),
  warn: at("warn"),
  error: at("error"),
};
