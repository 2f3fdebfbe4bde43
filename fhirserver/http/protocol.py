"""HTTP/1.1 as uvicorn speaks it, also with clients that would rather speak HTTP/2.

Java's HTTP client (and so Apache CXF, which most XDS software is made with) asks for ``Upgrade: h2c`` with
every request without TLS. A server may ignore that (RFC 9110, 7.8) and answer in HTTP/1.1. The parser ends
the message there instead, and its body is lost: so it never sees the header.
"""

import re
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_H2C: Final = re.compile(rb"(\r\n)upgrade(:[ \t]*h2c[ \t]*\r\n)", re.IGNORECASE)
_IGNORED: Final = rb"\1ignored\2"


class Protocol(HttpToolsProtocol):
    """A connection. ``_in_body``: what comes next belongs to a message whose headers are complete."""

    _in_body = False

    def data_received(self, data: bytes) -> None:
        if not self._in_body and b"h2c" in data:
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _H2C.sub(_IGNORED, head + b"\r\n", count=1)[:-2] + end + rest
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()
