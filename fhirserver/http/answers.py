"""A Result as an HTTP answer: headers, compression, streams."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from functools import lru_cache

from starlette.types import Scope, Send

from fhirserver.request import Result

BODILESS = (204, 304)
SMALLEST = 1024
"""Bodies of fewer bytes are not worth packing."""
INLINE = 64 * 1024
"""Larger bodies are packed in a thread, so that other requests go on."""
LEVEL = 5
PACKABLE = ("application/fhir+", "application/json", "application/xml", "text/")

_CONSTANT = ((b"x-content-type-options", b"nosniff"), (b"vary", b"Accept, Accept-Encoding, Origin"))


async def send_result(
    result: Result, scope: Scope, send: Send, asked: Mapping[str, str], added: Mapping[str, str]
) -> None:
    """Send a result; HEAD gets the headers of GET. ``asked`` are the request's headers, ``added`` further
    ones of the answer."""
    body, stream, length = result.body, result.stream, result.length
    headers = [*_CONSTANT]
    packs = (
        "gzip" in asked.get("accept-encoding", "")
        and result.status != 206
        and result.content_type.startswith(PACKABLE)
        and accepts_gzip(asked["accept-encoding"])
    )
    if packs and len(body) >= SMALLEST:
        body = await asyncio.to_thread(_pack, body) if len(body) > INLINE else _pack(body)
        headers.append((b"content-encoding", b"gzip"))
    elif packs and stream is not None:
        stream, length = _packed(stream), -1
        headers.append((b"content-encoding", b"gzip"))
    if stream is None:
        length = len(body)
    for name, value in (*result.headers.items(), *added.items()):
        headers.append((name.lower().encode(), value.encode("latin-1", "replace")))
    if body or stream is not None:
        headers.append((b"content-type", result.content_type.encode("latin-1", "replace")))
    if length >= 0 and result.status not in BODILESS:
        headers.append((b"content-length", b"%d" % length))
    if result.etag:
        headers.append((b"etag", result.etag.encode()))
    if result.last_modified:
        headers.append((b"last-modified", http_date(result.last_modified // 1_000_000)))
    if result.location:
        headers.append((b"location", result.location.encode()))
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    bodiless = scope["method"] == "HEAD" or result.status in BODILESS
    if stream is not None:
        async with contextlib.aclosing(stream):
            if not bodiless:
                async for part in stream:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": b"" if bodiless else body})


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7"""
    return formatdate(seconds, usegmt=True).encode()


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3"""
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name == "gzip":
            return not any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters)
    return False


def _pack(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(body) + packer.flush()


async def _packed(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    async for part in stream:
        # What is there is sent now: a reader of a stream does not wait for the next page.
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
