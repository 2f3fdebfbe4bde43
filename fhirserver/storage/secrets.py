"""The secret that all processes of one database share: it seals page tokens."""

import contextlib

from cryptography.fernet import Fernet
from pymongo.errors import DuplicateKeyError

from fhirserver.storage.database import Database


async def shared_secret(database: Database) -> bytes:
    """The key of this database, made by whichever process comes first."""
    collection = database.collection("secrets")
    if not await collection.find_one({"_id": "pages"}):
        with contextlib.suppress(DuplicateKeyError):  # another process was first: its key counts
            await collection.insert_one({"_id": "pages", "key": Fernet.generate_key()})
    document = await collection.find_one({"_id": "pages"})
    assert document is not None
    return bytes(document["key"])
