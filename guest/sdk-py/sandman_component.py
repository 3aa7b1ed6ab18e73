"""What `componentize-py` makes a component of: the handler in `handler.py` behind the world of `wit/`.

The stand-ins are put in place first, so that the handler and all that it imports see nothing else. What the standard library
imports only when it needs it is imported here: in a call there are no files to import from.
"""

# ruff: noqa: E402, F401

import _strptime
import calendar
import decimal
import encodings.idna
import encodings.latin_1
import fractions
import hashlib
import json
import locale
import logging
import os
import random
import statistics
import string
import sys
import traceback
from os import abort as _abort
from typing import NoReturn

from sandman import _pure

_pure.install()

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import event_types, log as host_log

from sandman import log
from sandman._contract import CONTRACT, call
from sandman._json import dump
from sandman._outcome import Outcome, Rejected, Retry
from sandman._trigger import Context, Event, Request, UploadedFile

import handler as _handler

_pure.refuse_the_rest()
_pure.keep_lines()
# A text as a seed is hashed, and a traceback is put together, by modules that are found only then.
random.Random("seed")
for _wrong in (lambda: {}["key"], lambda: 1 + "", lambda: random.random(), lambda: nothing):  # type: ignore[name-defined]
    try:
        _wrong()
    except Exception as _fault:
        traceback.format_exception(_fault)

_LEVELS = tuple(host_log.Level)


def _log(level: int, message: str) -> None:
    # Half a surrogate has no place in a text of the host.
    host_log.log(_LEVELS[level], message.encode("utf-8", "replace").decode())


class _Lines:
    """A stream whose lines are messages."""

    encoding = "utf-8"

    def __init__(self, level: int) -> None:
        self.level = level
        self.rest = ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            _log(self.level, line)
        return len(text)

    def flush(self) -> None:
        """A line is written when it ends, or when the call does."""

    def isatty(self) -> bool:
        return False

    def end(self) -> None:
        if self.rest:
            self.write("\n")


class _ToHost(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level = (record.levelno >= 10) + (record.levelno >= 20) + (record.levelno >= 30) + (record.levelno >= 40)
        _log(level, self.format(record))


_STREAMS = (_Lines(log.INFO), _Lines(log.WARN))
_ready = False


def _begin() -> None:
    """The first call of an instance: from here on nothing goes to the streams of the build."""
    global _ready
    _pure.clock.calling = True
    if not _ready:
        _ready = True
        log.write = _log
        sys.stdout, sys.stderr = _STREAMS  # type: ignore[assignment]
        if not logging.root.handlers:
            logging.root.addHandler(_ToHost())


class Handler(exports.Handler):
    """The two functions that the host calls."""

    def describe(self) -> event_types.Contract:
        _begin()
        return event_types.Contract(
            [
                event_types.ConsumedType(one.event_type, list(one.versions), one.schema)
                for one in CONTRACT.consumes.values()
            ],
            [event_types.EmittedType(one.event_type, one.version, one.schema) for one in CONTRACT.emits],
            [event_types.ServedRoute(one.method, one.path) for one in CONTRACT.routes.values()],
            CONTRACT.state_version,
            CONTRACT.state_schema,
        )

    def handle(self, trigger, state, context) -> event_types.Outcome:  # type: ignore[no-untyped-def]
        _begin()
        _pure.clock.now_millis = context.now_millis
        try:
            outcome = call(_trigger(trigger.value), state, Context(context.now_millis, context.attempt, context.settings))
            return _written(outcome)
        except Rejected as failure:
            raise Err(event_types.Failure_Rejected(_text(failure.reason))) from None
        except Retry as failure:
            raise Err(event_types.Failure_Retry(_text(failure.reason))) from None
        except BaseException as fault:
            _give_up(fault)
        finally:
            for stream in _STREAMS:
                stream.end()


def _text(reason: object) -> str:
    return str(reason).encode("utf-8", "replace").decode()


def _give_up(fault: BaseException) -> NoReturn:
    """Tells the host of an exception and of the innermost line of the handler's own that it came through, and ends the
    instance: nobody knows what the exception has left half done."""
    own = [frame for frame in traceback.extract_tb(fault.__traceback__) if _is_of_guest(frame.filename)]
    for frame in own:
        frame.filename = _in_guest(frame.filename)
    said = "".join(traceback.format_exception_only(fault)).strip()
    if own:
        log.error("Traceback (most recent call last):\n" + "".join(traceback.format_list(own)) + said)
    for stream in _STREAMS:
        stream.end()
    host_log.panicked(_text(said), f"{own[-1].filename}:{own[-1].lineno}" if own else "")
    _abort()


def _is_of_guest(path: str) -> bool:
    return not (path.startswith(("/python/", "<")) or "/sandman/" in path or path.endswith("sandman_component.py"))


def _in_guest(path: str) -> str:
    """The folders that a component is built from are called /0, /1 and so on; the first is the guest's."""
    first, _, rest = path.lstrip("/").partition("/")
    return rest if first.isdigit() else path


def _trigger(wire):  # type: ignore[no-untyped-def]
    if isinstance(wire, event_types.Event):
        metadata = None
        if wire.metadata is not None:
            metadata = json.loads(wire.metadata)
        return Event(
            wire.payload,
            wire.key,
            wire.event_id,
            wire.event_type,
            wire.version,
            wire.timestamp,
            wire.source,
            wire.correlation_id,
            wire.causation_id,
            metadata,
        )
    files = [UploadedFile(one.field, one.url, one.media_type, one.size, one.digest) for one in wire.files]
    return Request(
        wire.key,
        wire.method,
        wire.route,
        wire.params,
        wire.query,
        wire.claims,
        wire.body,
        files,
        wire.correlation_id,
    )


def _written(outcome: Outcome) -> event_types.Outcome:
    state: event_types.StateChange = event_types.StateChange_Keep()
    if outcome.change == "put":
        state = event_types.StateChange_Put(dump(outcome.state, "the state"))
    elif outcome.change == "remove":
        state = event_types.StateChange_Delete()
    events = [
        event_types.EmittedEvent(
            event.event_type,
            event.version,
            dump(event.payload, f"the payload of {event.event_type}"),
            event.key,
            None if event.metadata is None else dump(event.metadata, f"the metadata of {event.event_type}"),
        )
        for event in outcome.events
    ]
    reply = None
    if outcome.reply is not None:
        body = dump(outcome.reply.body, "the reply's body") if outcome.reply.has_body else None
        reply = event_types.Reply(outcome.reply.status, body)
    return event_types.Outcome(state, events, reply)
