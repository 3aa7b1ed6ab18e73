"""The contract of a handler, and its functions."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

from ._json import Reader, dump, load, reader_of, schema_of
from ._outcome import Outcome, Rejected, gather
from ._trigger import Context, Event, Request

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Emits:
    """An event type and version that a handler publishes."""

    event_type: str
    version: str
    schema: str | None


def emits(event_type: str, version: str, payload: Any = None, *, schema: str | dict[str, Any] | None = None) -> Emits:
    """Declares that the handler may publish this event. The host validates every payload against the schema of this type, or against
    the given schema."""
    return Emits(event_type, version, _schema_text(payload, schema))


@dataclass
class Consumed:
    """An event type that a handler consumes."""

    event_type: str
    versions: tuple[str, ...]
    schema: str | None
    function: Callable[..., Any]
    payload: Reader
    state: Reader


@dataclass
class Served:
    """A route that a handler serves."""

    method: str
    path: str
    function: Callable[..., Any]
    state: Reader


@dataclass
class Contract:
    """Everything that a handler has declared."""

    consumes: dict[str, Consumed] = field(default_factory=dict)
    routes: dict[tuple[str, str], Served] = field(default_factory=dict)
    emits: list[Emits] = field(default_factory=list)
    state_version: int = 0
    state_schema: str | None = None


#: The handler's contract; importing the handler's module fills it.
CONTRACT = Contract()


def contract(
    *,
    state: Any = None,
    state_version: int = 0,
    state_schema: str | dict[str, Any] | None = None,
    emits: Sequence[Emits] = (),
) -> None:
    """Declares the state type of the handler and the events that it emits. Call it once, at the top of ``handler.py``.

    ``state_version`` is raised when an older version of the handler could not read what this one puts. The schema of the
    state, for ``sandman import``, is that of ``state`` unless it is given.
    """
    CONTRACT.state_version = state_version
    CONTRACT.state_schema = _schema_text(state, state_schema)
    CONTRACT.emits = list(emits)


def on(event_type: str, *versions: str, schema: str | dict[str, Any] | None = None) -> Callable[[F], F]:
    """Registers a function for an event type: ``@on("user.created", "1.0")``.

    Without versions it reads ``1.0`` and every later ``1.x``. The host turns away events whose payload does not fit the
    annotation of the function's first parameter (``Event[Created]``), or the schema that is given.
    """

    def register(function: F) -> F:
        payload, state = _annotations(function, Event)
        readers = reader_of(payload), reader_of(state)
        text = _schema_text(payload, schema)
        consumed = Consumed(event_type, versions or ("1.0",), text, function, *readers)
        if event_type in CONTRACT.consumes:
            raise ValueError(f"two functions are for {event_type}")
        CONTRACT.consumes[event_type] = consumed
        return function

    return register


def route(method: str, path: str) -> Callable[[F], F]:
    """Registers a function for a route: ``@route("GET", "/seen/{userId}")``."""

    def register(function: F) -> F:
        _, state = _annotations(function, Request)
        if (method, path) in CONTRACT.routes:
            raise ValueError(f"two functions are for {method} {path}")
        CONTRACT.routes[method, path] = Served(method, path, function, reader_of(state))
        return function

    return register


def _annotations(function: Callable[..., Any], first: type) -> tuple[Any, Any]:
    """The payload type and the state type in a function's annotations."""
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 3:
        raise TypeError(f"{function.__name__} must take three parameters: the trigger, the state and the context")
    hints = typing.get_type_hints(function)
    trigger, state = hints.get(parameters[0], first), hints.get(parameters[1], Any)
    if (get_origin(trigger) or trigger) is not first:
        raise TypeError(f"the first parameter of {function.__name__} must be a sandman.{first.__name__}")
    arguments = get_args(trigger)
    return (arguments[0] if arguments else Any), state


def _schema_text(kind: Any, given: str | dict[str, Any] | None) -> str | None:
    if isinstance(given, str):
        return given
    if given is not None:
        return dump(given, "a schema")
    if kind is None or kind is Any:
        return None
    return dump(schema_of(kind), "a schema")


def call(trigger: Event[str] | Request, state: str | None, context: Context, function: Any = None) -> Outcome:
    """Runs the function for a trigger. Its payload and the state are JSON text."""
    if isinstance(trigger, Event):
        found: Any = _find(CONTRACT.consumes.values(), function, lambda one: one.event_type == trigger.event_type)
        if found is None:
            raise Rejected(f"this handler has no function for {trigger.event_type}")
        what = f"{trigger.event_type} {trigger.version}: payload"
        trigger.payload_json = trigger.payload
        trigger.payload = load(trigger.payload, found.payload, what)
    else:
        route_ = (trigger.method, trigger.route)
        found = _find(CONTRACT.routes.values(), function, lambda one: (one.method, one.path) == route_)
        if found is None:
            raise Rejected(f"this handler has no function for {trigger.method} {trigger.route}")
    document = None if state is None else load(state, found.state, "state")
    return gather(found.function(trigger, document, context), found.function)


def _find(known: Any, function: Any, matches: Callable[[Any], bool]) -> Any:
    of_function = [one for one in known if function is None or one.function is function]
    return next((one for one in of_function if matches(one)), None)
