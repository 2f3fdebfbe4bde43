"""The bytes of a request's body: bounded, unpacked, never read when they are not wanted."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from fhirserver.errors import BadRequest, MalformedBody, TooLarge, UnsupportedMediaType
from fhirserver.model import media_types

MAX_PARAMETERS = 1000
FORM = "application/x-www-form-urlencoded"
LET_GO_BYTES, LET_GO_SECONDS = 1024**3, 20
UNPACKED = 1024 * 1024
"""A packed body is unpacked in pieces of so many bytes, so that a small one cannot become a huge one."""


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; repeated ones joined by a comma (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def chunks(receive: Receive, headers: Mapping[str, str], limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, unpacked.

    Raises:
        TooLarge: it is, or is announced, larger than the limit; the rest is not kept.
        UnsupportedMediaType: packed in another way than gzip.
        BadRequest: it ends before its time.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType(
            f"Content-Encoding {encoding[:40]} is not read here; gzip is", headers={"Accept-Encoding": "gzip"}
        )
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise await _too_large(receive, headers, limit)
    packed = _Gzip() if encoding != "identity" else None
    size = read = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client went away before the body was complete")
        part, more = message.get("body", b""), message.get("more_body", False)
        read += len(part)
        if read > limit:
            raise await _too_large(receive, headers, limit, more)
        if packed is None:
            yield part
            continue
        for piece in packed.unpack(part):
            size += len(piece)
            if size > limit:
                raise await _too_large(receive, headers, limit, more)
            yield piece
    if packed is not None:
        packed.end()


async def read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body. Raises as ``chunks`` does."""
    parts = [part async for part in chunks(receive, headers, limit)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_type(header: str) -> None:
    """Refuse a FHIR body of another version or in another charset than UTF-8.

    Raises:
        UnsupportedMediaType.
    """
    stated = media_types.parse(header)
    if (stated.name in media_types.NAMES or stated.name == FORM) and not stated.served:
        raise UnsupportedMediaType(f"Content-Type {header[:100]} is not read here; FHIR 4.0 in UTF-8 is")


def form(body: bytes) -> tuple[tuple[str, str], ...]:
    """The pairs of a form. Raises BadRequest: it is not percent-encoded UTF-8, or has too many."""
    try:
        return tuple(
            parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
        )
    except UnicodeDecodeError:
        raise BadRequest("The parameters are not percent-encoded UTF-8") from None
    except ValueError:
        raise BadRequest(f"There are more than {MAX_PARAMETERS} parameters") from None


async def _too_large(receive: Receive, headers: Mapping[str, str], limit: int, more: bool = True) -> TooLarge:
    """The refusal of a body, after the rest of it (where there is ``more``) was let go by.

    A client that is still sending does not see an answer: its connection would be reset. One that asked first
    (Expect: 100-continue) is answered at once.
    """
    if more and headers.get("expect", "").lower() != "100-continue":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_SECONDS):
                await _let_go(receive)
    return TooLarge(f"The body is larger than {limit} bytes", headers={"Connection": "close"})


async def _let_go(receive: Receive) -> None:
    passed = 0
    while passed < LET_GO_BYTES:
        message = await receive()
        passed += len(message.get("body", b""))
        if not message.get("more_body"):
            return


class _Gzip:
    """Unpacks a gzip body, of one member or several."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def unpack(self, part: bytes) -> Iterator[bytes]:
        piece = b""
        try:
            # A full piece may leave output behind although all input is taken.
            while part or (len(piece) == UNPACKED and not self._member.eof):
                if self._member.eof:
                    self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                piece = self._member.decompress(part, UNPACKED)
                yield piece
                part = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error:
            raise MalformedBody("The body is not gzip, as its Content-Encoding says") from None

    def end(self) -> None:
        if not self._member.eof:
            raise MalformedBody("The gzip body ends before its time")
