// The reference guest in TypeScript: see its README in the folder above.

import { type Context, defineHandler, emit, type Event, log, put, raw, reject, remove, reply, retry, s } from "sandman-sdk";

const Told = s.object({ do: s.string(), text: s.optional(s.string()) });
const Counted = s.object({ n: s.integer() });
const Settings = s.object({ greeting: s.optional(s.string()) });

type Told = { do: string; text?: string | undefined };

const recurse = (depth: number): number => 1 + recurse(depth + 1);
const done = (payload: unknown) => emit("reference.done", payload);

/** What is told to fail, or to show what the language has of its own. */
function misbehave({ payload: { do: what, text = "" } }: Event<Told>, context: Context<{ greeting?: string | undefined }>) {
  switch (what) {
    case "reject":
      return reject(text);
    case "retry":
      return context.attempt === 1 ? retry(text) : done({ attempt: context.attempt });
    case "panic":
      throw new TypeError(text);
    case "loop":
      for (;;);
    case "allocate":
      for (const all: unknown[] = []; ; ) all.push(new Uint8Array(1 << 20).fill(1));
    case "recurse":
      return done({ depth: recurse(1) });
    case "clock":
      return done({ now: Date.now(), given: context.nowMillis });
    case "random":
      return done({ random: Math.random() });
    case "unfit":
      return emit("reference.checked", { n: "text" as unknown as number });
    case "undeclared":
      return emit("reference.other" as "reference.done", {});
    default:
      return reject(`cannot do ${what}`);
  }
}

export default defineHandler({
  consumes: { "reference.told": { versions: ["1.0"], payload: Told } },
  emits: { "reference.done": { version: "1.0" }, "reference.checked": { version: "1.0", payload: Counted } },
  state: Counted,
  stateVersion: 2,
  settings: Settings,

  on: {
    "reference.told": (event, state, context) => {
      const { do: what, text = "" } = event.payload;
      switch (what) {
        case "count": {
          const n = (state?.n ?? 0) + 1;
          return [put({ n }), done({ n })];
        }
        case "forget":
          return [remove(), done({})];
        case "echo":
          return done(raw(event.payloadText));
        case "text":
          return done({ text, length: [...text].length });
        case "many":
          return Array.from({ length: 1000 }, () => done({}));
        case "log":
          log.info(text);
          return done({});
        case "context":
          return done({ now: context.nowMillis, attempt: context.attempt, greeting: context.settings.greeting ?? null });
        case "envelope": {
          const { key, eventId, version, source, timestamp, correlationId = null, metadata = null } = event;
          const payload = { key, eventId, version, source, timestamp, correlationId, metadata };
          return emit("reference.done", payload, { key: "other", metadata: { of: eventId } });
        }
        case "order": {
          const words = text.split(" ");
          const map = new Map(words.map((word, index) => [word, index]));
          return done({ set: [...new Set(words)], map: [...map.keys()] });
        }
        default:
          return misbehave(event, context);
      }
    },
  },

  routes: {
    "GET /reference/{key}": (_, state) => (state === undefined ? reply(404, { error: "nothing" }) : reply(200, state)),
    "PUT /reference/{key}": ({ body, params, query }) => {
      if (Counted.problems(body, "body").length > 0) return reply(400, { error: "n" });
      const counted = body as { n: number };
      return [put(counted), done(counted), reply(200, { key: params["key"], first: query["q"] ?? null })];
    },
    "DELETE /reference/{key}": () => [remove(), reply(204)],
  },
});
