"""A published document, and the updates that are sent about it."""

import itertools
from typing import Any, Final

import httpx2

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import Answer, envelope, post
from tests.xds.registry import INS, Parameters, ask, quoted, send

UPDATE: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
AVAILABILITY: Final = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SUBMIT: Final = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"
SET: Final = "SubmissionSet01"
NUMBERS = itertools.count(1)


class Published:
    """A document that is published, in a folder, and what can be done to it."""

    def __init__(self, live: Live, **options: Any) -> None:
        self.live = live
        number = next(NUMBERS)
        self.uuid = f"urn:uuid:0d000000-0000-4000-8000-{number:012}"
        self.folder = f"urn:uuid:0e000000-0000-4000-8000-{number:012}"
        self.unique_id = f"1.2.250.1.999.60.{number}"
        self.folder_id = f"1.2.250.1.999.61.{number}"
        self.content = f"document {number}".encode()
        self.options = {"title": "Avant", "comments": "à relire", **options}
        described = s.metadata(
            s.entry(self.uuid, self.unique_id, INS, self.content, **self.options),
            s.folder(self.folder, self.folder_id, INS),
            s.submission_set(f"1.2.250.1.999.62.{number}", INS),
            s.association("HasMember", SET, self.uuid),
            s.association("HasMember", SET, self.folder),
            s.association("HasMember", self.folder, self.uuid),
        )
        send(live.origin, s.xdm(described, {"DOC00001.TXT": self.content}))

    def entry(self, id: str = "Document01", lid: str = "", **options: Any) -> str:
        """Other metadata of the document."""
        given = {**self.options, "attributes": f'lid="{lid or self.uuid}"', **options}
        unique_id, ins = given.pop("unique_id", self.unique_id), given.pop("ins", INS)
        return s.entry(id, unique_id, ins, given.pop("content", self.content), **given)

    def found(self, uuid: str = "", **more: str) -> Answer:
        """The document as the registry tells of it."""
        parameters: Parameters = {"$XDSDocumentEntryEntryUUID": quoted(uuid or self.current), **more}
        return ask(self.live.origin, "GetDocuments", parameters)

    @property
    def current(self) -> str:
        """The entryUUID now."""
        answer = ask(self.live.origin, "GetDocuments", {"$XDSDocumentEntryLogicalID": quoted(self.uuid)})
        return answer.values("ExtrinsicObject", "id")[0]

    @property
    def resource(self) -> dict[str, Any]:
        params = {"identifier": f"urn:ietf:rfc:3986|urn:oid:{self.unique_id}"}
        bundle = httpx2.get(f"{self.live.base_url}/DocumentReference", params=params).json()
        found: dict[str, Any] = bundle["entry"][0]["resource"]
        return found

    @property
    def labels(self) -> list[str]:
        return [label["coding"][0]["code"] for label in self.resource["securityLabel"]]


def update(
    live: Live, *objects: str, ins: str = INS, header: str = "", author: s.Slots | None = None
) -> Answer:
    """Send an update with a submission set of its own."""
    own = s.submission_set(f"1.2.250.1.999.63.{next(NUMBERS)}", ins, author=author, title="Mise à jour")
    body = s.metadata(*objects, own).decode()
    return post(f"{live.origin}/xds/registry", envelope(UPDATE, body, header))


def member(previous: str | None = "1", target: str = "Document01", **more: str) -> str:
    slots = {"SubmissionSetStatus": ["Original"], **{name: [value] for name, value in more.items()}}
    if previous is not None:
        slots["PreviousVersion"] = [previous]
    return s.association("HasMember", SET, target, slots)


def availability(target: str, original: str, new: str) -> str:
    return s.association(AVAILABILITY, SET, target, {"OriginalStatus": [original], "NewStatus": [new]})
