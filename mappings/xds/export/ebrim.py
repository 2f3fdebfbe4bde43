"""The parts of ebRIM metadata as XML. IHE ITI TF-3 4.2.1, OASIS ebRIM 3.0"""

from collections.abc import Iterable
from typing import Final

from lxml import etree

from mappings.core.bundle import full_url
from mappings.core.result import Element
from mappings.xds.export.datatypes import URI, oid_of_system

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
STABLE: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
"""objectType of a document that does not change"""
APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ARCHIVED: Final = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED: Final = "urn:asip:ci-sis:2010:StatusType:Deleted"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
_OBJECT: Final = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject"
_ASSOCIATION: Final = {
    "HasMember": HAS_MEMBER,
    **{
        name: f"urn:ihe:iti:2007:AssociationType:{name}"
        for name in ("RPLC", "APND", "XFRM", "XFRM_RPLC", "signs")
    },
    "IsSnapshotOf": "urn:ihe:iti:2010:AssociationType:IsSnapshotOf",
}

Node = etree._Element


def association_type(name: str) -> str:
    """The URN of an association type (``RPLC``)."""
    return _ASSOCIATION[name]


class Registry:
    """A RegistryObjectList in the making; ids of its parts are made of those of the objects."""

    def __init__(self) -> None:
        self.objects = etree.Element(f"{{{RIM}}}RegistryObjectList", nsmap={None: RIM})  # type: ignore[dict-item]  # lxml-stubs lack None, the default namespace

    def submission(self) -> bytes:
        """The objects as a SubmitObjectsRequest."""
        root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, None: RIM})  # type: ignore[dict-item]  # as above
        root.append(self.objects)
        return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))

    def object(self, tag: str, id: str, **attributes: str) -> Node:
        """An ExtrinsicObject or RegistryPackage."""
        if tag == "RegistryPackage":
            attributes = {"objectType": f"{_OBJECT}:RegistryPackage", **attributes}
        return _child(self.objects, tag, id=id, **attributes)

    def reference(self, id: str) -> None:
        """An ObjectRef: that there is such an object."""
        _child(self.objects, "ObjectRef", id=id)

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

    def version(self, node: Node, number: int) -> None:
        """Which version of the metadata these are; after the names, before what classifies."""
        _child(node, "VersionInfo", versionName=str(number))

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
        """Say that a RegistryPackage is a submission set or a folder."""
        _child(
            node,
            "Classification",
            id=_part(node),
            objectType=f"{_OBJECT}:Classification",
            classifiedObject=node.get("id", ""),
            classificationNode=kind,
        )

    def identifier(self, node: Node, scheme: str, value: str, name: str) -> None:
        made = _child(
            node,
            "ExternalIdentifier",
            id=_part(node),
            objectType=f"{_OBJECT}:ExternalIdentifier",
            identificationScheme=scheme,
            registryObject=node.get("id", ""),
            value=value,
        )
        self.localized(made, "Name", name)

    def association(
        self, type: str, source: str, target: str, *, status: str = "", availability: str = ""
    ) -> None:
        """``status`` is the SubmissionSetStatus: Original, Reference or none."""
        made = _child(
            self.objects,
            "Association",
            id=association_id(type, source, target),
            objectType=f"{_OBJECT}:Association",
            associationType=_ASSOCIATION[type],
            sourceObject=source,
            targetObject=target,
            **({"status": availability} if availability else {}),
        )
        self.slot(made, "SubmissionSetStatus", [status])

    def _classification(self, node: Node, scheme: str) -> Node:
        return _child(
            node,
            "Classification",
            id=_part(node),
            objectType=f"{_OBJECT}:Classification",
            classificationScheme=scheme,
            classifiedObject=node.get("id", ""),
        )


def association_id(type: str, source: str, target: str) -> str:
    """The entryUUID of an association, the same one each time."""
    return full_url("Association", type, source, target)


def _part(node: Node) -> str:
    """The id of the next part of an object."""
    return full_url("part", node.get("id", ""), str(len(node)))


def _child(parent: Node, tag: str, **attributes: str) -> Node:
    return etree.SubElement(parent, f"{{{RIM}}}{tag}", attributes)
