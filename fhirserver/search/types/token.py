"""Token parameters: codes, identifiers, booleans, contact points, found by equality.

A coding is two keys, ``code|8480-6`` and ``code|http://loinc.org|8480-6``, one without a system
``code|8480-6`` and ``code||8480-6``; what has no system (code, boolean, string, ContactPoint) is the first
key alone. ``system|`` is the range of the second kind. ``code|`` alone says that the element is there without
a code, for ``:missing``.

The texts of ``:text`` are not worth index entries: they are intervals, checked where the key range has
narrowed. https://hl7.org/fhir/R4/search.html#token
"""

import re
from functools import partial
from typing import Any, Literal

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import And, Coded, Condition, Index, Interval, KeyRange, Keys, Nothing, Or
from fhirserver.search.text import END, fold, tails
from fhirserver.search.types import sorting
from fhirserver.search.values import escape, shown, split, unescape

TEXT_WORDS = 4
"""So many words of a display are found by ``:text``."""

MIME_TYPES = "urn:ietf:bcp:13"

_ALONE = frozenset({"boolean", "ContactPoint", "uri", "url", "canonical", "oid", "uuid"})
_WITHOUT_SYSTEM = _ALONE | {"code", "id", "string"}
_separators = re.compile(r"[\s.()/\-]+")
_number = re.compile(r"[+\d\s.()/\-]+").fullmatch


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index one value of any of the types in the table of search.html#token."""
    match type:
        case "CodeableConcept":
            _concept(index, code, value)
        case "Coding":
            _coding(index, code, value)
        case "Identifier":
            _identifier(index, code, value)
        case "boolean":
            _key(index, code, "true" if value else "false")
        case "string":
            _key(index, code, value.casefold())
        case "ContactPoint":
            _key(index, code, _contact(value.get("value", "")))
        case _:
            _key(index, code, value)


def _concept(index: Index, code: str, concept: dict[str, Any]) -> None:
    codings = concept.get("coding")
    for coding in codings or ():
        _coding(index, code, coding)
    if not codings:
        index.keys.append(f"{code}|")
    _text(index, code, concept.get("text"))


def _coding(index: Index, code: str, coding: dict[str, Any]) -> None:
    value = coding.get("code")
    pair(index, code, coding.get("system"), value)
    if value:
        sorting.note(index, code, value)
    _text(index, code, coding.get("display"))


def _identifier(index: Index, code: str, identifier: dict[str, Any]) -> None:
    value = identifier.get("value")
    pair(index, code, identifier.get("system"), value)
    if value:
        sorting.note(index, code, value)
    kind = identifier.get("type")
    if kind:
        _text(index, code, kind.get("text"))
        for coding in kind.get("coding", ()):
            if value and coding.get("code"):
                index.keys.append(_of_type(code, coding.get("system", ""), coding["code"], value))


def pair(index: Index, code: str, system: str | None, value: str | None) -> None:
    """Index a system and a code (or an identifier's value), either of which may be missing."""
    if value:
        value = escape(value)
        index.keys.append(f"{code}|{value}")
        index.keys.append(f"{code}|{escape(system)}|{value}" if system else f"{code}||{value}")
    else:
        index.keys.append(f"{code}|{escape(system)}|" if system else f"{code}|")


def _key(index: Index, code: str, value: str) -> None:
    index.keys.append(f"{code}|{escape(value)}")
    if value:
        sorting.note(index, code, value)


def _text(index: Index, code: str, text: str | None) -> None:
    if text:
        folded = fold(text)
        index.intervals += [(f"{code}:text", tail, "") for tail in (folded, *tails(folded, TEXT_WORDS))]


def _of_type(code: str, system: str, type: str, value: str) -> str:
    return f"{code}:of-type|{escape(system)}|{escape(type)}|{escape(value)}"


def _contact(value: str) -> str:
    """``06 12.34-56(78)`` -> ``0612345678``; an address without case."""
    return _separators.sub("", value) if _number(value) else value.strip().casefold()


def equals(parameter: Parameter, value: str, site: Site) -> Condition:
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) == 1:
        return _any_system(parameter, parts[0])
    if len(parts) > 2:
        raise BadRequest(
            f"{shown(value)} has more than one |; a token is code, system|code, |code or system|"
        )
    if parameter.found <= _ALONE:
        raise BadRequest(f"{parameter.code} has no system: search {shown(parts[1])} without the |")
    return with_system(parameter, *parts)


