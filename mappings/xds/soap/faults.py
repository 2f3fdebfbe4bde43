"""What is wrong with a SOAP message itself. https://www.w3.org/TR/soap12-part1/#soapfault"""

from collections.abc import Sequence
from typing import Final, Literal

from lxml import etree

from mappings.cda.xml import Node

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
PREFIXES: Final = {SOAP: "soap", WSA: "wsa", WSSE: "wsse"}
"""Some clients (zeep) look up the prefixes of a fault's codes in the envelope: it declares them."""
FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/fault"
SOAP_FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/soap/fault"
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

Code = Literal["Sender", "Receiver", "MustUnderstand", "VersionMismatch"]


class Fault(Exception):
    """A SOAP fault: ``code`` of SOAP 1.2, ``subcodes`` as (namespace, name), the outermost first.

    ``headers`` are header blocks that go with it (NotUnderstood).
    """

    def __init__(
        self,
        code: Code,
        text: str,
        *subcodes: tuple[str, str],
        headers: Sequence[Node] = (),
        message_id: str = "",
    ) -> None:
        super().__init__(text)
        self.code: Code = code
        self.text = text
        self.subcodes = subcodes
        self.headers = headers
        self.message_id = message_id

    @property
    def action(self) -> str:
        return FAULT_ACTION if any(space == WSA for space, _ in self.subcodes) else SOAP_FAULT_ACTION

    def to_element(self) -> Node:
        fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
        code = etree.SubElement(fault, f"{{{SOAP}}}Code")
        etree.SubElement(code, f"{{{SOAP}}}Value").text = f"soap:{self.code}"
        for namespace, name in self.subcodes:
            code = etree.SubElement(code, f"{{{SOAP}}}Subcode")
            value = etree.SubElement(code, f"{{{SOAP}}}Value")
            value.text = f"{PREFIXES[namespace]}:{name}"
        reason = etree.SubElement(fault, f"{{{SOAP}}}Reason")
        etree.SubElement(reason, f"{{{SOAP}}}Text", {_XML_LANG: "en"}).text = self.text
        return fault


def version_mismatch() -> bytes:
    """The answer to a SOAP 1.1 message, in SOAP 1.1, which says that 1.2 is understood.

    https://www.w3.org/TR/soap12-part1/#version
    """
    envelope = etree.Element(f"{{{SOAP11}}}Envelope", nsmap={"soap11": SOAP11})
    header = etree.SubElement(envelope, f"{{{SOAP11}}}Header")
    upgrade = etree.SubElement(header, f"{{{SOAP}}}Upgrade", nsmap={"soap": SOAP})
    etree.SubElement(upgrade, f"{{{SOAP}}}SupportedEnvelope", {"qname": "soap:Envelope"})
    fault = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP11}}}Body"), f"{{{SOAP11}}}Fault")
    etree.SubElement(fault, "faultcode").text = "soap11:VersionMismatch"
    etree.SubElement(fault, "faultstring").text = "SOAP 1.2 is understood here"
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))
