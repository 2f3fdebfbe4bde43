"""Whether a code is in a value set: yes, no, or it cannot be told (None) with what is known here."""

from fhirserver.errors import Unprocessable
from fhirserver.terminology.selections import ALL, meets
from fhirserver.terminology.sources import Sources, settled
from fhirserver.terminology.value_sets import Clause, ValueSet

DEEPEST = 20
"""So many value sets may import one another."""


def contains(sources: Sources, set: ValueSet, system: str, code: str, depth: int = 0) -> bool | None:
    """Whether the set has the code of the system.

    Raises:
        Unprocessable: value sets import one another in a circle.
        Missing: the answer to a question is not at hand.
    """
    if depth > DEEPEST:
        raise Unprocessable(f"{set.called} imports more than {DEEPEST} levels of value sets, or itself")
    if not set.includes and set.expansion is not None:
        return any(e.get("code") == code and e.get("system", "") == system for e in set.expansion)
    included = _any([_has(sources, clause, system, code, depth) for clause in set.includes])
    if included is None and set.expansion is not None:
        return any(e.get("code") == code and e.get("system", "") == system for e in set.expansion)
    if not included:
        return included
    if set.inactive is False:
        known = sources.code_system(system)
        concept = known.find(code) if known else None
        if concept and concept.inactive:
            return False
    excluded = _any([_has(sources, clause, system, code, depth) for clause in set.excludes])
    return None if excluded is None else not excluded


def excluded(sources: Sources, set: ValueSet, system: str, code: str, depth: int = 0) -> bool | None:
    """Whether one of the excludes has the code."""
    return _any([_has(sources, clause, system, code, depth) for clause in set.excludes])


def systems(sources: Sources, set: ValueSet, depth: int = 0) -> dict[str, str]:
    """The systems that the set takes codes from, each with the version it names ("": none)."""
    if depth > DEEPEST:
        raise Unprocessable(f"{set.called} imports more than {DEEPEST} levels of value sets, or itself")
    found: dict[str, str] = {}
    for clause in set.includes:
        if clause.system:
            found.setdefault(clause.system, clause.version)
        else:
            for canonical in clause.value_sets:
                if imported := sources.value_set(canonical):
                    found |= systems(sources, imported, depth + 1)
    if not set.includes:
        found |= {entry["system"]: "" for entry in set.expansion or () if "system" in entry}
    return found


def in_all(sources: Sources, canonicals: tuple[str, ...], system: str, code: str, depth: int) -> bool | None:
    """Whether the code is in every one of these value sets."""
    found: list[bool | None] = []
    for canonical in canonicals:
        imported = sources.value_set(canonical)
        found.append(contains(sources, imported, system, code, depth + 1) if imported else None)
    return False if False in found else None if None in found else True


def _has(sources: Sources, clause: Clause, system: str, code: str, depth: int) -> bool | None:
    if clause.system and clause.system != system:
        return False
    own: bool | None = True
    if clause.system:
        own = _listed(sources, clause, code)
    if own is False or not clause.value_sets:
        return own
    imported = in_all(sources, clause.value_sets, system, code, depth)
    return False if imported is False else None if None in (own, imported) else True


def _listed(sources: Sources, clause: Clause, code: str) -> bool | None:
    if code in clause.concepts:
        return True
    known = sources.code_system(clause.system, clause.version)
    if clause.concepts:
        if known is None or known.head.case_sensitive:
            return False
        return code.casefold() in {listed.casefold() for listed in clause.concepts}
    if known is None:
        return None
    concept = known.find(code)
    if concept is None:
        return False if known.head.complete else None
    return clause.where == ALL or meets(concept, settled(clause.where, known))


def _any(found: list[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False
