"""``Attachment.data`` that is large becomes a Binary: https://hl7.org/fhir/R4/datatypes.html#Attachment

The attachment then has the Binary's url. Why a reader sees that: docs/decisions/0020-attachments-apart.md
"""

import binascii
import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pybase64

from fhirserver.errors import BadRequest
from fhirserver.interactions import prepare
from fhirserver.interactions.unit import Unit
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.request import Request

if TYPE_CHECKING:
    from fhirserver.server import Server

WHOLE = ("Binary", "Bundle")
"""Left as they are: in a Bundle (a document, perhaps signed) a relative url is one of the entry's server."""
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Content:
    """What an attachment had: ``binary`` is the resource for it, without its data."""

    binary: Resource
    content: bytes
    digest: str


def apart(resource: Resource, request: Request, server: "Server") -> tuple[Resource, list[Content]]:
    """The resource with its large attachments pointing to Binaries, and what these have to hold.

    An attachment with a url keeps its data: both are the client's. The resource need not be valid yet.
    """
    limit = server.settings.attachment_inline
    if request.type in WHOLE or "Binary" not in server.types or len(json.format(resource)) <= limit:
        return resource, []
    walk = _Walk(server.definitions, limit, f"{request.type}/{request.id}")
    return walk.element(resource, request.type), list(walk.contents.values())


async def put(contents: Iterable[Content], unit: Unit, server: "Server") -> bool:
    """Add the Binaries that are not stored yet, or no longer; whether there were any.

    Labels that somebody has put on one are kept.

    Raises:
        BadRequest: the same transaction writes or deletes one of them by itself.
    """
    added = False
    for part in contents:
        id = part.binary["id"]
        if f"Binary/{id}" in unit.written | unit.deleted:
            raise BadRequest(f"Binary/{id} is content of an attachment and an entry of its own, too")
        previous = await server.repository.find("Binary", id)
        binary = part.binary
        if previous and not previous.deleted:
            if previous.blob == part.digest:
                continue
            binary = {**binary, "meta": json.stored(previous.body)["meta"]}
        request = Request("PUT", f"Binary/{id}", type="Binary", id=id)
        request.blob = await server.blobs.put(part.content)
        unit.put(await prepare.version(binary, request, previous, server), previous)
        added = True
    return added


@dataclass(slots=True)
class _Walk:
    """Finds the attachments of a resource by what its elements are defined to be.

    ``limit`` is the largest content that stays, in bytes, ``owner`` the resource's reference, ``contents``
    what was found, by the Binary's id.
    """

    definitions: Definitions
    limit: int
    owner: str
    contents: dict[str, Content] = field(default_factory=dict)

    def element(self, element: dict[str, Any], structure: str) -> dict[str, Any]:
        """The element without the large data in it; itself where there is none."""
        if structure not in self.definitions.structures:
            return element
        if structure == "Attachment":
            element = self._attachment(element)
        elements = self.definitions.elements(structure)
        changed = {}
        for name, value in element.items():
            if not isinstance(value, dict | list):
                continue
            if name.startswith("_"):
                inner = "Element"
            elif name in elements:
                type = elements[name][1]
                inner = type.code if type.code == "Resource" else type.structure
            else:
                continue
            made = self._value(value, inner) if inner else value
            if made is not value:
                changed[name] = made
        return {**element, **changed} if changed else element

    def _value(self, value: Any, structure: str) -> Any:
        if isinstance(value, list):
            items = [self._value(item, structure) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if not isinstance(value, dict):
            return value
        return self.element(value, str(value.get("resourceType")) if structure == "Resource" else structure)

    def _attachment(self, attachment: dict[str, Any]) -> dict[str, Any]:
        data = attachment.get("data")
        if not isinstance(data, str) or len(data) * 3 // 4 <= self.limit:
            return attachment
        if "url" in attachment or "_url" in attachment:
            return attachment
        try:
            content = pybase64.b64decode(data)
        except binascii.Error:
            return attachment  # it is about to be refused
        if len(content) <= self.limit:
            return attachment
        made: dict[str, Any] = {"url": f"Binary/{self._keep(content, attachment.get('contentType', OCTETS))}"}
        if not attachment.keys() & {"size", "_size"}:
            made["size"] = len(content)
        if not attachment.keys() & {"hash", "_hash"}:
            sha1 = hashlib.sha1(content, usedforsecurity=False)  # as the specification asks
            made["hash"] = pybase64.b64encode(sha1.digest()).decode()
        return {name: value for name, value in attachment.items() if name != "data"} | made

    def _keep(self, content: bytes, content_type: str) -> str:
        """The id of the Binary: equal for equal content of the same resource, so that it is stored once."""
        digest = hashlib.sha256(content).hexdigest()
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.owner}/{digest}/{content_type}"))
        binary = {
            "resourceType": "Binary",
            "id": id,
            "contentType": content_type,
            "securityContext": {"reference": self.owner},
        }
        self.contents[id] = Content(binary, content, digest)
        return id
