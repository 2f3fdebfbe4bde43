"""What an operation is, and how it is found. https://hl7.org/fhir/R4/operations.html"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fhirserver.errors import NotFound
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

Level = Literal["system", "type", "instance"]
Perform = Callable[[Request, "Server"], Awaitable[Result]]
LEVELS: tuple[Level, ...] = ("system", "type", "instance")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: ``code`` without the ``$``, ``definition`` the url of its OperationDefinition.

    ``levels`` says where it can be called, and by which function; ``types`` on which resource types (none:
    on all). One that ``changes`` something is asked by POST alone; one of ``admin`` needs the setting
    ``admin_operations``.
    """

    code: str
    definition: str
    levels: Mapping[Level, Perform]
    types: tuple[str, ...] = ()
    changes: bool = False
    admin: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        return ("POST",) if self.changes else ("GET", "POST")

    def is_at(self, level: Level, type: str) -> bool:
        return level in self.levels and (level == "system" or not self.types or type in self.types)


def find(operations: Iterable[Operation], code: str, level: Level, type: str) -> Operation:
    """The operation of this code at this place.

    Raises:
        NotFound: with those that are there.
    """
    here = [operation for operation in operations if operation.is_at(level, type)]
    for operation in here:
        if operation.code == code:
            return operation
    known = ", ".join(sorted(f"${operation.code}" for operation in here)) or "none"
    place = {"system": "the base", "type": type, "instance": f"a {type}"}[level]
    raise NotFound(f"There is no operation ${code[:64]} on {place}; known are {known}")
