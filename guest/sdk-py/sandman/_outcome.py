"""The outcome of a handler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Failure(Exception):
    """Why a handler failed. Nothing else of the call is kept."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Rejected(Failure):
    """A permanent failure: an event becomes a dead letter at once, with this text as the reason."""


class Retry(Failure):
    """A temporary failure: the host waits and calls again, up to its limit of attempts."""


def reject(reason: str) -> Rejected:
    """Creates a permanent failure: ``raise reject("...")``."""
    return Rejected(reason)


def retry(reason: str) -> Retry:
    """Creates a temporary failure: ``raise retry("...")``."""
    return Retry(reason)


@dataclass(frozen=True)
class Put:
    """Replaces the key's state with a document."""

    state: Any


@dataclass(frozen=True)
class Remove:
    """Deletes the key's state."""


@dataclass(frozen=True)
class Emit:
    """An event to publish; the host fills in the rest of the envelope."""

    event_type: str
    version: str
    payload: Any
    #: The record's key in Kafka; the trigger's key by default.
    key: str | None = None
    #: The envelope's metadata, an object.
    metadata: Any = None


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    status: int
    body: Any = None
    has_body: bool = True


def put(state: Any) -> Put:
    """Replaces the key's state with this document."""
    return Put(state)


def remove() -> Remove:
    """Removes the key's state."""
    return Remove()


def emit(event_type: str, version: str, payload: Any, *, key: str | None = None, metadata: Any = None) -> Emit:
    """Publishes an event, under the trigger's key unless it has its own. The contract must declare the event."""
    return Emit(event_type, version, payload, key, metadata)


_NO_BODY = object()


def reply(status: int, body: Any = _NO_BODY) -> Reply:
    """Answers a request with a status and an optional JSON body."""
    return Reply(status, None, False) if body is _NO_BODY else Reply(status, body)


Action = Put | Remove | Emit | Reply


@dataclass
class Outcome:
    """The outcome of a call, built from what the function returned."""

    #: The new document, if there is one.
    state: Any = None
    #: Whether the state is kept, replaced or removed: ``keep``, ``put`` or ``remove``.
    change: str = "keep"
    events: list[Emit] = field(default_factory=list)
    reply: Reply | None = None


def gather(returned: Any, function: Any = None) -> Outcome:
    """Builds the outcome from what a handler's function returned: nothing, one action, or several in a tuple or list."""
    if isinstance(returned, Failure):
        raise returned
    outcome = Outcome()
    actions = returned if isinstance(returned, (list, tuple)) else [] if returned is None else [returned]
    for action in actions:
        match action:
            case Put(state):
                outcome.state, outcome.change = state, "put"
            case Remove():
                outcome.state, outcome.change = None, "remove"
            case Emit():
                outcome.events.append(action)
            case Reply():
                outcome.reply = action
            case Failure():
                raise action
            case None:
                pass
            case _:
                name, kind = getattr(function, "__name__", "a handler"), type(action).__name__
                hint = "; the function must not be async" if kind == "coroutine" else ""
                raise TypeError(
                    f"{name} returns put, remove, emit and reply, alone or in a tuple or list, not {kind}{hint}"
                )
    return outcome
