"""The bodies that jobs were asked with and what they came to: they may be larger than a document can be."""

from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo.errors import PyMongoError

from fhirserver.errors import NotFound, Unavailable
from fhirserver.storage.database import Database

CHUNK = 1024 * 1024


class Contents:
    """Contents by name, durable until they are removed. Every method raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._bucket = AsyncGridFSBucket(database.raw, "jobs", chunk_size_bytes=CHUNK)
        self._files = database.collection("jobs.files")

    async def put(self, name: str, content: bytes) -> None:
        """Store under a name; what was stored under it before is found no more."""
        try:
            await self._bucket.upload_from_stream(name, content)
        except PyMongoError:
            raise Unavailable("The database does not take the content now") from None

    async def get(self, name: str) -> bytes:
        """What was stored last. Raises NotFound."""
        try:
            stream = await self._bucket.open_download_stream_by_name(name)
            return bytes(await stream.read())
        except NoFile:
            raise NotFound("The job's content was removed") from None
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def remove(self, *names: str) -> None:
        try:
            async for file in self._files.find({"filename": {"$in": list(names)}}, {"_id": 1}):
                await self._bucket.delete(file["_id"])
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
