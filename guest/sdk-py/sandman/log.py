"""Log messages for the operators of the handler. Their size is limited per call, and they are not part of the outcome.

Do not log payloads: they contain personal data. In tests the messages go to standard error. In the component the module ``logging``
and ``print`` write to this log as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

TRACE, DEBUG, INFO, WARN, ERROR = range(5)


def _native(level: int, message: str) -> None:
    names = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
    print(names[level], message, file=sys.stderr)


#: Where messages go; in the component this is the host's log.
write: Callable[[int, str], None] = _native


def trace(message: str) -> None:
    """Logs individual steps, for the handler's developers."""
    write(TRACE, message)


def debug(message: str) -> None:
    """Logs details that help to find an error."""
    write(DEBUG, message)


def info(message: str) -> None:
    """Logs something that an operator may want to know."""
    write(INFO, message)


def warn(message: str) -> None:
    """Logs something unexpected that the handler could deal with."""
    write(WARN, message)


def error(message: str) -> None:
    """Logs an error."""
    write(ERROR, message)
