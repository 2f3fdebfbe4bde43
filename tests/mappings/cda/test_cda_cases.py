"""Every document of tests/cases/cda gives the Bundle and the remarks beside it."""

import base64
import copy
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirserver.validation import Validator
from mappings import cda
from mappings.core.result import Element, Mapped
from mappings.core.source import Source

CASES = sorted((Path(__file__).parents[2] / "cases" / "cda").iterdir())


def mapped(name: str) -> Mapped:
    case = next(case for case in CASES if case.name == name)
    return cda.to_bundle((case / "document.xml").read_bytes(), Source(name="test"))


def without_bytes(bundle: Element) -> Element:
    """The Bundle as it stands in bundle.json: the bytes of its Binary resources are left out."""
    bundle = copy.deepcopy(bundle)
    for entry in bundle["entry"]:
        entry["resource"].pop("data", None)
    return bundle


def resources(bundle: Element, resource_type: str) -> list[Element]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path, validator: Validator) -> None:
    result = cda.to_bundle((case / "document.xml").read_bytes(), Source(name="test"))
    expected: Any = json.loads((case / "bundle.json").read_text(), parse_float=Decimal)
    assert without_bytes(result.bundle) == expected
    issues = [f"{i.severity} {i.code} | {i.text} | {i.location}" for i in result.issues]
    assert issues == (case / "issues.txt").read_text().splitlines()
    assert validator.validate(result.bundle) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attachments_describe_the_bytes_in_the_binaries(case: Path) -> None:
    raw = (case / "document.xml").read_bytes()
    bundle = cda.to_bundle(raw, Source()).bundle
    (reference,) = resources(bundle, "DocumentReference")
    binaries = {e["fullUrl"]: e["resource"] for e in bundle["entry"] if e["request"]["url"] == "Binary"}
    for content in reference["content"]:
        attachment = content["attachment"]
        binary = binaries.pop(attachment["url"])
        data = base64.b64decode(binary["data"])
        assert attachment["size"] == len(data)
        assert base64.b64decode(attachment["hash"]) == hashlib.sha1(data).digest()
        assert attachment["contentType"] == binary["contentType"]
    assert binaries == {}
    assert base64.b64decode(resources(bundle, "Binary")[0]["data"]) == raw


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_reference_leads_to_an_entry(case: Path) -> None:
    bundle = cda.to_bundle((case / "document.xml").read_bytes(), Source()).bundle
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(urls) == len(bundle["entry"])
    named = {url for url in references(bundle) if not url.startswith("#")}
    assert named <= urls
    mentioned = {e["fullUrl"] for e in bundle["entry"] if "ifNoneExist" in e["request"]}
    asserted = ("DocumentReference", "RelatedPerson")
    kept = {e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] in asserted}
    assert mentioned - kept <= named, "only what is referred to is mentioned"


def references(element: Any) -> list[str]:
    if isinstance(element, dict):
        own = [element["reference"]] if isinstance(element.get("reference"), str) else []
        return own + [url for value in element.values() for url in references(value)]
    if isinstance(element, list):
        return [url for value in element for url in references(value)]
    return []


def test_mapping_twice_gives_the_same_bundle() -> None:
    assert mapped("vaccination-note").bundle == mapped("vaccination-note").bundle


def test_level_1_embeds_a_file_that_apps_can_read() -> None:
    _, pdf = resources(mapped("level-1-pdf").bundle, "Binary")
    assert pdf["contentType"] == "application/pdf"
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF-")


def test_decimals_keep_their_digits() -> None:
    (immunization,) = resources(mapped("vaccination-note").bundle, "Immunization")
    assert str(immunization["doseQuantity"]["value"]) == "0.50"


def test_later_version_writes_to_the_same_entries() -> None:
    """Version 2 of the vaccination note puts its corrected lot where version 1 put the wrong one."""
    first, second = mapped("vaccination-note"), mapped("replacement")
    (before,) = [e for e in first.bundle["entry"] if e["request"]["url"].startswith("Immunization?")]
    (after,) = [e for e in second.bundle["entry"] if e["request"]["url"].startswith("Immunization?")]
    assert before["request"] == after["request"]
    assert after["resource"]["lotNumber"] != before["resource"]["lotNumber"]
    assert {"note", "performer", "reaction", "site"} <= second.cleared[after["fullUrl"]]


def test_entries_under_one_id_are_told_apart() -> None:
    bundle = mapped("vaccination-history").bundle
    criteria = [e["request"]["url"] for e in bundle["entry"] if e["request"]["method"] == "PUT"]
    assert len(criteria) == len(set(criteria)) == 4


def test_copied_set_id_does_not_reach_another_patient() -> None:
    case = next(case for case in CASES if case.name == "vaccination-note")
    raw = (case / "document.xml").read_bytes()
    other = raw.replace(b'extension="285077505601284"', b'extension="223037505603429"')
    puts = [
        {
            e["request"]["url"]
            for e in cda.to_bundle(r, Source()).bundle["entry"]
            if e["request"]["method"] == "PUT"
        }
        for r in (raw, other)
    ]
    assert puts[0].isdisjoint(puts[1])


def test_key_of_the_patient() -> None:
    assert mapped("vaccination-note").patient == "urn:oid:1.2.250.1.213.1.4.10|285077505601284"
    assert mapped("newborn").patient == "urn:oid:1.2.250.1.999.35.1|IPP-0099"


def test_unmapped_entries_are_named() -> None:
    assert mapped("device-author").unread == ["supply 1.2.250.1.213.1.1.3.208 (2)"]
    assert mapped("vaccination-note").unread == []


@pytest.mark.parametrize("name", ["vaccination-note", "allergies", "vaccination-history"])
def test_clinical_entries_are_those_of_the_whole_bundle(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    bundle = mapped(name).bundle
    patient, document = (
        next(e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind)
        for kind in ("Patient", "DocumentReference")
    )
    entries, issues = cda.clinical_entries(
        cda.read((case / "document.xml").read_bytes()),
        patient=patient,
        document_reference=document,
        source=Source(name="test"),
    )
    puts = [entry for entry in entries if entry["request"]["method"] == "PUT"]
    assert puts == [entry for entry in bundle["entry"] if entry["request"]["method"] == "PUT"]
    (provenance,) = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Provenance"]
    assert [t["reference"] for t in provenance["target"]] == [entry["fullUrl"] for entry in puts]
    assert provenance["entity"][0]["what"] == {"reference": document}
    assert set(cda.cleared(entries)) == {entry["fullUrl"] for entry in puts}
    assert {issue.text for issue in issues} <= {issue.text for issue in mapped(name).issues}


def test_document_without_clinical_content_has_no_clinical_entries() -> None:
    case = next(case for case in CASES if case.name == "level-1-pdf")
    document = cda.read((case / "document.xml").read_bytes())
    entries, issues = cda.clinical_entries(
        document, patient="urn:uuid:1", document_reference="urn:uuid:2", source=Source()
    )
    assert (entries, issues) == ([], [])
