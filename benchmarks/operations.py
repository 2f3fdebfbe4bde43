"""The calls whose speed is measured, made from the synthetic population."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.codes import Element
from benchmarks.load import Call, Connection, Exchange
from benchmarks.messages import adt, oru
from benchmarks.people import INS_OID, Person
from benchmarks.record import record
from fhirserver.model.json import format as format_json

BASE = "/fhir"
ENTRIES = 50
"""Entries of a transaction."""
SEARCHED = ("DocumentReference", "AllergyIntolerance", "Immunization", "Observation")


@dataclass(frozen=True, slots=True)
class Operation:
    """``calls`` makes the calls from a population and the number wanted.

    ``complete``: all calls are made, however long it takes, because the next operations need what they store.
    """

    name: str
    calls: Callable[[list[Person], int], Iterable[Call]]
    exchange: Exchange = Connection.http
    complete: bool = False


def transactions(people: Iterable[Person], count: int, entries: int = ENTRIES) -> Iterator[Call]:
    """The whole population, in Bundles of 50 updates that create; the count does not limit it.

    A person is in one Bundle, whole, because references must lead somewhere; measurements fill it up.
    """
    bundle: list[Element] = []
    for someone in people:
        resources = list(record(someone))[:entries]
        if len(bundle) + len(resources) > entries:
            yield _transaction(bundle, entries)
            bundle = []
        bundle += resources
    if bundle:
        yield _transaction(bundle, entries)


def creates(people: list[Person], count: int) -> Iterator[Call]:
    """Clinical resources of known patients, once more, under ids of the server's choice."""
    for resource in itertools.islice(_clinical(people), count):
        new = {name: value for name, value in resource.items() if name != "id"}
        yield Call("POST", f"{BASE}/{resource['resourceType']}", format_json(new))


def reads(people: list[Person], count: int) -> Iterator[Call]:
    """Any resource of the population, at random."""
    names = [_name(resource) for someone in people for resource in record(someone)]
    chance = random.Random("reads")
    return (Call("GET", f"{BASE}/{chance.choice(names)}") for _ in range(count))


def updates(people: list[Person], count: int) -> Iterator[Call]:
    """A changed body for resources that exist, each once."""
    for resource in itertools.islice(_clinical(people), count):
        changed = {**resource, "language": "fr-FR"}
        yield Call("PUT", f"{BASE}/{_name(resource)}", format_json(changed))


def searches_by_patient(people: list[Person], count: int) -> Iterator[Call]:
    """What an app asks for to show a record: one type of one person."""
    chance = random.Random("searches")
    for _ in range(count):
        patient = f"Patient/{chance.choice(people).id}"
        yield Call("GET", f"{BASE}/{chance.choice(SEARCHED)}?patient={patient}")


def searches_by_identifier(people: list[Person], count: int) -> Iterator[Call]:
    """Who has this INS?"""
    chance = random.Random("identifiers")
    for _ in range(count):
        token = quote(f"urn:oid:{INS_OID}|{chance.choice(people).ins}", safe=":")
        yield Call("GET", f"{BASE}/Patient?identifier={token}")


def messages(people: list[Person], count: int) -> Iterator[Call]:
    """An admission and then a blood report for one person after another."""
    pairs = ((adt(someone), oru(someone)) for someone in people)
    return (Call(body=message) for message in itertools.islice(itertools.chain.from_iterable(pairs), count))


OPERATIONS = (
    Operation(f"transaction of {ENTRIES}", transactions, complete=True),
    Operation("create", creates),
    Operation("read", reads),
    Operation("update", updates),
    Operation("search by patient", searches_by_patient),
    Operation("search by identifier", searches_by_identifier),
    Operation("HL7v2 message", messages, Connection.mllp),
)


def _transaction(resources: list[Element], entries: int) -> Call:
    patient = next(r for r in resources if r["resourceType"] == "Patient")
    fillers = (_pulse(patient["id"], n) for n in range(entries - len(resources)))
    entry = [
        {"resource": resource, "request": {"method": "PUT", "url": _name(resource)}}
        for resource in (*resources, *fillers)
    ]
    return Call("POST", BASE, format_json({"resourceType": "Bundle", "type": "transaction", "entry": entry}))


def _pulse(patient: str, n: int) -> Element:
    return {
        "resourceType": "Observation",
        "id": f"{patient}-pulse-{n}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": 60 + n, "unit": "/min"},
    }


def _name(resource: Element) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _clinical(people: list[Person]) -> Iterator[Element]:
    for someone in people:
        yield from (r for r in record(someone) if r["resourceType"] not in ("Patient", "Binary"))
