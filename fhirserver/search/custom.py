"""A SearchParameter resource as a parameter of this server, checked before it is stored.

https://hl7.org/fhir/R4/searchparameter.html
"""

import re

from fhirserver.errors import Unprocessable
from fhirserver.model.definitions import Definitions
from fhirserver.model.definitions.search_parameters import read
from fhirserver.model.json import Resource
from fhirserver.search.buckets import NAMES
from fhirserver.search.indexer import Indexer
from fhirserver.search.narrowing import DATES, TOKENS
from fhirserver.search.parameters import TYPES, Custom, compile_parameters

_code = re.compile(r"[A-Za-z][A-Za-z0-9\-_]{0,63}", re.ASCII).fullmatch
_MEANT = {
    **dict.fromkeys(TOKENS, "token"),
    **dict.fromkeys(DATES, "date"),
    **dict.fromkeys(NAMES, "string"),
    **dict.fromkeys(("patient", "subject"), "reference"),
    "value-quantity": "quantity",
}
"""Codes that are indexed together with others, as parameters of this type."""


def is_used(resource: Resource) -> bool:
    """Drafts and retired ones are stored, no more."""
    return bool(resource.get("status") == "active")


def read_custom(resource: Resource, version: int) -> Custom:
    """What a valid SearchParameter asks for."""
    special = "phonetic" if resource.get("xpathUsage") == "phonetic" else ""
    return Custom(resource.get("id", ""), version, read(resource), special=special)


def check(custom: Custom, indexer: Indexer) -> None:
    """Refuse a parameter that this server could not search beside those in use.

    Raises:
        Unprocessable: the issue says what and where.
    """
    definition = custom.definition
    code, kind = definition.code, definition.type
    definitions = indexer.definitions
    others = [other for other in indexer.customs if other.id != custom.id]
    bases = sorted(indexer.types.intersection(definitions.types_of(definition)))
    if not _code(code):
        raise _refused(
            f"The code {code[:64]!r} cannot be the name of a parameter: that is a letter and at most 63 "
            "letters, digits, - and _",
            "code",
        )
    if not bases:
        raise _refused(
            f"None of {', '.join(definition.base)[:200]} is a resource type that is on here", "base"
        )
    if kind not in (*TYPES, "composite") or kind in ("phonetic", "near"):
        raise _refused(f"Parameters of type {kind} cannot be defined here", "type")
    if custom.special and kind != "string":
        raise _refused("Only strings can be compared by their sound", "xpathUsage")
    if _MEANT.get(code, kind) != kind:
        raise _refused(f"{code} means a parameter of type {_MEANT[code]}; choose another code", "code")
    for type in bases:
        if code in definitions.search_parameters(type):
            raise _refused(f"{type} has the parameter {code} already, by FHIR itself", "code")
    for other in others:
        shared = set(bases) & set(definitions.types_of(other.definition))
        if other.definition.code == code and shared:
            raise _refused(f"{min(shared)} has the parameter {code} by SearchParameter/{other.id}", "code")
        if other.definition.url == definition.url:
            raise _refused(f"SearchParameter/{other.id} has the same url", "url")
    if _is_official(definition.url, definitions):
        raise _refused("The url is that of a parameter of FHIR itself", "url")
    for type in bases:
        reason = compile_parameters(type, definitions, (*others, custom), indexer.fhirpath).refused.get(code)
        if reason:
            place = "component" if kind == "composite" and "part" in reason else "expression"
            raise _refused(f"The parameter cannot be searched on {type}: {reason}", place)


def _is_official(url: str, definitions: Definitions) -> bool:
    try:
        definitions.search_parameter(url)
    except KeyError:
        return False
    return True


def _refused(text: str, path: str) -> Unprocessable:
    return Unprocessable(text, expression=f"SearchParameter.{path}")
