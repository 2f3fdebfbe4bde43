"""What becomes of two Patients, and of what refers to them, when one replaces the other: pure.

https://hl7.org/fhir/R4/patient.html#merge
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fhirserver.interactions import links
from fhirserver.model import reference
from fhirserver.model.json import Resource

REPLACED_BY, REPLACES = "replaced-by", "replaces"
IDENTITY = (REPLACED_BY, REPLACES)
"""The types of links that say which record was merged into which."""
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_REFERENCE = frozenset(("reference",))


def linked(patient: Resource, type: str, base_url: str) -> list[str]:
    """What the links of a type lead to, as relative references; "" where a link has no address."""
    return [_address(link, base_url) for link in patient.get("link", ()) if link["type"] == type]


def retired(source: Resource, target: str, base_url: str) -> Resource:
    """The Patient that is replaced: not active, its identifiers old, linked to the one that replaces it."""
    made = {**source, "active": False, "link": _linked(source, target, REPLACED_BY, base_url)}
    if "identifier" in source:
        made["identifier"] = [_old(identifier) for identifier in source["identifier"]]
    return made


def surviving(target: Resource, source: Resource, base_url: str) -> Resource:
    """The Patient that replaces ``source``: linked to it, and found by its identifiers, which are old."""
    made = {**target, "link": _linked(target, f"Patient/{source['id']}", REPLACES, base_url)}
    known = {identity(identifier) for identifier in target.get("identifier", ())}
    new = {identity(i): _old(i) for i in source.get("identifier", ()) if i.get("value")}
    if added := [identifier for key, identifier in new.items() if key not in known]:
        made["identifier"] = [*target.get("identifier", ()), *added]
    return made


def with_merges(result: Resource, target: Resource, base_url: str) -> Resource:
    """A Patient as a client wants it, with the links of its earlier merges that the client left out."""
    stated = linked(result, REPLACES, base_url)
    missing = [
        link
        for link in target.get("link", ())
        if link["type"] == REPLACES and _address(link, base_url) not in stated
    ]
    return {**result, "link": [*result.get("link", ()), *missing]} if missing else result


def moved(resource: Resource, source: str, target: str, base_url: str) -> Resource:
    """The resource with its references to ``source`` leading to ``target``.

    A reference to a version stays: it is about what was known then. So do the links of other merges.
    """

    def point(url: str) -> str | None:
        parsed = reference.parse(url, base_url)
        return target if parsed.address == source and not parsed.version else None

    made = links.rewrite(resource, point, _REFERENCE)
    if resource["resourceType"] != "Patient" or "link" not in resource:
        return made
    pairs = zip(resource["link"], made["link"], strict=True)
    kept: list[Any] = []
    for link in (old if old["type"] in IDENTITY else new for old, new in pairs):
        if link not in kept:
            kept.append(link)
    return {**made, "link": kept}


def record(written: Iterable[str], before: Sequence[str], recorded: str) -> Resource:
    """The Provenance of a merge: the versions that it made, and those of the two Patients ``before`` it."""
    coding = {"system": PARTICIPANT, "code": "assembler"}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": name} for name in written],
        "recorded": recorded,
        "activity": {"coding": [{"system": LIFECYCLE, "code": "merge"}]},
        "agent": [{"type": {"coding": [coding]}, "who": {"type": "Device", "display": "fhirserver"}}],
        "entity": [{"role": "source", "what": {"reference": name}} for name in before],
    }


def identity(identifier: Resource) -> tuple[str, str]:
    """What makes two identifiers the same."""
    return identifier.get("system", ""), identifier.get("value", "")


def _old(identifier: Resource) -> Resource:
    return {**identifier, "use": "old"}


def _address(link: Resource, base_url: str) -> str:
    return reference.parse(link["other"].get("reference", ""), base_url).address


def _linked(patient: Resource, other: str, type: str, base_url: str) -> list[Resource]:
    """The links with the one of this type to ``other``, which says more than any other link to it."""
    there: list[Resource] = patient.get("link", [])
    if other in linked(patient, type, base_url):
        return there
    kept = [link for link in there if _address(link, base_url) != other]
    return [*kept, {"other": {"reference": other}, "type": type}]