def _any_system(parameter: Parameter, code: str) -> Condition:
    """The code as it is indexed: strings without case, contact points without separators."""
    found = parameter.found
    written = [code] if found - {"string", "ContactPoint"} else []
    if "string" in found:
        written.append(code.casefold())
    if "ContactPoint" in found:
        written.append(_contact(code))
    return Keys(tuple(f"{parameter.code}|{escape(c)}" for c in dict.fromkeys(written)))


def with_system(parameter: Parameter, system: str, code: str) -> Condition:
    """A code of a system, "" for none; without a code all of a system."""
    if parameter.found <= _WITHOUT_SYSTEM:
        # The system of a code is implied by its binding; one that is not bound may have any.
        systems = frozenset().union(*(path.systems for path in parameter.paths))
        if system and systems and system not in systems:
            return Nothing()
        return _any_system(parameter, code) if code else present(parameter)
    if code:
        return Keys((f"{parameter.code}|{escape(system)}|{escape(code)}",))
    if not system:
        raise BadRequest(f"| alone is not a token; to find what has no {parameter.code} use :missing=true")
    low = f"{parameter.code}|{escape(system)}|"
    return KeyRange(low, low[:-1] + "}")


def text(parameter: Parameter, value: str, site: Site) -> Condition:
    folded = fold(unescape(value))
    if not folded:
        raise BadRequest(f"{shown(value)} has no letter and no digit to search for")
    bounds = Interval(f"{parameter.code}:text", (("$gte", folded), ("$lt", folded + END)))
    return And((present(parameter), bounds))


def of_type(parameter: Parameter, value: str, site: Site) -> Condition:
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts):
        raise BadRequest(f"{shown(value)} is not the system|code|value that :of-type needs")
    if "Identifier" not in parameter.found:
        raise BadRequest(f":of-type is for identifiers; {parameter.code} has none")
    return Keys((_of_type(parameter.code, *parts),))


def in_value_set(parameter: Parameter, url: str, site: Site) -> Condition:
    """One of the codes of a value set: by its canonical, by one that names an implicit set (``fhir_vs``), or
    ``ValueSet/id`` here."""
    if site.base_url and url.startswith(f"{site.base_url}/"):
        url = url.removeprefix(f"{site.base_url}/")
    return Coded(parameter.code, "in", "", url, partial(with_system, parameter))


def below(parameter: Parameter, value: str, site: Site) -> Condition:
    """A code and all that it subsumes; of MIME types also those with parameters: ``text/xml; charset=UTF-8``
    is below ``text/xml``."""
    if not _is_mime(parameter):
        return _related(parameter, "below", value)
    key = f"{parameter.code}|{escape(unescape(value))}"
    return Or((Keys((key,)), KeyRange(f"{key};", f"{key}<"), KeyRange(f"{key} ;", f"{key} <")))


def above(parameter: Parameter, value: str, site: Site) -> Condition:
    """A code and all that subsumes it; of a MIME type with parameters also the type without."""
    if not _is_mime(parameter):
        return _related(parameter, "above", value)
    code = unescape(value)
    types = dict.fromkeys((code, code.partition(";")[0].rstrip()))
    return Keys(tuple(f"{parameter.code}|{escape(type)}" for type in types))


def _is_mime(parameter: Parameter) -> bool:
    return all(MIME_TYPES in path.systems for path in parameter.paths)


def _related(parameter: Parameter, relation: Literal["above", "below"], value: str) -> Condition:
    parts = [unescape(part) for part in split(value, "|")]
    if parameter.found <= _ALONE:
        raise BadRequest(f"{parameter.code} has no codes: it cannot be searched with :{relation}")
    implied = sorted({system for path in parameter.paths for system in path.systems})
    if len(parts) == 1 and parameter.found <= _WITHOUT_SYSTEM and len(implied) == 1:
        parts = [implied[0], *parts]
    if len(parts) != 2 or not all(parts):
        raise BadRequest(f"{shown(value)} is not the system|code that :{relation} needs")
    system, code = parts
    return Coded(parameter.code, relation, system, code, partial(with_system, parameter))


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {
    "": equals,
    "not": equals,
    "text": text,
    "of-type": of_type,
    "below": below,
    "above": above,
}
"""``:not`` is the complement of the whole parameter, with all of its values: the caller negates."""
