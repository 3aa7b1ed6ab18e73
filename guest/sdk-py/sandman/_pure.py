"""Replacements for impure functions in a component: the clock is that of the call, and randomness and I/O raise an error.

Only the component installs this; natively everything is as it was. A module that is imported before keeps what it took by name,
so it is installed before the handler is imported.
"""

from __future__ import annotations

import builtins
import datetime
import importlib.abc
import io
import linecache
import os
import random
import sys
import time
from typing import Any


class ImpureError(RuntimeError):
    """A handler used something that only the host may access."""

    __module__ = "sandman"


class _Clock:
    """The time of the call, and whether a call is running: during the build the real clock may be used."""

    now_millis = 0
    calling = False


clock = _Clock()

_SEED = "use random.Random(seed) with a seed from the trigger, such as the event's id"
_FILES = "read it when the module is imported, which is when the component is built"


def _raiser(what: str, hint: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ImpureError(f"{what}: a handler is pure; {hint}")

    return refuse


def _in_calls(real: Any, what: str, hint: str) -> Any:
    """Raises an error, but only during a call."""
    refuse = _raiser(what, hint)

    def function(*arguments: Any, **named: Any) -> Any:
        return refuse() if clock.calling else real(*arguments, **named)

    return function


def install() -> None:
    """Installs the replacements."""
    _install_time()
    _install_datetime()
    _install_random()
    for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "listdir"), (os, "stat")):
        setattr(module, name, _in_calls(getattr(module, name), f"{name}()", f"there are no files in a call: {_FILES}"))
    _install_lines()
    sys.meta_path.insert(0, _NoImports())


def _install_lines() -> None:
    """Tracebacks show the source lines that were read during the build."""
    real = linecache.updatecache
    linecache.updatecache = lambda *arguments, **named: [] if clock.calling else real(*arguments, **named)
    linecache.checkcache = lambda filename=None: None
    # They are parsed for where to put the carets, and Python's parser opens the file of a line that is wrong by itself, such as
    # `else: f()`; which ends a component.
    real_compile = builtins.compile

    def compile_(*arguments: Any, **named: Any) -> Any:
        if clock.calling:
            raise SyntaxError("nothing can be compiled in a call")
        return real_compile(*arguments, **named)

    builtins.compile = compile_


# Functions that would end a component silently; all others raise by themselves.
_PROCESS = "a handler decides by what it returns, and by raise reject(…) or retry(…)"
_ALONE = "a call has nothing to wait for, and nobody to speak to; emit an event, and let another service do it"


def refuse_the_rest() -> None:
    """Makes impure functions raise an error during calls. Runs after the handler is imported, because only imported modules exist."""
    for name in ("_exit", "abort", "kill", "system", "popen", "fork", "getpid", "getppid"):
        # componentize-py itself ends an instance by `abort`, which the SDK has taken before.
        if hasattr(os, name):
            setattr(os, name, _in_calls(getattr(os, name), f"os.{name}()", _PROCESS))
    for module, name in (
        ("asyncio", "new_event_loop"),
        ("asyncio.events", "new_event_loop"),
        ("socket", "socketpair"),
        ("socket", "getaddrinfo"),
        ("subprocess", "Popen"),
    ):
        if module in sys.modules and hasattr(sys.modules[module], name):
            refused = _raiser(f"{module.removesuffix('.events')}.{name}()", _ALONE)
            setattr(sys.modules[module], name, refused)
    if "socket" in sys.modules:
        # A base class of other classes.
        sys.modules["socket"].socket.__init__ = _raiser("socket.socket()", _ALONE)  # type: ignore[attr-defined]


def keep_lines() -> None:
    """Reads the sources outside of the standard library, for tracebacks."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py") and not path.startswith("/python/"):
            linecache.getlines(path)


def _install_time() -> None:
    def seconds() -> float:
        return clock.now_millis / 1000

    def nanos() -> int:
        return clock.now_millis * 1_000_000

    def sleep(_: float) -> None:
        """Returns immediately."""

    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, seconds)
        setattr(time, f"{name}_ns", nanos)
    time.sleep = sleep
    # These read the system's clock only if no time is given.
    for name in ("gmtime", "localtime", "ctime"):
        real = getattr(time, name)
        setattr(time, name, lambda at=None, real=real: real(seconds() if at is None else at))
    real_asctime, real_strftime = time.asctime, time.strftime
    time.asctime = lambda at=None: real_asctime(time.localtime() if at is None else at)
    time.strftime = lambda form, at=None: real_strftime(form, time.localtime() if at is None else at)


def _install_datetime() -> None:
    real_date, real_datetime = datetime.date, datetime.datetime

    # Objects created by the real classes, for example by a subtraction, are instances of these as well.
    class _Like(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, cls.__mro__[1])

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, cls.__mro__[1])

    class Date(real_date, metaclass=_Like):
        @classmethod
        def today(cls) -> Any:
            now = DateTime.now()
            return cls(now.year, now.month, now.day)

    class DateTime(real_datetime, metaclass=_Like):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            seconds, millis = divmod(clock.now_millis, 1000)
            since = datetime.timedelta(seconds=seconds, milliseconds=millis)
            utc = cls(1970, 1, 1, tzinfo=datetime.timezone.utc) + since
            return utc.replace(tzinfo=None) if tz is None else utc.astimezone(tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now()

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    for like, name in ((Date, "date"), (DateTime, "datetime")):
        like.__name__ = like.__qualname__ = name
        like.__module__ = "datetime"
    datetime.date, datetime.datetime = Date, DateTime  # type: ignore[misc]


def _install_random() -> None:
    refuse = _raiser("os.urandom()", "derive an id from the trigger, such as the event's id")
    os.urandom = refuse
    if hasattr(os, "getrandom"):
        os.getrandom = refuse
    random._urandom = refuse  # type: ignore[attr-defined]
    shared = random._inst  # type: ignore[attr-defined]
    for name in dir(random):
        if getattr(getattr(random, name), "__self__", None) is shared:
            setattr(random, name, _raiser(f"random.{name}()", _SEED))

    class Seeded(random.Random):
        """A generator that requires a seed."""

        def __init__(self, *seed: Any) -> None:
            if seed in ((), (None,)):
                _raiser("random.Random()", _SEED)()
            super().__init__(*seed)

        def seed(self, a: Any = None, version: int = 2) -> None:
            if a is None:
                _raiser("random.seed()", _SEED)()
            super().seed(a, version)

    Seeded.__name__ = Seeded.__qualname__ = "Random"
    Seeded.__module__ = "random"
    random.Random = Seeded  # type: ignore[misc]


class _NoImports(importlib.abc.MetaPathFinder):
    """Explains why a module that has not been imported yet cannot be imported."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if clock.calling:
            raise ImportError(
                f"{fullname} cannot be imported in a call, where there are no files: import it at the top of a module"
            )
