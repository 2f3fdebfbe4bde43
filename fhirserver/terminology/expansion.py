"""The codes of a value set, listed. https://hl7.org/fhir/R4/valueset.html#expansion"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fhirserver.errors import TooCostly, Unprocessable
from fhirserver.terminology.code_systems import CodeSystem
from fhirserver.terminology.concepts import Concept, in_language
from fhirserver.terminology.membership import DEEPEST, excluded, in_all
from fhirserver.terminology.selections import Selection, selects
from fhirserver.terminology.sources import Sources, settled
from fhirserver.terminology.value_sets import Clause, ValueSet

MOST = 10_000
"""So many codes one answer may have, and a set that is made of several parts altogether."""


class Unknown(Unprocessable):
    """A part of the value set is not known here."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of $expand; ``count`` None is all."""

    text: str = ""
    offset: int = 0
    count: int | None = None
    designations: bool = False
    languages: tuple[str, ...] = ()
    """The languages of the designations that are wanted (none: all)."""
    language: str = ""
    properties: tuple[str, ...] = ()
    active: bool = False
    nested: bool = False
    selectable: bool = False
    without: tuple[str, ...] = ()
    """Systems that are left out."""
    versions: dict[str, str] = field(default_factory=dict)
    """The version to use of a system where the value set names none."""
    forced: dict[str, str] = field(default_factory=dict)
    """The version to use of a system whatever the value set names."""

    def version(self, clause: Clause) -> str:
        """The version of a clause's system that is used; "": the one that is preferred."""
        return self.forced.get(clause.system) or clause.version or self.versions.get(clause.system, "")


@dataclass(slots=True)
class Member:
    """One code of an expansion: the concept, and what the value set itself says of it."""

    system: str
    version: str
    concept: Concept
    own: dict[str, Any] = field(default_factory=dict)

    def shown(self, asked: Asked) -> dict[str, Any]:
        """As an element ValueSet.expansion.contains."""
        concept = self.concept
        designations = [*self.own.get("designation", ()), *concept.designations]
        display = in_language(designations, asked.language) or self.own.get("display") or concept.display
        contains: dict[str, Any] = {"system": self.system} if self.system else {}
        contains |= {"abstract": True} if concept.abstract else {}
        contains |= {"inactive": True} if concept.inactive else {}
        contains |= {"version": self.version} if self.version else {}
        contains["code"] = concept.code
        if display:
            contains["display"] = display
        if asked.designations:
            wanted = [d for d in designations if not asked.languages or d.get("language") in asked.languages]
            if wanted:
                contains["designation"] = wanted
        told = [_property(name, value) for name in asked.properties for value in concept.elements(name)]
        if told:
            contains["extension"] = told
        return contains


@dataclass(slots=True)
class Expansion:
    """A page of codes, and ``total`` of them all; ``used`` are the systems with their versions."""

    total: int
    members: list[Member]
    used: dict[str, str]


