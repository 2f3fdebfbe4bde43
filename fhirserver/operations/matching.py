"""How alike two Patients are: pure, from 0 to 1, with the reasons a person would give.

https://hl7.org/fhir/R4/patient-operation-match.html. Names are compared without case and accents.
"""

from collections.abc import Iterable
from typing import Any, Literal

from fhirserver.model.json import Resource
from fhirserver.search.text import fold

Grade = Literal["certain", "probable", "possible", "certainly-not"]

CERTAIN, PROBABLE, POSSIBLE = 0.97, 0.75, 0.4
FAMILY, GIVEN, BIRTH, BIRTH_IN_PART, GENDER = 0.3, 0.2, 0.35, 0.15, 0.1
"""What each agreement is worth. All of them together are probable: twins exist, and so do namesakes."""
CONTRADICTION = 0.3
"""What a different birth date or gender takes away."""


def score(asked: Resource, candidate: Resource) -> float:
    """The likelihood that both are one person.

    An identifier in common is certain unless birth date or gender contradict. Two different identifiers of
    one system are two persons, whatever their names.
    """
    mine, theirs = _identifiers(asked), _identifiers(candidate)
    contradictions = _contradicts(asked, candidate, "birthDate") + _contradicts(asked, candidate, "gender")
    if mine & theirs:
        return max(0.0, round(1.0 - CONTRADICTION * contradictions, 2))
    if {system for system, _ in mine} & {system for system, _ in theirs}:
        return 0.0
    value = FAMILY * _shares(_names(asked, "family"), _names(candidate, "family"))
    value += GIVEN * _shares(_names(asked, "given"), _names(candidate, "given"))
    value += _birth(asked.get("birthDate", ""), candidate.get("birthDate", ""))
    value += GENDER * (asked.get("gender") is not None and asked.get("gender") == candidate.get("gender"))
    return max(0.0, round(value - CONTRADICTION * contradictions, 2))


def grade(value: float) -> Grade:
    """The score as a code of http://terminology.hl7.org/CodeSystem/match-grade."""
    if value >= CERTAIN:
        return "certain"
    if value >= PROBABLE:
        return "probable"
    return "possible" if value >= POSSIBLE else "certainly-not"


def _identifiers(patient: Resource) -> set[tuple[str, str]]:
    """Those that identify: with a system and a value, and not said to be old."""
    return {
        (i["system"], i["value"])
        for i in _objects(patient.get("identifier"))
        if i.get("system") and i.get("value") and i.get("use") != "old"
    }


def _names(patient: Resource, part: str) -> set[str]:
    found = set()
    for name in _objects(patient.get("name")):
        value = name.get(part)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (folded := fold(text)):
                found.add(folded)
    return found


def _objects(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _shares(mine: set[str], theirs: set[str]) -> bool:
    return bool(mine & theirs)


def _birth(mine: str, theirs: str) -> float:
    """A date that only one of the two knows to the day agrees in part."""
    if not mine or not theirs or not (mine.startswith(theirs) or theirs.startswith(mine)):
        return 0.0
    return BIRTH if len(mine) == len(theirs) == len("2000-01-01") else BIRTH_IN_PART


def _contradicts(asked: Resource, candidate: Resource, name: str) -> int:
    mine, theirs = asked.get(name, ""), candidate.get(name, "")
    if not mine or not theirs or "unknown" in (mine, theirs):
        return 0
    if name == "birthDate":
        return 0 if mine.startswith(theirs) or theirs.startswith(mine) else 1
    return 0 if mine == theirs else 1
