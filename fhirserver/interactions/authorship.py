"""Who made a document, and whether somebody may withdraw it: its author or somebody of the same organization.

DMP TD3.3c; CI-SIS, application error 901 (author not allowed).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from fhirserver.model import json, reference
from fhirserver.model.json import Resource

if TYPE_CHECKING:
    from fhirserver.server import Server

Who = Literal["author", "organization", "anyone"]
"""Who may withdraw a document: its authors, also others of their organizations, or anybody."""

Party = tuple[str, str]
"""An identifier (system, value) of a person, device or organization."""

_ORGANIZATIONS = ("Organization",)


async def parties(
    document: Resource, server: "Server", known: Mapping[str, Resource] | None = None
) -> tuple[set[Party], set[Party]]:
    """The identifiers of a document's authors, and those of their organizations and its custodian.

    ``known`` are resources by reference that are about to be stored.

    Raises:
        Unavailable.
    """
    contained = {f"#{each.get('id')}": each for each in document.get("contained", ())}
    here = {**(known or {}), **contained}
    people: set[Party] = set()
    organizations: set[Party] = set()
    waiting = [r for r in (*document.get("author", ()), document.get("authenticator", {})) if r]
    waiting += [document["custodian"]] if document.get("custodian") else []
    seen: set[str] = set()
    while waiting:
        named = waiting.pop()
        resource = await _resource(named, here, server)
        type = str(resource.get("resourceType") or named.get("type") or "")
        found = {
            *_identifiers([named["identifier"]] if "identifier" in named else []),
            *_identifiers(resource.get("identifier", ())),
        }
        (organizations if type in _ORGANIZATIONS else people).update(found)
        for element in ("practitioner", "organization", "owner"):
            inner = resource.get(element)
            if isinstance(inner, dict) and (name := inner.get("reference", "")) not in seen:
                seen.add(name)
                waiting.append(inner)
    return people, organizations


def may_withdraw(
    who: Who, made_by: tuple[set[Party], set[Party]], asks: tuple[set[Party], set[Party]]
) -> bool:
    """Whether somebody (persons, organizations) may withdraw what was made by somebody."""
    if who == "anyone":
        return True
    if made_by[0] & asks[0]:
        return True
    return who == "organization" and bool(made_by[1] & asks[1])


async def _resource(named: Resource, here: Mapping[str, Resource], server: "Server") -> Resource:
    name = str(named.get("reference", ""))
    if name in here:
        return here[name]
    parsed = reference.parse(name, server.base_url)
    if not parsed.is_local or parsed.type not in server.types:
        return {}
    stored = await server.repository.find(parsed.type, parsed.id)
    return {} if stored is None or stored.deleted else json.stored(stored.body)


def _identifiers(listed: Iterable[Resource]) -> Iterator[Party]:
    return ((i.get("system", ""), i["value"]) for i in listed if i.get("value"))
