"""An interaction asked of the server, and its answer: the same for HTTP, Bundle entries, feeds, imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest
from fhirserver.model.json import Resource

if TYPE_CHECKING:
    from fhirserver.interactions.unit import Unit

JSON = "application/fhir+json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """An interaction as FHIR's REST API words it.

    ``path`` is relative to the base without a leading slash, ``query`` the decoded pairs in order,
    ``headers`` have lower-case names. ``resource`` is the body already decoded (else ``body`` holds its
    bytes). ``unit`` collects the writes when the request is part of a transaction.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    resource: Resource | None = None
    unit: "Unit | None" = None
    type: str = ""
    id: str = ""
    version: str = ""

    def prefer(self, name: str, allowed: tuple[str, ...]) -> str:
        """The value of a Prefer directive, "" when absent. https://hl7.org/fhir/R4/http.html#ops"""
        for part in self.headers.get("prefer", "").replace(";", ",").split(","):
            key, _, value = part.strip().partition("=")
            if key.strip().lower() == name:
                value = value.strip().strip('"')
                if value not in allowed:
                    raise BadRequest(f"Prefer {name}={value} is not known; known are {', '.join(allowed)}")
                return value
        return ""


@dataclass(slots=True)
class Result:
    """The answer: a body of bytes and the facts its headers are made of."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    etag: str = ""
    last_modified: int = 0
    location: str = ""
    headers: dict[str, str] = field(default_factory=dict)
