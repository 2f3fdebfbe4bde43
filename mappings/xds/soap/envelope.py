"""The SOAP 1.2 envelope and its WS-Addressing headers.

https://www.w3.org/TR/soap12-part1/, https://www.w3.org/TR/ws-addr-soap/, IHE ITI TF-2 V.3
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from mappings.cda.xml import Node, parse
from mappings.core.result import Unreadable
from mappings.xds.soap.faults import PREFIXES, SOAP, SOAP11, WSA, WSSE, Fault

ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
_ROLES: Final = {
    "",
    "http://www.w3.org/2003/05/soap-envelope/role/next",
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
}
_UNDERSTOOD: Final = {
    *(
        f"{{{WSA}}}{name}"
        for name in ("Action", "MessageID", "To", "From", "ReplyTo", "FaultTo", "RelatesTo")
    ),
    f"{{{WSSE}}}Security",
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """``body`` is the one element in soap:Body, ``security`` the wsse:Security header."""

    body: Node = field(repr=False)
    action: str = ""
    message_id: str = ""
    security: Node | None = field(default=None, repr=False)


class VersionMismatch(Exception):
    """It is SOAP 1.1."""


def read(raw: bytes, action: str = "") -> Envelope:
    """Read an envelope; ``action`` is what the Content-Type says.

    Raises:
        Fault: it is no SOAP 1.2 message, or has headers that are not understood.
        VersionMismatch: it is SOAP 1.1.
    """
    try:
        root = parse(raw)
    except Unreadable as error:
        raise Fault("Sender", str(error)) from None
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in (SOAP, SOAP11):
        raise Fault("Sender", "The message is no SOAP envelope")
    if name.namespace == SOAP11:
        raise VersionMismatch
    header = root.find(f"{{{SOAP}}}Header")
    blocks = [] if header is None else list(header)
    message_id = _text(blocks, "MessageID")
    try:
        return _read(root, blocks, action, message_id)
    except Fault as fault:
        fault.message_id = message_id
        raise


def _read(root: Node, blocks: list[Node], action: str, message_id: str) -> Envelope:
    _check_understood(blocks)
    body = root.find(f"{{{SOAP}}}Body")
    content = [] if body is None else list(body)
    if len(content) != 1:
        raise Fault("Sender", f"soap:Body has {len(content)} elements; one is needed")
    addressed = _text(blocks, "Action")
    if addressed and action and addressed != action:
        text = "wsa:Action and the action of the Content-Type differ"
        raise Fault("Sender", text, (WSA, "InvalidAddressingHeader"), (WSA, "ActionMismatch"))
    if not addressed and not action:
        text = "There is no wsa:Action"
        raise Fault("Sender", text, (WSA, "MessageAddressingHeaderRequired"))
    for name in ("ReplyTo", "FaultTo"):
        if _reply_address(blocks, name) not in ("", ANONYMOUS):
            text = f"wsa:{name} is another address; answers go back on the same connection"
            raise Fault(
                "Sender", text, (WSA, "InvalidAddressingHeader"), (WSA, "OnlyAnonymousAddressSupported")
            )
    securities = [block for block in blocks if block.tag == f"{{{WSSE}}}Security"]
    if len(securities) > 1:
        raise Fault("Sender", "There are several wsse:Security headers", (WSSE, "InvalidSecurity"))
    return Envelope(content[0], addressed or action, message_id, next(iter(securities), None))


def write(body: Node, action: str, relates_to: str = "", headers: Sequence[Node] = ()) -> bytes:
    """An answer: the envelope around an element, as UTF-8."""
    envelope = etree.Element(
        f"{{{SOAP}}}Envelope", nsmap={prefix: space for space, prefix in PREFIXES.items()}
    )
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    etree.SubElement(header, f"{{{WSA}}}Action", {f"{{{SOAP}}}mustUnderstand": "true"}).text = action
    etree.SubElement(header, f"{{{WSA}}}MessageID").text = f"urn:uuid:{uuid.uuid4()}"
    if relates_to:
        etree.SubElement(header, f"{{{WSA}}}RelatesTo").text = relates_to
    header.extend(headers)
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def _check_understood(blocks: list[Node]) -> None:
    """Raises Fault: a header that must be understood is not."""
    unknown = [
        block
        for block in blocks
        if (block.get(f"{{{SOAP}}}mustUnderstand") or "").strip() in ("1", "true")
        and (block.get(f"{{{SOAP}}}role") or "").strip() in _ROLES
        and block.tag not in _UNDERSTOOD
    ]
    if not unknown:
        return
    told = []
    for block in unknown:
        name = etree.QName(block)
        space = {"h": name.namespace} if name.namespace else {}
        qname = f"h:{name.localname}" if space else name.localname
        told.append(
            etree.Element(f"{{{SOAP}}}NotUnderstood", {"qname": qname}, nsmap={"soap": SOAP, **space})
        )
    names = ", ".join(str(etree.QName(block).localname) for block in unknown)
    raise Fault("MustUnderstand", f"Headers that are not understood here: {names}"[:300], headers=told)


def _text(blocks: list[Node], name: str) -> str:
    """The text of an addressing header. Raises Fault: it is there twice."""
    found = [block for block in blocks if block.tag == f"{{{WSA}}}{name}"]
    if len(found) > 1:
        text = f"wsa:{name} is there {len(found)} times"
        raise Fault("Sender", text, (WSA, "InvalidAddressingHeader"), (WSA, "InvalidCardinality"))
    return (found[0].text or "").strip() if found else ""


def _reply_address(blocks: list[Node], name: str) -> str:
    found = next((block for block in blocks if block.tag == f"{{{WSA}}}{name}"), None)
    return "" if found is None else (found.findtext(f"{{{WSA}}}Address") or "").strip()
