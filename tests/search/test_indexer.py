from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import TypeNotServed, Unprocessable
from fhirserver.model.definitions import Definitions
from fhirserver.search.query import Index
from fhirserver.search.types.number import sortable

WHOLE_DAY = ("1979-03-13T23:00:00.000000", "1979-03-14T23:00:00.000000")


def test_the_index_of_a_patient(definitions: Definitions) -> None:
    patient = {
        "resourceType": "Patient",
        "id": "1",
        "meta": {"lastUpdated": "2024-01-01T00:00:00Z", "tag": [{"code": "t"}]},
        "identifier": [{"system": "urn:ins", "value": "2790"}],
        "name": [{"family": "DURAND", "given": ["Éva"], "text": "Éva Durand"}],
        "gender": "female",
        "birthDate": "1979-03-14",
        "managingOrganization": {"reference": "Organization/9/_history/2"},
    }
    assert search.Indexer(definitions, words="off").index(patient) == Index(
        keys=[
            *("_tag|t", "_tag||t"),
            *("identifier|2790", "identifier|urn:ins|2790"),
            *("phonetic|EVA", "phonetic|DURAN"),
            "gender|female",
            *("organization|Organization/9", "organization|Organization/9/_history/2"),
            "deceased|false",
            *("^family|dur", "^family|duran", "^given|eva", "^name|eva", "^name|eva d"),
            *("^name|dur", "^name|duran"),
        ],
        sorted=[
            *(f"birthdate|{bound}" for bound in WHOLE_DAY),
            "family|durand\x1fDURAND",
            "given|eva\x1fÉva",
            # "durand", the second word of the text, begins the family name: one entry finds both.
            *("name|durand\x1fDURAND", "name|eva\x1fÉva", "name|eva durand\x1fÉva Durand"),
        ],
        intervals=[("birthdate", *WHOLE_DAY)],
        sort={
            "_tag": ("t", "t"),
            "identifier": ("2790", "2790"),
            "family": ("durand", "durand"),
            "given": ("eva", "eva"),
            "name": ("durand", "eva durand"),
            "phonetic": ("durand", "eva durand"),
            "gender": ("female", "female"),
            "birthdate": WHOLE_DAY,
            "organization": ("Organization/9", "Organization/9"),
            "deceased": ("false", "false"),
        },
    )


@pytest.mark.parametrize(
    ("element", "parameter", "low", "high"),
    [
        ({"birthDate": "1979-03-14"}, "birthdate", *WHOLE_DAY),
        ({"name": [{"given": ["Zoé", "Éva", "marie"]}]}, "given", "eva", "zoe"),
        ({"name": [{"family": "x" * 300}]}, "family", "x" * 64, "x" * 64),
        ({"telecom": [{"value": "b@x.fr"}, {"value": "A@x.fr"}]}, "telecom", "a@x.fr", "b@x.fr"),
    ],
)
def test_the_lowest_and_the_highest_value_are_for_sorting(
    indexer: search.Indexer, element: dict[str, Any], parameter: str, low: str, high: str
) -> None:
    assert indexer.index({"resourceType": "Patient", **element}).sort[parameter] == (low, high)


def test_only_parameters_with_a_value_are_sorted_by(indexer: search.Indexer) -> None:
    assert indexer.index({"resourceType": "AllergyIntolerance", "code": {"text": "Arachide"}}).sort == {}


def test_what_has_no_text_is_not_sorted_by(indexer: search.Indexer) -> None:
    index = indexer.index({"resourceType": "Patient", "telecom": [{"system": "phone"}, {"value": "06"}]})
    assert index.sort["telecom"] == ("06", "06")
    assert "phone" not in index.sort


def test_nothing_is_written_twice(indexer: search.Indexer) -> None:
    name = {"family": "Durand", "given": ["Éva", "Éva"]}
    coding = {"system": "urn:x", "code": "fr"}
    index = indexer.index(
        {
            "resourceType": "Patient",
            "name": [name, name],
            "communication": [{"language": {"coding": [coding, coding], "text": "Français"}}] * 2,
        }
    )
    for values in (index.keys, index.sorted, index.intervals):
        assert len(values) == len(set(values))


@pytest.mark.parametrize(
    ("resource", "element"),
    [
        ({"birthDate": "14/03/1979"}, "Patient.birthDate"),
        ({"birthDate": 1979}, "Patient.birthDate"),
        ({"name": "Durand"}, "Patient.name"),
        ({"name": [["Durand"]]}, "Patient.name"),
        ({"name": [{"family": {"nom": "x"}}]}, "Patient.name"),
        ({"identifier": [{"value": 5}]}, "Patient.identifier"),
        ({"gender": {"code": "x"}}, "Patient.gender"),
        ({"generalPractitioner": [{"reference": 5}]}, "Patient.generalPractitioner"),
        ({"meta": "x"}, "Patient.meta"),
        ({"telecom": [{"system": "phone", "value": 6}]}, "Patient.telecom"),
    ],
)
def test_an_element_that_is_not_what_fhir_defines_is_refused_by_name(
    indexer: search.Indexer, resource: dict[str, Any], element: str
) -> None:
    with pytest.raises(Unprocessable) as raised:
        indexer.index({"resourceType": "Patient", **resource})
    assert raised.value.issues[0].expression == element


def test_resources_of_unknown_types_are_not_indexed(indexer: search.Indexer) -> None:
    with pytest.raises(TypeNotServed):
        indexer.index({"resourceType": "Patiente"})


def test_what_can_be_searched_is_told(indexer: search.Indexer) -> None:
    parameters = indexer.parameters("Patient")
    assert parameters["birthdate"].type == "date"
    assert parameters["birthdate"].url == "http://hl7.org/fhir/SearchParameter/individual-birthdate"
    assert parameters["phonetic"].type == "string"
    assert list(parameters) == sorted(parameters)


def test_an_indexer_without_a_base_url_knows_relative_references(definitions: Any) -> None:
    indexer = search.Indexer(definitions, None, "UTC")
    index = indexer.index(
        {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/1"}}
    )
    assert "organization|Organization/1" in index.keys


def test_the_zone_of_dates_can_be_set(definitions: Any) -> None:
    index = search.Indexer(definitions, None, "America/Cayenne").index(
        {"resourceType": "Patient", "birthDate": "1979-03-14"}
    )
    assert index.sort["birthdate"] == ("1979-03-14T03:00:00.000000", "1979-03-15T03:00:00.000000")


def test_a_combination_of_parameters_is_sorted_by_all_of_them(indexer: search.Indexer) -> None:
    def value(number: int) -> dict[str, Any]:
        return {"valueQuantity": {"value": number}}

    index = indexer.index({"resourceType": "Observation", **value(20), "component": [value(1), value(300)]})
    assert index.sort["combo-value-quantity"] == (sortable(1), sortable(300))
    assert not [entry for entry in index.sorted if entry.startswith("combo-")]
