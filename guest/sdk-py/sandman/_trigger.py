"""The triggers of a handler."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ._json import load, reader_of
from ._outcome import Rejected

P = TypeVar("P")
T = TypeVar("T")


@dataclass
class Event(Generic[P]):
    """An event from a topic; its payload is read as the type in the handler's annotation: ``Event[Created]``."""

    payload: P
    key: str
    event_id: str
    event_type: str
    version: str
    timestamp: str
    source: str
    correlation_id: str | None = None
    causation_id: str | None = None
    #: The envelope's metadata, read from JSON.
    metadata: Any = None
    #: The payload as sent, as JSON text.
    payload_json: str = ""


@dataclass
class UploadedFile:
    """A stored upload. A handler receives the location of a file, never its bytes."""

    field: str
    url: str
    media_type: str
    size: int
    digest: str


@dataclass
class Request:
    """An HTTP request, already routed, authenticated and parsed by the host."""

    key: str
    method: str
    route: str
    #: The path parameters (name, value).
    params: list[tuple[str, str]] = field(default_factory=list)
    #: The query parameters (name, value), in the order of the request.
    query_params: list[tuple[str, str]] = field(default_factory=list)
    #: The claims of the verified token and the body, as JSON text.
    claims_json: str | None = None
    body_json: str | None = None
    files: list[UploadedFile] = field(default_factory=list)
    correlation_id: str = ""

    def param(self, name: str) -> str | None:
        """The path parameter with this name."""
        return next((value for known, value in self.params if known == name), None)

    def query(self, name: str) -> str | None:
        """The first query parameter with this name."""
        return next((value for known, value in self.query_params if known == name), None)

    def body(self, kind: Any = Any) -> Any:
        """The body, read as this type. An empty or invalid body is rejected."""
        return self._read("body", self.body_json, kind, "the body is empty")

    def claims(self, kind: Any = Any) -> Any:
        """The claims of the token, read as this type. A missing token and invalid claims are rejected."""
        return self._read("claims", self.claims_json, kind, "there is no token")

    def _read(self, what: str, text: str | None, kind: Any, nothing: str) -> Any:
        if text is None:
            raise Rejected(f"{self.method} {self.route}: {nothing}")
        return load(text, _reader(kind), f"{self.method} {self.route}: {what}")


@dataclass
class Context:
    """The context of a call."""

    #: The time, taken once for this call: milliseconds since 1970-01-01T00:00:00Z.
    now_millis: int
    #: The number of the attempt for this trigger, starting at 1.
    attempt: int
    #: The handler's own settings as JSON text.
    settings_json: str = "{}"

    def now(self) -> datetime.datetime:
        """The time of the call, in UTC."""
        seconds, millis = divmod(self.now_millis, 1000)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return epoch + datetime.timedelta(seconds=seconds, milliseconds=millis)

    def now_iso(self) -> str:
        """The time of the call in the format of envelopes: ``2025-01-01T00:00:00.000Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now_millis % 1000:03}Z"

    def settings(self, kind: Any = Any) -> Any:
        """The handler's own settings, read as this type."""
        return load(self.settings_json, _reader(kind), "settings")


_READERS: dict[Any, Any] = {}


def _reader(kind: Any) -> Any:
    if kind not in _READERS:
        _READERS[kind] = reader_of(kind)
    return _READERS[kind]
