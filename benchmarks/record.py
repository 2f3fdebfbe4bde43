"""What the record of a synthetic person holds: valid R4 resources with client-assigned ids."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from benchmarks.codes import HL7, Element, coding, concept
from benchmarks.documents import documents
from benchmarks.identity import at, past, patient, practitioner, subject
from benchmarks.measures import measures
from benchmarks.people import HOSPITAL_OID, Person
from benchmarks.prevention import allergies, immunizations


def record(person: Person) -> Iterator[Element]:
    """The Patient first, then what refers to it; every reference is relative and points backwards."""
    yield patient(person)
    yield from allergies(person)
    yield from immunizations(person)
    yield from encounters(person)
    yield from measures(person)
    yield from documents(person)
    yield from communications(person)


def transaction(person: Person) -> Element:
    """The record as one transaction Bundle of updates: running it again creates nothing.

    Entries refer to each other by ``urn:uuid``, as senders do that know no ids.
    """
    resources = list(record(person))
    urls = {name: f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}" for name in map(_name, resources)}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urls[_name(resource)],
                "resource": _pointing_to(urls, resource),
                "request": {"method": "PUT", "url": _name(resource)},
            }
            for resource in resources
        ],
    }


def _name(resource: Element) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _pointing_to(urls: dict[str, str], element: Any) -> Any:
    match element:
        case dict():
            return {
                key: urls.get(value, value) if key in ("reference", "url") else _pointing_to(urls, value)
                for key, value in element.items()
            }
        case list():
            return [_pointing_to(urls, item) for item in element]
        case _:
            return element


def encounters(person: Person) -> Iterator[Element]:
    """Stays and visits of the last three years; the old have more."""
    chance = person.random("encounters")
    for number in range(chance.choices((0, 1, 2), (75 - person.age // 2, 20, 5 + person.age // 2))[0]):
        kind, name = chance.choice(
            (("AMB", "ambulatory"), ("IMP", "inpatient encounter"), ("EMER", "emergency"))
        )
        start = past(person, chance.randrange(1000))
        stay = chance.randrange(1, 9) if kind == "IMP" else 0
        yield {
            "resourceType": "Encounter",
            "id": f"{person.id}-enc{number}",
            "identifier": [{"system": f"urn:oid:{HOSPITAL_OID}.1", "value": f"{person.ipp}{number}"}],
            "status": "finished",
            "class": coding(f"{HL7}/v3-ActCode", kind, name),
            "subject": subject(person),
            "period": {"start": at(start, 9), "end": at(start + timedelta(days=stay), 17)},
        }


def communications(person: Person) -> Iterator[Element]:
    """Messages that the doctor sent to the person; never the other way round (MSSanté)."""
    chance = person.random("communications")
    for number in range(chance.choices((0, 1, 2), (60, 30, 10))[0]):
        text = chance.choice(
            (
                "Vos résultats d'analyses sont disponibles et ne montrent rien d'inquiétant.",
                "Pensez à prendre rendez-vous pour votre rappel de vaccination.",
                "Votre ordonnance a été renouvelée, elle est dans vos documents.",
            )
        )
        yield {
            "resourceType": "Communication",
            "id": f"{person.id}-com{number}",
            "status": "completed",
            "category": [concept(f"{HL7}/communication-category", "notification")],
            "subject": subject(person),
            "recipient": [subject(person)],
            "sender": practitioner(person),
            "sent": at(past(person, chance.randrange(400)), chance.randrange(8, 20)),
            "payload": [{"contentString": text}],
        }
