"""What metadata that are sent say otherwise than those that were told."""

from typing import Final

from mappings.cda.context import Context
from mappings.xds import metadata
from mappings.xds.datatypes import dtm_to_datetime
from mappings.xds.document_entry import READ_SLOTS
from mappings.xds.export.datatypes import dtm
from mappings.xds.metadata import RegistryObject, Slots

_CODES: Final = {
    "type": metadata.TYPE_CODE,
    "category": metadata.CLASS_CODE,
    "securityLabel": metadata.CONFIDENTIALITY_CODE,
    "event": metadata.EVENT_CODE,
    "facilityType": metadata.FACILITY_TYPE_CODE,
    "practiceSetting": metadata.PRACTICE_SETTING_CODE,
    "format": metadata.FORMAT_CODE,
    "designationType": metadata.FOLDER_CODE,
}
_SLOTS: Final = {
    "authenticator": ("legalAuthenticator",),
    "language": ("languageCode",),
    "related": ("urn:ihe:iti:xds:2013:referenceIdList",),
    "source": ("sourcePatientId", "sourcePatientInfo"),
}
_TIMES: Final = {
    "creation": ("creationTime",),
    "period": ("serviceStartTime", "serviceStopTime"),
}
_OF_THE_REGISTRY: Final = frozenset(("repositoryUniqueId", "documentAvailability"))


def unchanged(told: RegistryObject, sent: RegistryObject, context: Context) -> frozenset[str]:
    """The elements of a DocumentReference, or Folder, about which both say the same: type, author, period ...

    ``related`` are the referenceIds, ``source`` is the patient at the source, ``slots`` are those that no
    element says.
    """
    same = {name for name, scheme in _CODES.items() if _codes(told, scheme) == _codes(sent, scheme)}
    for name, slots in _SLOTS.items():
        if all(sorted(told.slots.get(s, [])) == sorted(sent.slots.get(s, [])) for s in slots):
            same.add(name)
    for name, slots in _TIMES.items():
        if all(told.slot(s) == _utc(sent.slot(s), context) for s in slots):
            same.add(name)
    if told.authors == sent.authors:
        same.add("author")
    if _others(told.slots) == _others(sent.slots):
        same.add("slots")
    if told.title == sent.title:
        same.add("title")
    if told.comments == sent.comments:
        same.add("description")
    return frozenset(same)


def _codes(found: RegistryObject, scheme: str) -> list[tuple[str, str]]:
    return [(code.code, code.coding_scheme) for code in found.codes(scheme)]


def _others(slots: Slots) -> Slots:
    known = READ_SLOTS | _OF_THE_REGISTRY
    return {name: values for name, values in slots.items() if name not in known}


def _utc(value: str, context: Context) -> str:
    """A time as a registry tells it."""
    return dtm(dtm_to_datetime(value, "", context) or "")
