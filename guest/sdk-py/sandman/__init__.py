"""What a Sandman handler in Python depends on.

A handler is plain functions, one for each event type and route. In the component Sandman calls them; in tests they stay plain
functions, called by pytest through ``sandman.testing``, without WebAssembly, Kafka or the host::

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

The module is called ``handler.py``; ``sandman build DIR`` makes a component of it and of what it imports.

A handler is pure: the same trigger, state and context must give the same outcome, to the byte. In the component ``time.time()``
and ``datetime.now()`` give the time of the context, ``time.sleep`` takes no time, and ``random``, ``uuid4``, ``os.urandom`` and
``open`` raise :class:`ImpureError` with a hint; ``random.Random(seed)`` works. Import at the top of a module, not within a
function: there are no files to import from in a call. Keep nothing in a global variable that a call changes, and do not let the
order of a ``set`` reach an outcome: it differs from one build to the next.
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

#: Method and path of the request with which ``sandman import`` hands a document, the body, to a handler that serves it:
#: ``@route(*IMPORT)``. No client can send it.
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
