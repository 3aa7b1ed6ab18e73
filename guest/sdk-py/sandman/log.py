"""Notes for whoever operates the handler. They are bounded per call and are not part of the outcome.

Do not log payloads: they hold personal data. In tests the text goes to standard error. In the component the module ``logging``
writes here as well, and so does ``print``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

TRACE, DEBUG, INFO, WARN, ERROR = range(5)


def _native(level: int, message: str) -> None:
    names = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
    print(names[level], message, file=sys.stderr)


#: Where messages go; the component puts the host's log here.
write: Callable[[int, str], None] = _native


def trace(message: str) -> None:
    """Steps on the way, for whoever works on the handler."""
    write(TRACE, message)


def debug(message: str) -> None:
    """Values worth seeing while looking for a fault."""
    write(DEBUG, message)


def info(message: str) -> None:
    """Something that an operator may want to know."""
    write(INFO, message)


def warn(message: str) -> None:
    """Something odd that the handler could deal with."""
    write(WARN, message)


def error(message: str) -> None:
    """Something that went wrong."""
    write(ERROR, message)
