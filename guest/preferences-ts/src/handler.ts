// DreamScape's user preferences a second time: language and currency, notifications, privacy, travel.
//
// It does what guest/preferences does in Rust, on the same states: either may take the other's place while it serves.

import { defineHandler, emit, put, remove, reply, type Request, s } from "sandman-sdk";

import stateSchema from "../../preferences/schemas/state-1.json" with { type: "json" };
import updatedSchema from "../../preferences/schemas/user.preferences.updated-1.0.json" with { type: "json" };
import { updated, type Updated } from "./events.ts";
import { type Named, read, readKnown } from "./form.ts";
import { takeOver } from "./import.ts";
import { shown } from "./shown.ts";
import { type Preferences, preferencesOf, same, type Stored } from "./state.ts";

type Read = (bodyText: string | undefined, before: Preferences) => { after: Preferences; named: Named } | { error: string };

/** Takes over what the request sent, publishes what others see of it, and answers. */
function change(request: Request, state: Stored | undefined, nowIso: string, reads: Read, answer: (after: Preferences) => ReturnType<typeof reply>) {
  const before = preferencesOf(state);
  const sent = reads(request.bodyText, before);
  if ("error" in sent) return reply(400, { error: sent.error });
  if (same(sent.after, before)) return answer(sent.after);
  const after = { ...sent.after, updatedAt: nowIso };
  const payload = updated(request.key, sent.named, before, after);
  return [answer(after), payload && emit("user.preferences.updated", payload), put(after)];
}

const settings = (after: Preferences) => reply(200, shown(after));

/** The answer to the profile's `POST`: the preferences that are set, `null` if there are none. */
function created({ general }: Preferences) {
  const { language, languageName, currency, timezone } = general;
  const any = Object.keys(general).length > 0;
  return reply(201, { preferences: any ? { language: languageName ?? language, currency, timezone } : null });
}

export default defineHandler({
  emits: { "user.preferences.updated": { version: "1.0", payload: s.json<Updated>(updatedSchema) } },
  state: s.json<Stored>(stateSchema),
  stateVersion: 1,
  routes: {
    "GET /api/v1/users/profile": (_, state) => reply(200, shown(preferencesOf(state))),
    "PUT /api/v1/users/profile": (request, state, { nowIso }) => change(request, state, nowIso, read, settings),
    "POST /api/v1/users/profile/{userId}": (request, state, { nowIso }) =>
      change(request, state, nowIso, readKnown, created),
    // The profile's handler says whether there was a user to remove; here there need not be anything.
    "DELETE /api/v1/users/profile/{userId}": (_, state) => [reply(200, {}), state && remove()],
    "IMPORT state": takeOver,
  },
});
