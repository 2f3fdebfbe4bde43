"""What a request writes: collected while it is decided, stored at once when it is."""

from dataclasses import dataclass, field

from fhirserver.errors import FHIRError, Issue
from fhirserver.storage.commit import Lock
from fhirserver.storage.documents import Stored
from fhirserver.storage.repository import Repository


class DoneBefore(FHIRError):
    """The writes under this key are stored already: the process that stored them ended before it answered."""

    status, code = 200, "informational"


@dataclass(slots=True)
class Unit:
    """The writes of one request or one transaction Bundle.

    ``written`` and ``deleted`` are the references (``Patient/1``) of what a transaction is going to write and
    delete, known before it is decided how.
    """

    repository: Repository
    versions: list[tuple[Stored, Stored | None]] = field(default_factory=list)
    locks: dict[str, Lock] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()

    def put(self, stored: Stored, previous: Stored | None) -> None:
        self.versions.append((stored, previous))

    def lock(self, lock: Lock) -> None:
        """Make the commit fail when somebody else has locked the same since the lock was read."""
        self.locks.setdefault(lock.key, lock)

    async def claim(self, key: str) -> None:
        """Let the commit be the only one ever under this key.

        Raises:
            DoneBefore: there was one.
        """
        lock = await self.repository.lookups.lock(key)
        if lock.seen:
            text = "This was stored before the server was interrupted; the answer of that time is lost"
            raise DoneBefore(text, issues=[Issue("information", DoneBefore.code, text)])
        self.locks[key] = lock

    async def commit(self) -> None:
        """Raises storage.commit.Conflict when what was read has changed; nothing is written then."""
        await self.repository.write(self.versions, self.locks.values())
