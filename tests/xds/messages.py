"""A small XDS client: envelopes as text, multipart by hand, nothing of the server's own code."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import httpx2
from lxml import etree

PROVIDE: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
REGISTER: Final = "urn:ihe:iti:2007:RegisterDocumentSet-b"
RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
BOUNDARY: Final = "MIMEBoundary_7f"


def envelope(action: str, body: str, headers: str = "", message_id: str = "urn:uuid:1") -> bytes:
    """A SOAP 1.2 envelope with WS-Addressing."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header>
<a:Action s:mustUnderstand="1">{action}</a:Action><a:MessageID>{message_id}</a:MessageID>
<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>
<a:To>http://localhost/xds</a:To>{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>""".encode()


def multipart(root: bytes, parts: dict[str, bytes], *, first: bool = True) -> tuple[bytes, str]:
    """An MTOM message with its Content-Type; with ``first`` off the envelope comes last."""
    head = 'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"'
    pieces = [_part(id, "Content-Type: text/xml", content) for id, content in parts.items()]
    pieces.insert(0 if first else len(pieces), _part("root@client", head, root))
    body = b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()
    content_type = (
        f'multipart/related; boundary={BOUNDARY}; type="application/xop+xml"; start="<root@client>"; '
        'start-info="application/soap+xml"'
    )
    return body, content_type


def _part(id: str, content_type: str, content: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-ID: <{id}>\r\n{content_type}\r\nContent-Transfer-Encoding: binary"
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


@dataclass(frozen=True)
class Answer:
    """A SOAP answer: its envelope and, of MTOM, the other parts by content id."""

    status: int
    content_type: str
    root: etree._Element
    parts: dict[str, bytes] = field(default_factory=dict)

    def all(self, name: str) -> list[etree._Element]:
        """The elements of a local name."""
        return list(self.root.iter(f"{{*}}{name}"))

    def text(self, name: str) -> str:
        """The text of the first element of that local name."""
        return next((node.text or "" for node in self.all(name)), "")

    def values(self, name: str, attribute: str) -> list[str]:
        return [node.get(attribute, "") for node in self.all(name)]

    @property
    def registry_status(self) -> str:
        return self.values("RegistryResponse", "status")[0].rpartition(":")[2]

    @property
    def codes(self) -> list[str]:
        return self.values("RegistryError", "errorCode")

    @property
    def fault(self) -> list[str]:
        """The local names of a fault's code and subcodes."""
        return [(value.text or "").rpartition(":")[2] for value in self.all("Value")]


def post(url: str, body: bytes, content_type: str = "application/soap+xml; charset=UTF-8") -> Answer:
    """Send a message; the answer's multipart is read by splitting at its boundary."""
    response = httpx2.post(url, content=body, headers={"Content-Type": content_type}, timeout=30)
    told = response.headers["content-type"]
    if not told.startswith("multipart/related"):
        return Answer(response.status_code, told, etree.fromstring(response.content))
    boundary = told.partition('boundary="')[2].partition('"')[0]
    start = told.partition('start="<')[2].partition('>"')[0]
    parts = {}
    for piece in response.content.split(f"--{boundary}".encode())[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        id = head.decode().partition("Content-ID: <")[2].partition(">")[0]
        parts[id] = content[:-2]
    root = etree.fromstring(parts.pop(start))
    return Answer(response.status_code, told, root, parts)


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
