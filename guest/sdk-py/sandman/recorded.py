"""Recordings from ``sandman recordings NAME --export FILE``, as test fixtures.

    from sandman.recorded import recorded

    for recording in recorded(Path("profile.jsonl").read_text()):
        recording.check()
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ._json import dump
from ._outcome import Rejected, Retry
from ._trigger import Context, Event, Request, UploadedFile
from .testing import Call

#: The format that this SDK reads.
FORMAT = 1


@dataclass
class Recorded:
    """A recorded invocation: a call to run, and its outcome in the host."""

    #: Its name in the host, such as ``r12-0``; empty if it has none.
    id: str
    #: The name of the recorded handler.
    handler: str
    #: The call, with the recorded state and context.
    call: Call
    #: Its outcome, as in the file: ``"ignored"``, ``{"decided": …}`` or ``{"failed": …}``. JSON in it is text.
    outcome: Any

    def check(self, function: Any = None) -> None:
        """Runs the call, and raises ``AssertionError`` if the outcome differs from the recorded one.

        JSON is compared text by text. A trap or a limit that was exceeded is no outcome that a function can return: any
        failure will do.
        """
        if self.outcome == "ignored":
            return
        before, now = _told(self.outcome), _told(self._run(function))
        if before != now:
            raise AssertionError(f"{self.id}: recorded is {before}, now it is {now}")

    def _run(self, function: Any) -> Any:
        try:
            outcome = self.call.run(function)
        except Rejected as failure:
            return {"failed": {"cause": "rejected", "reason": failure.reason}}
        except Retry as failure:
            return {"failed": {"cause": "retry", "reason": failure.reason}}
        except Exception as failure:  # what a component would trap with
            return {"failed": {"cause": "trap", "reason": str(failure)}}
        state: Any = {"put": dump(outcome.state, "the state")} if outcome.change == "put" else outcome.change
        events = [
            {"eventType": event.event_type, "version": event.version, "payload": dump(event.payload, "the payload")}
            for event in outcome.events
        ]
        reply = None
        if outcome.reply:
            body = dump(outcome.reply.body, "the reply's body") if outcome.reply.has_body else None
            reply = {"status": outcome.reply.status, "body": body}
        return {"decided": {"state": "delete" if state == "remove" else state, "events": events, "reply": reply}}


def recorded(text: str) -> list[Recorded]:
    """Reads the recordings in the text of a file, one per line. Raises ``ValueError`` with the line number of an invalid line."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(_read(json.loads(line)))
        except (ValueError, KeyError, TypeError) as fault:
            missing = f"there is no {fault}" if isinstance(fault, KeyError) else fault
            raise ValueError(f"line {number}: {missing}") from None
    return found


def _told(outcome: Any) -> Any:
    """The compared values."""
    if "failed" in outcome:
        cause = outcome["failed"]["cause"]
        return (cause, outcome["failed"]["reason"]) if cause in ("rejected", "retry") else "failed"
    decided = outcome["decided"]
    events = [(event["eventType"], event["version"], event["payload"]) for event in decided["events"]]
    reply = decided.get("reply")
    return {"state": decided["state"], "events": events, "reply": reply and (reply["status"], reply.get("body"))}


def _read(line: Any) -> Recorded:
    if line["format"] != FORMAT:
        raise ValueError(f"it has format {line['format']}, this SDK reads format {FORMAT}")
    call = Call(_trigger(line["key"], line["trigger"]))
    call.document = line["state"]
    context = line["context"]
    call.context = Context(context["nowMillis"], context["attempt"], context["settings"])
    return Recorded(line.get("id", ""), line["handler"], call, line["outcome"])


def _trigger(key: str, trigger: Any) -> Event[Any] | Request:
    if "request" in trigger:
        given = trigger["request"]
        return Request(
            key,
            given["method"],
            given["route"],
            params=[(name, value) for name, value in given["params"]],
            query_params=[(name, value) for name, value in given["query"]],
            claims_json=given["claims"],
            body_json=given["body"],
            files=[
                UploadedFile(file["field"], file["url"], file["mediaType"], file["size"], file["digest"])
                for file in given["files"]
            ],
            correlation_id=given["correlationId"],
        )
    text = trigger["event"]["value"]
    if not isinstance(text, str):
        raise ValueError("the event's value is no text")
    envelope = json.loads(text)
    return Event(
        payload=_member(text, "payload"),
        key=key,
        event_id=envelope["eventId"],
        event_type=envelope["eventType"],
        version=envelope["version"],
        timestamp=envelope["timestamp"],
        source=envelope["source"],
        correlation_id=envelope.get("correlationId"),
        causation_id=envelope.get("causationId"),
        metadata=envelope.get("metadata"),
    )


def _member(text: str, name: str) -> str:
    """The text of a member of a JSON object, unchanged."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        at = _next(text, at)
        if text[at] == "}":
            raise ValueError(f"the event has no {name}")
        found, at = decoder.raw_decode(text, at)
        at = _next(text, _next(text, at) + 1)
        _, end = decoder.raw_decode(text, at)
        if found == name:
            return text[at:end]
        at = _next(text, end)
        at += text[at] == ","


def _next(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at
