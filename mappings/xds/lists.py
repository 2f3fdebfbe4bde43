"""SubmissionSet, Folder -> List. IHE MHD 4.2 (submissionSet.fsh, folder.fsh), PDSm 3.1"""

from typing import Final

from mappings.cda.context import Context
from mappings.cda.datatypes import URI
from mappings.core.bundle import change, full_url, prune
from mappings.core.result import Element
from mappings.xds.datatypes import (
    author_to_reference,
    classification_to_concept,
    dtm_to_datetime,
    unique_id_to_identifier,
    xcn_to_reference,
    xon_to_reference,
)
from mappings.xds.document_entry import IS_ARCHIVED, uuid_identifiers
from mappings.xds.kept import as_sent, as_sent_extension, sent_slots, slot_extensions
from mappings.xds.metadata import CONTENT_TYPE_CODE, FOLDER_CODE, SOURCE_ID, Classification, RegistryObject
from mappings.xds.submission import Subset

ASSUMED: Final = frozenset(("status", "mode", "code"))
_LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
EXTENSION: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"


def submission_set_to_list(
    found: RegistryObject, master: Element, members: list[Element], patient: Element, context: Context
) -> Element:
    """SubmissionSet -> List of its members (List.entry elements)."""
    authors = [a for slots in found.authors if (a := author_to_reference(slots, patient, context))]
    author = next(iter(authors), None)
    extensions = [_designation(code) for code in found.codes(CONTENT_TYPE_CODE)]
    if sent := found.identifiers.get(SOURCE_ID, ""):
        # Some senders have none that is an OID: test tools, too.
        source_id = unique_id_to_identifier(sent) or {"value": sent}
        extensions.append({"url": EXTENSION + "ihe-sourceId", "valueIdentifier": source_id})
    if author and _is_organization(author, context):  # List.source cannot be one
        extensions.append({"url": EXTENSION + "ihe-authorOrg", "valueReference": author})
        author = None
    extensions += [as_sent_extension(slots) for other in authors[1:] for slots in sent_slots(other)]
    extensions += _recipients(found, patient, context)
    if found.status == "Archived":
        extensions.append({"url": IS_ARCHIVED, "valueBoolean": True})
    extensions += slot_extensions(found.slots, found.slots.keys() - {"submissionTime", "intendedRecipient"})
    result: Element = prune(
        {
            **_list(found, "submissionset", master, patient),
            "extension": extensions,
            "date": dtm_to_datetime(found.slot("submissionTime"), _location(found), context),
            "source": author,
            "entry": members,
        }
    )
    return result


def folder_to_list(
    found: RegistryObject, master: Element, members: list[Element], patient: Element, context: Context
) -> Element:
    """Folder -> List of its members."""
    result: Element = prune(
        {
            **_list(found, "folder", master, patient),
            "extension": [
                *(_designation(code) for code in found.codes(FOLDER_CODE)),
                *slot_extensions(found.slots, found.slots.keys() - {"lastUpdateTime"}),
            ],
            "date": dtm_to_datetime(found.slot("lastUpdateTime"), _location(found), context),
            "entry": members,
        }
    )
    return result


def folder_additions(subset: Subset, urls: dict[str, str], patient: Element) -> list[Element]:
    """Entries for the folders that were registered before and get members of this submission.

    Beside the members they only say what an existing folder says already (``ASSUMED``).
    """
    added: dict[str, list[Element]] = {}
    known = {subset.submission_set.id, *(folder.id for folder in subset.folders)}
    for each in subset.associations:
        if each.type == "HasMember" and each.source not in known and each.target in urls:
            added.setdefault(each.source.lower(), []).append({"item": {"reference": urls[each.target]}})
    return [
        change(
            full_url("List", URI, folder),
            {
                "resourceType": "List",
                "status": "current",
                "mode": "working",
                "code": {"coding": [{"system": _LIST_TYPES, "code": "folder"}]},
                "subject": {"reference": patient["reference"]},
                "entry": members,
            },
            {"system": URI, "value": folder},
        )
        for folder, members in added.items()
    ]


def _list(found: RegistryObject, code: str, master: Element, patient: Element) -> Element:
    return {
        "resourceType": "List",
        "identifier": [{"use": "usual", **master}, *uuid_identifiers(found)],
        "status": "retired" if found.status == "Deprecated" else "current",
        "mode": "working",
        "title": found.title,
        "code": {"coding": [{"system": _LIST_TYPES, "code": code}]},
        "subject": {"reference": patient["reference"]},
        "note": [{"text": found.comments}],
    }


def _designation(code: Classification) -> Element:
    concept = classification_to_concept(code)
    return {"url": EXTENSION + "ihe-designationType", "valueCodeableConcept": concept}


def _recipients(found: RegistryObject, patient: Element, context: Context) -> list[Element]:
    """intendedRecipient ``XON|XCN|XTN`` -> one extension each."""
    recipients = []
    for value in found.slots.get("intendedRecipient", []):
        institution, name = [*value.split("|"), ""][:2]
        organization = xon_to_reference(institution, context)
        person = xcn_to_reference(name, organization, None, patient, context)
        reference = person or organization
        if reference is None and value.strip("|^ "):
            reference = {"display": value.strip("|^ ")}
        if reference is not None:
            reference = as_sent(reference, {"intendedRecipient": [value]})
            recipients.append({"url": EXTENSION + "ihe-intendedRecipient", "valueReference": reference})
    return recipients


def _is_organization(reference: Element, context: Context) -> bool:
    url = reference.get("reference")
    kinds = {e["resource"]["resourceType"] for e in context.mentioned if e["fullUrl"] == url}
    return kinds == {"Organization"}


def _location(found: RegistryObject) -> str:
    return f"{found.kind} {found.id!r}"
