"""Counts how often a user was seen.

A handler is a pure function: an event and the state of its key go in, a new state and new events come out. It sees no
clock, no network and no disk, so the same input always gives the same outcome.
"""

from dataclasses import dataclass

from sandman import Context, Event, camel_case, contract, emit, emits, log, on, put


@camel_case
@dataclass
class Created:
    """The payload of the event that comes in."""

    user_id: str


@camel_case
@dataclass
class UserSeen:
    """The payload of the event that goes out."""

    user_id: str
    times: int


@dataclass
class Seen:
    """The state: one document for each key."""

    times: int = 0


# What may go out; the host holds it, and what comes in, against `sandman.toml`.
contract(state=Seen, emits=[emits("user.seen", "1.0", UserSeen)])


@on("user.created", "1.0")
def created(event: Event[Created], state: Seen | None, context: Context):
    times = (state.times if state else 0) + 1
    log.info(f"seen {times} times")
    return emit("user.seen", "1.0", UserSeen(event.payload.user_id, times)), put(Seen(times))
