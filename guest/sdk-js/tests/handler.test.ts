import assert from "node:assert/strict";
import { test } from "node:test";

import { defineHandler, emit, log, put, raw, reject, remove, reply, retry, s } from "../src/index.ts";
import { format } from "../src/json.ts";
import { describe } from "../src/run.ts";
import { Call, Rejected, Retry } from "../src/testing.ts";

const handler = defineHandler({
  consumes: { "thing.told": { versions: ["1.0", "2.0"], payload: s.object({ do: s.string() }) } },
  emits: { "thing.done": { payload: s.object({ n: s.integer() }) }, "thing.echoed": [{ version: "1.0" }, { version: "2.0" }] },
  state: s.object({ n: s.integer() }),
  stateVersion: 3,
  settings: s.object({ limit: s.optional(s.integer()) }),
  on: {
    "thing.told": (event, state, context) => {
      switch (event.payload.do) {
        case "keep":
          return;
        case "put":
          return [put({ n: (state?.n ?? 0) + 1 }), emit("thing.done", { n: 1 }, { key: "other", metadata: { by: "test" } })];
        case "wrong":
          return emit("thing.done", { n: 0.5 });
        case "remove":
          return remove();
        case "echo":
          return emit("thing.echoed", raw(event.payloadText), { version: "2.0" });
        case "which":
          return emit("thing.echoed", {});
        case "reject":
          return reject("no");
        case "retry":
          return retry("later");
        case "log":
          log.warn("odd");
          return undefined;
        case "time":
          return put({ n: Date.now() - context.nowMillis + new Date().getTime() });
        case "random":
          return put({ n: Math.random() });
        case "impure":
          calls += 1;
          return put({ n: calls });
        case "limit":
          return put({ n: context.settings.limit ?? -1 });
        case "promise":
          return Promise.resolve() as never;
        case "then":
          void Promise.resolve(1).then(() => log.info("then ran"));
          return undefined;
        case "node":
          return put({ n: Buffer.from("x").length });
        case "known":
          return put({ n: typeof process === "undefined" && typeof structuredClone === "undefined" ? 1 : 0 });
        case "circle": {
          const circle: { self?: unknown } = {};
          circle.self = circle;
          return emit("thing.echoed", circle, { version: "2.0" });
        }
        case "rubbish":
          return {} as never;
        default:
          throw new TypeError("what?");
      }
    },
  },
  routes: {
    "GET /things/{id}": ({ params, query, claims }) => reply(200, { id: params["id"], of: query["of"], claims }),
    "DELETE /things/{id}": () => [remove(), reply(204)],
  },
});
let calls = 0;

const told = (what: string) => Call.event("thing.told", "1.0", { do: what });

test("a handler says what it consumes, emits and serves", () => {
  const contract = describe(handler);
  assert.deepEqual(contract.consumes.map(({ eventType, versions }) => [eventType, ...versions]), [["thing.told", "1.0", "2.0"]]);
  assert.deepEqual(contract.emits.map(({ eventType, version, schema }) => [eventType, version, typeof schema]), [
    ["thing.done", "1.0", "string"],
    ["thing.echoed", "1.0", "object"],
    ["thing.echoed", "2.0", "object"],
  ]);
  assert.deepEqual(contract.routes, [
    { method: "GET", path: "/things/{id}" },
    { method: "DELETE", path: "/things/{id}" },
  ]);
  assert.equal(contract.stateVersion, 3);
});

test("what a handler decides comes out", () => {
  assert.equal(told("keep").run(handler).change, "keep");
  assert.equal(told("remove").run(handler).change, "delete");
  const { state, events } = told("put").state({ n: 4 }).run(handler);
  assert.deepEqual(state, { n: 5 });
  assert.deepEqual(events[0], {
    eventType: "thing.done",
    version: "1.0",
    key: "other",
    metadata: { by: "test" },
    payload: { n: 1 },
    payloadText: '{"n":1}',
  });
  assert.deepEqual(told("log").run(handler).logs, [{ level: "warn", message: "odd" }]);
  assert.deepEqual(told("limit").settings({ limit: 7 }).run(handler).state, { n: 7 });
});

test("text that is handed on keeps its digits", () => {
  const text = '{"do":"echo","big":12345678901234567890,"exact":1.0}';
  const [echoed] = told("").payloadText(text).run(handler).events;
  assert.equal(echoed?.payloadText, text);
  assert.equal(echoed?.version, "2.0");
});

test("requests are answered", () => {
  const { reply: got } = Call.request("GET", "/things/{id}").params({ id: "7" }).query({ of: "x" }).claims({ sub: "u" }).run(handler);
  assert.deepEqual(got, {
    status: 200,
    body: { id: "7", of: "x", claims: { sub: "u" } },
    bodyText: '{"id":"7","of":"x","claims":{"sub":"u"}}',
  });
  assert.deepEqual(Call.request("DELETE", "/things/{id}").run(handler).reply, { status: 204, body: undefined, bodyText: undefined });
});

test("failures are thrown as what they are", () => {
  assert.throws(() => told("reject").run(handler), new Rejected("no"));
  assert.throws(() => told("retry").run(handler), new Retry("later"));
  assert.throws(() => told("?").run(handler), new TypeError("what?"));
  assert.throws(() => told("promise").run(handler), /promise/);
  assert.throws(() => told("rubbish").run(handler), /on\["thing.told"\] returned something that is none of emit/);
  assert.throws(() => told("circle").run(handler), /the payload of thing.echoed cannot be JSON/);
  assert.throws(() => told("which").run(handler), /in the versions 1.0, 2.0; name one/);
  assert.throws(() => told("wrong").run(handler), /thing.done 1.0, emitted: payload.n: must be a whole number/);
  assert.throws(() => Call.event("thing.told", "1.0", {}).run(handler), new Rejected("thing.told 1.0: payload.do: is missing"));
  assert.throws(() => told("limit").settings({ limit: "7" }).run(handler), new Rejected("settings.limit: must be a whole number"));
  assert.throws(() => told("keep").stateText("{").run(handler), /the state is not JSON/);
});

test("what is not pure is absent, or shows", () => {
  assert.deepEqual(told("time").nowMillis(1000).run(handler).state, { n: 1000 });
  assert.throws(() => told("random").run(handler), /Math.random\(\) is not available: .*event.eventId/);
  assert.throws(() => told("impure").run(handler), /not pure: two runs differ/);
  assert.equal(typeof Math.random(), "number");
  assert.ok(Date.now() > 1_700_000_000_000);
});

test("a definition that cannot be is refused", () => {
  const wrong = (definition: object, words: RegExp) => assert.throws(() => defineHandler(definition), words);
  wrong({ consumes: { a: {} } }, /consumes a and has no function/);
  wrong({ on: { a: () => {} } }, /does not consume a/);
  wrong({ routes: { "/things": () => {} } }, /"\/things" is no route/);
});

test("what is left for later fails", () => {
  assert.throws(() => told("then").run(handler), /a promise is waited for/);
});

test("what Node alone has is not there", () => {
  assert.throws(() => told("node").run(handler), { name: "ReferenceError", message: "Buffer is not defined" });
  assert.deepEqual(told("known").run(handler).state, { n: 1 });
  assert.equal(typeof Buffer, "function");
});

test("the console fills in what its first text asks for", () => {
  assert.equal(format(["hi %s, %d of %j%%", "you", "7", { a: 1 }, "more"]), 'hi you, 7 of {"a":1}% more');
  assert.equal(format([{ a: 1 }, new TypeError("x"), "%s"]), '{"a":1} TypeError: x %s');
});
