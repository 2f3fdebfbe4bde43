"""What is an error with $validate alone: the specification forbids it, but records are not refused for it."""

from typing import Any

import pytest

from fhirserver.model import json
from fhirserver.validation import Validator

BASE = "https://example.org/fhir/"
MARRIED = "http://hl7.org/fhir/ValueSet/marital-status"


def patient(**content: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **content}


def entry(url: str | None, resource: dict[str, Any], **content: Any) -> dict[str, Any]:
    return {**({"fullUrl": url} if url else {}), "resource": resource, **content}


def bundle(type: str, *entries: dict[str, Any], **content: Any) -> dict[str, Any]:
    listed = {"entry": list(entries)} if entries else {}
    return {"resourceType": "Bundle", "type": type, **listed, **content}


def found(resource: dict[str, Any], search: str, mode: str = "match") -> dict[str, Any]:
    name = f"{BASE}{resource['resourceType']}/{resource.get('id', '')}".rstrip("/")
    link = [{"relation": "self", "url": BASE + search}]
    return bundle("searchset", entry(name, resource, search={"mode": mode}), link=link)


def document(url: str, subject: str, *versions: str) -> dict[str, Any]:
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "letter"},
        "subject": {"reference": subject},
        "date": "2024-01-01",
        "author": [{"display": "Dr A"}],
        "title": "Letter",
    }
    people = [
        entry(url.replace("Composition/c", "Patient/p"), patient(id="p", meta={"versionId": version}))
        for version in versions
    ]
    identified = {"identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2024-01-01T10:00:00Z"}
    return bundle("document", entry(url, composition), *people, **identified)


LATER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Patient.gender"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UUID = "0f9a7c4e-7c0c-4c8e-9d0f-6f1b1f5b0001"


def narrative(inner: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}


CASES: list[tuple[dict[str, Any], str, str]] = [
    (patient(extension=[{"url": "local", "valueString": "a"}]),
     "extension-relative", "Patient.extension[0].url"),
    # systems
    (patient(identifier=[{"system": "local", "value": "1"}]),
     "system-relative", "Patient.identifier[0].system"),
    (patient(maritalStatus={"coding": [{"system": "#local", "code": "1"}]}),
     "system-relative", "Patient.maritalStatus.coding[0].system"),
    (patient(maritalStatus={"coding": [{"system": MARRIED, "code": "M"}]}),
     "system-value-set", "Patient.maritalStatus.coding[0].system"),
    (patient(identifier=[{"system": "urn:ietf:rfc:3986", "value": "1.2.3"}]),
     "identifier-uri", "Patient.identifier[0].value"),
    ({"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": "#codes"}]}},
     "system-relative", "ValueSet.compose.include[0].system"),
    ({"resourceType": "CodeSystem", "status": "draft", "content": "complete", "supplements": "urn:x"},
     "supplement-content", "CodeSystem.content"),
    # periods, codes, references
    (patient(identifier=[{"value": "1", "period": {"start": "2024-01-01", "end": "2024-01-01T10:00:00Z"}}]),
     "period-precision", "Patient.identifier[0].period"),
    (patient(_gender={"extension": [{"url": ABSENT, "valueCode": "unknown"}]}),
     "code-missing", "Patient.gender"),
    (bundle("collection", entry("urn:uuid:" + UUID, {"resourceType": "Organization", "name": "CH"}),
            entry("urn:uuid:1", patient(generalPractitioner=[{"reference": "Practitioner/" + UUID}]))),
     "reference-type", "Bundle.entry[1].resource.generalPractitioner[0].reference"),
    ({"resourceType": "Procedure", "status": "completed", "subject": {"display": "A"},
      "instantiatesCanonical": ["urn:x", "#a", "PlanDefinition/1"]},
     "canonical-relative", "Procedure.instantiatesCanonical[2]"),
    # narratives
    (patient(text=narrative('<a href="urn:uuid:1">a</a>')), "link-scheme", "Patient.text.div"),
    (patient(text=narrative('<a href="#there">a</a>')), "link-dead", "Patient.text.div"),
    # fullUrl
    (bundle("collection", entry(None, patient(id="1"))), "full-url-missing", "Bundle.entry[0].fullUrl"),
    (bundle("collection", entry("Patient/1", patient(id="1"))),
     "full-url-relative", "Bundle.entry[0].fullUrl"),
    (bundle("collection", entry(BASE + "Patient/2", patient())), "full-url", "Bundle.entry[0].fullUrl"),
    # links, search results
    (bundle("collection", link=[{"relation": "self", "url": BASE}, {"relation": "self", "url": BASE}]),
     "link-duplicate", "Bundle.link[1].relation"),
    (found(patient(), "Patient?name=x"), "found-without-id", "Bundle.entry[0].resource.id"),
    (found(patient(id="1"), "Encounter?date=2024"), "not-searched", "Bundle.entry[0].resource"),
    (found(patient(id="1"), "?_type=Encounter,Condition"), "not-searched", "Bundle.entry[0].resource"),
    (found(patient(id="1"), "Patient?name=x", "outcome"), "not-an-outcome", "Bundle.entry[0].resource"),
    # documents
    (document("urn:uuid:0f9a7c4e-7c0c-4c8e-9d0f-6f1b1f5b0001", "Patient/p", "1"),
     "relative-in-document", "Bundle.entry[0].resource.subject.reference"),
    (document(BASE + "Composition/c", "Patient/p/_history/3", "1"),
     "not-in-document", "Bundle.entry[0].resource.subject.reference"),
    (document(BASE + "Composition/c", "Patient/p", "1", "2"),
     "twice-in-document", "Bundle.entry[0].resource.subject.reference"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "rule", "expression"), CASES)
def test_an_error_where_advice_is_wanted(
    validator: Validator, resource: dict[str, Any], rule: str, expression: str
) -> None:
    assert not [i for i in validator.validate(resource) if i.severity == "error"]
    errors = [i for i in validator.validate(resource, advice=True) if i.severity == "error"]
    assert [(i.rule, i.expression) for i in errors] == [(rule, expression)]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert json.parse_resource(b"\xef\xbb\xbf" + b'{"resourceType": "Patient"}') == patient()


@pytest.mark.parametrize(
    "resource",
    [
        bundle("transaction", entry(None, patient(), request={"method": "POST", "url": "Patient"})),
        bundle("collection", entry("urn:uuid:1", patient()), entry(BASE + "Patient/1", patient(id="1"))),
        bundle("collection", entry("https://example.org/Terms/1", patient(id="1"))),
        patient(identifier=[{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}]),
        patient(identifier=[{"value": "1", "period": {"start": "2024", "end": "2025-01-01"}}]),
        patient(text=narrative('<a href="#x">a</a><a href="https://example.org/">b</a><p id="x">c</p>')),
        patient(_gender={"extension": [{"url": LATER, "valueCode": "other"}]}),
        found(patient(id="1"), "Patient?name=x"),
        found(patient(id="1"), "Encounter/1/$everything"),
        found(patient(id="1"), "Encounter?_include=*", "include"),
        document(BASE + "Composition/c", "Patient/p", "1"),
        document(BASE + "Composition/c", "Patient/p/_history/2", "1", "2"),
    ],
)
def test_right(validator: Validator, resource: dict[str, Any]) -> None:
    assert not [i for i in validator.validate(resource, advice=True) if i.severity == "error"]
