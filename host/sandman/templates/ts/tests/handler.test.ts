// The handler as a plain function: no WebAssembly, no Kafka, no host.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Call, Rejected } from "sandman-sdk/testing";

import handler from "../src/handler.ts";

test("a user is counted and that is told", () => {
  const created = Call.event("user.created", "1.0", { userId: "u-1" });
  const outcome = created.state({ times: 1 }).run(handler);
  assert.deepEqual(outcome.state, { times: 2 });
  assert.deepEqual(outcome.events[0]?.payload, { userId: "u-1", times: 2 });
});

test("an event without a user is rejected", () => {
  const nobody = Call.event("user.created", "1.0", {});
  assert.throws(() => nobody.run(handler), Rejected);
});
