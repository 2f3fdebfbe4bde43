"""AdhocQueryRequest -> the stored query it asks and the values of its parameters.

IHE ITI TF-2 3.18.4.1.2.3.5 (coding of values), OASIS ebRS 3.0
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from mappings.cda.xml import Node, local_name
from mappings.core.codes import UUID
from mappings.core.times import NotATime, parse
from mappings.xds.ebrs import QUERY, RIM, SUCCESS, RegistryError, error_list, status_of
from mappings.xds.stored_queries import STORED_QUERIES, Parameter, StoredQuery

STORED_QUERY: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
"""wsa:Action"""
LEAF_CLASS: Final = "LeafClass"
OBJECT_REF: Final = "ObjectRef"
MOST_VALUES: Final = 1000
"""So many values a query names at most."""

_STRING: Final = re.compile(r"'((?:[^']|'')*)'")
_OPEN: Final = re.compile("(?:0000|9999)[0-9]{0,10}")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[+-][0-9]{4})?")


class NotAQuery(Exception):
    """``code`` is one of ITI TF-3 table 4.2.4.1-2, ``location`` the parameter or attribute."""

    def __init__(self, code: str, text: str, location: str = "") -> None:
        super().__init__(text)
        self.code, self.location = code, location


@dataclass(frozen=True, slots=True)
class Query:
    """A stored query with its values: per parameter lists, of each of which one value has to match.

    UUIDs are ``urn:uuid:...`` in lower case, strings without their quotes.
    """

    stored: StoredQuery
    return_type: str
    values: dict[str, tuple[tuple[str, ...], ...]]

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a parameter whose lists are one."""
        return tuple(value for group in self.values.get(name, ()) for value in group)

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def metadata_level(self) -> int:
        """2: with previous versions of the metadata."""
        return int(self.one("$MetadataLevel") or 1)


def read_query(request: Node) -> Query:
    """Read an AdhocQueryRequest, whatever its prefixes.

    Raises:
        NotAQuery: unknown query or return type, or parameters that are not as they must be.
    """
    if local_name(request) != "AdhocQueryRequest":
        raise NotAQuery("XDSRegistryError", f"{local_name(request)[:64]} is no AdhocQueryRequest")
    return_type = OBJECT_REF
    if (option := _child(request, "ResponseOption")) is not None:
        return_type = option.get("returnType") or OBJECT_REF
    if return_type not in (LEAF_CLASS, OBJECT_REF):
        text = f"The returnType {return_type[:64]!r} is not known; known are {LEAF_CLASS}, {OBJECT_REF}"
        raise NotAQuery("XDSRegistryError", text, "returnType")
    query = _child(request, "AdhocQuery")
    id = "" if query is None else (query.get("id") or "").strip().lower()
    stored = STORED_QUERIES.get(id if id.startswith("urn:uuid:") else f"urn:uuid:{id}")
    if query is None or stored is None:
        raise NotAQuery("XDSUnknownStoredQuery", f"There is no stored query {id[:64]!r}", "AdhocQuery")
    return Query(stored, return_type, _values(query, stored))


def _values(query: Node, stored: StoredQuery) -> dict[str, tuple[tuple[str, ...], ...]]:
    given: dict[str, tuple[tuple[str, ...], ...]] = {}
    for slot in query:
        if not isinstance(slot.tag, str) or local_name(slot) != "Slot":
            continue
        name = (slot.get("name") or "").strip()
        parameter = stored.parameters.get(name)
        if parameter is None:
            known = ", ".join(sorted(stored.parameters))
            text = f"{stored.name} has no parameter {name[:64]!r}; it has {known}"
            raise NotAQuery("XDSRegistryError", text, name[:64])
        listed = _child(slot, "ValueList")
        raw = [] if listed is None else [n for n in listed if isinstance(n.tag, str)]
        groups = [_group((n.text or "").strip(), parameter) for n in raw if local_name(n) == "Value"]
        given[name] = given.get(name, ()) + tuple(group for group in groups if group)
    given = {name: groups for name, groups in given.items() if groups}
    if sum(len(group) for groups in given.values() for group in groups) > MOST_VALUES:
        raise NotAQuery("XDSRegistryError", f"The query names more than {MOST_VALUES} values")
    _check(given, stored)
    return given


