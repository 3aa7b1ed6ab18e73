/** Imported before everything else in a component, so that no module of the guest sees anything that is not pure. */

import { log } from "./host.ts";
import { install } from "./purity.ts";

const shown = (value: unknown): string => {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
};
const to = (write: (message: string) => void) => (...values: unknown[]) => write(values.map(shown).join(" "));

install({
  trace: to(log.trace),
  debug: to(log.debug),
  log: to(log.info),
  info: to(log.info),
  warn: to(log.warn),
  error: to(log.error),
});
