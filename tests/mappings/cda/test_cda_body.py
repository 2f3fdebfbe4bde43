"""What holds for every kind of entry: its identity over versions, what is left out, its Provenance."""

from pathlib import Path

import pytest

from mappings import cda
from mappings.cda.formats import class_of
from mappings.core.result import Element, Mapped
from mappings.core.source import Source

CASES = Path(__file__).parents[2] / "cases" / "cda"
CLINICAL = {
    "Communication",
    *("AllergyIntolerance", "Condition", "DiagnosticReport", "Immunization", "MedicationStatement"),
    *("Observation", "Procedure", "Specimen"),
}


def mapped(name: str, *changes: tuple[str, str]) -> Mapped:
    text = (CASES / name / "document.xml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return cda.to_bundle(text.encode(), Source(name="test"))


def asserted(result: Mapped) -> list[Element]:
    return [entry for entry in result.bundle["entry"] if entry["request"]["method"] == "PUT"]


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_the_provenance_names_all_that_a_document_asserts(case: str) -> None:
    result = mapped(case)
    (provenance,) = [
        entry["resource"]
        for entry in result.bundle["entry"]
        if entry["resource"]["resourceType"] == "Provenance"
    ]
    urls = {entry["fullUrl"] for entry in asserted(result)}
    assert urls <= {target["reference"] for target in provenance["target"]}
    assert {entry["resource"]["resourceType"] for entry in asserted(result)} <= CLINICAL


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_every_entry_has_a_name_of_its_own(case: str) -> None:
    criteria = [entry["request"]["url"] for entry in asserted(mapped(case))]
    assert len(criteria) == len(set(criteria))


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("laboratory-values", ('value="4.89"', 'value="4.99"')),
        ("vital-signs", ('value="64.50"', 'value="65"')),
        ("problems", ('code="I10"', 'code="I11"')),
        ("treatments", ('code="60000001"', 'code="60000009"')),
        ("procedures", ('value="20180114"', 'value="20180115"')),
        ("laboratory", ('value="202403110730+0100"', 'value="202403110745+0100"')),
    ],
)
def test_a_corrected_version_states_the_same_entries(case: str, change: tuple[str, str]) -> None:
    first, second = (asserted(result) for result in (mapped(case), mapped(case, change)))
    assert [entry["request"] for entry in first] == [entry["request"] for entry in second]
    assert first != second


def test_a_result_that_is_added_moves_no_other() -> None:
    """Laboratory results have no ids: they are known by what was measured."""
    added = (
        '<component><observation classCode="OBS" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.80"/>'
    )
    added += '<code code="2075-0" codeSystem="2.16.840.1.113883.6.1"/><statusCode code="completed"/>'
    added += '<value xsi:type="PQ" value="101" unit="mmol/L"/></observation></component>'
    first = mapped("laboratory")
    second = mapped("laboratory", ("<component><observation", f"{added}<component><observation"))
    before, after = ({entry["request"]["url"] for entry in asserted(each)} for each in (first, second))
    assert before < after
    assert len(after - before) == 1


def test_what_a_version_leaves_out_is_cleared() -> None:
    result = mapped("vital-signs", ('<targetSiteCode code="368208006"', '<ignored code="368208006"'))
    (pulse,) = [
        entry for entry in asserted(result) if entry["resource"]["code"]["coding"][0]["code"] == "8867-4"
    ]
    assert {"bodySite", "valueString", "component"} <= result.cleared[pulse["fullUrl"]]


@pytest.mark.parametrize(
    ("case", "unread"),
    [
        ("relatives-and-signatures", ["participant"]),
        ("problems-that-are-none", ["observation 1.2.250.1.213.1.1.3.37 (1)"]),
        ("laboratory-values", ["observation 1.2.250.1.213.1.1.3.80 (1)"]),
        ("measures-that-are-goals", ["observation 1.2.250.1.213.1.1.3.27 (1)"]),
        ("problems", []),
    ],
)
def test_what_nobody_reads_is_named(case: str, unread: list[str]) -> None:
    assert mapped(case).unread == unread


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("11502-2", "10"),
        ("60591-5", "11"),
        ("57828-6", "42"),
        ("PRESC-BIO", "42"),
        ("DOCPAT01", "90"),
        ("EXPPAT_2", "90"),
        ("99999-9", None),
    ],
)
def test_the_class_of_a_type(code: str, expected: str | None) -> None:
    found = class_of({"coding": [{"code": "other"}, {"code": code}]})
    assert (found["coding"][0]["code"] if found else None) == expected


def test_no_type_has_no_class() -> None:
    assert class_of(None) is None
