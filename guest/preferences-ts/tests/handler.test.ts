// The handler as a plain function. tests/behaviour holds it, and guest/preferences, against DreamScape's clients.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Call } from "sandman-sdk/testing";

import handler from "../src/handler.ts";

const OWN = "/api/v1/users/profile";
const NOW = Date.parse("2025-12-12T10:30:00.000Z");

const put = (body: unknown, state?: unknown) => {
  const call = Call.request("PUT", OWN).key("u-1").body(body).nowMillis(NOW);
  return (state === undefined ? call : call.state(state)).run(handler);
};
const importOf = (document: unknown) => Call.request("IMPORT", "state").body(document).nowMillis(0).run(handler);

test("a change is answered complete, stored and told", () => {
  const { reply, state, events } = put({ preferences: { language: "French" }, notifications: { priceAlerts: false } });
  assert.equal(reply?.status, 200);
  assert.deepEqual(state, {
    general: { language: "fr", languageName: "French" },
    notifications: { email: true, sms: true, push: false },
    privacy: {},
    travelPreferences: {},
    travelLists: {},
    updatedAt: "2025-12-12T10:30:00.000Z",
  });
  assert.deepEqual(events[0]?.payload, {
    userId: "u-1",
    preferences: { language: "fr", notifications: { email: true, sms: true, push: false } },
    updatedAt: "2025-12-12T10:30:00.000Z",
  });
});

test("what is sent back as it was answered tells nobody, and the second time changes nothing", () => {
  const { reply } = Call.request("GET", OWN).run(handler);
  const done = put(reply?.body);
  assert.deepEqual(done.events, []);
  assert.deepEqual(done.reply?.body, reply?.body);
  assert.equal(put(reply?.body, done.state).change, "keep");
});

test("every mistake is named, and nothing is kept", () => {
  const done = put({ preferences: { language: "Klingon", currency: 7 }, notifications: [], travel: { dietary: "x".repeat(101) } });
  assert.equal(done.reply?.status, 400);
  assert.equal(done.change, "keep");
  assert.deepEqual(done.reply?.body, {
    error:
      "preferences.language must be a language in ISO 639-1, for example fr, or its English name; " +
      "preferences.currency must be a text; notifications must be an object; " +
      "travel.dietary must be a list of up to 50 texts of up to 100 characters",
  });
});

test("half a surrogate is a mistake of the field that holds it alone", () => {
  const call = Call.request("PUT", OWN).nowMillis(NOW);
  const other = { text: "\ud800" };
  assert.equal(put({ preferences: { timezone: "\ud800" }, other }).reply?.status, 400);
  assert.equal(put({ preferences: { timezone: "UTC+1" }, other }).reply?.status, 200);
  assert.equal(call.body(["no object"]).run(handler).reply?.status, 400);
});

test("documents of every age are read", () => {
  const old = { general: { currency: "EUR" }, travelLists: { dietary: "vegan", activities: "" }, updatedAt: "" };
  const { state } = put({ newsletter: true, notifications: { newsletter: true } }, old);
  assert.deepEqual(state, {
    general: { currency: "EUR" },
    notifications: { email: true, sms: true, push: true },
    newsletter: true,
    privacy: {},
    travelPreferences: {},
    travelLists: { dietary: ["vegan"] },
    updatedAt: "2025-12-12T10:30:00.000Z",
  });
});

test("an import follows the rules of requests, and its own documents come out as they went in", () => {
  const first = importOf({ general: { language: "german" }, updatedAt: "2025-12-31T23:30:00-0100" });
  assert.equal(first.reply?.status, 200);
  const again = importOf(first.state);
  assert.equal(again.stateText, first.stateText);
  assert.equal((again.state as { updatedAt: string }).updatedAt, "2026-01-01T00:30:00.000Z");
  const wrong = importOf({ notification: {}, updatedAt: "2025-02-30T10:30:00Z" });
  assert.match((wrong.reply?.body as { error: string }).error, /^notification is not known; updatedAt must be an ISO 8601/);
});
