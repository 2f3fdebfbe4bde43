"""``_filter``: comparisons, ``given eq "Zoé" and (birthdate ge 1980 or not (gender eq male))``.

``and`` and ``or`` are mixed only with parentheses, as the standard leaves open which one binds closer. Paths
are parameters and chains; a filter inside a path, ``related[type eq x].target``, is not supported, nor is
what needs terminology (ss, sb, in, ni). https://hl7.org/fhir/R4/search_filter.html
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fhirserver.errors import BadRequest, TooCostly, UnknownParameter
from fhirserver.search.criteria import Criteria
from fhirserver.search.indexer import STORED
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import And, Condition, Everything, Not, Or, Range
from fhirserver.search.types import composite, date, ordered, reference, stored, string
from fhirserver.search.types.registry import COMPARISONS, Match
from fhirserver.search.values import shown

MOST = 100
"""So many comparisons are allowed, so deep may parentheses be."""

_token = re.compile(r'\s*(?:([()])|("(?:[^"\\]|\\.)*")|([^\s()\[\]"]+))')
_ORDERED = ("date", "number", "quantity")
_TERMINOLOGY = ("ss", "sb", "in", "ni")


def compile_filter(type: str, text: str, criteria: Criteria) -> Condition:
    """The condition of an expression.

    Raises:
        BadRequest: it is malformed.
        UnknownParameter: it compares in a way that is not supported; Ignorable: a parameter is not known.
        TooCostly: it is too long.
    """
    reader = _Reader(_tokens(text), type, criteria)
    found = reader.expression()
    if reader.tokens:
        raise BadRequest(f"_filter ends before {shown(reader.tokens[0])}")
    return found


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        found = _token.match(text, position)
        if found is None:
            inside = (
                " (filters inside a path are not supported)" if text[position:].lstrip()[:1] == "[" else ""
            )
            raise BadRequest(f"_filter is not understood at {shown(text[position:])}{inside}")
        tokens.append(found[0].strip())
        position = found.end()
    if len(tokens) > 8 * MOST:
        raise TooCostly(f"_filter has more than {MOST} comparisons")
    return tokens


@dataclass(slots=True)
class _Reader:
    """Reads tokens from the front, by the grammar of the standard."""

    tokens: list[str]
    type: str
    criteria: Criteria
    depth: int = 0

    def expression(self) -> Condition:
        parts, operators = [self.part()], set()
        while self.tokens and self.tokens[0] in ("and", "or"):
            operators.add(self.take())
            parts.append(self.part())
        if len(operators) > 1:
            raise BadRequest("_filter mixes and and or: put parentheses around what belongs together")
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts)) if "and" in operators else Or(tuple(parts))

    def part(self) -> Condition:
        first = self.take()
        if first == "not" and self.tokens[:1] == ["("]:
            self.take()
            return Not(self.inside())
        return self.inside() if first == "(" else self.comparison(first)

    def inside(self) -> Condition:
        self.depth += 1
        if self.depth > MOST:
            raise TooCostly(f"_filter has more than {MOST} parentheses in each other")
        found = self.expression()
        if self.take() != ")":
            raise BadRequest("_filter lacks a )")
        self.depth -= 1
        return found

    def comparison(self, path: str) -> Condition:
        operator, value = self.take(), self.take()
        if operator in _TERMINOLOGY:
            raise UnknownParameter(f"_filter: {operator} needs terminology, which is not supported")
        compare = OPERATORS.get(operator)
        if compare is None:
            raise BadRequest(f"_filter: {shown(operator)} is not one of {', '.join(OPERATORS)}")
        if value in ("(", ")") or path == ")" or path.startswith('"'):
            raise BadRequest(
                f"_filter: {shown(f'{path} {operator} {value}')} is not a path, an operator and a value"
            )
        text = _value(value)
        leaf = replace(self.criteria, compare=lambda parameter, site: compare(parameter, text, site))
        condition = leaf.condition(self.type, path, text)
        return Everything() if condition is None else condition

    def take(self) -> str:
        if not self.tokens:
            raise BadRequest("_filter ends where a comparison should be: path operator value")
        return self.tokens.pop(0)


def _value(token: str) -> str:
    """A value as search parameters write it; inside quotes nothing separates."""
    if not token.startswith('"'):
        return token
    try:
        text = str(json.loads(token))
    except ValueError:
        raise BadRequest(f"_filter: {shown(token)} is not a JSON string") from None
    if not text:
        raise BadRequest('_filter: "" is nothing to compare with; for what is missing write pr false')
    return re.sub(r"[\\,$|]", r"\\\g<0>", text)


# --- the comparisons


def _refuse(parameter: Parameter, operator: str, instead: str = "") -> UnknownParameter:
    return UnknownParameter(f"_filter: {operator} is not for {parameter.code} ({parameter.type}){instead}")


def _plain(parameter: Parameter) -> Match:
    """What the parameter means without a modifier."""
    if parameter.code in STORED:
        return stored.MODIFIERS[parameter.code][""]
    return (composite if parameter.type == "composite" else COMPARISONS[parameter.type]).MODIFIERS[""]


def _equal(parameter: Parameter, value: str, site: Site) -> Condition:
    if parameter.type == "string":
        # The whole of a value: what follows its folded form is how it was written, never nothing.
        low = f"{parameter.code}|{string.folded(value)}"
        return Range(f"{low}\x1f\x02", f"{low}\x20")
    return _plain(parameter)(parameter, value, site)


def _prefixed(prefix: str) -> Callable[[Parameter, str, Site], Condition]:
    def compare(parameter: Parameter, value: str, site: Site) -> Condition:
        if parameter.type not in _ORDERED:
            instead = "; write not (... eq ...)" if prefix == "ne" else ""
            raise _refuse(parameter, prefix, instead)
        return _plain(parameter)(parameter, prefix + value, site)

    return compare


def _text(operator: str, pattern: str) -> Callable[[Parameter, str, Site], Condition]:
    """A string by a pattern of the folded form in the whole value."""

    def compare(parameter: Parameter, value: str, site: Site) -> Condition:
        if parameter.type != "string":
            raise _refuse(parameter, operator)
        code, folded = parameter.code, string.folded(value)
        found = pattern.format(re.escape(folded))
        low, high = f"{code}|", f"{code}}}"
        if operator == "sw":
            low, high = low + folded, low + folded + "\U0010ffff"
        return Range(low, high, rf"^{re.escape(code)}\|{found}\x1f.")

    return compare


def _present(parameter: Parameter, value: str, site: Site) -> Condition:
    if parameter.code in STORED or parameter.type == "composite":
        raise _refuse(parameter, "pr")
    if value not in ("true", "false"):
        raise BadRequest(f"_filter: pr is followed by true or false, not by {shown(value)}")
    present = COMPARISONS[parameter.type].present(parameter)
    return present if value == "true" else Not(present)


def _overlaps(parameter: Parameter, value: str, site: Site) -> Condition:
    if parameter.type != "date" or parameter.code in STORED:
        raise _refuse(parameter, "po")
    prefix, interval = date.parse(value, site)
    if prefix != "eq":
        raise BadRequest(f"_filter: {shown(value)} is not a date")
    return ordered.within(parameter.code, low=("$lt", interval.high), high=("$gt", interval.low))


def _refers(parameter: Parameter, value: str, site: Site) -> Condition:
    if parameter.type != "reference":
        raise _refuse(parameter, "re")
    return reference.points_to(parameter, value, site)


OPERATORS: Mapping[str, Callable[[Parameter, str, Site], Condition]] = {
    "eq": _equal,
    **{prefix: _prefixed(prefix) for prefix in ("ne", "gt", "lt", "ge", "le", "ap", "sa", "eb")},
    "co": _text("co", "[^\x1f]*{}[^\x1f]*"),
    "sw": _text("sw", "{}[^\x1f]*"),
    "ew": _text("ew", "[^\x1f]*{}"),
    "pr": _present,
    "po": _overlaps,
    "re": _refers,
}
"""How ``_filter`` compares; values are compared without case where the parameter does."""
