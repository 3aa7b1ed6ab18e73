"""Converts between JSON text and typed values: a reader, a writer and a JSON Schema for each annotation.

Readers are made once per type, when the handler is imported, and are plain closures after that.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ._outcome import Rejected

T = TypeVar("T")
Reader = Callable[[Any, str], Any]


def camel_case(cls: type[T]) -> type[T]:
    """Uses camel case for the fields of a dataclass in JSON: ``user_id`` is ``userId``. Write it above ``@dataclass``."""
    cls.__sandman_camel_case__ = True  # type: ignore[attr-defined]
    return cls


def json_name(name: str, **options: Any) -> Any:
    """A dataclass field with a different name in JSON; accepts the options of ``dataclasses.field``."""
    return dataclasses.field(metadata={"json": name}, **options)


class Raw(str):
    """JSON text that is passed on unchanged: ``emit("a.b", "1.0", Raw(event.payload_json))`` keeps every digit. Only for a whole
    payload, state, body or metadata."""


def load(text: str, reader: Reader, what: str) -> Any:
    """Reads JSON text. An invalid value is rejected with its location, and without the value itself, which must not be logged."""
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise Rejected(f"{what}: invalid JSON: {getattr(fault, 'msg', fault)}") from None
    return reader(value, what)


def dump(value: Any, what: str) -> str:
    """Writes JSON text. A value that cannot be represented in JSON is rejected by name."""
    if isinstance(value, Raw):
        return str(value)
    try:
        text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                # An unpaired surrogate: JSON can express it, UTF-8 cannot.
                text = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
        return text
    except (TypeError, ValueError, RecursionError) as fault:
        raise Rejected(f"{what} cannot be JSON: {fault}") from None


def plain(value: Any) -> Any:
    """Converts a value for ``json``: dataclasses become objects, enums their values, sets sorted lists."""
    if isinstance(value, Raw):
        raise TypeError("raw JSON can only be the whole of a payload, state, body or metadata")
    if value is None or isinstance(value, (str, bool, int, float)) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {_key(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = _names(type(value))
        return {names[field.name]: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"the key of an object must be a str, not {type(key).__name__}")
    return key


def _names(cls: type) -> dict[str, str]:
    """The JSON names of a dataclass's fields; computed once per class."""
    known = cls.__dict__.get("__sandman_names__")
    if known is None:
        camel = getattr(cls, "__sandman_camel_case__", False)
        known = {
            field.name: field.metadata.get("json") or (_camel(field.name) if camel else field.name)
            for field in dataclasses.fields(cls)
        }
        cls.__sandman_names__ = known  # type: ignore[attr-defined]
    return known


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def _mismatch(at: str, value: Any, expected: str) -> Rejected:
    return Rejected(f"{at}: expected {expected}, found {_kind(value)}")


# Readers.


def reader_of(kind: Any) -> Reader:
    """The reader of an annotation."""
    return _reader(kind, {})


def _reader(kind: Any, open_: dict[Any, list[Reader]]) -> Reader:
    if kind is Any or kind is None or kind is object or isinstance(kind, TypeVar):
        return (lambda value, at: value) if kind is not None else _null
    if kind is type(None):
        return _null
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union([_reader(one, open_) for one in arguments], arguments)
    if origin is Literal:
        return _literal(arguments)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired, getattr(typing, "ReadOnly", typing.Required)):
        return _reader(arguments[0], open_)
    if (origin or kind) in (list, Sequence):
        return _list(_reader(arguments[0], open_) if arguments else _anything, list)
    if origin or kind in (tuple, dict, set, frozenset, Mapping):
        return _container(origin or kind, arguments, open_)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    if typing.is_typeddict(kind):
        return _recursive(kind, open_, lambda: _typed_dict(kind, open_))
    if dataclasses.is_dataclass(kind):
        return _recursive(kind, open_, lambda: _dataclass(kind, open_))
    raise TypeError(f"{kind!r} is no type that JSON can be read as: use dataclasses, TypedDict, list, dict, str, int, float, bool")


def _container(origin: Any, arguments: tuple[Any, ...], open_: dict[Any, list[Reader]]) -> Reader:
    if origin in (dict, Mapping):
        return _dict(_reader(arguments[1], open_) if arguments else _anything)
    if origin in (set, frozenset):
        return _list(_reader(arguments[0], open_) if arguments else _anything, origin)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _list(_reader(arguments[0], open_), tuple)
    if origin is tuple and arguments:
        return _tuple([_reader(one, open_) for one in arguments])
    raise TypeError(f"{origin!r} is no type that JSON can be read as")


def _recursive(kind: Any, open_: dict[Any, list[Reader]], make: Callable[[], Reader]) -> Reader:
    """A recursive type refers to the reader that is being built."""
    if kind in open_:
        cell = open_[kind]
        return lambda value, at: cell[0](value, at)
    cell = open_[kind] = []
    made = make()
    cell.append(made)
    return made


def _anything(value: Any, at: str) -> Any:
    return value


def _null(value: Any, at: str) -> None:
    if value is not None:
        raise _mismatch(at, value, "null")


def _scalar(kind: type, expected: str) -> Reader:
    def read(value: Any, at: str) -> Any:
        if type(value) is kind:
            return value
        raise _mismatch(at, value, expected)

    return read


def _integer(value: Any, at: str) -> int:
    if type(value) is int:
        return value
    # JSON does not distinguish integers: 3.0 is 3.
    if type(value) is float and value.is_integer():
        return int(value)
    raise _mismatch(at, value, "integer")


def _number(value: Any, at: str) -> float:
    if type(value) is float or type(value) is int:
        return value
    raise _mismatch(at, value, "number")


