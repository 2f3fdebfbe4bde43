"""A CDA R2 document as it was sent. https://hl7.org/cda, CI-SIS volet Structuration minimale (2024.01)"""

import binascii
import re
from dataclasses import dataclass, field
from functools import cached_property

import pybase64

from mappings.cda.context import Context, narrative_texts
from mappings.cda.datatypes import (
    cd_to_codeable_concept,
    ii_to_identifier,
    ii_to_identifiers,
    oid_to_identifier,
)
from mappings.cda.xml import (
    MAX_BYTES,
    Node,
    local_name,
    parse,
    strip_hl7_namespace,
    text_of,
)
from mappings.core.result import Element, Unreadable
from mappings.core.source import Source


@dataclass(frozen=True, slots=True)
class Content:
    """What a level 1 document embeds."""

    media_type: str
    data: bytes = field(repr=False)


class ClinicalDocument:
    """One CDA document: ``raw`` as received, ``root`` its ClinicalDocument element without HL7's namespace.

    ``presented`` tells that it came inside an XSL stylesheet that displays it ("auto-présentable").
    """

    def __init__(self, raw: bytes, root: Node, *, presented: bool = False) -> None:
        self.raw = raw
        self.root = root
        self.presented = presented

    @property
    def unique_identifier(self) -> Element:
        """``ClinicalDocument/id``, the identifier of this very version."""
        identifier = self._identifier("id")
        assert identifier is not None  # read() refuses a document without it
        return identifier

    @property
    def set_id(self) -> Element | None:
        """The identifier that all versions of the document share."""
        return self._identifier("setId")

    @property
    def version_number(self) -> int | None:
        value = self._attribute("versionNumber", "value")
        return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None

    @property
    def replaces(self) -> list[Element]:
        """The identifiers of the documents this one replaces (relatedDocument RPLC)."""
        return self._parents("RPLC")

    @property
    def appends(self) -> list[Element]:
        return self._parents("APND")

    @property
    def transforms(self) -> list[Element]:
        return self._parents("XFRM")

    @property
    def patient_identifiers(self) -> list[Element]:
        return ii_to_identifiers(self.root.findall("recordTarget/patientRole/id"))

    @property
    def template_ids(self) -> list[str]:
        return [(node.get("root") or "").strip() for node in self.root.findall("templateId")]

    @property
    def code(self) -> Element | None:
        """The type of document, as a CodeableConcept."""
        return cd_to_codeable_concept(self.root.find("code"), Context(Source()))

    @property
    def title(self) -> str:
        return text_of(self.root.find("title"))

    @property
    def effective_time(self) -> str:
        """When the document was made, as the HL7 time that was sent (``20240106113623+0100``)."""
        return self._attribute("effectiveTime", "value")

    @property
    def confidentiality(self) -> Element | None:
        """The confidentiality code, as a CodeableConcept."""
        return cd_to_codeable_concept(self.root.find("confidentialityCode"), Context(Source()))

    @property
    def language(self) -> str:
        return self._attribute("languageCode", "code")

    @property
    def level(self) -> int:
        """1: the body is one embedded file; 3: it has sections (with or without coded entries)."""
        return 1 if self.root.find("component/nonXMLBody") is not None else 3

    @property
    def media_type(self) -> str:
        """The media type of the CDA document itself."""
        return "application/xslt+xml" if self.presented else "text/xml"

    @cached_property
    def content(self) -> Content | None:
        """The embedded file of a level 1 document; None at level 3 and when it is only referred to.

        Raises:
            Unreadable: it is not base64, or compressed.
        """
        text = self.root.find("component/nonXMLBody/text")
        if text is None or (text.find("reference") is not None and not text_of(text)):
            return None
        if text.get("compression"):
            raise Unreadable("The embedded file is compressed, which CI-SIS does not allow")
        media_type = (text.get("mediaType") or "text/plain").strip()
        if (text.get("representation") or "TXT").upper() != "B64":
            return Content(media_type, "".join(str(t) for t in text.itertext()).encode())
        encoded = "".join("".join(str(t) for t in text.itertext()).split())
        try:
            data = pybase64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("The embedded file is not base64") from None
        if not data:
            raise Unreadable("The embedded file is empty")
        return Content(media_type, data)

    @cached_property
    def narrative(self) -> dict[str, str]:
        """The narrative texts that entries refer to, by ID."""
        return narrative_texts(self.root)

    def _identifier(self, tag: str) -> Element | None:
        node = self.root.find(tag)
        if node is None:
            return None
        return oid_to_identifier((node.get("root") or "").strip(), (node.get("extension") or "").strip())

    def _parents(self, type_code: str) -> list[Element]:
        nodes = [
            node
            for related in self.root.findall("relatedDocument")
            if (related.get("typeCode") or "").upper() == type_code
            for node in related.findall("parentDocument/id")
        ]
        return [identifier for node in nodes if (identifier := ii_to_identifier(node))]

    def _attribute(self, tag: str, name: str) -> str:
        node = self.root.find(tag)
        return "" if node is None else (node.get(name) or "").strip()


def read(raw: bytes, *, limit: int = MAX_BYTES) -> ClinicalDocument:
    """Read a CDA document: with a byte order mark or not, alone or inside an XSL stylesheet that displays it.

    Raises:
        Unreadable: more than ``limit`` bytes, not safe well-formed XML, not a ClinicalDocument, without an
            identifier that is an OID or UUID, or without a body.
    """
    top = parse(raw, limit=limit, plain=True)
    root = top if local_name(top) == "ClinicalDocument" else None
    if root is None and local_name(top) in ("stylesheet", "transform"):
        root = next((node for node in top.iter("{*}ClinicalDocument")), None)
    if root is None:
        raise Unreadable(f"The document is <{local_name(top)}>, not a CDA ClinicalDocument")
    strip_hl7_namespace(root)
    document = ClinicalDocument(raw, root, presented=root is not top)
    if document._identifier("id") is None:
        raise Unreadable("ClinicalDocument/id has no root that is an OID or a UUID")
    if root.find("component/nonXMLBody/text") is None and root.find("component/structuredBody") is None:
        raise Unreadable("The document has neither a nonXMLBody nor a structuredBody")
    return document
