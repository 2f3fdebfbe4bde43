"""XDS metadata in ebRIM: registry objects with slots, classifications and external identifiers.

IHE ITI TF-3 4.2, https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html. The parts of an object may come in any
order and are told apart by their scheme's UUID.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from mappings.cda.xml import Node, parse, strip_all_namespaces
from mappings.core.codes import UUID
from mappings.core.result import Issue, Unreadable

Kind = Literal["DocumentEntry", "SubmissionSet", "Folder"]

CLASS_CODE: Final = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
TYPE_CODE: Final = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
FORMAT_CODE: Final = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
CONFIDENTIALITY_CODE: Final = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
EVENT_CODE: Final = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
FACILITY_TYPE_CODE: Final = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
PRACTICE_SETTING_CODE: Final = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
CONTENT_TYPE_CODE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
FOLDER_CODE: Final = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"
SOURCE_ID: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
ENTRY_AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
ENTRY_UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
ENTRY_PATIENT_ID: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
SET_PATIENT_ID: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
FOLDER_UNIQUE_ID: Final = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"
FOLDER_PATIENT_ID: Final = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
FOLDER_NODE: Final = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
SUBMISSION_SET_NODE: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
_AUTHOR: Final = {ENTRY_AUTHOR, SET_AUTHOR}
_UNIQUE_ID: Final = {
    "DocumentEntry": ENTRY_UNIQUE_ID,
    "SubmissionSet": SET_UNIQUE_ID,
    "Folder": FOLDER_UNIQUE_ID,
}
_PATIENT_ID: Final = {
    "DocumentEntry": ENTRY_PATIENT_ID,
    "SubmissionSet": SET_PATIENT_ID,
    "Folder": FOLDER_PATIENT_ID,
}
_NODES: Final[dict[str, Kind]] = {
    SUBMISSION_SET_NODE: "SubmissionSet",
    FOLDER_NODE: "Folder",
}
_READ: Final = frozenset(
    (
        *(CLASS_CODE, TYPE_CODE, FORMAT_CODE, CONFIDENTIALITY_CODE, EVENT_CODE, FACILITY_TYPE_CODE),
        *(PRACTICE_SETTING_CODE, CONTENT_TYPE_CODE, FOLDER_CODE, SOURCE_ID),
        *(_AUTHOR | {*_UNIQUE_ID.values(), *_PATIENT_ID.values()}),
    )
)
"""The schemes of classifications and external identifiers that become elements."""
ENTRY_UUID_NAME: Final = "XDSDocumentEntry.EntryUUID"
_SIGNATURE_FORMAT = "http://www.w3.org/2000/09/xmldsig#"
_SIGNATURE_CLASS = "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1"
VISIBILITY_SYSTEM: Final = "1.2.250.1.213.1.1.4.13"

Slots = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Classification:
    """A code (``code`` of ``coding_scheme``), or an author (its ``slots``)."""

    scheme: str
    code: str
    coding_scheme: str
    display: str
    slots: Slots


@dataclass(slots=True)
class RegistryObject:
    """A DocumentEntry, SubmissionSet or Folder; ``id`` is its entryUUID or a name in these metadata."""

    kind: Kind
    id: str
    logical_id: str = ""
    status: str = ""
    mime_type: str = ""
    title: str = ""
    comments: str = ""
    slots: Slots = field(default_factory=dict)
    classifications: list[Classification] = field(default_factory=list)
    identifiers: dict[str, str] = field(default_factory=dict)

    def slot(self, name: str) -> str:
        return next(iter(self.slots.get(name, [])), "")

    def codes(self, scheme: str) -> list[Classification]:
        return [c for c in self.classifications if c.scheme == scheme]

    @property
    def authors(self) -> list[Slots]:
        return [c.slots for c in self.classifications if c.scheme in _AUTHOR]

    @property
    def unique_id(self) -> str:
        return self.identifiers.get(_UNIQUE_ID[self.kind], "")

    @property
    def patient_id(self) -> str:
        """The patient's identifier as CX."""
        return self.identifiers.get(_PATIENT_ID[self.kind], "")

    @property
    def entry_uuid(self) -> str:
        """``urn:uuid:...`` in lower case; empty when the object only has a name."""
        for value in (self.id, self.identifiers.get(ENTRY_UUID_NAME, "")):
            if UUID.fullmatch(bare := value.removeprefix("urn:uuid:")):
                return f"urn:uuid:{bare.lower()}"
        return ""

    @property
    def unread(self) -> list[str]:
        """The schemes of codes and identifiers that no element says."""
        schemes = {c.scheme for c in self.classifications} | {s for s in self.identifiers if _is_uuid(s)}
        return sorted(f"{self.kind} {scheme}" for scheme in schemes - _READ)

    @property
    def is_signature(self) -> bool:
        """Whether it is the XAdES signature of a submission, which is no document of the patient."""
        formats = {c.code for c in self.codes(FORMAT_CODE)}
        return _SIGNATURE_FORMAT in formats or _SIGNATURE_CLASS in {c.code for c in self.codes(CLASS_CODE)}

    @property
    def uri(self) -> str:
        """The path of the document's file; a long one comes in numbered pieces (``1|...``, ``2|...``)."""
        values = self.slots.get("URI", [])
        if all(re.match(r"[0-9]+\|", value) for value in values):
            pieces = sorted((int(number), piece) for number, _, piece in (v.partition("|") for v in values))
            return "".join(piece for _, piece in pieces)
        return values[0]


