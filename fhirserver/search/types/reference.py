"""Reference parameters: which resource, or which canonical, a resource points to.

A reference is one key, ``subject|Patient/1``: relative for this server's own resources however they were
written, absolute for those of others. A versioned reference has a second key with the version, so that it is
found by either. A canonical has a key without and, where it says one, a key with its version. ``subject|``
alone stands for a reference without an address (a display, an identifier, a contained resource).

https://hl7.org/fhir/R4/search.html#reference
"""

from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.model import reference
from fhirserver.search.expressions import Path
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, KeyRange, Keys, Nothing, Or, Within
from fhirserver.search.types import sorting, token, uri
from fhirserver.search.values import escape, shown, split, unescape

_REFERENCES = frozenset({"Reference", "Resource"})

HIERARCHIES = {
    **dict.fromkeys(("Location", "Organization", "ResearchStudy"), "partof"),
    **dict.fromkeys(
        ("CarePlan", "Communication", "Encounter", "MedicationStatement", "Procedure"), "part-of"
    ),
    "Task": "part-of",
    **dict.fromkeys(("DeviceDefinition", "Specimen"), "parent"),
}
"""The types whose resources can be part of each other, and by which parameter they say so."""


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a Reference, a canonical or uri, or the identity of a nested resource (Bundle.composition)."""
    if type == "Reference":
        literal = value.get("reference")
        _literal(index, code, literal or "", site)
        identifier = value.get("identifier")
        if identifier:
            token.pair(index, f"{code}:identifier", identifier.get("system"), identifier.get("value"))
    elif type == "Resource":
        id = value.get("id")
        _literal(index, code, f"{value['resourceType']}/{id}" if id else "", site)
    else:
        uri.entries(index, code, type, value, site)


def _literal(index: Index, code: str, literal: str, site: Site) -> None:
    parsed = reference.parse(literal, site.base_url)
    address = parsed.address
    index.keys.append(f"{code}|{escape(address)}")
    if parsed.version:
        index.keys.append(f"{code}|{address}/_history/{parsed.version}")
    if address:
        sorting.note(index, code, address)


def points_to(parameter: Parameter, value: str, site: Site) -> Condition:
    address, *version = (unescape(part) for part in split(value, "|"))
    if version:
        if parameter.found <= _REFERENCES:
            raise BadRequest(f"{shown(value)} has a |version; {parameter.code} is not a canonical")
        return uri.equals(parameter, value, site)
    if reference.is_id(address):
        return Keys(tuple(f"{parameter.code}|{target}/{address}" for target in parameter.targets))
    # An address without its version is a key of every reference to it, one with its version of those alone.
    parsed = reference.parse(address, site.base_url)
    if parsed.is_contained:
        raise BadRequest(f"{shown(value)} is inside another resource, which search does not look into")
    # A canonical is compared as it is, even one of this server.
    written = [str(parsed)] if parameter.found <= _REFERENCES else [str(parsed), address]
    return Keys(tuple(f"{parameter.code}|{escape(text)}" for text in dict.fromkeys(written)))


def of_type(parameter: Parameter, type: str, value: str, site: Site) -> Condition:
    """``subject:Patient=1``: the modifier is the name of a resource type."""
    if type not in parameter.targets:
        raise BadRequest(f"{parameter.code} cannot refer to {type}; it can to {', '.join(parameter.targets)}")
    text = unescape(value)
    if reference.is_id(text):
        return Keys((f"{parameter.code}|{type}/{text}",))
    if reference.parse(text, site.base_url).type != type:
        return Nothing()
    return points_to(parameter, value, site)


def identifier(parameter: Parameter, value: str, site: Site) -> Condition:
    """``subject:identifier=system|value``: a token search on Reference.identifier."""
    if "Reference" not in parameter.found:
        raise BadRequest(f"{parameter.code} is a canonical, which has no identifier")
    as_token = Parameter(f"{parameter.code}:identifier", "token", (Path("identifier", (), "Identifier"),))
    return token.equals(as_token, value, site)


def below(parameter: Parameter, value: str, site: Site) -> Condition:
    """``location:below=1``: Location/1 or what is part of it, at any depth. Of a canonical see ``uri``."""
    return _within(parameter, value, site, above=False)


def above(parameter: Parameter, value: str, site: Site) -> Condition:
    """``location:above=1``: Location/1 or what it is part of, at any depth."""
    return _within(parameter, value, site, above=True)


def _within(parameter: Parameter, value: str, site: Site, *, above: bool) -> Condition:
    if not parameter.found & _REFERENCES:
        return (uri.above if above else uri.below)(parameter, value, site)
    text = unescape(value)
    parsed = reference.parse(text, site.base_url)
    types = parameter.targets if reference.is_id(text) else (parsed.type,)
    id = text if reference.is_id(text) else parsed.id
    parts = {type: HIERARCHIES[type] for type in types if type in HIERARCHIES and type in parameter.targets}
    if not parts or not (reference.is_id(text) or parsed.is_local):
        known = ", ".join(type for type in parameter.targets if type in HIERARCHIES) or "none of its targets"
        raise BadRequest(
            f"{shown(value)} is in no hierarchy: above and below are for resources of this server that can "
            f"be part of each other; of those {parameter.code} refers to: {known}"
        )
    found = tuple(Within(parameter.code, type, part, id, above) for type, part in parts.items())
    return found[0] if len(found) == 1 else Or(found)


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": points_to, "identifier": identifier, "above": above, "below": below}
"""And the names of the resource types it may point to, see ``of_type``."""
