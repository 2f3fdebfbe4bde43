"""The envelope of a stored version: what we add stands beside the body, never in it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import Int64

from fhirserver.search.query import Index, Inner

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as it is stored.

    ``body`` is the resource's JSON as it will be served (empty for a deletion), ``updated`` microseconds
    since 1970, ``method`` the HTTP verb that made the version (for the history), ``blob`` the SHA-256 of a
    Binary's content kept outside the body.
    """

    type: str
    id: str
    version: int
    updated: int
    method: str
    body: bytes
    blob: str = ""
    content_type: str = ""

    @property
    def deleted(self) -> bool:
        return not self.body

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


def instant(updated: int) -> str:
    """Microseconds since 1970 as the FHIR instant of ``meta.lastUpdated``: UTC, to the millisecond."""
    return (
        datetime.fromtimestamp(updated / 1_000_000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


FIELDS = {"version": 1, "updated": 1, "method": 1, "body": 1, "blob": 1, "content_type": 1}
"""Projection: all that Stored needs and nothing of the index."""


def to_document(stored: Stored, index: Index | None, seq: int) -> Document:
    """The current version as a document of its type's collection; a deletion has no index and no ``seq``."""
    document: Document = {
        "_id": stored.id,
        "version": stored.version,
        "updated": Int64(stored.updated),
        "method": stored.method,
        "body": stored.body,
    }
    if stored.content_type:
        document |= {"blob": stored.blob, "content_type": stored.content_type}
    if index is not None:
        document |= {"seq": Int64(seq), **index_fields(index)}
    return document


def index_fields(index: Index) -> Document:
    """The index as it stands beside the body; those of contained resources have their type and id, too."""
    fields: Document = {
        "keys": index.keys,
        "sorted": index.sorted,
        "intervals": [{"p": p, "l": low, "h": high} for p, low, high in index.intervals],
        "sort": {name: list(values) for name, values in index.sort.items()},
    }
    if index.contained:
        fields["contained"] = [
            {"type": inner.type, "_id": inner.id, "by": list(inner.by), **index_fields(inner.index)}
            for inner in index.contained
        ]
    return fields


def to_index(document: Document) -> Index:
    """The index of a document, or of what it contains."""
    return Index(
        list(document["keys"]),
        list(document["sorted"]),
        [(entry["p"], entry["l"], entry["h"]) for entry in document["intervals"]],
        {name: (values[0], values[1]) for name, values in document["sort"].items()},
        [Inner(c["type"], c["_id"], tuple(c["by"]), to_index(c)) for c in document.get("contained", ())],
    )


def to_history(stored: Stored, until: int) -> Document:
    """A version that is current no longer, since ``until``. Its ``_id`` is the lock: two writers cannot both
    retire it."""
    document: Document = {
        "_id": f"{stored.type}/{stored.id}/{stored.version}",
        "type": stored.type,
        "resource": stored.reference,
        "until": Int64(until),
        "version": stored.version,
        "updated": Int64(stored.updated),
        "method": stored.method,
        "body": stored.body,
    }
    if stored.content_type:
        document |= {"blob": stored.blob, "content_type": stored.content_type}
    return document


def from_document(type: str, id: str, document: Document) -> Stored:
    return Stored(
        type,
        id,
        document["version"],
        document["updated"],
        document["method"],
        bytes(document["body"]),
        document.get("blob", ""),
        document.get("content_type", ""),
    )
