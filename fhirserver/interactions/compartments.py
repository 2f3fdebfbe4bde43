"""https://hl7.org/fhir/R4/compartmentdefinition.html: what belongs to a patient, an encounter, a person"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhirserver.errors import NotFound
from fhirserver.interactions.prepare import check_id
from fhirserver.search.query import And, Condition, Ids, Not, Or

if TYPE_CHECKING:
    from fhirserver.server import Server

ITSELF = "{def}"
"""What a CompartmentDefinition has in the place of a parameter for the resource that it is about."""


@dataclass(frozen=True, slots=True)
class Compartment:
    """The compartment of one resource, such as ``Patient/1``."""

    type: str
    id: str

    def types(self, server: "Server") -> tuple[str, ...]:
        """The served types that can be in it.

        Raises:
            NotFound: resources of this type have no compartment.
        """
        check_id(self.id)
        try:
            members = server.definitions.compartment(self.type)
        except KeyError:
            raise NotFound(f"A {self.type} has no compartment") from None
        return tuple(sorted(server.types & {*members, self.type}))

    def conditions(self, member: str, server: "Server") -> list[Condition]:
        """What the resources of a type in it meet: one of these, and no resource two of them.

        The resource itself belongs to its compartment. It is a condition of its own because the database
        finds an id by another index than a reference.
        """
        itself = Ids((self.id,))
        referring: list[Condition] = [
            server.compile(member, [(parameter, f"{self.type}/{self.id}")]).condition
            for parameter in server.definitions.compartment(self.type).get(member, ())
            if parameter != ITSELF
        ]
        found = [referring[0] if len(referring) == 1 else Or(tuple(referring))] if referring else []
        if member != self.type:
            return found
        return [itself, *(And((condition, Not(itself))) for condition in found)]
