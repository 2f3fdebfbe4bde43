"""A structured document alone -> its metadata: IHE MHD 4.2, ITI-106 (Generate Metadata).

Of CDA the header says it (``mappings.cda``), of a FHIR document its Composition.
https://hl7.org/fhir/R4/documents.html
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mappings import cda
from mappings.cda.formats import class_of
from mappings.core.bundle import full_url, mention, post, prune, transaction
from mappings.core.identity import is_ins
from mappings.core.result import Element, Held, Issue, Mapped, Unreadable
from mappings.core.source import Source
from mappings.mhd.lists import submission_set_of
from mappings.mhd.submission import sha1

FORMAT: Final = {
    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
}
_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_AUTHORS: Final = ("Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be stored of a document, and the fullUrl of its DocumentReference."""

    mapped: Mapped
    url: str


@dataclass(frozen=True, slots=True)
class Made:
    """Who makes the submission set (an OID), and when (an instant)."""

    source: str
    time: str


def describe_cda(raw: bytes, source: Source, made: Made) -> Described:
    """Map a CDA document, and make a submission set for it.

    Raises:
        Unreadable: it is no CDA document.
        Held: nothing says which patient it is about.
    """
    mapped = cda.to_bundle(raw, source)
    entry = next(e for e in mapped.bundle["entry"] if e["resource"]["resourceType"] == "DocumentReference")
    entries = [*mapped.bundle["entry"], _submission_set(entry, made)]
    return Described(replace(mapped, bundle=transaction(entries)), entry["fullUrl"])


def describe_bundle(bundle: Element, raw: bytes, media_type: str, source: Source, made: Made) -> Described:
    """Map a FHIR document; ``raw`` is how it is kept.

    Raises:
        Unreadable: it is no Bundle of type document with an identifier and a Composition.
        Held: nothing says which patient it is about.
    """
    inside = _by_url(bundle)
    entries: list[Element] = bundle.get("entry", [])
    composition: Element = entries[0].get("resource", {}) if entries else {}
    master = bundle.get("identifier", {})
    if bundle.get("type") != "document" or composition.get("resourceType") != "Composition":
        raise Unreadable("The Bundle is no document that begins with a Composition")
    if not master.get("value"):
        raise Unreadable("The document has no identifier (Bundle.identifier)")
    patient = inside.get(str(composition.get("subject", {}).get("reference", "")), {})
    identifier = _patient_identifier(patient)
    url = full_url("DocumentReference", master.get("system", ""), master["value"])
    patient_url = full_url("Patient", identifier.get("system", ""), identifier["value"])
    binary_url = full_url("Binary", master.get("system", ""), master["value"])
    contained = _Contained(inside)
    document: Element = prune(
        {
            "resourceType": "DocumentReference",
            "masterIdentifier": {k: master[k] for k in ("system", "value") if k in master},
            "identifier": [composition["identifier"]] if "identifier" in composition else None,
            "status": "current",
            "type": composition.get("type"),
            "category": composition.get("category", [])[:1] or [class_of(composition.get("type"))],
            "subject": {"reference": patient_url},
            "date": bundle.get("timestamp"),
            "author": [contained.reference(each) for each in composition.get("author", ())],
            "authenticator": _authenticator(composition, contained),
            "custodian": contained.reference(composition.get("custodian")),
            "relatesTo": list(_relations(composition)),
            "securityLabel": [_label(composition)],
            "content": [
                {
                    "attachment": {
                        "contentType": media_type,
                        "language": composition.get("language") or bundle.get("language"),
                        "url": binary_url,
                        "size": len(raw),
                        "hash": sha1(raw),
                        "title": composition.get("title"),
                        "creation": composition.get("date"),
                    },
                    "format": FORMAT,
                }
            ],
            "context": {
                "event": [code for event in composition.get("event", ()) for code in event.get("code", ())],
                "period": next((e["period"] for e in composition.get("event", ()) if "period" in e), None),
                "sourcePatientInfo": contained.reference(composition.get("subject"), "source-patient"),
            },
        }
    )
    if contained.resources:
        document["contained"] = list(contained.resources.values())
    return Described(_stored(document, patient, identifier, raw, source, made), url)


