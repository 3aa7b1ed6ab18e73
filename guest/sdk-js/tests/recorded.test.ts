import assert from "node:assert/strict";
import { test } from "node:test";

import { defineHandler, emit, put, reject, reply, s } from "../src/index.ts";
import { recorded } from "../src/testing.ts";

const handler = defineHandler({
  consumes: { seen: { versions: ["1.0"], payload: s.integer() } },
  emits: { told: { payload: s.object({ n: s.integer(), at: s.integer() }) } },
  state: s.integer(),
  stateVersion: 1,
  routes: { "GET /seen/{id}": (request, state) => reply(200, { id: request.params.id, state }) },
  on: {
    seen: (event, state, context) => {
      if (event.payload === 0) reject("nothing to add");
      if (event.payload < 0) throw new Error("broken");
      const n = (state ?? 0) + event.payload;
      return [put(n), emit("told", { n, at: context.nowMillis })];
    },
  },
});

const envelope = (payload: string) =>
  `{"eventId":"e","odd":{"payload":[1,"}\\""]},"eventType":"seen","timestamp":"t","version":"1.0","source":"s","payload": ${payload} }`;

function line(payload: string, outcome: unknown): string {
  return JSON.stringify({
    format: 1,
    id: "r4-0",
    handler: "seen",
    version: 2,
    key: "ada",
    trigger: { event: { topic: "t", partition: 0, offset: 7, value: envelope(payload) } },
    state: "40",
    context: { nowMillis: 5, attempt: 1, settings: "{}" },
    outcome,
    deadLetter: false,
  });
}

const decided = (state: string) => ({
  decided: { state: { put: state }, events: [{ eventType: "told", version: "1.0", payload: '{"n":42,"at":5}' }] },
});

test("a recording is run and compared", () => {
  const text = `${line("2", decided("42"))}\n\n${line("0", { failed: { cause: "rejected", reason: "nothing to add" } })}\n`;
  const all = recorded(text);
  assert.deepEqual(all.map(({ id, handler }) => [id, handler]), [["r4-0", "seen"], ["r4-0", "seen"]]);
  for (const recording of all) recording.check(handler);
  const [trap] = recorded(line("-1", { failed: { cause: "trap", reason: "the guest panicked" } }));
  trap?.check(handler);
});

test("what differs is named", () => {
  const [other] = recorded(line("2", decided("41")));
  assert.throws(() => other?.check(handler), /r4-0: recorded is .*41.*, now it is .*42/);
  const [failed] = recorded(line("2", { failed: { cause: "retry", reason: "later" } }));
  assert.throws(() => failed?.check(handler), /recorded is .*later/);
  const [gone] = recorded(line("0", decided("42")));
  assert.throws(() => gone?.check(handler), /nothing to add/);
});

test("a recorded request is run", () => {
  const request = { method: "GET", route: "/seen/{id}", params: [["id", "ada"]], query: [], claims: null, body: null, files: [], correlationId: "c" };
  const parts = JSON.parse(line("2", { decided: { state: "keep", events: [], reply: { status: 200, body: '{"id":"ada","state":40}' } } }));
  const [recording] = recorded(JSON.stringify({ ...parts, trigger: { request } }));
  recording?.check(handler);
});

test("what is no recording is named by its line", () => {
  assert.throws(() => recorded(`${line("2", decided("42"))}\nx`), /^Error: line 2: /);
  assert.throws(() => recorded(line("2", decided("42")).replace('"format":1', '"format":2')), /format 2/);
});