def _property(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A property of a code as R5 has it in its expansions."""
    parts = [{"url": "code", "valueCode": name}, {"url": "value", **value}]
    return {"extension": parts, "url": _PROPERTY}


_PROPERTY = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"


def expand(sources: Sources, set: ValueSet, asked: Asked) -> Expansion:
    """The page of a value set's codes that is asked for.

    Raises:
        TooCostly: there are more codes than an answer may have, or than can be put together.
        Unknown: a code system or value set that it is made of is not known.
        Unprocessable: value sets import one another in a circle.
        NotSupported: a filter cannot be evaluated.
        Missing: the answer to a question is not at hand.
    """
    active = asked.active or set.inactive is False
    selection = Selection(text=asked.text, active=active, selectable=asked.selectable)
    if len(set.includes) == 1 and not set.excludes and not asked.without:
        clause = set.includes[0]
        if clause.system and not clause.concepts and not clause.value_sets:
            found = _paged(sources, clause, selection, asked)
            if found is not None:
                return found
    members = _members(sources, set, selection, asked, 0)
    if asked.without:
        members = {k: m for k, m in members.items() if m.system not in asked.without}
    used = {m.system: m.version for m in members.values() if m.system}
    listed = list(members.values())
    return Expansion(len(listed), listed[asked.offset :][: asked.count], used)


def _paged(sources: Sources, clause: Clause, selection: Selection, asked: Asked) -> Expansion | None:
    """A part of one system: the page alone is looked up. None: the system is not known."""
    system = sources.code_system(clause.system, asked.version(clause))
    if system is None or not _is_listable(system):
        return None
    limit = MOST if asked.count is None else min(asked.count, MOST)
    found = system.select(_within(clause, selection, system), asked.offset, limit)
    if asked.count is None and found.total - asked.offset > MOST:
        raise _too_many(found.total)
    head = system.head
    members = [Member(clause.system, head.version, concept) for concept in found.concepts]
    return Expansion(found.total, members, {clause.system: head.version})


def _members(
    sources: Sources, set: ValueSet, selection: Selection, asked: Asked, depth: int
) -> dict[tuple[str, str], Member]:
    if depth > DEEPEST:
        raise Unprocessable(f"{set.called} imports more than {DEEPEST} levels of value sets, or itself")
    members: dict[tuple[str, str], Member] = {}
    try:
        for clause in set.includes:
            for member in _of_clause(sources, set, clause, selection, asked, depth):
                members.setdefault((member.system, member.concept.code), member)
                if len(members) > MOST:
                    raise _too_many(len(members))
    except Unknown:
        if set.expansion is None:
            raise
        members = _of_expansion(set, selection)
    if not set.includes and set.expansion is not None:
        members = _of_expansion(set, selection)
    if not set.excludes:
        return members
    kept = {}
    for key, member in members.items():
        out = excluded(sources, set, *key, depth)
        if out is None:
            raise Unknown(f"What {set.called} excludes is not known here")
        if not out:
            kept[key] = member
    return kept


def _of_clause(
    sources: Sources,
    set: ValueSet,
    clause: Clause,
    selection: Selection,
    asked: Asked,
    depth: int,
) -> Iterator[Member]:
    if not clause.system:
        first, *others = clause.value_sets or ("",)
        imported = sources.value_set(first)
        if imported is None:
            raise Unknown(f"The value set {first[:200]}, which {set.called} includes, is not known here")
        for member in _members(sources, imported, selection, asked, depth + 1).values():
            if _is_in_all(sources, set, tuple(others), member, depth):
                yield member
        return
    version = asked.version(clause)
    system = sources.code_system(clause.system, version)
    if clause.concepts:
        found = _of_list(clause, version, system, selection)
    elif system is None:
        known = ", ".join(e.version for e in sources.catalogue.versions("CodeSystem", clause.system))
        raise Unknown(
            f"The code system {clause.system[:200]}{f' in version {version[:80]}' if version else ''}, which "
            f"{set.called} includes, is not known here{f'; known are the versions {known}' if known else ''}"
        )
    else:
        if not _is_listable(system):
            raise Unknown(
                f"The codes of {system.head.called}, which {set.called} includes, are not known here"
            )
        chosen = system.select(_within(clause, selection, system), 0, MOST)
        if chosen.total > MOST:
            raise _too_many(chosen.total)
        found = (Member(clause.system, system.head.version, concept) for concept in chosen.concepts)
    for member in found:
        if _is_in_all(sources, set, clause.value_sets, member, depth):
            yield member


def _is_in_all(
    sources: Sources, set: ValueSet, canonicals: tuple[str, ...], member: Member, depth: int
) -> bool:
    found = in_all(sources, canonicals, member.system, member.concept.code, depth)
    if found is None:
        raise Unknown(
            f"A value set that {set.called} includes, one of {', '.join(canonicals)[:300]}, is not known"
        )
    return found


def _of_list(
    clause: Clause, version: str, system: CodeSystem | None, selection: Selection
) -> Iterator[Member]:
    """Codes that the value set lists: also of a system that is not known, or not as a whole."""
    known = system.find_many(tuple(clause.concepts)) if system else {}
    complete = system is not None and system.head.complete
    for code, own in clause.concepts.items():
        if complete and code not in known:
            continue  # no code of this system
        concept = known.get(code) or Concept(code)
        named = Concept(
            concept.code,
            own.get("display") or concept.display,
            designations=(*own.get("designation", ()), *concept.designations, {"value": concept.display}),
            inactive=concept.inactive,
            abstract=concept.abstract,
        )
        if selects(selection, named):
            yield Member(clause.system, system.head.version if system else version, concept, own)


def _of_expansion(set: ValueSet, selection: Selection) -> dict[tuple[str, str], Member]:
    """The codes of an expansion that came with the value set."""
    members = {}
    for entry in set.expansion or ():
        system, version = entry.get("system", ""), entry.get("version", "")
        designations = tuple(entry.get("designation", ()))
        concept = Concept(
            entry["code"],
            entry.get("display", ""),
            designations=designations,
            inactive=entry.get("inactive") is True,
        )
        if selects(selection, concept):
            members[system, concept.code] = Member(system, version, concept)
    return members


def nested(expansion: Expansion, asked: Asked) -> list[dict[str, Any]]:
    """The codes as elements, each below the nearest concept above it that is in the expansion as well."""
    there = {(m.system, m.concept.code): m.concept for m in expansion.members}
    shown = {(m.system, m.concept.code): m.shown(asked) for m in expansion.members}
    top = []
    for (system, code), element in shown.items():
        for parent in there[system, code].parents:
            above = there.get((system, parent))
            if above and code not in above.ancestors:  # of a circle nothing is lost
                shown[system, parent].setdefault("contains", []).append(element)
                break
        else:
            top.append(element)
    return top


def _within(clause: Clause, selection: Selection, system: CodeSystem) -> Selection:
    where = settled(clause.where, system)
    return Selection(where, selection.text, selection.active, selection.selectable)


def _is_listable(system: CodeSystem) -> bool:
    """Whether what is known of a system are its codes: of an example or a fragment only some."""
    return system.head.content in ("complete", "fragment")


def _too_many(number: int) -> TooCostly:
    return TooCostly(
        f"The expansion has {number} codes or more, {MOST} are the most at once; ask with a filter, or for "
        "pages with count and offset"
    )
