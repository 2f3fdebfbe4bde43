"""Search text -> Query. Strict: what is not known is refused with what is.
https://hl7.org/fhir/R4/search.html

Lenient (``Prefer: handling=lenient``) leaves out parameters that are unknown or not supported and says so in
``Query.ignored``. A modifier that is not supported and a value that is malformed are refused in any case, as
search.html#modifiers demands; so is ``_query``.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fhirserver.errors import BadRequest, TooCostly, UnknownParameter
from fhirserver.search.indexer import STORED, Indexer, TypeParameters
from fhirserver.search.parameters import Parameter
from fhirserver.search.query import And, Condition, Everything, Keys, Not, Nothing, Or, Query, Sort
from fhirserver.search.types import composite, reference, stored
from fhirserver.search.types.registry import COMPARISONS
from fhirserver.search.values import shown, split

MAX_LENGTH = 65_536
MAX_VALUES = 10_000
SORTABLE = ("string", "token", "date", "number", "quantity", "reference", "uri")

_HTTP = ("_format", "_pretty")
_NOT_YET = {
    "_include": "including resources",
    "_revinclude": "including resources",
    "_has": "reverse chaining",
    "_list": "searching by list",
    "_contained": "searching contained resources",
    "_containedType": "searching contained resources",
    "_type": "searching several types",
    "_score": "ranking",
}
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
) -> Query:
    """Compile the parameters of a search, decoded from the URL or form, in order and with repetitions.

    ``condition`` is Everything when no criterion was given, which conditional interactions must refuse.

    Raises:
        TypeNotServed: there is no such resource type.
        UnknownParameter: a parameter, or a modifier of one, is unknown or not supported.
        BadRequest: a value is malformed.
        TooCostly: a parameter has too many values or too long a text.
    """
    parameters = indexer.compiled(type)
    asked = _Asked(type, indexer, parameters, default_count, max_count)
    for name, value in pairs:
        if name in _HTTP:
            continue
        if _unsayable(name + value):
            raise BadRequest("A search cannot contain NUL or half of a surrogate pair")
        if len(value) > MAX_LENGTH:
            raise TooCostly(f"The value of {shown(name)} is longer than {MAX_LENGTH} characters")
        try:
            understood = asked.take(name, value)
        except _Ignorable as reason:
            if not lenient:
                raise UnknownParameter(str(reason)) from None
            asked.ignored.append((name, value))
        else:
            if understood:
                asked.parameters.append((name, value))
    return asked.query()


class _Ignorable(Exception):
    """A parameter that is unknown or not supported: left out where handling is lenient."""


@dataclass(slots=True)
class _Asked:
    """The query while its parameters are taken one by one."""

    type: str
    indexer: Indexer
    known: TypeParameters
    default_count: int
    max_count: int
    conditions: list[Condition] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "estimate", "accurate"] = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    once: set[str] = field(default_factory=set)

    def take(self, name: str, value: str) -> bool:
        """Understand one parameter; False when its value is empty, which search.html#errors ignores."""
        control = _CONTROLS.get(name)
        if control is None:
            parameter, modifier = self._parameter(name)
            if value:
                self.conditions.append(self._criterion(parameter, modifier, name, value))
        elif value:
            if name in self.once and name != "_sort":
                raise BadRequest(f"{name} is given more than once")
            self.once.add(name)
            control(self, value)
        return bool(value)

    def query(self) -> Query:
        match self.conditions:
            case []:
                condition: Condition = Everything()
            case [only]:
                condition = only
            case several:
                condition = And(tuple(several))
        count = self.default_count if self.count is None else self.count
        return Query(
            self.type,
            condition,
            self.sort,
            min(count, self.max_count),
            self.total,
            self.summary,
            self.elements,
            tuple(self.parameters),
            tuple(self.ignored),
        )

    # --- criteria

    def _parameter(self, name: str) -> tuple[Parameter, str]:
        code, _, modifier = name.partition(":")
        parameter = self.known.compiled.get(code)
        if parameter is not None:
            if "." in modifier:
                raise _Ignorable(f"{shown(name)} is not supported yet: chained parameters")
            return parameter, modifier
        if code == "_query":
            raise UnknownParameter("Named queries (_query) are not supported")
        if code in _NOT_YET:
            raise _Ignorable(f"{code} is not supported yet: {_NOT_YET[code]}")
        if code in self.known.refused:
            raise _Ignorable(f"{code} cannot be searched on {self.type}: {self.known.refused[code]}")
        if code.partition(".")[0] in self.known.compiled:
            raise _Ignorable(f"{shown(name)} is not supported yet: chained parameters")
        known = sorted((*self.known.compiled, *_CONTROLS))
        raise _Ignorable(f"{self.type} has no search parameter {shown(code)}.{_known(code, known)}")

    def _criterion(self, parameter: Parameter, modifier: str, name: str, value: str) -> Condition:
        match = self._match(parameter, modifier, name)
        values = [v for v in split(value, ",") if v]
        if not values:
            raise BadRequest(f"{name} has no value")
        if len(values) >= MAX_VALUES:
            raise TooCostly(f"{name} has {len(values)} values; fewer than {MAX_VALUES} are allowed")
        try:
            found = _any([match(v) for v in values])
        except BadRequest as error:
            raise type(error)(f"{name}: {error}") from None
        return Not(found) if modifier == "not" else found

    def _match(self, parameter: Parameter, modifier: str, name: str) -> Callable[[str], Condition]:
        if parameter.sources:
            matches = [self._match(source, modifier, name) for source in parameter.sources]
            if modifier == "missing":
                return lambda value: _missing(_any([match("false") for match in matches]), value)
            return lambda value: _any([match(value) for match in matches])
        site = self.indexer.site
        if parameter.code in STORED:
            modifiers = stored.MODIFIERS[parameter.code]
        elif parameter.type == "composite":
            modifiers = composite.MODIFIERS
        else:
            present = COMPARISONS[parameter.type].present
            modifiers = COMPARISONS[parameter.type].MODIFIERS
            if modifier == "missing":
                return lambda value: _missing(present(parameter), value)
            if parameter.type == "reference" and modifier in self.indexer.definitions.resource_types:
                return lambda value: reference.of_type(parameter, modifier, value, site)
        chosen = modifiers.get(modifier)
        if chosen is None or (modifier == "" and ":" in name):
            known = [f":{m}" for m in modifiers if m]
            known += [":missing"] if parameter.code not in STORED and parameter.type != "composite" else []
            known += [":[type]"] if parameter.type == "reference" else []
            allowed = f"known are {', '.join(known)}" if known else "it has none"
            code = name.partition(":")[0]
            raise UnknownParameter(
                f"{code} ({parameter.type}) has no modifier {shown(':' + modifier)}; {allowed}"
            )
        return lambda value: chosen(parameter, value, site)

    # --- how the result is given

    def take_count(self, value: str) -> None:
        if not _count(value):
            raise BadRequest(f"_count={shown(value)} is not a whole number")
        self.count = int(value)

    def take_sort(self, value: str) -> None:
        self.sort += tuple(self._sort(rule) for rule in value.split(",") if rule)

    def _sort(self, rule: str) -> Sort:
        code = rule.removeprefix("-")
        parameter = self.known.compiled.get(code)
        if parameter is None or parameter.type not in SORTABLE:
            known = sorted(p.code for p in self.known.compiled.values() if p.type in SORTABLE)
            raise BadRequest(f"{self.type} cannot be sorted by {shown(code)}.{_known(code, known)}")
        return Sort(code, rule.startswith("-"))

    def take_total(self, value: str) -> None:
        match value:
            case "none" | "estimate" | "accurate":
                self.total = value
            case _:
                raise BadRequest(f"_total={shown(value)} is not one of none, estimate, accurate")

    def take_summary(self, value: str) -> None:
        if value not in ("true", "text", "data", "count", "false"):
            raise BadRequest(f"_summary={shown(value)} is not one of true, text, data, count, false")
        self.summary = value

    def take_elements(self, value: str) -> None:
        names = tuple(name for name in value.split(",") if name)
        known = [element.name for element in self.indexer.definitions.structures[self.type].elements]
        for name in names:
            # A client may write the type as well: Patient.name.
            if name.removeprefix(f"{self.type}.") not in known:
                raise BadRequest(f"{self.type} has no element {shown(name)}.{_known(name, sorted(known))}")
        self.elements = tuple(name.removeprefix(f"{self.type}.") for name in names)


_CONTROLS: dict[str, Callable[[_Asked, str], None]] = {
    "_count": _Asked.take_count,
    "_sort": _Asked.take_sort,
    "_total": _Asked.take_total,
    "_summary": _Asked.take_summary,
    "_elements": _Asked.take_elements,
}


def _missing(present: Condition, value: str) -> Condition:
    match value:
        case "true":
            return Not(present)
        case "false":
            return present
        case _:
            raise BadRequest(f"{shown(value)} is not true or false")


def _any(conditions: Sequence[Condition]) -> Condition:
    """Or, with all that is found by equality in one set of keys."""
    conditions = [part for c in conditions for part in (c.any if isinstance(c, Or) else (c,))]
    keys = [key for c in conditions if isinstance(c, Keys) for key in c.keys]
    others: list[Condition] = [c for c in conditions if not isinstance(c, Keys | Nothing)]
    if keys:
        others.insert(0, Keys(tuple(dict.fromkeys(keys))))
    if not others:
        return Nothing()
    return others[0] if len(others) == 1 else Or(tuple(others))


def _known(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{f' Did you mean {near[0]}?' if near else ''} Known are {', '.join(known)}"
