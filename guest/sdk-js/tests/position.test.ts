import assert from "node:assert/strict";
import { test } from "node:test";

import { original, placeOf, positions } from "../src/position.ts";

// What esbuild made of:
//
//     const first = 1;
//
//     export function fail(): never {
//       throw new Error(`${first}`);
//     }
const map = positions({
  sources: ["src/handler.ts"],
  mappings: ";AAAA,IAAM,QAAQ;AAEP,SAAS,OAAc;AAC5B,QAAM,IAAI,MAAM,GAAG,KAAK,EAAE;AAC5B;",
});

test("a place in the bundle is one in the sources", () => {
  assert.equal(original(map, 4, 9), "src/handler.ts:4:9");
  assert.equal(original(map, 3, 1), "src/handler.ts:3:8");
  assert.equal(original(map, 5, 1), "src/handler.ts:5:1");
  assert.equal(original(map, 1, 1), undefined);
  for (const line of [0, 99]) assert.equal(original(map, line, 1), undefined);
});

test("an exception is placed by its stack", () => {
  const error = new Error("x");
  error.stack = "    at fail (script.js:4:9)\n    at other (native)\n";
  assert.equal(placeOf(error, map), "src/handler.ts:4:9");
  const inSdk = { ...map, sources: ["sandman-sdk/src/run.ts"] };
  assert.equal(placeOf(error, inSdk), "");
  assert.equal(placeOf(new TypeError("y", { cause: error }), map), "src/handler.ts:4:9");
  assert.equal(placeOf("no error", map), "");
  assert.equal(placeOf(error, undefined), "");
});