def _stored(
    document: Element, patient: Element, identifier: Element, raw: bytes, source: Source, made: Made
) -> Mapped:

    url = full_url("DocumentReference", *_parts(document["masterIdentifier"]))
    attachment = document["content"][0]["attachment"]
    binary = {
        "resourceType": "Binary",
        "contentType": attachment["contentType"],
        "securityContext": {"reference": url},
        "data": base64.b64encode(raw).decode("ascii"),
    }
    entry = mention(url, document, document["masterIdentifier"])
    submission_set = _submission_set(entry, made)
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": url}],
        "recorded": made.time,
        "agent": [{"who": {"display": source.name}}],
        "entity": [
            {"role": "source", "what": {"reference": url}},
            {"role": "derivation", "what": {"reference": submission_set["fullUrl"]}},
        ],
    }
    known = {k: v for k, v in patient.items() if k not in ("id", "meta", "text", "contained")}
    entries = [
        mention(document["subject"]["reference"], known, identifier),
        post(attachment["url"], binary),
        entry,
        submission_set,
        post(full_url("Provenance", submission_set["fullUrl"], url), provenance),
    ]
    return Mapped(transaction(entries), patient="|".join(_parts(identifier)))


def _submission_set(entry: Element, made: Made) -> Element:
    resource = submission_set_of(entry["resource"], entry["fullUrl"], source=made.source, time=made.time)
    identifier = resource["identifier"][0]
    return mention(full_url("List", identifier["value"]), resource, identifier)


def _patient_identifier(patient: Element) -> Element:
    identifiers = [i for i in patient.get("identifier", ()) if i.get("value")]
    found: Element | None = next((i for i in identifiers if is_ins(i)), next(iter(identifiers), None))
    if patient.get("resourceType") != "Patient" or found is None:
        text = "XDSUnknownPatientId: nothing in the document identifies its patient"
        raise Held(text, Issue("error", "business-rule", text, "Bundle.entry[0].resource.subject"))
    return found


def _by_url(bundle: Element) -> dict[str, Element]:
    """The resources by what may refer to them: fullUrl and Type/id."""
    found: dict[str, Element] = {}
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource", {})
        for url in (entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}"):
            found.setdefault(str(url), resource)
    return found


class _Contained:
    """Copies of people and organizations of the document, to be contained in its DocumentReference."""

    def __init__(self, inside: Mapping[str, Element]) -> None:
        self._inside = inside
        self.resources: dict[str, Element] = {}

    def reference(self, given: Any, id: str = "") -> Element | None:
        """A reference to the copy; to what is not in the document, what was given unless it is a mere urn."""
        if not isinstance(given, dict):
            return None
        url = str(given.get("reference", ""))
        found = self._inside.get(url)
        if found is None or found.get("resourceType") not in _AUTHORS:
            outside = {
                k: v for k, v in given.items() if k != "reference" or not url.startswith(("urn:", "#"))
            }
            return outside or None
        if url not in self.resources:
            name = id or f"{found['resourceType'].lower()}-{len(self.resources) + 1}"
            copy = {k: v for k, v in found.items() if k not in ("id", "meta", "text", "contained")}
            self.resources[url] = {"resourceType": found["resourceType"], "id": name, **copy}
            for element, value in copy.items():
                if isinstance(value, dict) and str(value.get("reference", "")) in self._inside:
                    self.resources[url][element] = self.reference(value)
        return {"reference": f"#{self.resources[url]['id']}"}


def _authenticator(composition: Element, contained: _Contained) -> Element | None:
    legal = [a for a in composition.get("attester", ()) if a.get("mode") == "legal"]
    party = legal[0].get("party") if legal else None
    if "Patient" in str((party or {}).get("reference", "")):
        return None  # DocumentReference.authenticator is a professional or an organization
    return contained.reference(party)


def _relations(composition: Element) -> Iterator[Element]:
    for relation in composition.get("relatesTo", ()):
        if identifier := relation.get("targetIdentifier"):
            yield {
                "code": relation["code"],
                "target": {"type": "DocumentReference", "identifier": identifier},
            }
        elif reference := relation.get("targetReference"):
            yield {"code": relation["code"], "target": reference}


def _label(composition: Element) -> Element | None:
    code = composition.get("confidentiality")
    return {"coding": [{"system": _CONFIDENTIALITY, "code": code}]} if code else None


def _parts(identifier: Element) -> tuple[str, str]:
    return str(identifier.get("system", "")), str(identifier["value"])
