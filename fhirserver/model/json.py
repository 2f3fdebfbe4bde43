"""Lossless JSON: decimals keep their digits (1.10 is not 1.1). https://hl7.org/fhir/R4/json.html#primitive"""

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

from fhirserver.errors import MalformedBody

Resource = dict[str, Any]
"""A FHIR resource as a plain dict; its decimals are ``decimal.Decimal``."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_encode_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
_KEY = re.compile(rb'"\s*:')


def parse(body: bytes) -> Any:
    """Decode a body, refusing what JSON leaves undefined: duplicate names, lone surrogates.

    A byte order mark before it is passed over, as RFC 8259, 8.1 lets readers do.

    Raises:
        MalformedBody: with the line and column where the text goes wrong.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        value = _decode(body)
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not JSON: {_where(body, str(error))}") from None
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte 0x{body[error.start]:02x}") from None
    except (RecursionError, ValueError):
        raise MalformedBody("The body is nested too deeply or has a number too long to read") from None
    # Every name of an object is followed by `":`. More of these than names that were kept means a duplicate
    # name, or the same characters inside a string: only then is the slow, exact reader worth its time.
    if len(_KEY.findall(body)) != _names(value):
        _refuse_duplicates(body)
    return value


def parse_resource(body: bytes) -> Resource:
    """Decode a body that must hold one resource.

    Raises:
        MalformedBody: not JSON, not an object, or without ``resourceType``.
    """
    if not body.strip():
        raise MalformedBody("The body is empty; a resource is required")
    value = parse(body)
    if not isinstance(value, dict):
        raise MalformedBody("The body is not a JSON object; a resource is required")
    if not isinstance(value.get("resourceType"), str):
        raise MalformedBody("The body has no resourceType", expression="resourceType")
    return value


def stored(body: bytes) -> Resource:
    """Decode what this server itself has written."""
    resource: Resource = _decode(body)
    return resource


def format(value: Any) -> bytes:
    """Encode without white space; decimals are written with the digits they came with."""
    return _encode(value)


def format_sorted(value: Any) -> bytes:
    """Encode with the names in order: equal values give equal bytes."""
    return _encode_sorted(value)


def pretty(body: bytes) -> bytes:
    """Indent a body for people."""
    return msgspec.json.format(body, indent=2)


def _names(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_names(v) for v in value.values() if isinstance(v, dict | list))
    if isinstance(value, list):
        return sum(_names(v) for v in value if isinstance(v, dict | list))
    return 0


def _refuse_duplicates(body: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            name = next(name for name, count in counts.items() if count > 1)
            raise MalformedBody(f"The name {name!r} occurs twice in one object", expression=name)
        return result

    json.loads(body, object_pairs_hook=unique, parse_float=str, parse_int=str)


def _where(body: bytes, reason: str) -> str:
    found = re.search(r"\(byte (\d+)\)", reason)
    if not found:
        return "it ends before its time or has a lone surrogate" if "truncated" in reason else reason
    offset = int(found[1])
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + 1
    what = reason.removeprefix("JSON is malformed: ").replace(found[0], "").strip()
    return f"{what} at line {line}, column {column}"
