"""What becomes of two Patients, and of what refers to them, when one replaces the other."""

from typing import Any

import pytest

from fhirserver.operations import merging

BASE = "http://here.test/fhir"
OTHER = "http://other.test/fhir"


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def link(other: str, type: str) -> dict[str, Any]:
    return {"other": to(other), "type": type}


def person(id: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, **elements}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Patient/1", "Patient/2"),
        (f"{BASE}/Patient/1", "Patient/2"),
        (f"{OTHER}/Patient/1", f"{OTHER}/Patient/1"),
        ("Patient/1/_history/3", "Patient/1/_history/3"),
        ("Patient/12", "Patient/12"),
        ("Group/1", "Group/1"),
        ("#1", "#1"),
    ],
)
def test_references_are_moved(before: str, after: str) -> None:
    def resource(reference: str) -> dict[str, Any]:
        contained = {"resourceType": "ServiceRequest", "id": "1", "subject": to(reference)}
        return {
            "resourceType": "Observation",
            "contained": [contained],
            "focus": [to("Patient/9"), to(reference)],
        }

    assert merging.moved(resource(before), "Patient/1", "Patient/2", BASE) == resource(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([link("Patient/1", "refer")], [link("Patient/2", "refer")]),
        ([link("Patient/1", "replaces")], [link("Patient/1", "replaces")]),
        ([link("Patient/1", "replaced-by")], [link("Patient/1", "replaced-by")]),
        ([link("Patient/1", "seealso"), link("Patient/2", "seealso")], [link("Patient/2", "seealso")]),
        (
            [link("Patient/2", "refer"), link("Patient/1", "seealso")],
            [link("Patient/2", "refer"), link("Patient/2", "seealso")],
        ),
    ],
)
def test_links_of_other_patients(before: list[Any], after: list[Any]) -> None:
    made = merging.moved(person("3", link=before), "Patient/1", "Patient/2", BASE)
    assert made["link"] == after


WITHOUT_ADDRESS = {"other": {"display": "x"}, "type": "seealso"}


@pytest.mark.parametrize(
    ("links", "after"),
    [
        ([], [link("Patient/2", "replaced-by")]),
        ([link("Patient/2", "refer")], [link("Patient/2", "replaced-by")]),
        ([WITHOUT_ADDRESS], [WITHOUT_ADDRESS, link("Patient/2", "replaced-by")]),
        ([link(f"{BASE}/Patient/2", "replaced-by"), link("Patient/3", "seealso")], None),
    ],
)
def test_the_source_is_retired_once(links: list[Any], after: list[Any] | None) -> None:
    source = person("1", link=links, identifier=[{"value": "a", "use": "usual"}])
    made = merging.retired(source, "Patient/2", BASE)
    assert made == person(
        "1", active=False, link=links if after is None else after, identifier=[{"value": "a", "use": "old"}]
    )
    assert merging.retired(made, "Patient/2", BASE) == made


@pytest.mark.parametrize(
    ("theirs", "own", "expected"),
    [
        ([], [], None),
        ([{"system": "s", "value": "1"}], [], [{"system": "s", "value": "1", "use": "old"}]),
        ([{"system": "s", "value": "1"}] * 2, [], [{"system": "s", "value": "1", "use": "old"}]),
        ([{"system": "s", "value": "1"}], [{"system": "s", "value": "1"}], [{"system": "s", "value": "1"}]),
        (
            [{"system": "s", "value": "1"}],
            [{"value": "1"}],
            [{"value": "1"}, {"system": "s", "value": "1", "use": "old"}],
        ),
        ([{"system": "s"}], [], None),
    ],
)
def test_the_target_takes_the_identifiers(
    theirs: list[Any], own: list[Any], expected: list[Any] | None
) -> None:
    target = person("2", **({"identifier": own} if own else {}))
    made = merging.surviving(target, person("1", identifier=theirs), BASE)
    assert made.get("identifier") == expected
    assert made["link"] == [link("Patient/1", "replaces")]
    assert merging.surviving(made, person("1", identifier=theirs), BASE) == made