@dataclass(frozen=True, slots=True)
class Association:
    """``type`` is the last part of the URN: HasMember, RPLC, APND, XFRM, XFRM_RPLC, signs, IsSnapshotOf."""

    type: str
    source: str
    target: str
    slots: Slots
    id: str = ""


@dataclass(slots=True)
class Metadata:
    """What one METADATA.XML or one provide-and-register request describes."""

    submission_set: RegistryObject
    entries: list[RegistryObject]
    folders: list[RegistryObject]
    associations: list[Association]
    issues: list[Issue]


def read_metadata(raw: bytes) -> Metadata:
    """Read ebRIM metadata, with prefixes declared or not, whatever is around the RegistryObjectList.

    Raises:
        Unreadable: not safe XML, not one SubmissionSet, an object without a uniqueId or a patientId.
    """
    return metadata_of(parse(raw, undeclared_prefixes=True))


def metadata_of(root: Node) -> Metadata:
    """Read what is in or below an element, whose namespaces are stripped by that. Raises Unreadable."""
    strip_all_namespaces(root)
    objects: dict[str, RegistryObject] = {}
    nodes: list[tuple[Node, Kind]] = [(node, "DocumentEntry") for node in root.iter("ExtrinsicObject")]
    nodes += [(node, _package_kind(node, root)) for node in root.iter("RegistryPackage")]
    for node, kind in nodes:
        found = _registry_object(node, kind)
        if found.id in objects:
            raise Unreadable(f"The metadata have two objects with the id {found.id!r}")
        objects[found.id] = found
    issues = _classify(root, objects)
    sets = [found for found in objects.values() if found.kind == "SubmissionSet"]
    if len(sets) != 1:
        raise Unreadable(f"The metadata have {len(sets)} submission sets; one is needed")
    for found in objects.values():
        if not found.unique_id or not found.patient_id:
            raise Unreadable(f"{found.kind} {found.id!r} has no uniqueId or no patientId")
    unique_ids = [found.unique_id for found in objects.values()]
    if len(set(unique_ids)) != len(unique_ids):
        text = "The metadata have two objects with the same uniqueId"
        raise Unreadable(
            text, Issue("error", "duplicate", text, fault="XDSRepositoryDuplicateUniqueIdInMessage")
        )
    return Metadata(
        submission_set=sets[0],
        entries=[found for found in objects.values() if found.kind == "DocumentEntry"],
        folders=[found for found in objects.values() if found.kind == "Folder"],
        associations=[_association(node) for node in root.iter("Association")],
        issues=issues,
    )