def _check(given: dict[str, tuple[tuple[str, ...], ...]], stored: StoredQuery) -> None:
    for name, parameter in stored.parameters.items():
        count = sum(len(group) for group in given.get(name, ()))
        if parameter.required and not count:
            raise NotAQuery("XDSStoredQueryMissingParam", f"{stored.name} needs {name}", name)
        if count > 1 and not parameter.several:
            text = f"{name} of {stored.name} has one value, not {count}"
            raise NotAQuery("XDSStoredQueryParamNumber", text, name)
    named = [name for name in stored.one_of if name in given]
    if stored.one_of and not named:
        text = f"{stored.name} needs one of {', '.join(stored.one_of)}"
        raise NotAQuery("XDSStoredQueryMissingParam", text, stored.one_of[0])
    if len(named) > 1:
        text = f"{stored.name} takes one of {', '.join(stored.one_of)}, not {len(named)}"
        raise NotAQuery("XDSStoredQueryParamNumber", text, named[1])


def _group(text: str, parameter: Parameter) -> tuple[str, ...]:
    """``'x'``, ``('x','y')`` or a number -> the values.

    Raises:
        NotAQuery: it is coded otherwise.
    """
    if not text:
        return ()
    inside = text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text
    values, at = [], 0
    while at < len(inside):
        found = _STRING.match(inside, at) or _NUMBER.match(inside, at)
        if found is None:
            break
        value = found[0] if found.re is _NUMBER else found[1].replace("''", "'")
        values.append(_checked(value, found.re is _NUMBER, parameter))
        at = found.end()
        while at < len(inside) and inside[at].isspace():
            at += 1
        if at < len(inside) and inside[at] != ",":
            break
        at += 1
        while at < len(inside) and inside[at].isspace():
            at += 1
    if at != len(inside) + 1 or not values:
        text = f"A value of {parameter.name} is not coded as 'text', ('one','two') or a number"
        raise NotAQuery("XDSRegistryError", text, parameter.name)
    return tuple(values)


def _checked(value: str, is_number: bool, parameter: Parameter) -> str:
    problem = ""
    match parameter.kind:
        case "time":
            known = is_open(parameter.name, value) or _is_time(value)
            problem = "" if known else "a time (YYYY[MM[DD[hh[mm[ss]]]]])"
        case "number":
            problem = "" if value in ("1", "2") else "1 or 2"
        case "code":
            is_code = not is_number and len(parts := value.split("^")) == 3 and parts[0] and parts[2]
            problem = "" if is_code else "'code^^scheme'"
        case "uuid":
            problem = "" if UUID.fullmatch(value.lower().removeprefix("urn:uuid:")) else "'urn:uuid:...'"
        case _:
            problem = "'text'" if is_number else ""
    if problem:
        raise NotAQuery("XDSRegistryError", f"A value of {parameter.name} is not {problem}", parameter.name)
    return f"urn:uuid:{value.lower().removeprefix('urn:uuid:')}" if parameter.kind == "uuid" else value


def is_open(name: str, value: str) -> bool:
    """Whether a time is no limit: up to the year 9999, from the year 0000."""
    return bool(_OPEN.fullmatch(value)) and value.startswith("9999" if name.endswith("To") else "0000")


def _is_time(value: str) -> bool:
    try:
        parse(value)
    except NotATime:
        return False
    return True


def _child(node: Node, name: str) -> Node | None:
    return next((c for c in node if isinstance(c.tag, str) and local_name(c) == name), None)


def adhoc_query_response(objects: Node) -> Node:
    """AdhocQueryResponse with what was found, a RegistryObjectList."""
    response = etree.Element(f"{{{QUERY}}}AdhocQueryResponse", {"status": SUCCESS}, nsmap={"query": QUERY})
    response.append(objects)
    return response


def adhoc_query_refusal(errors: Sequence[RegistryError]) -> Node:
    """AdhocQueryResponse that says why nothing is answered; the schema wants an empty list, too."""
    response = etree.Element(
        f"{{{QUERY}}}AdhocQueryResponse", {"status": status_of(errors)}, nsmap={"query": QUERY}
    )
    response.append(error_list(errors))
    etree.SubElement(response, f"{{{RIM}}}RegistryObjectList", nsmap={"rim": RIM})
    return response
