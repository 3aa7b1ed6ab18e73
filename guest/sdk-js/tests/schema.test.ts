import assert from "node:assert/strict";
import { test } from "node:test";

import { type Infer, s } from "../src/index.ts";

const Address = s.object({ street: s.string({ minLength: 1 }), zip: s.optional(s.string({ pattern: "^\\d{5}$" })) });
const User = s.object({
  userId: s.string(),
  age: s.integer({ minimum: 0 }),
  kind: s.oneOf("person", "robot"),
  tags: s.array(s.string(), { maxItems: 2 }),
  address: s.optional(s.nullable(Address)),
  scores: s.record(s.number({ maximum: 10 })),
});
const good: Infer<typeof User> = { userId: "u", age: 3, kind: "robot", tags: [], address: null, scores: { a: 1.5 } };

test("a definition gives a JSON Schema", () => {
  assert.deepEqual(Address.json, {
    type: "object",
    properties: { street: { type: "string", minLength: 1 }, zip: { type: "string", pattern: "^\\d{5}$" } },
    required: ["street"],
  });
});

test("what does not fit is named with its place", () => {
  const wrong = (changes: object) => User.problems({ ...good, ...changes }, "payload").map(({ path, problem }) => `${path} ${problem}`);
  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ unknown: 1 }), []);
  assert.deepEqual(wrong({ userId: undefined }), ["payload.userId is missing"]);
  assert.deepEqual(wrong({ age: -1, kind: "cat" }), [
    "payload.age must be 0 at least",
    'payload.kind must be one of "person", "robot"',
  ]);
  assert.deepEqual(wrong({ age: 1.5, tags: ["a", 2, "c"] }), [
    "payload.age must be a whole number",
    "payload.tags must have 2 items at most",
  ]);
  assert.deepEqual(wrong({ tags: [2] }), ["payload.tags[0] must be a string"]);
  assert.deepEqual(wrong({ address: { street: "", zip: "x" } }), [
    "payload.address.street must have 1 characters at least",
    "payload.address.zip must match ^\\d{5}$",
  ]);
  assert.deepEqual(wrong({ scores: { a: 11, b: "x" } }), ["payload.scores.a must be 10 at most", "payload.scores.b must be a number"]);
  assert.deepEqual(User.problems([], "payload"), [{ path: "payload", problem: "must be an object" }]);
});
