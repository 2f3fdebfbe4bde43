"""``_total=estimate``: how many match, from samples, at a cost that does not grow.

The samples are windows spread evenly over the order in which resources were written. Little is counted.
"""

import asyncio

from fhirserver.search import query as q
from fhirserver.storage import pipeline
from fhirserver.storage.chains import resolve
from fhirserver.storage.database import Database, run
from fhirserver.storage.documents import Document
from fhirserver.storage.drivers import choose, newest
from fhirserver.storage.filters import exactly
from fhirserver.storage.limits import limited

SAMPLES, LENGTH = 16, 256
"""So many windows of ``seq``, each so long."""
FEW = 2000
"""Up to about so many are counted."""


async def estimate(database: Database, query: q.Query) -> int:
    """About how many resources match; with two digits where they were not counted.

    Raises:
        TooCostly: see ``pipeline.count``.
    """
    with limited(database):
        condition = await resolve(database, query.type, query.condition)
        counter = await database.collection("counters").find_one({"_id": "seq"})
        length = int(counter["n"]) if counter else 0
        driver = choose(condition)
        keys = [] if driver.few else newest(condition)
        if length <= 4 * SAMPLES * LENGTH or (driver.selective and not keys):
            return await pipeline.count(database, query)
        filters: list[Document] = list(keys[0].filters) if keys and keys[0].keys() else [{}]
        collection = database.collection(query.type)
        exact: Document = {"$match": exactly(condition)}
        windows = [
            {"$gte": n * length // SAMPLES, "$lt": n * length // SAMPLES + LENGTH} for n in range(SAMPLES)
        ]
        parts = await asyncio.gather(
            *(
                run(collection, [{"$match": {**f, "seq": window}}, exact, {"$project": {"_id": 1}}])
                for window in windows
                for f in filters
            )
        )
        found = {row["_id"] for part in parts for row in part}
    about = len(found) * length // (SAMPLES * LENGTH)
    if about <= FEW and keys:
        return await pipeline.count(database, query)
    digits = max(0, len(str(about)) - 2)
    return round(about, -digits)
