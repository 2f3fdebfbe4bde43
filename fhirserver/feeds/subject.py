"""Nothing on the wrong patient: what is stored about one patient does not become another's."""

from collections.abc import Mapping
from typing import Final

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.merge import unrefer
from fhirserver.model.json import Resource
from mappings.core.result import Held, Issue

_APART: Final = frozenset({"Binary", "Communication", "DocumentReference", "List", "Patient", "Provenance"})
"""For these there are checks of their own, or none are needed."""
_MISMATCH: Final = "XDSPatientIdDoesNotMatch"
_SHARED: Final = frozenset({"DocumentReference", "List"})
"""The objects of a document registry."""


def check_subjects(entries: list[Entry], moved: set[str], issues: list[Issue]) -> None:
    """Leave out references to what is another patient's, such as a visit that is only mentioned.

    Args:
        entries: with references that lead to what is stored.
        moved: urls of what the input takes from one patient to another.

    Raises:
        Held: the input states something of a patient that is stored of another.
    """
    foreign = []
    for entry in entries:
        if entry.type in _APART or not entry.is_stored or entry.dropped or entry.url in moved:
            continue
        here, came = _subject(entry.stored), _subject(entry.resource)
        if not (here and came) or here == came:
            continue
        if entry.asserts:
            text = f"The {entry.type} with this identifier is another patient's"
            raise Held(text, Issue("error", "conflict", text, entry.type))
        foreign.append(entry)
        text = f"The {entry.type} with this identifier is another patient's: not referred to"
        issues.append(Issue("warning", "conflict", text, entry.type))
    if foreign:
        references = frozenset(f"{entry.type}/{entry.id}" for entry in foreign)
        for entry in entries:
            if entry not in foreign:
                entry.resource = unrefer(entry.resource, references)


def check_documents(entries: list[Entry], targets: Mapping[str, str]) -> None:
    """Look whether what is stored under a uniqueId is of the patient who is said to have it.

    ``targets`` are what the fullUrls of entries are stored as.

    Raises:
        Held: a document, submission set or folder is another patient's.
    """
    for entry in entries:
        if entry.type not in _SHARED or not entry.is_stored:
            continue
        here, came = _subject(entry.stored), _subject(entry.resource)
        if here and came and here != targets.get(came, came):
            text = f"{_MISMATCH}: the {entry.type} with this uniqueId is another patient's"
            raise Held(text, Issue("error", "conflict", text, entry.type, _MISMATCH))


def _subject(resource: Resource) -> str:
    element = resource.get("subject") or resource.get("patient") or {}
    if isinstance(element, list):  # Account
        element = element[0]
    return str(element.get("reference", "")) if isinstance(element, dict) else ""
