"""The reference guest in Python: see its README in the folder above."""

import random
import time
from dataclasses import dataclass
from typing import Any

from sandman import (
    Context,
    Event,
    Raw,
    Rejected,
    Request,
    contract,
    emit,
    emits,
    log,
    on,
    put,
    reject,
    remove,
    reply,
    retry,
    route,
)


@dataclass
class Told:
    do: str
    text: str = ""


@dataclass
class Counted:
    n: int


contract(
    state=Counted,
    state_version=2,
    emits=[emits("reference.done", "1.0"), emits("reference.checked", "1.0", Counted)],
)


def done(payload: Any):
    return emit("reference.done", "1.0", payload)


def recurse(depth: int) -> int:
    return recurse(depth + 1) + 1


@on("reference.told", "1.0")
def told(event: Event[Told], state: Counted | None, context: Context):
    text = event.payload.text
    match event.payload.do:
        case "count":
            n = (state.n if state else 0) + 1
            return put(Counted(n)), done({"n": n})
        case "forget":
            return remove(), done({})
        case "echo":
            return done(Raw(event.payload_json))
        case "text":
            return done({"text": text, "length": len(text)})
        case "many":
            return [done({}) for _ in range(1000)]
        case "log":
            log.info(text)
            return done({})
        case "context":
            greeting = context.settings(dict[str, Any]).get("greeting")
            return done({"now": context.now_millis, "attempt": context.attempt, "greeting": greeting})
        case "envelope":
            return envelope(event)
        case "order":
            words = text.split(" ")
            by_word = {word: index for index, word in enumerate(words)}
            return done({"set": list(set(words)), "map": list(by_word)})
        case other:
            return misbehave(other, text, context)


def misbehave(do: str, text: str, context: Context):
    """What is told to fail, or to show what the language has of its own."""
    match do:
        case "reject":
            raise reject(text)
        case "retry":
            if context.attempt == 1:
                raise retry(text)
            return done({"attempt": context.attempt})
        case "panic":
            raise TypeError(text)
        case "loop":
            while True:
                pass
        case "allocate":
            everything = []
            while True:
                everything.append(b"1" * (1 << 20) + bytes([len(everything) % 256]))
        case "recurse":
            return done({"depth": recurse(1)})
        case "clock":
            return done({"now": time.time_ns() // 1_000_000, "given": context.now_millis})
        case "random":
            return done({"random": random.random()})
        case "unfit":
            return emit("reference.checked", "1.0", {"n": "text"})
        case "undeclared":
            return emit("reference.other", "1.0", {})
        case _:
            raise reject(f"cannot do {do}")


def envelope(event: Event[Told]):
    payload = {
        "key": event.key,
        "eventId": event.event_id,
        "version": event.version,
        "source": event.source,
        "timestamp": event.timestamp,
        "correlationId": event.correlation_id,
        "metadata": event.metadata,
    }
    return emit("reference.done", "1.0", payload, key="other", metadata={"of": event.event_id})


@route("GET", "/reference/{key}")
def shown(request: Request, state: Counted | None, context: Context):
    return reply(404, {"error": "nothing"}) if state is None else reply(200, state)


@route("PUT", "/reference/{key}")
def kept(request: Request, state: Any, context: Context):
    try:
        counted = request.body(Counted)
    except Rejected:
        return reply(400, {"error": "n"})
    answer = {"key": request.param("key"), "first": request.query("q")}
    return put(counted), done(counted), reply(200, answer)


@route("DELETE", "/reference/{key}")
def forgotten(request: Request, state: Any, context: Context):
    return remove(), reply(204)
