"""What storage makes of conditions on the embedded engine is what they mean by ``match``."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from fhirserver import search
from fhirserver.search.match import satisfies
from fhirserver.storage import pipeline
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored, to_document
from fhirserver.storage.embedded import EmbeddedEngine

UCUM = "http://unitsofmeasure.org"

Found = Callable[[str, str], set[str]]


def patients() -> Iterator[dict[str, Any]]:
    families = ["DURAND", "Lefèvre", "d'Ormesson", None]
    givens = [["Éva"], ["Jean Paul", "Zoé"], []]
    identifiers = [
        ("urn:a", "1"),
        (None, "1"),
        ("urn:a|b", "1"),
        ("urn:a", "a|b"),
        ("urn:a", None),
        ("urn:b", "2"),
    ]
    births = ["1979", "1979-03", "1979-03-14", "1980-01-01", None]
    organizations = [
        "Organization/1",
        "Organization/2/_history/1",
        "https://x.example/fhir/Organization/1",
        "#o",
        None,
    ]
    profiles = ["http://p/a|1.0", "http://p/a", "http://p/a|10", None]
    for number, (family, given) in enumerate(itertools.product(families, givens)):
        system, value = identifiers[number % 6]
        birth, organization, profile = births[number % 5], organizations[number % 5], profiles[number % 3]
        yield {
            "resourceType": "Patient",
            "id": str(number),
            "name": [{"given": given} | ({"family": family} if family else {})],
            "identifier": [({"system": system} if system else {}) | ({"value": value} if value else {})],
            **({"gender": "male" if number % 2 else "female"} if number % 3 else {}),
            **({"birthDate": birth} if birth else {}),
            **({"managingOrganization": {"reference": organization}} if organization else {}),
            **({"meta": {"profile": [profile]}} if profile else {}),
            "contained": [
                {
                    "resourceType": "Organization",
                    "id": id,
                    "name": f"Cabinet {place}",
                    "active": place == "Nord",
                }
                for id, place in (("o", "Nord" if number % 2 else "Sud"), ("p", "Nord"))
            ],
            "text": {"status": "generated", "div": f"<div>Né à Nîmes le {number} d'été <b>ici</b></div>"},
            "communication": [{"language": {"coding": [{"code": "fr", "display": f"Français ({number})"}]}}],
        }


def observations() -> Iterator[dict[str, Any]]:
    times: list[dict[str, Any]] = [
        {"effectiveDateTime": "2013"},
        {"effectiveDateTime": "2013-01-14"},
        {"effectiveDateTime": "2012-12-31T23:30:00Z"},
        {"effectivePeriod": {"start": "2013-01-21"}},
        {"effectivePeriod": {"end": "2013-01-21"}},
        {"effectivePeriod": {"start": "2013-01-01", "end": "2013-02-28"}},
        {},
    ]
    values = ["-5", "0", "5.4", "99.6", "100"]
    for number, (time, value) in enumerate(itertools.product(times, values)):
        unit = "mg" if number % 2 else "g"
        version = "/_history/1" if number % 5 == 0 else ""
        yield {
            "resourceType": "Observation",
            "id": str(number),
            "code": {"coding": [{"system": "http://loinc.org", "code": str(number % 3)}]},
            **({"subject": {"reference": f"Patient/{number % 9}{version}"}} if number % 4 else {}),
            **time,
            "valueQuantity": {"value": Decimal(value), "system": UCUM, "code": unit},
            "component": [
                {"code": {"coding": [{"code": str(code)}]}, "valueQuantity": {"value": number + 10 * code}}
                for code in (1, 2)
            ],
        }


@pytest.fixture(scope="module")
def found(engine: EmbeddedEngine, indexer: search.Indexer) -> Iterator[Found]:
    """The ids that storage finds, checked to be those that satisfy the condition."""
    database = Database(engine.uri, "algebra", embedded=True)
    resources = {"Patient": list(patients()), "Observation": list(observations())}
    others: dict[str, list[tuple[str, search.Index, int]]] = {
        type: [(r["id"], indexer.index(r), 1000) for r in rs] for type, rs in resources.items()
    }

    async def fill() -> None:
        await database.prepare(resources)
        for type in resources:
            await database.collection(type).insert_many(
                to_document(Stored(type, id, 1, at, "PUT", b"{}"), index, int(id) + 1)
                for id, index, at in others[type]
            )
        await database.collection("counters").insert_one({"_id": "seq", "n": 1000})

    with asyncio.Runner() as runner:
        runner.run(fill())

        def find(type: str, asked: str) -> set[str]:
            pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&"))]
            query = search.compile(type, pairs, indexer=indexer)
            page = runner.run(pipeline.page(database, query, None, 1000))
            meant = {id for id, i, at in others[type] if satisfies(i, id, at, query.condition, others)}
            assert {stored.id for stored in page.resources} == meant
            return meant

        yield find
        runner.run(database.close())


@pytest.mark.parametrize(
    "asked",
    [
        "family=durand",
        "family=ormesson,lef",
        "family=lef,durand&identifier=1",
        "gender=male,female",
        "_id=1,2,3,6&gender:missing=true",
        "given:contains=au",
        "name:exact=Éva",
        "given=paul",
        "family:missing=true",
        "family:missing=false",
        "identifier=1",
        "identifier=urn:a|1",
        "identifier=|1",
        "identifier=urn:a|",
        r"identifier=urn:a\|b|1",
        r"identifier=a\|b",
        "identifier=urn:a|,2",
        "gender=male",
        "gender:not=male",
        "gender:missing=true",
        "language:text=francais",
        "birthdate=1979",
        "birthdate=ne1979",
        "birthdate=1979,1980",
        "organization=1",
        "organization=Organization/2",
        "organization=Organization/2/_history/1",
        "organization=https://x.example/fhir/Organization/1",
        "organization:missing=false&gender:not=female",
        "_profile=http://p/a",
        "_profile:below=http://p/a|1",
        "_profile:below=http://p/",
        "_profile:above=http://p/a/c",
        "_id=1,2,77",
        "_id:not=1",
        "_lastUpdated=1970",
        "deceased=false",
        "gender=male&birthdate=1979-03&family:missing=false",
        "_filter=gender ne male",
        "_filter=identifier ne urn:a|1",
        "_filter=identifier ne 1 and family pr true",
        "_filter=family gt durand or given lt f",
        "_filter=family ne durand",
        "_filter=birthdate co 1979-03-14",
        "_filter=organization ne Organization/1",
        "_filter=organization[name co nord].active eq true",
        "_text=nimes ici",
        "_text=13 or nimes",
        '_text="ete ici"',
        "_text=nimes not 14",
        "_content=durand eva",
        "_content=cabinet sud",
        "organization.name=cabinet",
        "organization.name=cabinet nord&_id=3,4",
        "organization.active=true",
        "organization.active:not=true",
        "organization.name:missing=false&_id=1,2,3,4",
        "_has:Observation:patient:code=1",
        "_has:Observation:patient:date=2013-01&_has:Observation:patient:code=2",
        "_has:Observation:subject:code=1&gender=male",
        "_has:Observation:patient:value-quantity=gt5&_id=1,2,3,4",
        "_has:Observation:patient:patient.gender=male",
    ],
)
def test_patients(found: Found, asked: str) -> None:
    assert found("Patient", asked)


@pytest.mark.parametrize(
    "asked",
    [
        *(f"date={prefix}2013-01-14" for prefix in ("", "ne", "gt", "lt", "ge", "le", "ap")),
        *("date=sa2013-01-14", "date=eb2013-02", "date=2013", "date:missing=true", "date=ge2013&date=lt2014"),
        *(f"value-quantity={prefix}5.4" for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")),
        *("value-quantity=lt0", "value-quantity=100||mg", "value-quantity=ne5||g"),
        f"value-quantity=gt5|{UCUM}|mg",
        *("code-value-quantity=1$gt5", "code-value-quantity=http://loinc.org|2$5.4||mg"),
        *("component-code-value-quantity=1$12", "component-code-value-quantity=2$lt22,1$11"),
        *("combo-code-value-quantity=1$gt1", "code=1,2&value-quantity=sa5"),
        *(f"value-quantity={value}|{UCUM}|{unit}" for value, unit in (("0.0054", "kg"), ("ge5", "g"))),
        *("patient.gender=male", "subject.family=durand", "patient.gender:not=male"),
        *("patient.gender=male&code=1", "patient=1,2&patient.family:missing=false"),
        *("patient.birthdate=ge1979&value-quantity=gt5", "patient=1&date=ge2013&date=lt2014&code=1"),
        *("patient=1,2,3,5&date=2013", "date=ge2013-01-14&date=lt2013-01-20", "date=ne2013,lt2012"),
        *("patient=6&date=ge2013", "patient=6&date=2013"),
        *("patient._has:Observation:patient:code=1", "patient:Patient._id=1,2,77"),
    ],
)  # fmt: skip
def test_observations(found: Found, asked: str) -> None:
    assert found("Observation", asked)
