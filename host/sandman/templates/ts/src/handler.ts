// Counts how often a user was seen.
//
// A handler is a pure function: an event and the state of its key go in, a new state and new events come out. It sees no
// clock, no network and no disk, so the same input always gives the same outcome.

import { defineHandler, emit, log, put, s } from "sandman-sdk";

/** The payload of the event that comes in. */
const Created = s.object({ userId: s.string() });

/** The payload of the event that goes out. */
const UserSeen = s.object({ userId: s.string(), times: s.integer({ minimum: 1 }) });

/** The state: one document for each key. */
const Seen = s.object({ times: s.integer() });

export default defineHandler({
  // What comes in and what may go out; the host holds it against `sandman.toml`.
  consumes: { "user.created": { versions: ["1.0"], payload: Created } },
  emits: { "user.seen": { version: "1.0", payload: UserSeen } },
  state: Seen,

  on: {
    "user.created": ({ payload: { userId } }, state) => {
      const times = (state?.times ?? 0) + 1;
      log.info(`seen ${times} times`);
      return [emit("user.seen", { userId, times }), put({ times })];
    },
  },
});
