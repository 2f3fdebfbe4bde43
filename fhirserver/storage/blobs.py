"""Large content apart from the documents: GridFS, named by its SHA-256, equal content kept once."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable
from uuid import uuid4

from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo.errors import PyMongoError

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.storage.database import Database, Document

CHUNK = 1024 * 1024


class Blobs:
    """Content by digest. What is written is never changed."""

    def __init__(self, database: Database) -> None:
        self._bucket = AsyncGridFSBucket(database.raw, "blobs", chunk_size_bytes=CHUNK)
        self._files = database.collection("blobs.files")
        self._chunks = database.collection("blobs.chunks")

    async def put(self, content: bytes) -> str:
        """Store durably and return the digest.

        The file's own id is random: two writers of equal content at once make two files of one name, and an
        interrupted writer leaves chunks that nothing names; neither harms a reader.
        """
        digest = hashlib.sha256(content).hexdigest()
        try:
            if not await self._files.find_one({"filename": digest}, {"_id": 1}):
                await self._bucket.upload_from_stream(digest, content)
        except PyMongoError:
            raise Unavailable("The database does not take the content now") from None
        return digest

    async def put_stream(self, parts: AsyncIterable[bytes]) -> str:
        """Store durably what arrives in parts, a chunk in memory at a time, and return the digest.

        Raises:
            Unavailable, and what ``parts`` raises; nothing is kept then.
        """
        digest = hashlib.sha256()
        try:
            file = self._bucket.open_upload_stream(f"incoming-{uuid4()}")
            try:
                async for part in parts:
                    digest.update(part)
                    await file.write(part)
            except BaseException:
                await file.abort()
                raise
            await file.close()
            name = digest.hexdigest()
            if await self._files.find_one({"filename": name}, {"_id": 1}):
                await self._bucket.delete(file._id)
            else:
                await self._bucket.rename(file._id, name)
        except PyMongoError:
            raise Unavailable("The database does not take the content now") from None
        return name

    async def length(self, digest: str) -> int:
        """Size in bytes. Raises FHIRError, Unavailable."""
        return int((await self._file(digest))["length"])

    async def stream(self, digest: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes ``start <= n < end``, a chunk in memory at a time. Raises FHIRError, Unavailable."""
        file = await self._file(digest)
        size = int(file["chunkSize"])
        for number in range(start // size, -(-end // size)):
            try:
                chunk = await self._chunks.find_one({"files_id": file["_id"], "n": number}, {"data": 1})
            except PyMongoError:
                raise Unavailable("The database does not answer now") from None
            if chunk is None:
                raise _missing(digest)
            offset = number * size
            yield bytes(chunk["data"])[max(0, start - offset) : end - offset]

    async def _file(self, digest: str) -> Document:
        try:
            file = await self._files.find_one({"filename": digest})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if file is None:
            raise _missing(digest)
        return file

    async def get(self, digest: str) -> bytes:
        """Raises FHIRError when the content is missing, which a durable store never lets happen."""
        try:
            stream = await self._bucket.open_download_stream_by_name(digest)
            return bytes(await stream.read())
        except NoFile:
            raise _missing(digest) from None
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None


def _missing(digest: str) -> FHIRError:
    return FHIRError(f"The content {digest[:12]} is missing from the blob store")
