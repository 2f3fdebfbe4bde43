import re
from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

OWN = "https://dossier.example/fhir"
UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.mark.parametrize("written", ["Patient/23", f"{OWN}/Patient/23", "Patient/23/_history/4"])
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("subject=23", True),
        ("subject=Patient/23", True),
        (f"subject={OWN}/Patient/23", True),
        ("subject:Patient=23", True),
        ("subject:Patient=Patient/23", True),
        (f"subject:Patient={OWN}/Patient/23", True),
        ("subject:Patient=Group/23", False),
        ("subject:Group=23", False),
        ("patient=23", True),
        ("patient=Patient/23", True),
        ("subject=Group/23", False),
        ("subject=2", False),
        ("subject=233", False),
        ("subject=patient/23", False),
        ("subject=https://autre.example/fhir/Patient/23", False),
        ("subject=1,23", True),
        ("subject=Patient/1,Patient/23", True),
        ("subject=23&patient=1", False),
        ("subject:missing=false", True),
        ("subject:missing=true", False),
    ],
)
def test_a_resource_of_this_server(finds: Finds, written: str, asked: str, found: bool) -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": written}}
    assert finds(resource, asked) is found


@pytest.mark.parametrize(
    ("reference", "asked", "found"),
    [
        # With a version only references to that version are found, without one all are.
        ({"reference": "Patient/23/_history/4"}, "subject=Patient/23/_history/4", True),
        ({"reference": f"{OWN}/Patient/23/_history/4"}, "subject=Patient/23/_history/4", True),
        ({"reference": "Patient/23/_history/4"}, "subject=Patient/23/_history/5", False),
        ({"reference": "Patient/23"}, "subject=Patient/23/_history/4", False),
        # Of another server, by the whole address.
        ({"reference": "https://a.example/r4/Patient/23"}, "subject=https://a.example/r4/Patient/23", True),
        ({"reference": "https://a.example/r4/Patient/23"}, "subject=23", False),
        ({"reference": "https://a.example/r4/Patient/23"}, "subject=Patient/23", False),
        ({"reference": "https://a.example/r4/Patient/23"}, "patient:missing=false", True),
        ({"reference": UUID}, f"subject={UUID}", True),
        ({"reference": UUID}, "patient:missing=false", False),
        ({"reference": UUID, "type": "Patient"}, f"patient={UUID}", True),
        # Without an address.
        ({"display": "Éva"}, "subject:missing=false", True),
        ({"display": "Éva", "type": "Patient"}, "patient:missing=false", True),
        ({"display": "Éva", "type": "Group"}, "patient:missing=false", False),
        ({"reference": "#p1"}, "subject:missing=false", True),
        ({"reference": "#p1"}, "subject=p1", False),
        # By identifier.
        ({"identifier": {"system": "urn:ins", "value": "2790"}}, "subject:identifier=urn:ins|2790", True),
        ({"identifier": {"system": "urn:ins", "value": "2790"}}, "subject:identifier=2790", True),
        ({"identifier": {"system": "urn:ins", "value": "2790"}}, "subject:identifier=urn:ins|", True),
        ({"identifier": {"system": "urn:ins", "value": "2790"}}, "subject:identifier=|2790", False),
        ({"identifier": {"system": "urn:ins", "value": "2790"}}, "subject=2790", False),
        ({"identifier": {"value": "2790"}}, "subject:identifier=|2790", True),
    ],
)
def test_reference(finds: Finds, reference: dict[str, Any], asked: str, found: bool) -> None:
    assert finds({"resourceType": "Observation", "subject": reference}, asked) is found


PLAN = {
    "resourceType": "Communication",
    "instantiatesCanonical": [
        "http://a.example/PlanDefinition/p|1.2",
        "http://a.example/PlanDefinition/q",
        f"{OWN}/PlanDefinition/r",
    ],
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("instantiates-canonical=http://a.example/PlanDefinition/p", True),
        ("instantiates-canonical=http://a.example/PlanDefinition/p|1.2", True),
        ("instantiates-canonical=http://a.example/PlanDefinition/p|1", False),
        ("instantiates-canonical:below=http://a.example/PlanDefinition/p|1", True),
        ("instantiates-canonical:below=http://a.example/PlanDefinition/p|2", False),
        ("instantiates-canonical:below=http://a.example/", True),
        ("instantiates-canonical=http://a.example/PlanDefinition/q", True),
        ("instantiates-canonical=http://a.example/PlanDefinition/q|1", False),
        ("instantiates-canonical=http://a.example/PlanDefinition", False),
        (f"instantiates-canonical={OWN}/PlanDefinition/r", True),
        ("instantiates-canonical:missing=true", False),
    ],
)
def test_canonical(finds: Finds, asked: str, found: bool) -> None:
    assert finds(PLAN, asked) is found


BUNDLE = {
    "resourceType": "Bundle",
    "entry": [
        {"resource": {"resourceType": "Composition", "id": "c1"}},
        {"resource": {"resourceType": "Patient"}},
    ],
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [("composition=c1", True), ("composition=Composition/c1", True), ("composition=c2", False)],
)
def test_a_nested_resource_is_referred_to_by_its_id(finds: Finds, asked: str, found: bool) -> None:
    assert finds(BUNDLE, asked) is found


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("subject=Patient/1|2", "not a canonical"),
        ("subject=#p1", "inside another resource"),
        (
            "subject:Practitioner=1",
            "cannot refer to Practitioner; it can to Device, Group, Location, Patient",
        ),
        ("subject:below=Patient/1", "of those subject refers to: Location"),
        ("subject:above=https://x.example/Location/1", "resources of this server"),
        ("subject:patient=1", "known are :identifier, :above, :below, :missing, :[type]"),
        ("subject:identifier=a|b|c", "more than one |"),
    ],
)
def test_refused(finds: Finds, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        finds({"resourceType": "Observation"}, asked)


def test_canonicals_have_no_identifier(finds: Finds) -> None:
    with pytest.raises(BadRequest, match="has no identifier"):
        finds(PLAN, "instantiates-canonical:identifier=1")