_SCALARS: dict[Any, Reader] = {
    str: _scalar(str, "string"),
    bool: _scalar(bool, "boolean"),
    int: _integer,
    float: _number,
}


def _union(readers: list[Reader], arguments: tuple[Any, ...]) -> Reader:
    optional = type(None) in arguments
    real = [reader for reader, kind in zip(readers, arguments) if kind is not type(None)]
    if len(real) == 1:
        only = real[0]
        return lambda value, at: None if value is None else only(value, at)

    def read(value: Any, at: str) -> Any:
        if value is None and optional:
            return None
        for reader in real:
            try:
                return reader(value, at)
            except Rejected:
                continue
        raise _mismatch(at, value, " or ".join(getattr(kind, "__name__", str(kind)) for kind in arguments))

    return read


def _literal(values: tuple[Any, ...]) -> Reader:
    def read(value: Any, at: str) -> Any:
        for known in values:
            if type(known) is type(value) and known == value:
                return known
        raise Rejected(f"{at}: expected one of {', '.join(map(repr, values))}")

    return read


def _enum(kind: type[enum.Enum]) -> Reader:
    def read(value: Any, at: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise Rejected(f"{at}: expected one of {', '.join(repr(one.value) for one in kind)}") from None

    return read


def _list(item: Reader, make: Callable[[list[Any]], Any]) -> Reader:
    def read(value: Any, at: str) -> Any:
        if type(value) is not list:
            raise _mismatch(at, value, "array")
        return make([item(one, f"{at}[{index}]") for index, one in enumerate(value)])

    return read


def _tuple(items: list[Reader]) -> Reader:
    def read(value: Any, at: str) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise _mismatch(at, value, f"array of {len(items)}")
        return tuple(item(one, f"{at}[{index}]") for index, (item, one) in enumerate(zip(items, value)))

    return read


def _dict(item: Reader) -> Reader:
    def read(value: Any, at: str) -> Any:
        if type(value) is not dict:
            raise _mismatch(at, value, "object")
        return {name: item(one, f"{at}.{name}") for name, one in value.items()}

    return read


def _typed_dict(kind: Any, open_: dict[Any, list[Reader]]) -> Reader:
    """A TypedDict keeps unknown fields, as in Python."""
    fields = {name: _reader(one, open_) for name, one in get_type_hints(kind).items()}
    required = _required_keys(kind)

    def read(value: Any, at: str) -> Any:
        if type(value) is not dict:
            raise _mismatch(at, value, "object")
        for name, reader in fields.items():
            if name in value:
                value[name] = reader(value[name], f"{at}.{name}")
            elif name in required:
                raise Rejected(f"{at}: missing field `{name}`")
        return value

    return read


def _required_keys(kind: Any) -> list[str]:
    """The required fields. `__required_keys__` is wrong if annotations are strings (`from __future__ import annotations`)."""
    hints = get_type_hints(kind, include_extras=True)
    optional = {name for name, one in hints.items() if get_origin(one) is typing.NotRequired}
    return [name for name in hints if name in kind.__required_keys__ and name not in optional]


def _dataclass(kind: Any, open_: dict[Any, list[Reader]]) -> Reader:
    """A dataclass ignores unknown fields; fields with a default are optional."""
    names, hints = _names(kind), get_type_hints(kind)
    fields = [
        (
            field.name,
            names[field.name],
            _reader(hints[field.name], open_),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    ]

    def read(value: Any, at: str) -> Any:
        if type(value) is not dict:
            raise _mismatch(at, value, "object")
        given = {}
        for name, json_name_, reader, required in fields:
            if json_name_ in value:
                given[name] = reader(value[json_name_], f"{at}.{json_name_}")
            elif required:
                raise Rejected(f"{at}: missing field `{json_name_}`")
        return kind(**given)

    return read


# Schemas.


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema for an annotation: fields without a default are required, unknown fields are allowed."""
    defs: dict[str, Any] = {}
    schema = _schema(kind, defs, [])
    return {**schema, "$defs": defs} if defs else schema


def _schema(kind: Any, defs: dict[str, Any], open_: list[Any]) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return {}
    if kind in (str, bool, int, float, None, type(None)):
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        return {"type": names.get(kind, "null")}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(one, defs, open_) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Annotated, typing.Required, typing.NotRequired, getattr(typing, "ReadOnly", typing.Required)):
        return _schema(arguments[0], defs, open_)
    if (origin or kind) in (list, Sequence, set, frozenset) or origin is tuple and Ellipsis in arguments:
        return {"type": "array", "items": _schema(arguments[0], defs, open_)} if arguments else {"type": "array"}
    if origin is tuple:
        count = len(arguments)
        items = [_schema(one, defs, open_) for one in arguments]
        return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
    if (origin or kind) in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1], defs, open_)} if arguments else {"type": "object"}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [one.value for one in kind]}
    return _object_schema(kind, defs, open_)


def _object_schema(kind: Any, defs: dict[str, Any], open_: list[Any]) -> dict[str, Any]:
    if kind in open_:
        defs.setdefault(kind.__name__, None)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    hints = get_type_hints(kind)
    if typing.is_typeddict(kind):
        names = {name: name for name in hints}
        required = _required_keys(kind)
    elif dataclasses.is_dataclass(kind):
        names = _names(kind)
        missing = dataclasses.MISSING
        fields = [field for field in dataclasses.fields(kind) if field.init]
        hints = {field.name: hints[field.name] for field in fields}
        required = [names[one.name] for one in fields if one.default is missing and one.default_factory is missing]
    else:
        raise TypeError(f"{kind!r} has no JSON Schema")
    properties = {names[name]: _schema(one, defs, [*open_, kind]) for name, one in hints.items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if kind.__name__ in defs:
        defs[kind.__name__] = schema
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return schema
