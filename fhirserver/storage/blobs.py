"""Large content apart from the documents: GridFS, named by its SHA-256, equal content kept once."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from bson import ObjectId
from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo import InsertOne
from pymongo.errors import PyMongoError

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.storage.database import Database, Document
from fhirserver.storage.gathering import Gathering
from fhirserver.storage.grouping import Duplicate, GroupWriter

CHUNK = 1024 * 1024
RECENT, RECENT_SECONDS = 10_000, 60.0
"""So many digests, and so long, a process knows that it has stored them: much less than ``purge.GRACE``."""


class Blobs:
    """Content by digest. What is written is never changed; what arrives together shares round trips."""

    def __init__(self, database: Database) -> None:
        self._bucket = AsyncGridFSBucket(database.raw, "blobs", chunk_size_bytes=CHUNK)
        self._files = database.collection("blobs.files")
        self._chunks = database.collection("blobs.chunks")
        self._chunks_writer = GroupWriter(self._chunks)
        self._files_writer = GroupWriter(self._files)
        self._stored: Gathering[str, bool] = Gathering(self._stamp)
        self._recent: OrderedDict[str, float] = OrderedDict()
        self._indexed = False

    async def put(self, content: bytes) -> str:
        """Store durably and return the digest.

        The file's own id is random: two writers of equal content at once make two files of one name, and an
        interrupted writer leaves chunks that nothing names; neither harms a reader.
        """
        digest = hashlib.sha256(content).hexdigest()
        if self._recent.get(digest, 0.0) > time.monotonic():
            return digest
        try:
            if not await self._stored.ask(digest):
                await self._upload(digest, content)
        except (PyMongoError, Duplicate):
            raise Unavailable("The database does not take the content now") from None
        self._remember(digest)
        return digest

    def _remember(self, digest: str) -> None:
        """A document is stored as what came in, and again as the Binary made of it, a moment later."""
        self._recent[digest] = time.monotonic() + RECENT_SECONDS
        self._recent.move_to_end(digest)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    async def _upload(self, digest: str, content: bytes) -> None:
        """Write the chunks, then the file that names them, as GridFS does.

        The driver looks for the indexes at every upload, by reading a chunk: as much work as writing one. So
        only the first upload of a process is the driver's.
        https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md
        """
        if not self._indexed:
            await self._bucket.upload_from_stream(digest, content)
            self._indexed = True
            return
        file = ObjectId()
        for number, start in enumerate(range(0, len(content), CHUNK)):
            data = content[start : start + CHUNK]
            await self._chunks_writer.write(
                InsertOne({"files_id": file, "n": number, "data": data}), len(data)
            )
        row = {"_id": file, "filename": digest, "length": len(content), "chunkSize": CHUNK}
        await self._files_writer.write(InsertOne({**row, "uploadDate": datetime.now(UTC)}))

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
            if await self._stored.ask(name):
                await self._bucket.delete(file._id)
            else:
                await self._bucket.rename(file._id, name)
        except PyMongoError:
            raise Unavailable("The database does not take the content now") from None
        return name

    async def remove(self, digest: str, *, before: datetime) -> bool:
        """Remove content that nobody has stored, or stored again, since an instant; False when it stays.

        Whoever stores it at the same time either comes first, and it stays, or finds nothing and stores it.
        The caller has made sure, after that instant plus the longest request, that nothing names it.
        """
        self._recent.pop(digest, None)
        try:
            async for file in self._files.find({"filename": digest}, {"uploadDate": 1}):
                seen = {"_id": file["_id"], "uploadDate": {"$lt": before}}
                if not (await self._files.delete_one(seen)).deleted_count:
                    return False
                await self._chunks.delete_many({"files_id": file["_id"]})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return True

    async def _stamp(self, digests: Sequence[str]) -> dict[str, bool]:
        """Which contents are there; these are marked as stored now, which keeps them from being removed."""
        there: set[str] = set()
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # what the database keeps of it
        wanted: Document = {"filename": {"$in": list(digests)}}
        if (await self._files.update_many(wanted, {"$set": {"uploadDate": now}})).matched_count:
            # Only what still has a stamp: another process may remove one between the two.
            found = self._files.find(wanted, {"filename": 1, "uploadDate": 1})
            there = {row["filename"] async for row in found if row["uploadDate"] >= now.replace(tzinfo=None)}
        return {digest: digest in there for digest in digests}

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
