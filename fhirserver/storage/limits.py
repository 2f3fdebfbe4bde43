"""What a search may cost: a time, and for those that no index serves a number of documents."""

import contextlib
import time
from collections.abc import Iterator

import pymongo
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from fhirserver.errors import TooCostly
from fhirserver.storage.database import Database
from fhirserver.storage.drivers import Driver

UNINDEXED = 70
"""From this rank on a driver may as well be none."""
FRESH = 60.0
"""Seconds that the known size of a collection is used, or 300 times what it took to find."""


@contextlib.contextmanager
def limited(database: Database) -> Iterator[None]:
    """Everything that is asked of the database inside ends in time.

    Raises:
        TooCostly: it did not.
    """
    try:
        with pymongo.timeout(database.search_seconds):
            yield
    except PyMongoError as error:
        if not error.timeout or isinstance(error, ServerSelectionTimeoutError):
            raise
        raise TooCostly(
            f"The search took more than {database.search_seconds:g} seconds; add a criterion that few "
            "resources meet, such as a patient, an identifier or a narrow date"
        ) from None


async def affordable(database: Database, type: str, driver: Driver) -> None:
    """Whether what no index narrows may be looked at as a whole, for sorting or counting.

    Raises:
        TooCostly: the collection is too large for that.
    """
    if driver.rank < UNINDEXED:
        return
    if await _size(database, type) > database.search_documents:
        raise TooCostly(
            f"This would look at more than {database.search_documents} resources of type {type}; add a "
            "criterion that few resources meet, such as a patient or a code, or leave out _sort and "
            "_total=accurate"
        )


async def _size(database: Database, type: str) -> int:
    known = database.sizes.get(type)
    if known and known[1] > time.monotonic():
        return known[0]
    start = time.monotonic()
    size = await database.collection(type).estimated_document_count()
    now = time.monotonic()
    # The embedded engine counts one by one.
    database.sizes[type] = size, now + max(FRESH, 300 * (now - start))
    return size
