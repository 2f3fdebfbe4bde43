"""Code systems whose codes are built by a grammar: they can be checked, not listed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import available_timezones

from fhirserver.errors import TooCostly
from fhirserver.model import ucum
from fhirserver.terminology.code_systems import Head
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.questions import Selected
from fhirserver.terminology.selections import Every, Is, Selection, Where, selects

_language = re.compile(
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|\d{3}))?"
    r"(?:-(?:[A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3}))*(?:-[A-WYZa-wyz0-9](?:-[A-Za-z0-9]{2,8})+)*"
    r"(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?|[xX](?:-[A-Za-z0-9]{1,8})+"
).fullmatch
_restricted = r"[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}"
_media = re.compile(
    rf"{_restricted}/{_restricted}(?:\s*;\s*[A-Za-z0-9!#$&\-^_.+]+=(?:[^\s\";]+|\"[^\"]*\"))*"
).fullmatch
_uri = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch


@dataclass(frozen=True, slots=True)
class Grammar:
    """``read`` gives the concept of a code, None where it is not one."""

    head: Head
    read: Callable[[str], Concept | None]

    def find(self, code: str) -> Concept | None:
        return self.read(code)

    def find_many(self, codes: Sequence[str]) -> dict[str, Concept]:
        return {code: concept for code in codes if (concept := self.read(code))}

    def select(self, selection: Selection, skip: int, limit: int) -> Selected:
        """Only what is named code by code can be listed."""
        named = _named(selection.where)
        if named is None:
            raise TooCostly(f"{self.head.title or self.head.url} has no end: its codes cannot be listed")
        found = [c for c in self.find_many(named).values() if selects(selection, c)]
        return Selected(tuple(found[skip : skip + limit]), len(found))


def _named(where: Where) -> tuple[str, ...] | None:
    match where:
        case Is("in" | "=", "code" | "concept", values):
            return values
        case Every(parts):
            return next((named for part in parts if (named := _named(part)) is not None), None)
    return None


def _unit(code: str) -> Concept | None:
    if not ucum.is_valid(code):
        return None
    unit = ucum.parse(code)
    return Concept(code, code, properties=({"code": "canonical", "valueString": unit.base},) if unit else ())


def _by(matches: Callable[[str], object]) -> Callable[[str], Concept | None]:
    return lambda code: Concept(code) if matches(code) else None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


GRAMMARS: dict[str, Grammar] = {
    grammar.head.url: grammar
    for grammar in (
        Grammar(Head(ucum.SYSTEM, "2.1", "UCUM", "Unified Code for Units of Measure (UCUM)"), _unit),
        Grammar(
            Head("urn:ietf:bcp:47", "", "BCP47", "Tags for languages (BCP 47)", case_sensitive=False),
            _by(_language),
        ),
        Grammar(
            Head("urn:ietf:bcp:13", "", "BCP13", "Media types (BCP 13)", case_sensitive=False), _by(_media)
        ),
        Grammar(Head("urn:ietf:rfc:3986", "", "URI", "Uniform Resource Identifiers (RFC 3986)"), _by(_uri)),
        Grammar(
            Head("https://www.iana.org/time-zones", "", "TimeZones", "IANA time zones"),
            _by(lambda code: code in _zones()),
        ),
    )
}
