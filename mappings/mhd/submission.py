"""A Provide Document Bundle as it was sent: which entries are the submission, and whether it is whole.

IHE MHD 4.2, ITI-65: one List that is the submission set, DocumentReferences, their Binaries, folders.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from mappings.core.result import Element, Issue, Unreadable

LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
EMPTY_SHA1: Final = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
"""Of a document that is assembled later (size 0): ITI TF-1 10.2.10."""


@dataclass(frozen=True, slots=True)
class Part:
    """One entry: where it stands in the Bundle, its fullUrl (one made of the place where it has none)."""

    position: int
    url: str
    resource: Element

    @property
    def place(self) -> str:
        return f"Bundle.entry[{self.position}].resource"


@dataclass(slots=True)
class Submission:
    """The entries that are created (POST) and that a submission is made of, each once by its own identifiers,
    whatever its condition; ``others`` are the positions of all others: updates, patches, people, reads."""

    sets: list[Part] = field(default_factory=list)
    folders: list[Part] = field(default_factory=list)
    documents: list[Part] = field(default_factory=list)
    binaries: dict[str, Part] = field(default_factory=dict)
    patients: dict[str, Part] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)

    @property
    def lists(self) -> list[Part]:
        return [*self.sets, *self.folders]

    @property
    def parts(self) -> list[Part]:
        return [*self.lists, *self.documents, *self.binaries.values(), *self.patients.values()]

    def subjects(self) -> Iterator[tuple[Element, str]]:
        """Who each list and document is about (Reference), and where that stands."""
        for part in (*self.lists, *self.documents):
            subject = part.resource.get("subject")
            if isinstance(subject, dict):
                yield subject, f"{part.place}.subject"


def read(bundle: Element) -> Submission:
    """Sort the entries.

    Raises:
        Unreadable: several submission sets; two entries of one fullUrl; a file that is missing or is not what
            size and hash say; a related document that is not there.
    """
    submission = Submission()
    urls: set[str] = set()
    for position, entry in enumerate(bundle.get("entry", ())):
        request, resource = entry.get("request", {}), entry.get("resource")
        url = entry.get("fullUrl") or f"urn:fhirserver:entry:{position}"
        if url in urls:
            text, place = "Another entry has this fullUrl", f"Bundle.entry[{position}].fullUrl"
            raise Unreadable(text, Issue("error", "duplicate", text, place))
        urls.add(url)
        if request.get("method") != "POST" or not isinstance(resource, dict):
            submission.others.append(position)
            continue
        part = Part(position, url, resource)
        match resource.get("resourceType"), list_type(resource):
            case "List", "submissionset":
                submission.sets.append(part)
            case "List", "folder":
                submission.folders.append(part)
            case "DocumentReference", _ if not request.get("ifNoneExist") or resource.get("masterIdentifier"):
                submission.documents.append(part)
            case "Binary", _ if not request.get("ifNoneExist"):
                submission.binaries[url] = part
            case "Patient", _ if resource.get("identifier"):
                submission.patients[url] = part
            case _:
                submission.others.append(position)
    _check(submission, urls)
    return submission


def list_type(resource: Element) -> str:
    """What a List is in MHD: submissionset, folder, or "" for another one."""
    match resource.get("code"):
        case {"coding": [*codings]}:
            named = (c for c in codings if isinstance(c, dict) and c.get("system") == LIST_TYPES)
            return next((str(c.get("code")) for c in named), "")
        case _:
            return ""


def _check(submission: Submission, urls: set[str]) -> None:
    several = "XDSRegistryMetadataError: there are several submission sets"
    issues = [_issue(several, part.place) for part in submission.sets[1:]]
    for part in submission.documents:
        for index, content in enumerate(part.resource.get("content", ())):
            attachment = content.get("attachment", {})
            place = f"{part.place}.content[{index}].attachment"
            issues += _attachment(attachment, place, submission, urls)
        for index, relation in enumerate(part.resource.get("relatesTo", ())):
            target = str(relation.get("target", {}).get("reference", ""))
            if target == part.url or (target.startswith("urn:uuid:") and target not in urls):
                text = "The related document is not another one of the Bundle"
                issues.append(_issue(text, f"{part.place}.relatesTo[{index}].target"))
    if issues:
        raise Unreadable("The submission is not whole", *issues)


def _attachment(attachment: Element, place: str, submission: Submission, urls: set[str]) -> list[Issue]:
    url = str(attachment.get("url", ""))
    if url in submission.binaries:
        data = content_of(submission.binaries[url].resource)
    elif url.startswith("urn:uuid:") and url not in urls:
        return [_issue("XDSMissingDocument: the document is not in the Bundle", f"{place}.url")]
    elif isinstance(attachment.get("data"), str):
        data = decoded(attachment["data"])
    else:
        return []
    if data is None or attachment.get("hash") == EMPTY_SHA1:
        return []  # what is no base64 is refused for that
    found = []
    if "size" in attachment and int(attachment["size"]) != len(data):
        text = f"XDSRepositoryMetadataError: the document has {len(data)} bytes, not {attachment['size']}"
        found.append(_issue(text, f"{place}.size"))
    if "hash" in attachment and attachment["hash"] != sha1(data):
        text = "XDSRepositoryMetadataError: the hash is not the document's SHA-1 in base64"
        found.append(_issue(text, f"{place}.hash"))
    return found


def content_of(binary: Element) -> bytes | None:
    """The bytes of a Binary; None where its data is no base64."""
    return decoded(binary.get("data", ""))


def decoded(data: Any) -> bytes | None:
    try:
        return base64.b64decode(data)
    except (binascii.Error, TypeError, ValueError):
        return None


def sha1(data: bytes) -> str:
    """As Attachment.hash has it: https://hl7.org/fhir/R4/datatypes.html#Attachment"""
    return base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")


def _issue(text: str, place: str) -> Issue:
    return Issue("error", "business-rule", text, place)
