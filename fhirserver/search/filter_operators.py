"""How ``_filter`` compares: each operator by the type of the parameter, about one value in the resource.

Values are compared without case where the parameter does; of codes the usual ways to write them are tried.
https://hl7.org/fhir/R4/search_filter.html#ops
"""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.model import temporal
from fhirserver.search.criteria import Criteria, any_of
from fhirserver.search.indexer import STORED
from fhirserver.search.parameters import Parameter
from fhirserver.search.query import Condition, Everything, KeyRange, Keys, Not, Range, Updated
from fhirserver.search.text import END
from fhirserver.search.types import date, number, ordered, reference, string
from fhirserver.search.types.registry import COMPARISONS
from fhirserver.search.values import shown, split

Compare = Callable[[Parameter, str, Criteria], Condition]

SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
"""Names that stand for a code system."""

_exact = Context(prec=300)
_ORDERED = ("date", "number", "quantity")
_KEYED = ("token", "reference", "uri")
_WITH_SYSTEM = frozenset({"Coding", "CodeableConcept", "Identifier"})
_PART = r"(?:[^|\\]|\\.)*\|"
"""A part of a key up to its separator."""
_WHOLE = "[^\x1f]*\x1f."
"""What follows the start of an entry that is a whole value, not the value from a later word on."""


def _refuse(parameter: Parameter, operator: str) -> UnknownParameter:
    return UnknownParameter(f"{operator} is not for {parameter.code} ({parameter.type})")


