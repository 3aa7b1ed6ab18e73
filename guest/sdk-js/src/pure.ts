/** Imported first in a component, so that no module of the guest has access to anything impure. */

import { log } from "./host.ts";
import { format } from "./json.ts";
import { install } from "./purity.ts";

const to = (write: (message: string) => void) => (...values: unknown[]) => write(format(values));

install({
  trace: to(log.trace),
  debug: to(log.debug),
  log: to(log.info),
  info: to(log.info),
  warn: to(log.warn),
  error: to(log.error),
});
