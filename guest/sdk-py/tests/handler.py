"""A handler that has one of everything, for the SDK's own tests."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from sandman import (
    Context,
    Event,
    Request,
    camel_case,
    contract,
    emit,
    emits,
    json_name,
    on,
    put,
    reject,
    remove,
    reply,
    retry,
    route,
)


class Plan(enum.Enum):
    FREE = "free"
    PAID = "paid"


@camel_case
@dataclass
class Profile:
    display_name: str
    edits: int = 0
    plan: Plan = Plan.FREE
    link: Profile | None = None
    kind: str = json_name("type", default="person")


class Renamed(TypedDict):
    name: str
    tags: NotRequired[list[str]]


contract(
    state=Profile,
    state_version=3,
    emits=[emits("user.greeted", "1.0"), emits("user.updated", "2.0", Profile)],
)


@on("user.created", "1.0", "1.1")
def created(event: Event[Profile], state: Profile | None, context: Context):
    if context.attempt < 2 and state is not None:
        raise retry("not yet")
    greeting = context.settings(dict[str, str])["greeting"]
    text = {"text": f"{greeting} {event.payload.display_name}", "at": context.now_millis}
    return (
        emit("user.greeted", "1.0", text, key="greetings", metadata=event.metadata),
        emit("user.updated", "2.0", event.payload),
        put(event.payload),
    )


@on("user.renamed", schema={"type": "object"})
def renamed(event: Event[Renamed], state: Any, context: Context):
    return put({**event.payload, "was": state})


@on("user.deleted")
def deleted(event: Event, state: Any, context: Context):
    if event.payload == "never":
        return reject("never")
    return remove()


@on("user.odd")
def odd(event: Event[Any], state: Any, context: Context):
    match event.payload:
        case "nan":
            return put(float("nan"))
        case "unknown":
            return emit("user.unknown", "1.0", 1)
        case "set":
            return put({"b", "a"})
        case "number":
            return 7
        case other:
            return put(other)


@route("PUT", "/users/{id}")
def update(request: Request, state: Profile | None, context: Context):
    if request.claims(dict[str, str])["userId"] != request.param("id"):
        return reply(403, {"error": "not yours"})
    if request.query("dry") == "yes":
        return reply(204)
    profile = request.body(Profile)
    profile.edits = (state.edits if state else 0) + 1
    return put(profile), reply(200, profile)


@dataclass
class Everything:
    literal: Literal["a", 1]
    pair: tuple[int, str]
    numbers: list[float] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    either: int | str = 0
