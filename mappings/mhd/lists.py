"""A submission set for what comes without one: simplified publish, generated metadata.

IHE MHD 4.2, ITI-105: the recipient derives it from the DocumentReference.
"""

from typing import Final

from mappings.core.bundle import full_url, prune
from mappings.core.result import Element
from mappings.mhd.submission import LIST_TYPES

URI: Final = "urn:ietf:rfc:3986"
EXTENSION: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"


def submission_set_of(document: Element, url: str, *, source: str, time: str) -> Element:
    """The List of one document, whose entry has the fullUrl ``url``.

    ``source`` is the OID of who makes it, ``time`` an instant. The same document always gets the same
    uniqueId. People who are contained in the document are contained in the List, too.
    """
    master = document.get("masterIdentifier", {})
    unique_id = (
        full_url("SubmissionSet", master.get("system", ""), master["value"]) if "value" in master else ""
    )
    author = next(iter(document.get("author", ())), None)
    kind = next(iter(document.get("category", ())), None) or document.get("type")
    contained = _contained(document, author)
    content: Element = next(iter(document.get("content", ())), {})
    made: Element = prune(
        {
            "resourceType": "List",
            "contained": contained,
            "extension": [
                {"url": EXTENSION + "ihe-designationType", "valueCodeableConcept": kind} if kind else None,
                {
                    "url": EXTENSION + "ihe-sourceId",
                    "valueIdentifier": {"system": URI, "value": f"urn:oid:{source}"},
                },
            ],
            "identifier": [{"use": "usual", "system": URI, "value": unique_id}] if unique_id else None,
            "status": "current",
            "mode": "working",
            "title": content.get("attachment", {}).get("title"),
            "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
            "subject": document.get("subject"),
            "date": time,
            "source": author if _may_be_source(author, contained) else None,
            "entry": [{"item": {"reference": url}}],
        }
    )
    return made


def _contained(document: Element, author: Element | None) -> list[Element]:
    """The contained author, with what it refers to inside."""
    inside = {f"#{one.get('id')}": one for one in document.get("contained", ())}
    wanted, kept = [str((author or {}).get("reference", ""))], []
    while wanted:
        one = inside.pop(wanted.pop(), None)
        if one is not None:
            kept.append(one)
            wanted += [
                str(value["reference"])
                for value in one.values()
                if isinstance(value, dict) and isinstance(value.get("reference"), str)
            ]
    return kept


def _may_be_source(author: Element | None, contained: list[Element]) -> bool:
    """List.source is a person, role or device; an organization cannot be one."""
    if not author:
        return False
    if contained:
        return contained[0].get("resourceType") != "Organization"
    return "Organization" not in (str(author.get("reference", "")).partition("/")[0], author.get("type"))
