"""Links in resources: what is one, and what it becomes."""

from typing import Any

import pytest

from fhirserver.interactions import links
from fhirserver.model.definitions import Definitions

URN = "urn:uuid:0d9f5f8e-2a0c-4b5d-9f0a-0c1f3a9b7c11"
BASE = "http://h.test/fhir"


def rewrite(resource: dict[str, Any], definitions: Definitions) -> dict[str, Any]:
    return links.rewrite(resource, {URN: "Patient/9"}.get, links.link_names(definitions))


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"subject": {"reference": URN}}, {"subject": {"reference": "Patient/9"}}),
        ({"subject": {"reference": f"{URN}#a"}}, {"subject": {"reference": "Patient/9#a"}}),
        ({"photo": [{"url": URN}]}, {"photo": [{"url": "Patient/9"}]}),
        ({"extension": [{"valueUri": URN}]}, {"extension": [{"valueUri": "Patient/9"}]}),
        ({"text": {"div": f"<a href='{URN}'>"}}, {"text": {"div": "<a href='Patient/9'>"}}),
        ({"text": {"div": f'<img src = "{URN}#f"/>'}}, {"text": {"div": '<img src = "Patient/9#f"/>'}}),
        (
            {"contained": [{"subject": {"reference": URN}}]},
            {"contained": [{"subject": {"reference": "Patient/9"}}]},
        ),
    ],
)
def test_links_are_rewritten(
    definitions: Definitions, element: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert rewrite({"resourceType": "Observation", **element}, definitions) == {
        "resourceType": "Observation",
        **expected,
    }


@pytest.mark.parametrize(
    "element",
    [
        {"identifier": [{"system": URN, "value": URN}]},
        {"valueString": URN},
        {"note": [{"text": URN}]},
        {"subject": {"display": URN}},
        {"subject": {"reference": f"{URN}0"}},
        {"subject": {"reference": "#p"}},
        {"instantiatesCanonical": [URN]},
        {"meta": {"profile": [URN]}},
        {"text": {"div": f"<p>{URN}</p>"}},
    ],
)
def test_other_strings_are_left(definitions: Definitions, element: dict[str, Any]) -> None:
    resource = {"resourceType": "Observation", **element}
    assert rewrite(resource, definitions) is resource, "not even copied"


def test_a_bundle_inside_is_a_world_of_its_own(definitions: Definitions) -> None:
    entry = {"fullUrl": URN, "resource": {"resourceType": "Basic", "subject": {"reference": URN}}}
    document = {"resourceType": "Bundle", "type": "document", "entry": [entry]}
    assert rewrite(document, definitions) is document
    assert list(links.references(document)) == []


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (f"{BASE}/Patient/1", "Patient/1"),
        (f"{BASE}/Patient/1/_history/2", "Patient/1/_history/2"),
        (f"{BASE}/Patient?identifier=urn:x|1", "Patient?identifier=urn:x|1"),
        (f"{BASE}2/Patient/1", f"{BASE}2/Patient/1"),
        ("http://other.test/fhir/Patient/1", "http://other.test/fhir/Patient/1"),
        (f"{BASE}/metadata", f"{BASE}/metadata"),
        (URN, URN),
        ("Patient/1", "Patient/1"),
    ],
)
def test_absolute_references_to_this_server_become_relative(literal: str, expected: str) -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": literal},
        "instantiatesCanonical": literal,
    }
    made = links.relative(resource, frozenset((BASE,)))
    assert made["subject"]["reference"] == expected
    assert made["instantiatesCanonical"] == literal, "a canonical is a name, not an address"


def test_references_are_found_with_their_places() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "performer": [{"display": "x"}, {"reference": "Practitioner?identifier=1"}],
        "contained": [{"resourceType": "Basic", "subject": {"reference": "#"}}],
    }
    assert list(links.references(resource)) == [
        ("Patient/1", "Observation.subject.reference"),
        ("Practitioner?identifier=1", "Observation.performer[1].reference"),
        ("#", "Observation.contained[0].subject.reference"),
    ]
    assert links.conditional(resource) == {"Practitioner?identifier=1": "Observation.performer[1].reference"}
