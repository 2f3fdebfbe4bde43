"""Documents of a synthetic person: a DocumentReference, and the Binary with its PDF."""

import hashlib
import random
import uuid
from base64 import b64encode
from collections.abc import Iterator

from benchmarks import pdf
from benchmarks.codes import (
    CLASSES,
    DOCUMENT_WEIGHTS,
    DOCUMENTS,
    FACILITIES,
    FORMATS,
    HL7,
    ID_NAT,
    SETTINGS,
    VISIBILITIES,
    VISIBILITY,
    Element,
    coding,
    concept,
)
from benchmarks.identity import at, past, subject
from benchmarks.people import Person

_PHRASES = (
    "Patient vu ce jour, état général conservé.",
    "Auscultation cardio-pulmonaire sans particularité.",
    "Pas de modification du traitement habituel.",
    "Tension artérielle stable, bien équilibrée.",
    "Contrôle biologique demandé dans trois mois.",
    "Évolution favorable, surveillance habituelle.",
    "Le patient est informé et a reçu une copie.",
)


def documents(person: Person) -> Iterator[Element]:
    """From none to six, more with age; each Binary comes before its DocumentReference."""
    chance = person.random("documents")
    for number in range(min(6, int(chance.expovariate(1 / (0.8 + person.age / 30))))):
        yield from document(person, chance, number)


def document(person: Person, chance: random.Random, number: int) -> tuple[Element, Element]:
    """The Binary and the DocumentReference of one document."""
    row = chance.choices(DOCUMENTS, DOCUMENT_WEIGHTS)[0]
    class_code, class_name, type_system, type_code, title, facility, setting = row
    when = at(past(person, chance.randrange(1500)), chance.randrange(8, 19))
    content = pdf.page(
        [
            title.upper(),
            f"{person.used_name or person.birth_name} {person.given[0]}, {person.birth_date:%d/%m/%Y}",
            f"Dr {person.doctor.given} {person.doctor.family}, le {when[:10]}",
            "",
            *chance.choices(_PHRASES, k=chance.randint(5, 40)),
        ]
    )
    binary: Element = {
        "resourceType": "Binary",
        "id": f"{person.id}-bin{number}",
        "contentType": "application/pdf",
        "data": b64encode(content).decode(),
    }
    oid = uuid.UUID(int=chance.getrandbits(128), version=4).int
    reference: Element = {
        "resourceType": "DocumentReference",
        "id": f"{person.id}-doc{number}",
        "contained": [_author(person)],
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:2.25.{oid}"},
        "status": "current",
        "type": concept(type_system, type_code, title),
        "category": [concept(CLASSES, class_code, class_name)],
        "subject": subject(person),
        "date": when,
        "author": [{"reference": "#author"}],
        "securityLabel": list(_labels(person, chance)),
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": f"Binary/{person.id}-bin{number}",
                    "size": len(content),
                    "hash": b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
                    "title": title,
                    "creation": when,
                },
                "format": coding(FORMATS, "urn:ihe:iti:xds-sd:pdf:2008", "Document PDF encapsulé"),
            }
        ],
        "context": {
            "period": {"start": when},
            "facilityType": concept(FACILITIES, facility),
            "practiceSetting": concept(SETTINGS, setting),
        },
    }
    return binary, reference


def _author(person: Person) -> Element:
    doctor = person.doctor
    return {
        "resourceType": "Practitioner",
        "id": "author",
        "identifier": [{"system": ID_NAT, "value": doctor.id_nat}],
        "name": [{"family": doctor.family, "given": [doctor.given]}],
        "telecom": [{"system": "email", "value": doctor.mailbox, "use": "work"}],
    }


def _labels(person: Person, chance: random.Random) -> Iterator[Element]:
    """Normal, and for a few documents one of the three flags that hide them from somebody."""
    yield concept(f"{HL7}/v3-Confidentiality", "N", "normal")
    minor = person.age < 18
    weights = (94, 4, 1, 1) if minor else (95, 4, 1, 0)
    hidden = chance.choices((None, *VISIBILITIES), weights)[0]
    if hidden:
        yield concept(VISIBILITY, hidden, VISIBILITIES[hidden])
