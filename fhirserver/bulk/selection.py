"""Which resources an export takes, and what of them. https://hl7.org/fhir/uv/bulkdata/export.html"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fhirserver.errors import BadRequest, NotFound
from fhirserver.interactions.compartments import ITSELF
from fhirserver.interactions.parts import full_body
from fhirserver.model import json, reference
from fhirserver.model.subset import Subset
from fhirserver.search.match import decidable, satisfies
from fhirserver.search.query import Condition, Index
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server


@dataclass(frozen=True, slots=True)
class Selection:
    """What an export takes of one type.

    ``prefixes`` and ``keys``: of a patient's compartment, one index key begins with, or is, one of these;
    ``members`` are the logical ids of the patients where the type is Patient (None: all).
    """

    since: int
    conditions: tuple[Condition, ...] = ()
    elements: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    keys: frozenset[str] | None = None
    members: frozenset[str] | None = None

    def takes(self, stored: Stored, index: Index) -> bool:
        """Whether the version, which is no deletion, belongs to the export."""
        if stored.updated < self.since or not self.covers(stored.id, index.keys):
            return False
        matched = (satisfies(index, stored.id, stored.updated, c) for c in self.conditions)
        return not self.conditions or any(matched)

    def covers(self, id: str, keys: Collection[str]) -> bool:
        """Whether the resource, which may be deleted, belongs to the patients of the export."""
        if self.members is not None and id not in self.members:
            return False
        if self.keys is not None and self.keys.isdisjoint(keys):
            return False
        return not self.prefixes or any(key.startswith(self.prefixes) for key in keys)

    async def line(self, stored: Stored, server: "Server") -> bytes:
        body = await full_body(stored, server)
        if not self.elements:
            return body
        return json.format(Subset(elements=self.elements).of(json.stored(body), server.definitions))


async def selection(type: str, request: dict[str, Any], server: "Server") -> Selection:
    """What an export takes of a type, by its request (see ``operations.export``).

    Raises:
        NotFound: the Group is no more.
    """
    elements = (*request["elements"].get(type, ()), *request["elements"].get("", ()))
    conditions = conditions_of(type, request["filters"].get(type, ()), server)
    found = Selection(int(request["since"]), conditions, tuple(elements))
    if request["level"] == "system":
        return found
    parameters = [p for p in server.definitions.compartment("Patient").get(type, ()) if p != ITSELF]
    patients = await members(request["group"], server) if request["level"] == "group" else None
    if type == "Patient":
        return Selection(found.since, found.conditions, found.elements, members=patients)
    if patients is None:
        prefixes = tuple(f"{parameter}|Patient/" for parameter in parameters)
        return Selection(found.since, found.conditions, found.elements, prefixes)
    keys = frozenset(f"{p}|Patient/{id}" for p in parameters for id in patients)
    return Selection(found.since, found.conditions, found.elements, keys=keys)


def conditions_of(type: str, queries: Sequence[str], server: "Server") -> tuple[Condition, ...]:
    """The searches of ``_typeFilter`` for one type; a resource needs to meet one.

    Raises:
        BadRequest: a search is not understood or follows references.
    """
    found = []
    for text in queries:
        condition = server.compile(type, parse_qsl(text, keep_blank_values=True)).condition
        if not decidable(condition):
            raise BadRequest("A _typeFilter follows references; only the resource itself can be filtered")
        found.append(condition)
    return tuple(found)


async def members(group: str, server: "Server") -> frozenset[str]:
    """The patients of a Group. Raises NotFound."""
    stored = await server.repository.find("Group", group)
    if stored is None or stored.deleted:
        raise NotFound(f"There is no Group/{group}")
    ids = set()
    for member in json.stored(stored.body).get("member", ()):
        if not member.get("inactive", False):
            target = reference.parse(member["entity"].get("reference", ""), server.base_url)
            if target.is_local and target.type == "Patient":
                ids.add(target.id)
    return frozenset(ids)
