"""Where an input came from, as far as the connection tells: what cannot be written into a message."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """``port`` is ours, ``address`` the peer's; ``certificates`` are what its TLS certificate is known by:
    common name, DNS names, SHA-256 fingerprint (hexadecimal, lower case)."""

    channel: str
    port: int = 0
    address: str = ""
    certificates: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """In a few words, for people; of a certificate its shortest name."""
        port = f"port {self.port}" if self.port else ""
        certificate = min(self.certificates, key=len, default="")
        return " ".join(filter(None, (self.channel, port, self.address, certificate)))


@lru_cache(maxsize=4096)
def is_inside(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks (CIDR); of an IPv4-mapped address the IPv4 one counts."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in ip_network(network) for network in networks)


def certificate_names(certificate: Mapping[str, Any], der: bytes) -> Iterator[str]:
    """What a peer's certificate is known by, of ``ssl.SSLSocket.getpeercert`` in both of its forms."""
    for part in certificate.get("subject", ()):
        yield from (value for name, value in part if name == "commonName")
    yield from (value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")
    yield sha256(der).hexdigest()
