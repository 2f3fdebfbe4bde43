"""What a check is, and the cases it has on a server that claims this and that."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from conformance.samples import REQUIRED
from conformance.statement import Statement
from conformance.target import Target

Each = Literal["server", "type", "claim"]
Function = Callable[[Target], None]

FAVOURITES = ("Patient", "Observation", "Organization", "Basic", "DocumentReference")
"""Types to prefer where one type is as good as another: widely served, and free of special rules."""

PLACEHOLDER = {"{type}": r"(?P<type>[A-Za-z]+)", "{item}": r"(?P<item>.+)"}


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the specification as a function of a server.

    ``spec`` is the page and anchor below https://hl7.org/fhir/R4/. ``needs`` are the claims without which the
    rule does not apply, and which the check covers; ``{type}`` stands for a resource type, ``{xml}`` for the
    server's name of the XML format. ``each``: run once ("server", on one fitting type), for every fitting
    type, or for every claim of the form of ``needs[0]`` (``{item}`` is its variable part). ``should`` marks a
    SHOULD of the specification: a warning, no failure.
    """

    area: str
    title: str
    spec: str
    needs: tuple[str, ...]
    each: Each
    should: bool
    function: Function

    def cases(self, statement: Statement, types: tuple[str, ...]) -> list["Case"]:
        """Where the check applies; none when a need is not claimed."""
        match self.each:
            case "claim":
                return list(self._claims(statement, types))
            case "type":
                return [case for type in types if (case := self._case(statement, type))]
            case _ if not any("{type}" in need for need in self.needs):
                case = self._case(statement, "")
                return [case] if case else []
            case _:
                ordered = [type for type in (*FAVOURITES, *types) if type in types]
                cases = (self._case(statement, type) for type in ordered)
                return [case for case in cases if case][:1]

    def _case(self, statement: Statement, type: str, item: str = "", name: str = "") -> "Case | None":
        values = {"{type}": type, "{item}": item, "{xml}": statement.xml}
        claims = tuple(_fill(need, values) for need in self.needs)
        if not statement.has(*claims) or (type and type not in REQUIRED):
            return None
        return Case(self, type, item, name or type, claims)

    def _claims(self, statement: Statement, types: tuple[str, ...]) -> Iterator["Case"]:
        pattern = re.escape(self.needs[0])
        for placeholder, expression in PLACEHOLDER.items():
            pattern = pattern.replace(re.escape(placeholder), expression)
        for claim in sorted(statement.claims):
            if found := re.fullmatch(pattern, claim):
                parts = found.groupdict()
                type = parts.get("type", "")
                if (not type or type in types) and (
                    case := self._case(statement, type, parts.get("item", ""), claim)
                ):
                    yield case


@dataclass(frozen=True, slots=True)
class Case:
    """A check of one type or claim: what is run, and what counts as covered by it."""

    check: Check
    type: str
    item: str
    name: str
    claims: tuple[str, ...] = field(repr=False)


def _fill(need: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        need = need.replace(placeholder, value)
    return need


CHECKS: list[Check] = []
"""All checks, in the order in which they are shown; ``conformance.areas`` fills it."""


def check(
    area: str, title: str, spec: str, *needs: str, each: Each = "server", should: bool = False
) -> Callable[[Function], Function]:
    """Make a function a check; it returns when all is well and raises ``expect.Failed`` when not."""

    def register(function: Function) -> Function:
        CHECKS.append(Check(area, title, spec, needs, each, should, function))
        return function

    return register


def uncovered(statement: Statement, checks: list[Check], types: tuple[str, ...]) -> list[str]:
    """The claims about these types, and about the server, that no check covers."""
    covered = {claim for check in checks for case in check.cases(statement, types) for claim in case.claims}
    missing = statement.claims - covered
    about = re.compile(r"([A-Z][A-Za-z]+)[/?]")
    return sorted(claim for claim in missing if not (found := about.match(claim)) or found[1] in types)
