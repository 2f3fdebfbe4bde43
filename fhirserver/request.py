"""An interaction asked of the server, and its answer: the same for HTTP, Bundle entries, feeds, imports."""

from collections.abc import AsyncGenerator, AsyncIterable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.model.json import Resource
from fhirserver.model.media_types import JSON

if TYPE_CHECKING:
    from fhirserver.interactions.unit import Unit

GENERAL = ("_format", "_pretty", "_summary", "_elements")
"""Parameters of every interaction: https://hl7.org/fhir/R4/http.html#parameters"""


@dataclass(slots=True)
class Request:
    """An interaction as FHIR's REST API words it.

    ``path`` is relative to the base without a leading slash, ``query`` the decoded pairs in order,
    ``headers`` have lower-case names. ``resource`` is the body already decoded (else ``body`` holds its
    bytes, ``content`` the parts of one too large to hold, ``blob`` its digest once it is stored).

    ``unit`` collects the writes when the request is part of a transaction; where ``once`` is set, its writes
    are stored only if none were under this key before. ``base_url`` is the base as the client sees it, for
    links (empty: the server's own); ``format`` the media type to answer in, ``streams`` says that the answer
    may be a stream. Routing fills in ``interaction`` (its code) and what the path names: ``type``, ``id``,
    ``version``, and ``member``, the type that is searched in a compartment.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    resource: Resource | None = None
    unit: "Unit | None" = None
    once: str = ""
    type: str = ""
    id: str = ""
    version: str = ""
    member: str = ""
    content: AsyncIterable[bytes] | None = None
    blob: str = ""
    base_url: str = ""
    format: str = JSON
    streams: bool = False
    interaction: str = ""

    def parameter(self, name: str) -> str:
        """The value of a query parameter, "" when absent.

        Raises:
            BadRequest: it is given more than once.
        """
        values = [value for key, value in self.query if key == name]
        if len(values) > 1:
            raise BadRequest(f"{name} is given more than once")
        return values[0] if values else ""

    def check_parameters(self, known: Collection[str]) -> None:
        """Raises UnknownParameter for a query parameter that is not one of these."""
        for name, _ in self.query:
            if name not in known:
                raise UnknownParameter(
                    f"There is no parameter {name[:64]!r} here; known are {', '.join(sorted(known))}"
                )

    def prefers(self, name: str) -> bool:
        """Whether the Prefer header has a directive without a value, such as respond-async."""
        stated = self.headers.get("prefer", "")
        return name in stated and any(
            part.strip().lower() == name for part in stated.replace(";", ",").split(",")
        )

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
    """The answer: a body of bytes and the facts its headers are made of.

    ``stream`` is there instead of ``body`` for what is too large to hold; ``length`` is its size in bytes
    when that is known (-1: it is not).
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    etag: str = ""
    last_modified: int = 0
    location: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None
    length: int = -1
