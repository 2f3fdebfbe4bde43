"""Search text -> Query. Strict: what is not known is refused with what is.
https://hl7.org/fhir/R4/search.html

Lenient (``Prefer: handling=lenient``) leaves out parameters that are unknown or not supported and says so in
``Query.ignored``. A modifier that is not supported and a value that is malformed are refused in any case, as
search.html#modifiers demands; so is a named query that is not known.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from fhirserver.errors import BadRequest, TooCostly, UnknownParameter
from fhirserver.search import named
from fhirserver.search.criteria import Criteria, Ignorable, near
from fhirserver.search.filter import compile_filter
from fhirserver.search.includes import compile_include
from fhirserver.search.indexer import Indexer, TypeParameters
from fhirserver.search.narrowing import narrow
from fhirserver.search.query import Condition, Include, Query, Sort
from fhirserver.search.values import shown

MAX_LENGTH = 65_536
MAX_SORTS = 16
SORTABLE = ("string", "token", "date", "number", "quantity", "reference", "uri")

_HTTP = ("_format", "_pretty")
_unsayable = re.compile(r"[\0\ud800-\udfff]").search
_count = re.compile(r"\d{1,9}", re.ASCII).fullmatch


def compile(
    type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    indexer: Indexer,
    lenient: bool = False,
    default_count: int = 50,
    max_count: int = 1000,
    types: Collection[str] = (),
    contained: bool = False,
) -> Query:
    """Compile the parameters of a search, decoded from the URL or form, in order and with repetitions.

    ``condition`` is Everything when no criterion was given, which conditional interactions must refuse.
    ``types`` are all that the search is about, where ``type`` is only one of them. ``contained`` says that
    the caller looks into contained resources when ``_contained`` asks for it; for others it is refused.

    Raises:
        TypeNotServed: there is no such resource type.
        UnknownParameter: a parameter, or a modifier of one, is unknown or not supported.
        BadRequest: a value is malformed.
        TooCostly: a parameter has too many values or too long a text.
    """
    parameters = indexer.compiled(type)
    criteria = Criteria(indexer, (*_CONTROLS, "_filter"))
    asked = _Asked(type, types or (type,), indexer, criteria, parameters, default_count, max_count)
    for name, value in pairs:
        if name in _HTTP:
            continue
        if _unsayable(name + value):
            raise BadRequest("A search cannot contain NUL or half of a surrogate pair")
        if len(value) > MAX_LENGTH:
            raise TooCostly(f"The value of {shown(name)} is longer than {MAX_LENGTH} characters")
        try:
            understood = asked.take(name, value)
        except Ignorable as reason:
            if not lenient:
                raise UnknownParameter(str(reason)) from None
            asked.ignored.append((name, value))
        else:
            if understood:
                asked.parameters.append((name, value))
    if asked.contained != "false" and not contained:
        raise UnknownParameter("_contained is for searches; criteria are about resources that are stored")
    return asked.query()


@dataclass(slots=True)
class _Asked:
    """The query while its parameters are taken one by one."""

    type: str
    types: Collection[str]
    indexer: Indexer
    criteria: Criteria
    known: TypeParameters
    default_count: int
    max_count: int
    conditions: list[Condition] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    sort: tuple[Sort, ...] = ()
    usual_sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "estimate", "accurate"] = "none"
    contained: Literal["false", "true", "both"] = "false"
    shows_contained: bool = False
    includes: dict[Include, None] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)

    def take(self, name: str, value: str) -> bool:
        """Understand one parameter; False when its value is empty, which search.html#errors ignores."""
        control = _CONTROLS.get(name)
        if name == "_filter":
            if value:
                self.conditions.append(compile_filter(self.type, value, self.criteria))
        elif control is None:
            # An empty value is ignored (search.html#errors), an unknown parameter is not.
            condition = self.criteria.condition(self.type, name, value)
            if condition is not None:
                self.conditions.append(condition)
        elif value:
            if name in self.once and name not in _REPEATED:
                raise BadRequest(f"{name} is given more than once")
            self.once.add(name)
            control(self, value)
        return bool(value)

    def query(self) -> Query:
        count = self.default_count if self.count is None else self.count
        return Query(
            self.type,
            narrow(self.conditions),
            self.sort or self.usual_sort,
            min(count, self.max_count),
            self.total,
            tuple(self.parameters),
            tuple(self.ignored),
            tuple(self.includes),
            self.contained,
            self.shows_contained,
        )

    # --- how the result is given

    def take_count(self, value: str) -> None:
        if not _count(value):
            raise BadRequest(f"_count={shown(value)} is not a whole number")
        self.count = int(value)

    def take_sort(self, value: str) -> None:
        rules = [rule for rule in value.split(",") if rule]
        if len(self.sort) + len(rules) > MAX_SORTS:
            raise BadRequest(f"_sort has more than {MAX_SORTS} keys")
        self.sort += tuple(map(self._sort, rules))

    def _sort(self, rule: str) -> Sort:
        code = rule.removeprefix("-")
        parameter = self.known.compiled.get(code)
        if parameter is None or parameter.type not in SORTABLE:
            self.known.check_ready(code)
            known = sorted(p.code for p in self.known.compiled.values() if p.type in SORTABLE)
            raise BadRequest(f"{self.type} cannot be sorted by {shown(code)}.{near(code, known)}")
        return Sort(code, rule.startswith("-"))

    def take_query(self, value: str) -> None:
        pairs, sort = named.find(self.type, value, self.indexer.site)
        found = [self.criteria.condition(self.type, name, asked) for name, asked in pairs]
        self.conditions += [condition for condition in found if condition is not None]
        self.usual_sort = tuple(self._sort(rule) for rule in sort.split(",") if rule)

    def take_total(self, value: str) -> None:
        match value:
            case "none" | "estimate" | "accurate":
                self.total = value
            case _:
                raise BadRequest(f"_total={shown(value)} is not one of none, estimate, accurate")

    def take_include(self, value: str, *, reverse: bool, iterate: bool) -> None:
        found = compile_include(self.types, value, self.criteria, reverse=reverse, iterate=iterate)
        self.includes |= dict.fromkeys(found)

    def take_contained(self, value: str) -> None:
        match value:
            case "false" | "true" | "both":
                self.contained = value
            case _:
                raise BadRequest(f"_contained={shown(value)} is not one of false, true, both")

    def take_contained_type(self, value: str) -> None:
        if value not in ("container", "contained"):
            raise BadRequest(f"_containedType={shown(value)} is not one of container, contained")
        self.shows_contained = value == "contained"

    def take_answer(self, value: str) -> None:
        """About the answer and no part of the query: see ``model.subset``."""


def _include(*, reverse: bool = False, iterate: bool = False) -> Callable[[_Asked, str], None]:
    return lambda asked, value: asked.take_include(value, reverse=reverse, iterate=iterate)


_CONTROLS: dict[str, Callable[[_Asked, str], None]] = {
    "_include": _include(),
    "_include:iterate": _include(iterate=True),
    "_revinclude": _include(reverse=True),
    "_revinclude:iterate": _include(reverse=True, iterate=True),
    "_count": _Asked.take_count,
    "_sort": _Asked.take_sort,
    "_total": _Asked.take_total,
    "_contained": _Asked.take_contained,
    "_containedType": _Asked.take_contained_type,
    "_summary": _Asked.take_answer,
    "_elements": _Asked.take_answer,
    "_query": _Asked.take_query,
}
_REPEATED = ("_sort", "_include", "_include:iterate", "_revinclude", "_revinclude:iterate")