def object_of(root: Node, kind: Kind) -> RegistryObject:
    """The first object in or below an element, whose namespaces are stripped by that."""
    strip_all_namespaces(root)
    tag = "ExtrinsicObject" if kind == "DocumentEntry" else "RegistryPackage"
    found = _registry_object(next(root.iter(tag)), kind)
    _classify(root, {found.id: found})
    return found


def _package_kind(node: Node, root: Node) -> Kind:
    """A RegistryPackage is what a classification with a node, inside it or beside it, says it is."""
    for classification in root.iter("Classification"):
        kind = _NODES.get(classification.get("classificationNode") or "")
        inside = classification.getparent() is node and not classification.get("classifiedObject")
        if kind and (inside or classification.get("classifiedObject") == node.get("id")):
            return kind
    raise Unreadable(f"RegistryPackage {node.get('id')!r} is neither a submission set nor a folder")


def _registry_object(node: Node, kind: Kind) -> RegistryObject:
    found = RegistryObject(
        kind=kind,
        id=(node.get("id") or "").strip(),
        logical_id=(node.get("lid") or "").strip(),
        status=(node.get("status") or "").rpartition(":")[2],
        mime_type=(node.get("mimeType") or "").strip() or "application/octet-stream",
        title=_localized(node, "Name"),
        comments=_localized(node, "Description"),
        slots=_slots(node),
    )
    for identifier in node.findall("ExternalIdentifier"):
        value = (identifier.get("value") or "").strip()
        found.identifiers[(identifier.get("identificationScheme") or "").strip()] = value
        found.identifiers.setdefault(_localized(identifier, "Name"), value)
    return found


def _classify(root: Node, objects: dict[str, RegistryObject]) -> list[Issue]:
    """Give each classification to the object it points to.

    A visibility code also applies to the document it stands in when it points elsewhere: of two readings of a
    contradiction, the one that shows less.
    """
    issues = []
    for node in root.iter("Classification"):
        scheme = (node.get("classificationScheme") or "").strip()
        parent = node.getparent()
        inside = None if parent is None else objects.get(parent.get("id") or "")
        pointed = objects.get(node.get("classifiedObject") or "", inside)
        if not scheme or pointed is None:
            continue
        classification = _classification(node, scheme)
        pointed.classifications.append(classification)
        if inside is None or inside is pointed:
            continue
        where = f"{inside.kind} {inside.id!r}"
        text = f"A classification inside {where} points to {pointed.id!r}"
        if classification.coding_scheme == VISIBILITY_SYSTEM:
            inside.classifications.append(classification)
            text += f"; {classification.code} is applied to both"
        issues.append(Issue("warning", "structure", text, where))
    return issues


def _classification(node: Node, scheme: str) -> Classification:
    slots = _slots(node)
    return Classification(
        scheme=scheme,
        code=(node.get("nodeRepresentation") or "").strip(),
        coding_scheme=next(iter(slots.get("codingScheme", [])), ""),
        display=_localized(node, "Name"),
        slots=slots,
    )


def _association(node: Node) -> Association:
    return Association(
        type=(node.get("associationType") or "").rpartition(":")[2],
        source=(node.get("sourceObject") or "").strip(),
        target=(node.get("targetObject") or "").strip(),
        slots=_slots(node),
        id=(node.get("id") or "").strip(),
    )


def _slots(node: Node) -> Slots:
    slots: Slots = {}
    for slot in node.findall("Slot"):
        values = [(value.text or "").strip() for value in slot.findall("ValueList/Value")]
        slots.setdefault((slot.get("name") or "").strip(), []).extend(v for v in values if v)
    return slots


def _is_uuid(scheme: str) -> bool:
    return bool(UUID.fullmatch(scheme.removeprefix("urn:uuid:")))


def _localized(node: Node, tag: str) -> str:
    found = node.find(f"{tag}/LocalizedString")
    return "" if found is None else (found.get("value") or "").strip()
