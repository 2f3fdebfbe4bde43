"""The StructureDefinition resources that are stored, where that type is served."""

from collections.abc import Iterable

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.storage.database import Database

TYPE = "StructureDefinition"


class StructureDefinitions:
    """Those of one database. Every method raises Unavailable when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._resources = database.collection(TYPE)

    async def versions(self) -> dict[str, int]:
        """The version of each that is there, by id."""
        try:
            found = self._resources.find({}, {"version": 1})
            return {document["_id"]: int(document["version"]) async for document in found}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def read(self, ids: Iterable[str]) -> dict[str, tuple[int, Resource]]:
        """Version and content by id."""
        try:
            found = self._resources.find({"_id": {"$in": list(ids)}}, {"version": 1, "body": 1})
            return {d["_id"]: (int(d["version"]), json.stored(d["body"])) async for d in found if d["body"]}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
