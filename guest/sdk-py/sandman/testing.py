"""Calls a handler's function natively in the same way as the host: the payload and the state are converted to JSON text and back.

    from sandman.testing import Call

    outcome = Call.event("user.created", "1.0", {"userId": "u1"}).state({"times": 41}).run(created)
    assert outcome.state == Seen(42)
"""

from __future__ import annotations

import json
from typing import Any

from ._contract import CONTRACT, call
from ._json import dump
from ._outcome import Emit, Outcome, Rejected
from ._trigger import Context, Event, Request


class Call:
    """One call of a handler. Set its inputs, then run it."""

    def __init__(self, trigger: Event[Any] | Request) -> None:
        #: The trigger; all its fields can be changed. An event's payload is JSON text.
        self.trigger = trigger
        #: The key's state, JSON text.
        self.document: str | None = None
        #: By default the time is 2025-01-01T00:00:00Z, the attempt is the first, and the settings are empty.
        self.context = Context(now_millis=1_735_689_600_000, attempt=1)

    @classmethod
    def event(cls, event_type: str, version: str, payload: Any) -> Call:
        """Creates a call with an event of the key ``key-1``."""
        return cls(
            Event(
                payload=dump(payload, "the payload"),
                key="key-1",
                event_id="00000000-0000-4000-8000-000000000001",
                event_type=event_type,
                version=version,
                timestamp="2025-01-01T00:00:00.000Z",
                source="test",
            )
        )

    @classmethod
    def request(cls, method: str, route: str, *, params: dict[str, str] | None = None, query: dict[str, str] | None = None) -> Call:
        """Creates a call with a request of the key ``key-1``, without a body."""
        correlation_id = "00000000-0000-4000-8000-000000000002"
        request = Request("key-1", method, route, correlation_id=correlation_id)
        request.params = list((params or {}).items())
        request.query_params = list((query or {}).items())
        return cls(request)

    def body(self, body: Any) -> Call:
        """Sets the JSON body of the request."""
        self._request().body_json = dump(body, "the body")
        return self

    def claims(self, claims: Any) -> Call:
        """Sets the token's claims of the request."""
        self._request().claims_json = dump(claims, "the claims")
        return self

    def state(self, state: Any) -> Call:
        """Sets the state of the key."""
        self.document = dump(state, "the state")
        return self

    def settings(self, settings: Any) -> Call:
        """Sets the handler's settings."""
        self.context.settings_json = dump(settings, "the settings")
        return self

    def attempt(self, attempt: int) -> Call:
        """Sets the number of the attempt, starting at 1."""
        self.context.attempt = attempt
        return self

    def now_millis(self, now_millis: int) -> Call:
        """Sets the time, in milliseconds since 1970."""
        self.context.now_millis = now_millis
        return self

    def run(self, function: Any = None) -> Outcome:
        """Calls the function, or the one that the handler has registered for the trigger.

        Raises what the function raises, and ``Rejected`` if the host would reject its outcome, because it is not JSON or emits
        an undeclared event. The payloads of the events are as the host receives them, read from JSON.
        """
        outcome = call(self.trigger, self.document, self.context, function)
        if outcome.change == "put":
            dump(outcome.state, "the state")
        known = {(one.event_type, one.version) for one in CONTRACT.emits}
        for event in outcome.events:
            if (event.event_type, event.version) not in known:
                raise Rejected(f"the contract does not say that it emits {event.event_type} {event.version}")
        outcome.events = [_as_written(event) for event in outcome.events]
        if outcome.reply and outcome.reply.has_body:
            dump(outcome.reply.body, "the reply's body")
        return outcome

    def _request(self) -> Request:
        if isinstance(self.trigger, Request):
            return self.trigger
        raise TypeError("an event has neither a body nor claims")


def _as_written(event: Emit) -> Emit:
    payload = json.loads(dump(event.payload, f"the payload of {event.event_type}"))
    metadata = event.metadata
    if metadata is not None:
        metadata = json.loads(dump(metadata, f"the metadata of {event.event_type}"))
    return Emit(event.event_type, event.version, payload, event.key, metadata)
