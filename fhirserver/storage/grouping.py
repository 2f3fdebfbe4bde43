"""Group writes: operations on one collection that arrive together are one round trip and one commit."""

import asyncio
from dataclasses import dataclass

from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Collection, Document

OPERATIONS = 500
BYTES = 16 * 1024 * 1024
DUPLICATE_KEY = 11000

Operation = InsertOne[Document] | ReplaceOne[Document]


class Duplicate(Exception):
    """A unique index has the document's value already."""


@dataclass(slots=True)
class _Waiting:
    operation: Operation
    size: int
    done: asyncio.Future[None]


class GroupWriter:
    """Writes what was submitted while the last write was under way."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, operation: Operation, size: int = 0) -> None:
        """Return when the operation is durable.

        Raises:
            Duplicate, Unavailable.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(operation, size, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await done

    async def _run(self) -> None:
        await asyncio.sleep(0)  # what else is ready now shares the first write
        while self._waiting:
            group = self._take()
            failed = await self._apply([w.operation for w in group])
            for position, waiting in enumerate(group):
                if waiting.done.done():
                    continue
                if position in failed:
                    waiting.done.set_exception(failed[position])
                else:
                    waiting.done.set_result(None)

    def _take(self) -> list[_Waiting]:
        count = size = 0
        for waiting in self._waiting[:OPERATIONS]:
            size += waiting.size
            if count and size > BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _apply(self, operations: list[Operation]) -> dict[int, Exception]:
        try:
            await self._collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                return _all(operations)
            return {e["index"]: _error(e) for e in details.get("writeErrors", ())}
        except PyMongoError:
            return _all(operations)
        return {}


def _error(error: Document) -> Exception:
    if error.get("code") == DUPLICATE_KEY:
        return Duplicate()
    return Unavailable("The database refused the write")


def _all(operations: list[Operation]) -> dict[int, Exception]:
    return {i: Unavailable("The database does not take the write now") for i in range(len(operations))}
