"""Large content apart from the documents: GridFS, named by its SHA-256, equal content kept once."""

import hashlib

from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo.errors import PyMongoError

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.storage.database import Database


class Blobs:
    """Content by digest. What is written is never changed."""

    def __init__(self, database: Database) -> None:
        self._bucket = AsyncGridFSBucket(database.raw, "blobs", chunk_size_bytes=1024 * 1024)
        self._files = database.collection("blobs.files")

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

    async def get(self, digest: str) -> bytes:
        """Raises FHIRError when the content is missing, which a durable store never lets happen."""
        try:
            stream = await self._bucket.open_download_stream_by_name(digest)
            return bytes(await stream.read())
        except NoFile:
            raise FHIRError(f"The content {digest[:12]} is missing from the blob store") from None
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
