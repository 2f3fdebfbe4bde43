"""What the inbox holds: inputs, what became of them, and their documents.

An input's own document is written once and never changed. Beside it stand its row among those that are
*waiting* to be processed, and its *outcome*. This is so because changing a document costs several times what
storing and removing one costs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bson import Int64

Document = dict[str, Any]

STATUSES = ("received", "processed", "warnings", "held", "failed", "duplicate", "cancelled")
"""``warnings``: processed, and there is something to look at; ``cancelled``: a person decided against it."""
RESENT_OPENS = ("held", "failed")
"""When it comes again it is processed again; of all others a resend is a duplicate."""

REMARKS = 500
"""So many issues, unread fields and unmapped codes are kept of one input."""
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input.

    ``issues`` are ``{severity, code, text, location}``, ``unread`` the fields sent and never looked at,
    ``resources`` references with versions, ``acknowledgement`` the HL7v2 code it is answered with, ``awaits``
    the identifiers (``system|value``) of a document whose arrival opens a held input again, ``unmapped`` the
    codes that no map knows: ``{system, code, display, location}``.
    """

    status: str
    issues: Sequence[Mapping[str, str]] = ()
    unread: Sequence[str] = ()
    resources: Sequence[str] = ()
    acknowledgement: str = ""
    awaits: Sequence[str] = ()
    unmapped: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One input.

    ``channel`` is the way it came (mllp, http, file), ``origin`` that with the port and address, ``kind``
    what it is (hl7v2, cda, xdm, fhir), ``patients`` the keys whose inputs stay in order, ``order`` when it
    came in microseconds since 1970, ``identity`` what makes it the same as another one with these bytes (by
    default the bytes alone), ``reused`` that its identity had come before with other bytes, ``remarks`` the
    issues found on arrival, ``first`` the item that it repeats.
    """

    id: str
    channel: str
    kind: str
    source: str
    sha256: str
    size: int
    origin: str = ""
    content_type: str = ""
    identity: str = ""
    control_id: str = ""
    application: str = ""
    facility: str = ""
    event: str = ""
    patients: tuple[str, ...] = ()
    order: int = 0
    seq: int = 0
    owner: str = ""
    attempts: int = 0
    first: str = ""
    reused: bool = False
    remarks: tuple[Mapping[str, str], ...] = ()
    finished: datetime | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome("received"))

    @property
    def status(self) -> str:
        return self.outcome.status

    @property
    def received(self) -> datetime:
        return datetime.fromtimestamp(self.order / 1_000_000, UTC)


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


_TEXTS = (
    *("channel", "kind", "source", "sha256", "origin", "content_type", "identity", "control_id"),
    *("application", "facility", "event", "first"),
)


def keys_of(item: Item) -> list[str]:
    """What no two items share: the identity with these bytes and, for the first of it, the identity."""
    if not item.identity:
        return [f"{item.kind}:{item.sha256}"]
    return [item.identity, f"{item.identity}:{item.sha256}"]


def control_key(control_id: str) -> str:
    """How the key begins by which items are found by their control id."""
    return f"control{SEPARATOR}{control_id}{SEPARATOR}"


def code_key(source: str, system: str, code: str) -> str:
    """How an unmapped code of a source is found."""
    return SEPARATOR.join((source, system, code))


def to_document(item: Item, keys: Sequence[str]) -> Document:
    """The input's own document; ``keys`` are those of ``keys_of`` that it has."""
    document: Document = {name: value for name in _TEXTS if (value := getattr(item, name))}
    found_by = [control_key(item.control_id) + item.id] if item.control_id else []
    if keys or found_by:
        document["key"] = [*keys, *found_by]
    if item.patients:
        document["patients"] = list(item.patients)
    if item.reused:
        document["reused"] = True
    if item.remarks:
        document["remarks"] = [dict(remark) for remark in item.remarks[:REMARKS]]
    return document | {
        "_id": item.id,
        "size": item.size,
        "order": Int64(item.order),
        "seq": Int64(item.seq),
    }


def waiting_document(item: Item) -> Document:
    """The row of an input that is to be processed by its owner."""
    return {
        "_id": item.id,
        "owner": item.owner,
        "patients": list(item.patients),
        "order": Int64(item.order),
        "attempts": item.attempts,
    }


def outcome_document(item: Item, outcome: Outcome, attempts: int) -> Document:
    codes = {code_key(item.source, one["system"], one["code"]) for one in outcome.unmapped[:REMARKS]}
    return {
        "_id": item.id,
        "status": outcome.status,
        "seq": Int64(item.seq),
        "source": item.source,
        "issues": [dict(issue) for issue in outcome.issues[:REMARKS]],
        "unread": list(outcome.unread[:REMARKS]),
        "resources": list(outcome.resources),
        "acknowledgement": outcome.acknowledgement,
        "attempts": attempts,
        "finished": datetime.now(UTC),
        **({"awaits": list(outcome.awaits)} if outcome.awaits else {}),
        **({"unmapped": [dict(one) for one in outcome.unmapped[:REMARKS]]} if outcome.unmapped else {}),
        **({"codes": sorted(codes)} if codes else {}),
    }


def from_documents(document: Document, waiting: Document | None, outcome: Document | None) -> Item:
    """An item as it is now: what waits is received, whatever became of it before."""
    item = Item(
        id=document["_id"],
        size=document["size"],
        patients=tuple(document.get("patients", ())),
        order=int(document["order"]),
        seq=int(document["seq"]),
        reused=document.get("reused", False),
        remarks=tuple(document.get("remarks", ())),
        **{name: document.get(name, "") for name in _TEXTS},
    )
    if outcome is not None:
        item = replace(
            item,
            attempts=outcome["attempts"],
            finished=outcome["finished"].replace(tzinfo=UTC),
            outcome=Outcome(
                outcome["status"],
                tuple(outcome["issues"]),
                tuple(outcome["unread"]),
                tuple(outcome["resources"]),
                outcome["acknowledgement"],
                tuple(outcome.get("awaits", ())),
                tuple(outcome.get("unmapped", ())),
            ),
        )
    if waiting is not None:
        again = replace(item.outcome, status="received")
        item = replace(item, outcome=again, owner=waiting["owner"], attempts=waiting["attempts"])
    return item
