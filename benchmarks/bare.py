"""The least that a read can cost: one route, one ``find_one``, the stored bytes. Reads are compared with it.

Run by ``uvicorn benchmarks.bare:app`` with the engine's URI in ``BARE_MONGODB_URI``.
"""

import contextlib
import os
from collections.abc import AsyncIterator

from bson import Binary
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

URI = "BARE_MONGODB_URI"
DATABASE = "fhirserver"


@contextlib.asynccontextmanager
async def _connected(application: Starlette) -> AsyncIterator[None]:
    # The driver's own number of connections: fewer were slower.
    async with AsyncMongoClient[dict[str, Binary]](os.environ[URI]) as client:
        application.state.database = client[DATABASE]
        yield


async def read(request: Request) -> Response:
    collection = request.app.state.database[request.path_params["type"]]
    document = await collection.find_one({"_id": request.path_params["id"]}, {"body": 1})
    if document is None:
        return Response(status_code=404)
    return Response(document["body"], media_type="application/fhir+json")


app = Starlette(routes=[Route("/fhir/{type}/{id}", read)], lifespan=_connected)
