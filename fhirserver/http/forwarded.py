"""The base URL as the client sees it, when a proxy that is trusted says so.

``Forwarded`` (https://www.rfc-editor.org/rfc/rfc7239), else ``X-Forwarded-Host``, ``-Proto``, ``-Port`` and
``-Prefix``. Anybody can send these headers: they count only from a peer of the setting ``trusted_proxies``,
and of several values the one that the outermost trusted proxy wrote.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from fhirserver.errors import BadRequest

BASE_PATH = "/fhir"
"""Where the FHIR API is in this process; a proxy's prefix stands before it."""

_host = re.compile(r"(?:[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?").fullmatch
_prefix = re.compile(r"(?:/[A-Za-z0-9._~\-]+)*/?").fullmatch
HEADERS = ("forwarded", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix")


class Proxies:
    """Makes the base URL of a request. ``base_url`` is the configured one."""

    def __init__(self, trusted: Iterable[str], base_url: str) -> None:
        self._networks = tuple(ip_network(text) for text in trusted)
        self._base_url = base_url
        parts = urlsplit(base_url)
        self._scheme, self._path = parts.scheme, parts.path
        self._trusts = lru_cache(maxsize=1024)(self._in_networks)

    def base_url(self, peer: str, headers: Mapping[str, str]) -> str:
        """Raises BadRequest: a trusted proxy's header does not name a host, scheme or path."""
        if not self._networks or not any(name in headers for name in HEADERS) or not self._trusts(peer):
            return self._base_url
        if stated := headers.get("forwarded", ""):
            host, scheme = self._forwarded(stated)
        else:
            host, scheme = self._x_forwarded(headers)
        prefix = headers.get("x-forwarded-prefix", "").split(",")[0].strip()
        if not host and not prefix:
            return self._base_url
        host = host or urlsplit(self._base_url).netloc
        scheme = scheme.lower() or self._scheme
        if not _host(host) or scheme not in ("http", "https") or not _prefix(prefix):
            raise BadRequest("The proxy's Forwarded headers do not name a host, scheme and path")
        path = prefix.rstrip("/") + BASE_PATH if prefix else self._path
        return f"{scheme}://{host}{path}"

    def _forwarded(self, stated: str) -> tuple[str, str]:
        """Host and scheme of the outermost element that a trusted proxy wrote."""
        host = scheme = ""
        for element in reversed(stated.split(",")):
            pairs = (part.partition("=") for part in element.split(";"))
            said = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
            host, scheme = said.get("host", host), said.get("proto", scheme)
            if not self._trusts(_address(said.get("for", ""))):
                break
        return host, scheme

    def _x_forwarded(self, headers: Mapping[str, str]) -> tuple[str, str]:
        depth = 1
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            if not self._trusts(hop.strip()):
                break
            depth += 1

        def said(name: str) -> str:
            values = [value.strip() for value in headers.get(name, "").split(",")]
            return values[-min(depth, len(values))]

        host, scheme, port = (said(f"x-forwarded-{name}") for name in ("host", "proto", "port"))
        standard = {"http": "80", "https": "443"}.get(scheme.lower())
        if host and port and port != standard and not re.search(r":\d+$", host):
            host = f"{host}:{port}"
        return host, scheme

    def _in_networks(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _address(node: str) -> str:
    """The address of a Forwarded node: ``192.0.2.1:1234``, ``[2001:db8::1]:80``."""
    return node[1:].partition("]")[0] if node.startswith("[") else node.partition(":")[0]