def _plain(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    """What the parameter means without a modifier."""
    return criteria.match(parameter, "", parameter.code)(value)


# --- equal and not


def _equal(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    value = named(parameter, value)
    if parameter.type == "string":
        # The whole of a value: what follows its folded form is how it was written, never nothing.
        low = f"{parameter.code}|{string.folded(value)}"
        return Range(f"{low}\x1f\x02", f"{low}\x20")
    if parameter.type == "token":
        return any_of([_plain(parameter, text, criteria) for text in _written(value)])
    return _plain(parameter, value, criteria)


def _unequal(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    """One of the values is another one."""
    code, value = parameter.code, named(parameter, value)
    if code == "_id":
        return Not(_plain(parameter, value, criteria))
    if code in STORED or parameter.type in _ORDERED:
        return _plain(parameter, f"ne{value}", criteria)
    start = rf"^{re.escape(code)}\|"
    if parameter.type == "string":
        other = f"{start}(?!{re.escape(string.folded(value))}\x1f){_WHOLE}"
        return Range(f"{code}|", f"{code}}}", other)
    if parameter.type not in _KEYED:
        raise _refuse(parameter, "ne")
    equal = _equal(parameter, value, criteria)
    if not isinstance(equal, Keys):
        raise BadRequest(f"{shown(value)} does not name one {code}; write not ({code} eq ...)")
    same = "|".join(re.escape(key.removeprefix(f"{code}|")) for key in equal.keys)
    if parameter.found & _WITH_SYSTEM:
        # Each value is a key with its system, if only an empty one, and one without.
        system = "" if len(split(equal.keys[0], "|")) == 3 else _PART
        rest = rf"(?={_PART})(?!{system}(?:{same})$)"
    else:
        rest = rf"(?!(?:{same})(?:$|/_history/|\|))."
    return KeyRange(f"{code}|", f"{code}}}", start + rest)


def named(parameter: Parameter, value: str) -> str:
    """A token or a quantity with the system that a name stands for."""
    parts = split(value, "|")
    place = {"token": 0, "quantity": 1}.get(parameter.type, -1)
    if len(parts) > 1 and 0 <= place < len(parts) and parts[place] in SYSTEMS:
        parts[place] = SYSTEMS[parts[place]]
    return "|".join(parts)


def _written(value: str) -> list[str]:
    """A token as it is, and its code in capitals and in small letters."""
    *system, code = split(value, "|")
    return ["|".join((*system, text)) for text in dict.fromkeys((code, code.lower(), code.upper()))]


# --- order


def _prefixed(prefix: str) -> Compare:
    def compare(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
        if parameter.type == "string" and prefix in _FROM_TO:
            return _sorted(parameter, prefix, string.folded(value))
        if parameter.type not in _ORDERED:
            raise _refuse(parameter, prefix)
        return _plain(parameter, prefix + named(parameter, value), criteria)

    return compare


_FROM_TO = {"gt": ("\x20", ""), "ge": ("\x1f", ""), "lt": ("", "\x1f"), "le": ("", "\x20")}
"""What follows the folded text in the first entry that is greater, and in the last one that is less."""


def _sorted(parameter: Parameter, prefix: str, folded: str) -> Condition:
    code = parameter.code
    after, before = _FROM_TO[prefix]
    low = f"{code}|{folded}{after}" if after else f"{code}|"
    high = f"{code}|{folded}{before}" if before else f"{code}}}"
    return Range(low, high, rf"^{re.escape(code)}\|{_WHOLE}")


def _overlaps(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    a, b = _time(parameter, "po", value, criteria)
    if parameter.code in STORED:
        return Updated(temporal.microseconds(a), temporal.microseconds(b))
    return ordered.within(parameter.code, low=("$lt", b), high=("$gt", a))


def _time(parameter: Parameter, operator: str, value: str, criteria: Criteria) -> temporal.Interval:
    if parameter.type != "date":
        raise _refuse(parameter, operator)
    prefix, interval = date.parse(value, criteria.indexer.site)
    if prefix != "eq":
        raise BadRequest(f"{shown(value)} is not a date")
    return interval


# --- parts of texts, and of what stands for more


def _contains(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    code = parameter.code
    match parameter.type:
        case "date" if code not in STORED:
            a, b = _time(parameter, "co", value, criteria)
            return ordered.within(code, low=("$lte", a), high=("$gte", b))
        case "number":
            prefix, exact = number.parse(value)
            if prefix != "eq":
                raise BadRequest(f"{shown(value)} is not a number")
            places = range(max(0, -int(exact.as_tuple().exponent)) + 1)
            # What is written with fewer digits stands for this number, too: 5.4 for 5.42.
            rounded = {number.sortable(_exact.quantize(exact, Decimal(1).scaleb(-n))) for n in places}
            return any_of([_covers(code, text) for text in sorted(rounded)])
        case _:
            return _text("co", "[^\x1f]*{}[^\x1f]*")(parameter, value, criteria)


def _covers(code: str, text: str) -> Condition:
    return ordered.within(code, low=("$lte", text), high=("$gte", text))


def _text(operator: str, pattern: str) -> Compare:
    """A string by a pattern of the folded form in the whole value."""

    def compare(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
        if parameter.type != "string":
            raise _refuse(parameter, operator)
        code, folded = parameter.code, string.folded(value)
        low, high = f"{code}|", f"{code}}}"
        if operator == "sw":
            low, high = low + folded, low + folded + END
        return Range(low, high, rf"^{re.escape(code)}\|{pattern.format(re.escape(folded))}\x1f.")

    return compare


# --- others


def _present(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    if value != "true":
        raise BadRequest(f"pr is followed by true or false, not by {shown(value)}")
    if parameter.code in STORED:
        return Everything()
    if parameter.type == "composite":
        raise _refuse(parameter, "pr")
    return COMPARISONS[parameter.type].present(parameter)


def _refers(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
    if parameter.type != "reference":
        raise _refuse(parameter, "re")
    return reference.points_to(parameter, value, criteria.indexer.site)


def _by_terminology(operator: str, modifier: str) -> Compare:
    """The concepts of a token, as a modifier of the parameter finds them."""

    def compare(parameter: Parameter, value: str, criteria: Criteria) -> Condition:
        if parameter.type != "token" or parameter.code in STORED:
            raise _refuse(parameter, operator)
        return criteria.match(parameter, modifier, f"{parameter.code}:{modifier}")(named(parameter, value))

    return compare


OPERATORS: Mapping[str, Compare] = {
    "eq": _equal,
    "ne": _unequal,
    "co": _contains,
    "sw": _text("sw", "{}[^\x1f]*"),
    "ew": _text("ew", "[^\x1f]*{}"),
    **{prefix: _prefixed(prefix) for prefix in ("gt", "lt", "ge", "le", "ap", "sa", "eb")},
    "pr": _present,
    "po": _overlaps,
    "ss": _by_terminology("ss", "below"),
    "sb": _by_terminology("sb", "above"),
    "in": _by_terminology("in", "in"),
    "ni": _by_terminology("ni", "in"),
    "re": _refers,
}


def negated(operator: str, value: str) -> tuple[str, str] | None:
    """What ``ni`` and ``pr false`` are the opposite of; None for the others, which are about one value."""
    if operator == "ni":
        return "in", value
    return ("pr", "true") if (operator, value) == ("pr", "false") else None
