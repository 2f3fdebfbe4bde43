"""A document's header against the registry's Patient: what disagrees is told; much of it holds the document.

The identity (INS) is a number and traits; a document never changes them. CI-SIS, application error 904.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from fhirserver.feeds.entries import Entry
from fhirserver.model.json import Resource
from mappings.core.result import Held, Issue

_NOT_A_LETTER: Final = re.compile(r"[^A-Z]")
_DOUBT: Final = 2
"""So many traits that disagree are no slip of the pen: birth date, sex, family name, given name."""


def check_traits(entries: Iterable[Entry]) -> list[Issue]:
    """The remarks on patients that a document mentions and that are stored with other traits.

    Raises:
        Held: so many disagree that the document may be another person's; names what, no values.
    """
    issues = []
    for entry in entries:
        if entry.type != "Patient" or entry.asserts or entry.found is None or not entry.is_stored:
            continue
        if disagreeing := disagreements(entry.resource, entry.found.resource):
            named = ", ".join(disagreeing)
            if len(disagreeing) >= _DOUBT:
                text = f"904 The patient is stored with other traits: {named}"
                raise Held(text, Issue("error", "conflict", text, "Patient"))
            text = f"The patient is stored with another {named}; the stored one stays"
            issues.append(Issue("warning", "business-rule", text, "Patient"))
    return issues


def disagreements(sent: Resource, stored: Resource) -> list[str]:
    """The traits that both have and that cannot be one person's."""
    found = []
    births = [str(patient.get("birthDate", "")) for patient in (sent, stored)]
    length = min(map(len, births))
    if length and births[0][:length] != births[1][:length]:
        found.append("birthDate")
    genders = {sent.get("gender"), stored.get("gender")}
    if genders == {"male", "female"}:
        found.append("gender")
    for part in ("family", "given"):
        here, there = _names(sent, part), _names(stored, part)
        if here and there and here.isdisjoint(there):
            found.append(f"name.{part}")
    return found


def _names(patient: Resource, part: str) -> set[str]:
    """All names of a kind, spelled without accents, hyphens and case; each given name by itself, too."""
    found = set()
    for name in patient.get("name", ()):
        values = name.get(part, ())
        for value in [values] if isinstance(values, str) else values:
            words = [value, *(re.split(r"[\s-]+", value) if part == "given" else ())]
            found |= {_plain(word) for word in words}
    return found - {""}


def _plain(name: str) -> str:
    return _NOT_A_LETTER.sub("", unicodedata.normalize("NFKD", name).upper())
