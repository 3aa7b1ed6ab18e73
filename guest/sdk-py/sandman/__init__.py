"""The SDK for Sandman handlers in Python.

A handler consists of plain functions, one for each event type and route. In the component Sandman calls them. In tests they stay plain
functions that pytest calls through ``sandman.testing``, without WebAssembly, Kafka or the host::

    from dataclasses import dataclass

    from sandman import Context, Event, camel_case, contract, emit, emits, on, put


    @camel_case
    @dataclass
    class Created:
        user_id: str


    @dataclass
    class Seen:
        times: int = 0


    contract(state=Seen, emits=[emits("user.seen", "1.0")])


    @on("user.created", "1.0")
    def created(event: Event[Created], state: Seen | None, context: Context):
        times = (state.times if state else 0) + 1
        return put(Seen(times)), emit("user.seen", "1.0", {"userId": event.payload.user_id, "times": times})

The module must be called ``handler.py``; ``sandman build DIR`` builds a component from it and its imports.

A handler is pure: the same trigger, state and context must give the same outcome, to the byte. In the component ``time.time()``
and ``datetime.now()`` return the time of the context, ``time.sleep`` returns immediately, and ``random``, ``uuid4``, ``os.urandom`` and
``open`` raise :class:`ImpureError` with a hint; ``random.Random(seed)`` works. Import at the top of a module, not inside a
function: during a call there are no files to import from. Do not keep data of a call in global variables, and do not let the
iteration order of a ``set`` affect an outcome: it differs from one build to the next.
"""

from ._contract import Emits, contract, emits, on, route
from ._json import Raw, camel_case, json_name, schema_of
from ._outcome import (
    Emit,
    Failure,
    Outcome,
    Put,
    Rejected,
    Remove,
    Reply,
    Retry,
    emit,
    put,
    reject,
    remove,
    reply,
    retry,
)
from ._pure import ImpureError
from ._trigger import Context, Event, Request, UploadedFile
from . import log

#: Method and path of the requests with which ``sandman import`` passes documents, as the body, to a handler that serves them:
#: ``@route(*IMPORT)``. No client can send such a request.
IMPORT = ("IMPORT", "state")

__all__ = [
    "IMPORT",
    "Context",
    "Emit",
    "Emits",
    "Event",
    "Failure",
    "ImpureError",
    "Outcome",
    "Put",
    "Raw",
    "Rejected",
    "Remove",
    "Reply",
    "Request",
    "Retry",
    "UploadedFile",
    "camel_case",
    "contract",
    "emit",
    "emits",
    "json_name",
    "log",
    "on",
    "put",
    "reject",
    "remove",
    "reply",
    "retry",
    "route",
    "schema_of",
]
