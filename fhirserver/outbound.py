"""HTTP requests that the server makes itself, and where they may go.

A URL comes from a client, so it could name what only this machine can reach. Without an allow-list a request
goes to public addresses only, whatever the name resolves to at that moment; with one, it goes where the
operator said and nowhere else. Redirects are never followed.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from urllib.parse import SplitResult, urlsplit

import httpcore2

CONNECT_SECONDS = 10.0
CONNECTIONS = 1000
ANY_PORT = ":*"
PORTS = {"http": 80, "https": 443}

_SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]


class Refused(Exception):
    """The URL is not one that may be asked; the text says why."""


class Unreachable(Exception):
    """No answer; the text says how it failed and quotes nothing of the request."""


class Outbound:
    """The connections of one process to others' servers.

    ``allowed`` are URL prefixes such as ``https://app.example.org/hooks``; ``:*`` as the port is any port.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = [(text, urlsplit(text.replace(ANY_PORT, "", 1))) for text in allowed]
        backend = None if self._allowed else _PublicOnly()
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=CONNECTIONS, keepalive_expiry=30.0, network_backend=backend
        )

    async def close(self) -> None:
        await self._pool.aclose()

    def check(self, url: str) -> None:
        """Raises Refused when requests to the URL are not allowed, as far as its text says."""
        parts = _split(url)
        if self._allowed:
            if not any(_begins(parts, prefix, ANY_PORT in text) for text, prefix in self._allowed):
                known = ", ".join(text for text, _ in self._allowed)
                raise Refused(f"the endpoint is not one of those allowed here: {known}")
            return
        with contextlib.suppress(ValueError):  # a name: its addresses are checked when it is connected to
            if not _public(parts.hostname or ""):
                raise Refused("the endpoint is not a public address")
        if parts.hostname == "localhost":
            raise Refused("the endpoint is not a public address")

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> int:
        """Send a request and give the status of the answer; its body is not read.

        Raises:
            Refused, Unreachable.
        """
        async with self.stream(method, url, headers, body, seconds) as (status, _):
            return status

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The status and the body of the answer; ``seconds`` is for each step, not for the whole body.

        Raises:
            Refused, Unreachable.
        """
        self.check(url)
        timeouts = {"connect": min(CONNECT_SECONDS, seconds), "read": seconds, "write": seconds, "pool": 5.0}
        encoded = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        try:
            async with self._pool.stream(
                method, url, headers=encoded, content=body, extensions={"timeout": timeouts}
            ) as response:
                yield response.status, response.aiter_stream()
        except httpcore2.TimeoutException as error:
            raise Unreachable(f"no answer in time ({type(error).__name__})") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise Unreachable(f"no connection ({type(error).__name__})") from None


class _PublicOnly(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that were checked, so that a name cannot change between check and use."""

    def __init__(self) -> None:
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface's own)
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
        if not addresses or not all(_public(address) for address in addresses):
            raise Refused("the endpoint is not a public address")
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException):
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the endpoint is not a URL") from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise Refused("the endpoint is not an http(s) URL")
    if parts.username is not None or parts.fragment or not url.isascii() or any(c <= " " for c in url):
        raise Refused("the endpoint has a user, a fragment, or characters that no URL has")
    return parts


def _begins(parts: SplitResult, prefix: SplitResult, any_port: bool) -> bool:
    """Same scheme, host and port, and the path is the prefix's or below it."""
    if (parts.scheme, parts.hostname) != (prefix.scheme, prefix.hostname):
        return False
    if not any_port and (parts.port or PORTS[parts.scheme]) != (prefix.port or PORTS[prefix.scheme]):
        return False
    folder = prefix.path.rstrip("/")
    inside = parts.path == folder or parts.path.startswith(f"{folder}/")
    return not folder or (inside and "/../" not in f"{parts.path}/")


def _public(address: str) -> bool:
    """Raises ValueError when the text is no address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
