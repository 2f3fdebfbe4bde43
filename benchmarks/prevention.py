"""Allergies and vaccinations of a synthetic person."""

from collections.abc import Iterator
from datetime import date, timedelta

from benchmarks.codes import ALLERGIES, ATC, HL7, SNOMED, VACCINES, Element, concept
from benchmarks.identity import past, practitioner, subject
from benchmarks.people import TODAY, Person

_NONE_KNOWN = concept(SNOMED, "716186003", "No known allergy (situation)", "Aucune allergie connue")
_REFUSED = concept(f"{HL7}/v3-ActReason", "PATOBJ", "patient objection")

_CALENDAR = (
    ("hexa", (2, 4, 11), 2018),
    ("pneumo", (2, 4, 11), 2010),
    ("menc", (5, 12), 2018),
    ("ror", (12, 17), 1983),
    ("dtcap", (72, 144), 1998),
    ("dtp", (300, 540, 780, 900), 1930),
    ("hpv", (138, 145), 2008),
    ("zona", (792, 798), 1955),
)
"""Vaccine, ages in months, and the first year of birth that the French calendar meant."""


def allergies(person: Person) -> Iterator[Element]:
    """One person in five has some; one in seven is known to have none; of the others nobody has said."""
    chance = person.random("allergies")
    kind = chance.choices(("some", "none", "unsaid"), (20, 14, 66))[0]
    if kind == "none":
        yield _allergy(person, "all0", {"code": _NONE_KNOWN})
    if kind != "some":
        return
    for number, row in enumerate(chance.sample(ALLERGIES, k=chance.choices((1, 2, 3), (75, 20, 5))[0])):
        system, code, name, category, manifestation, shown = row
        severe = manifestation == "39579001"
        reaction: Element = {"manifestation": [concept(SNOMED, manifestation, text=shown)]}
        found: Element = {
            "type": "allergy",
            "category": [category],
            "criticality": "high" if severe else "low",
            "code": concept(system, code, text=name),
            "onsetDateTime": str(past(person, chance.randrange(365 * 30)).year),
            "recordedDate": past(person, chance.randrange(2000)).isoformat(),
            "reaction": [{**reaction, "severity": "severe"} if severe else reaction],
        }
        yield _allergy(person, f"all{number}", found)


def immunizations(person: Person) -> Iterator[Element]:
    """The calendar of the year of birth, a yearly flu dose from 65 on, covid-19 in 2021; some are refused."""
    chance = person.random("immunizations")
    doses = [
        (vaccine, rank, person.birth_date + timedelta(days=30 * months + chance.randrange(40)))
        for vaccine, ages, since in _CALENDAR
        for rank, months in enumerate(ages, 1)
        if person.birth_date.year >= since
    ]
    if person.age >= 65:
        doses += [("flu", 1, date(year, 10, chance.randint(15, 31))) for year in (2023, 2024, 2025)]
    if person.birth_date.year <= 2008:
        doses += [("covid", rank, date(2021, 4 + rank, chance.randint(1, 28))) for rank in (1, 2)]
    covered = 0.97 if person.birth_date.year >= 2018 else 0.7
    given = [
        dose for dose in doses if dose[2] <= TODAY and dose[2].year >= 1985 and chance.random() < covered
    ]
    for number, (vaccine, rank, day) in enumerate(sorted(given, key=lambda dose: dose[2])):
        code, name = VACCINES[vaccine]
        resource: Element = {
            "resourceType": "Immunization",
            "id": f"{person.id}-imm{number}",
            "status": "completed",
            "vaccineCode": concept(ATC, code, text=name),
            "patient": subject(person),
            "occurrenceDateTime": day.isoformat(),
            "primarySource": day.year >= 2010,
        }
        if chance.random() < 0.03:
            yield resource | {"status": "not-done", "statusReason": _REFUSED}
            continue
        lot = f"{chance.choice('ABFKRT')}{chance.randrange(10_000):04d}{chance.choice('ABC')}"
        yield resource | {
            "lotNumber": lot,
            "performer": [
                {
                    "function": concept(f"{HL7}/v2-0443", "AP", "Administering Provider"),
                    "actor": practitioner(person),
                }
            ],
            "protocolApplied": [{"doseNumberPositiveInt": rank}],
        }


def _allergy(person: Person, name: str, found: Element) -> Element:
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"{person.id}-{name}",
        "clinicalStatus": concept(f"{HL7}/allergyintolerance-clinical", "active"),
        "verificationStatus": concept(f"{HL7}/allergyintolerance-verification", "confirmed"),
        "patient": subject(person),
        "recorder": practitioner(person),
    } | found
