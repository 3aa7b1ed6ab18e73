/** Exports a handler as a component. */

import type { Handler } from "./define.ts";
import { Rejected, Retry } from "./effects.ts";
import { type Host, panicked, speakTo } from "./host.ts";
import { shown, wellFormed } from "./json.ts";
import { type Positions, placeOf, positions, type SourceMap } from "./position.ts";
import { hintFor } from "./purity.ts";
import { describe, handle, type WitContext, type WitContract, type WitOutcome, type WitTrigger } from "./run.ts";

declare global {
  /** Called by the build's last line, after the bundle, while the module is loaded. */
  var sandmanSourceMap: (map: SourceMap) => void;
}

let known: Positions | undefined;
globalThis.sandmanSourceMap = (map) => {
  known = positions(map);
};

/** The component's exports for the interface `handler`. */
export interface Exports {
  describe(): WitContract;
  handle(trigger: WitTrigger, state: string | null | undefined, context: WitContext): WitOutcome;
}

function isHandler(given: unknown): given is Handler {
  return typeof given === "object" && given !== null && "consumes" in given && "routes" in given;
}

/** Turns a handler into the exports of a component that is connected to the host. */
export function component(handler: unknown, host: Host): Exports {
  if (!isHandler(handler)) throw new TypeError("the handler's module exports nothing by defineHandler as its default");
  speakTo(host);
  return {
    describe: () => describe(handler),
    handle(trigger, state, context) {
      try {
        return handle(handler, trigger, state, context);
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

/** Maximum depth of nested causes that are reported. */
const CAUSES = 4;

/** A thrown value as text, with its causes. */
function reason(error: unknown): string {
  const said: string[] = [];
  for (let each = error; each != null && said.length < CAUSES; each = each instanceof Error ? each.cause : undefined) {
    said.push(each instanceof Error ? shown(each) + hintFor(each) : shown(each));
  }
  return said.length === 0 ? String(error) : said.join("; caused by ");
}

/** What the bindings accept as a failure of a call; they turn anything else into a trap. */
function failure(error: unknown): unknown {
  if (error instanceof Rejected) return { tag: "rejected", val: wellFormed(error.message) };
  if (error instanceof Retry) return { tag: "retry", val: wellFormed(error.message) };
  panicked(reason(error), placeOf(error, known));
  return error;
}
