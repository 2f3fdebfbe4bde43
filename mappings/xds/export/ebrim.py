"""The parts of ebRIM metadata as XML. IHE ITI TF-3 4.2.1, OASIS ebRIM 3.0"""

from collections.abc import Iterable
from typing import Final

from lxml import etree

from mappings.core.result import Element
from mappings.xds.export.datatypes import URI, oid_of_system

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
STABLE: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
"""objectType of a document that does not change"""
_ASSOCIATION: Final = {
    "HasMember": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
    **{name: f"urn:ihe:iti:2007:AssociationType:{name}" for name in ("RPLC", "APND", "XFRM", "signs")},
}

Node = etree._Element


class Registry:
    """A SubmitObjectsRequest in the making; ids of its parts are numbered."""

    def __init__(self) -> None:
        self.root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, None: RIM})  # type: ignore[dict-item]  # lxml-stubs lack None, the default namespace
        self.objects = _child(self.root, "RegistryObjectList")
        self._number = 0

    def to_bytes(self) -> bytes:
        return bytes(etree.tostring(self.root, xml_declaration=True, encoding="UTF-8"))

    def object(self, tag: str, id: str, **attributes: str) -> Node:
        """An ExtrinsicObject or RegistryPackage."""
        return _child(self.objects, tag, id=id, **attributes)

    def slot(self, node: Node, name: str, values: Iterable[str]) -> None:
        """A slot; none where there is no value."""
        present = [value for value in values if value]
        if not present:
            return
        listed = _child(_child(node, "Slot", name=name), "ValueList")
        for value in present:
            _child(listed, "Value").text = value

    def localized(self, node: Node, tag: str, text: str) -> None:
        if text:
            _child(_child(node, tag), "LocalizedString", charset="UTF-8", value=text)

    def code(self, node: Node, scheme: str, coding: Element, text: str = "") -> None:
        """A code; its scheme's OID, or the URI of one that has none."""
        system = coding.get("system", "")
        code = coding.get("code", "") or text
        by_itself = system == URI and code.startswith("urn:")
        made = self._classification(node, scheme)
        made.set("nodeRepresentation", code)
        self.slot(made, "codingScheme", ["URN" if by_itself else oid_of_system(system)])
        self.localized(made, "Name", coding.get("display", "") or text)

    def author(self, node: Node, scheme: str, slots: dict[str, list[str]]) -> None:
        made = self._classification(node, scheme)
        made.set("nodeRepresentation", "")
        for name, values in slots.items():
            self.slot(made, name, values)

    def kind(self, node: Node, kind: str) -> None:
        """Say that a RegistryPackage is a submission set."""
        _child(
            node,
            "Classification",
            id=self._id(),
            classifiedObject=node.get("id", ""),
            classificationNode=kind,
        )

    def identifier(self, node: Node, scheme: str, value: str, name: str) -> None:
        made = _child(
            node,
            "ExternalIdentifier",
            id=self._id(),
            identificationScheme=scheme,
            registryObject=node.get("id", ""),
            value=value,
        )
        self.localized(made, "Name", name)

    def association(self, type: str, source: str, target: str, original: bool = False) -> None:
        made = _child(
            self.objects,
            "Association",
            id=self._id(),
            associationType=_ASSOCIATION[type],
            sourceObject=source,
            targetObject=target,
        )
        self.slot(made, "SubmissionSetStatus", ["Original"] if original else [])

    def _classification(self, node: Node, scheme: str) -> Node:
        id = node.get("id", "")
        return _child(node, "Classification", id=self._id(), classificationScheme=scheme, classifiedObject=id)

    def _id(self) -> str:
        self._number += 1
        return f"id_{self._number}"


def _child(parent: Node, tag: str, **attributes: str) -> Node:
    return etree.SubElement(parent, f"{{{RIM}}}{tag}", attributes)
