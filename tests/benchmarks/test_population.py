import json
from itertools import islice
from typing import Any

import pytest

from benchmarks.names import ABROAD, COMMUNES
from benchmarks.people import INS_OID, TODAY, ins_key, patients, person, rpps_key
from benchmarks.population import adt, main, oru, record, transaction
from fhirserver.model.json import format as format_json
from fhirserver.validation import Validator
from mappings import hl7v2
from mappings.core.identity import has_valid_key
from mappings.core.source import Source

PEOPLE = list(islice(patients(seed=1), 50))


def errors(validator: Validator, resource: dict[str, Any]) -> list[Any]:
    return [issue for issue in validator.validate(resource) if issue.severity in ("fatal", "error")]


def references(element: Any) -> list[str]:
    if isinstance(element, dict):
        own = [element["reference"]] if isinstance(element.get("reference"), str) else []
        return own + [found for value in element.values() for found in references(value)]
    return [found for item in element for found in references(item)] if isinstance(element, list) else []


@pytest.mark.parametrize("number", range(50))
def test_every_resource_is_valid(number: int, validator: Validator) -> None:
    for resource in record(PEOPLE[number]):
        assert errors(validator, resource) == [], resource["id"]


@pytest.mark.parametrize("number", range(0, 50, 10))
def test_the_transaction_is_valid(number: int, validator: Validator) -> None:
    assert errors(validator, transaction(PEOPLE[number])) == []


def test_references_point_into_the_record_and_backwards() -> None:
    for someone in PEOPLE:
        known = set()
        for resource in record(someone):
            known.add(f"{resource['resourceType']}/{resource['id']}")
            assert {r for r in references(resource) if not r.startswith("#")} <= known


def test_a_transaction_refers_by_full_url() -> None:
    bundle = transaction(PEOPLE[2])
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(urls) == len(bundle["entry"])
    found = {r for entry in bundle["entry"] for r in references(entry["resource"]) if not r.startswith("#")}
    assert found
    assert found <= urls
    documents = [
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "DocumentReference"
    ]
    assert {d["content"][0]["attachment"]["url"] for d in documents} <= urls


def test_the_same_seed_gives_the_same_people() -> None:
    assert list(islice(patients(1, start=20), 5)) == PEOPLE[20:25]
    assert next(patients(2)) != PEOPLE[0]
    assert format_json(transaction(PEOPLE[3])) == format_json(transaction(person(1, 3)))


def test_the_population_has_every_kind_of_record() -> None:
    types = {resource["resourceType"] for someone in PEOPLE for resource in record(someone)}
    names = "Patient AllergyIntolerance Immunization Encounter Observation DiagnosticReport"
    assert types == {*names.split(), "Binary", "DocumentReference", "Communication"}


def test_ins_numbers_are_right_and_nobody_shares_one() -> None:
    people = list(islice(patients(seed=3), 3000))
    assert all(has_valid_key(someone.ins) for someone in people)
    assert len({someone.ins for someone in people}) == len(people)
    for someone in people:
        sex, year, month, place = someone.ins[0], someone.ins[1:3], someone.ins[3:5], someone.ins[5:10]
        assert sex == ("1" if someone.sex == "male" else "2")
        assert (year, month) == (f"{someone.birth_date:%y}", f"{someone.birth_date:%m}")
        assert place == someone.birth_place.insee
        assert someone.birth_date <= TODAY


@pytest.mark.parametrize("index", [0, 5, 1000])
def test_people_beyond_one_round_of_the_numbers_are_others(index: int) -> None:
    numbers = {person(1, index + epoch * 999 * len(COMMUNES + ABROAD) * 24).ins for epoch in range(20)}
    assert len(numbers) == 20


@pytest.mark.parametrize(
    ("number", "key"),
    [("2790351215189", "89"), ("1620188850453", "27"), ("284032A004042", "07")],
)
def test_ins_key(number: str, key: str) -> None:
    assert ins_key(number) == key
    assert has_valid_key(number + key)


@pytest.mark.parametrize("rpps", ["99700367909", "99700218896"])
def test_rpps_key(rpps: str) -> None:
    assert rpps_key(rpps[:10]) == rpps[10]


def test_the_ages_have_the_shape_of_the_country() -> None:
    ages = [someone.age for someone in islice(patients(seed=1), 2000)]
    young, old = sum(age < 20 for age in ages) / 2000, sum(age >= 65 for age in ages) / 2000
    assert 0.19 < young < 0.28
    assert 0.17 < old < 0.26


@pytest.mark.parametrize(("make", "kind"), [(adt, "ADT^A01^ADT_A01"), (oru, "ORU^R01^ORU_R01")])
def test_messages_name_their_patient(make: Any, kind: str) -> None:
    for someone in PEOPLE[:10]:
        segments = [segment.split("|") for segment in make(someone).decode().rstrip("\r").split("\r")]
        named = {fields[0]: fields for fields in segments}
        assert named["MSH"][8] == kind
        assert someone.ins in named["PID"][3]
        assert named["PID"][32] == "VALI"
        assert len({fields[0] for fields in segments} & {"PV1", "OBX"}) == 1
        if "PV1" in named:
            assert named["PV1"][19].startswith(someone.ipp)
            assert named["PV1"][44]


@pytest.mark.parametrize("make", [adt, oru])
def test_messages_map_to_valid_bundles_without_remarks(make: Any, validator: Validator) -> None:
    for someone in PEOPLE[:20]:
        mapped = hl7v2.to_bundle(hl7v2.read(make(someone), Source()), Source())
        assert mapped.issues == []
        assert mapped.patient == f"urn:oid:{INS_OID}|{someone.ins}"
        assert errors(validator, mapped.bundle) == []


def test_the_command_writes_one_json_per_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    main(["--count", "3", "--seed", "7"])
    lines = capfdbinary.readouterr().out.splitlines()
    assert lines == [format_json(resource) for i in range(3) for resource in record(person(7, i))]
    main(["--count", "1", "--start", "2", "--seed", "7", "--bundles"])
    assert json.loads(capfdbinary.readouterr().out)["type"] == "transaction"
