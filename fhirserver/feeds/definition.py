"""What is defined of a source: who it is known by, how its input is read, how it is answered.

The same names are the keys of the sources file (TOML) and of the JSON of ``/admin/sources``: docs/sources.md.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fhirserver.errors import BadRequest, Issue
from fhirserver.settings import Settings
from mappings.core.source import SNAPSHOTS, Code, Coding, Source
from mappings.hl7v2.premapping import premappings

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ADDRESS: Final = re.compile(r"mllps?://(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
"""``mllp://host:port``, ``mllps://`` with TLS."""

Verdict = Literal["process", "hold", "refuse"]


class Match(BaseModel):
    """What a source is known by: all that is given must agree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    application: str = Field("", description="MSH-3: all of it, or its first component")
    facility: str = Field("", description="MSH-4: all of it, or its first component")
    channel: Literal["", "mllp", "http", "file"] = Field("", description="the way it comes")
    ports: tuple[int, ...] = Field((), description="ports of ours that it sends to")
    networks: tuple[str, ...] = Field((), description="addresses or networks (CIDR) that it sends from")
    certificates: tuple[str, ...] = Field(
        (), description="common name, DNS name or SHA-256 fingerprint of its TLS certificate"
    )

    @field_validator("networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(
                    f"{text[:60]!r} is not an IP address or network such as 10.0.0.0/8"
                ) from None
        return value


class SourceDefinition(BaseModel):
    """What is "" is as the server's settings say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    match: Match = Match.model_validate({})
    domain: str = Field("", description="identity domain: whose local numbers and codes they are")
    identifier_system: str = Field("", description="system of identifiers without an assigning authority")
    authorities: dict[str, str] = Field(default_factory=dict, description="HD.1 -> system URI")
    charset: str = Field("", description="charset of messages that declare none")
    timezone: str = ""
    xds_timezone: str = ""
    demographics: bool = Field(False, description="whether its clinical messages may update a Patient")
    snapshots: tuple[Literal["AL1", "IAM", "NK1", "PID-3"], ...] = ("AL1", "IAM")
    premappings: tuple[str, ...] = Field((), description="what its messages go through before the mapping")
    code_maps: tuple[str, ...] = Field((), description="ids of ConceptMaps, besides its own")
    unmapped: Literal["keep", "hold"] = Field("keep", description="what becomes of codes without a mapping")
    structure: Literal["off", "warn", "refuse"] = Field(
        "off", description="check against the version's message structure"
    )
    intake: Verdict = "process"
    test_messages: Literal["", "process", "hold", "refuse"] = ""
    ack: Literal["", "received", "processed"] = ""
    refusal: Literal["", "AE", "AR"] = Field("", description="the one code of all refusals")
    acknowledge_to: str = Field("", description="where deferred application acknowledgements are sent")

    @field_validator("timezone", "xds_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            return value and str(ZoneInfo(value))
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value[:60]!r} is not an IANA time zone such as Europe/Paris") from None

    @field_validator("charset")
    @classmethod
    def _charset(cls, value: str) -> str:
        try:
            return value and codecs.lookup(value).name
        except LookupError:
            raise ValueError(f"{value[:60]!r} is not a codec such as cp1252 or utf-8") from None

    @field_validator("premappings")
    @classmethod
    def _premappings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = premappings()
        for name in value:
            if name not in known:
                raise ValueError(f"{name[:60]!r} is no pre-mapping; there are {', '.join(sorted(known))}")
        return value

    @field_validator("code_maps")
    @classmethod
    def _ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for id in value:
            if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", id):
                raise ValueError(f"{id[:70]!r} is not the id of a ConceptMap")
        return value

    @field_validator("acknowledge_to")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not ADDRESS.fullmatch(value):
            raise ValueError(f"{value[:60]!r} is not an address such as mllp://his.example.org:2576")
        return value

    @model_validator(mode="after")
    def _uris(self) -> "SourceDefinition":
        for uri in (*self.authorities.values(), self.identifier_system):
            if uri and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", uri):
                raise ValueError(f"{uri[:60]!r} is not a URI such as urn:oid:1.2.250.1.71.4.2.2")
        return self

    def resolved(self, settings: Settings) -> "SourceDefinition":
        """With the settings where the definition says nothing."""
        return self.model_copy(
            update={
                "authorities": {**settings.authorities, **self.authorities},
                "charset": self.charset or settings.hl7v2_charset,
                "timezone": self.timezone or settings.timezone,
                "xds_timezone": self.xds_timezone or settings.xds_timezone,
                "test_messages": self.test_messages or settings.hl7v2_test_messages,
                # A sender that is refused for its structure must hear of it.
                "ack": self.ack or ("processed" if self.structure == "refuse" else settings.hl7v2_ack),
            }
        )

    def source(self, name: str, codes: Mapping[Code, Coding]) -> Source:
        """What the mappings need of a resolved definition."""
        named = {"": self.identifier_system} if self.identifier_system else {}
        return Source(
            name=self.domain or name,
            timezone=self.timezone,
            charset=self.charset,
            authorities={**self.authorities, **named},
            demographics=self.demographics,
            xds_timezone=self.xds_timezone,
            snapshots=frozenset(self.snapshots),
            premappings=self.premappings,
            codes=codes,
        )


@dataclass(frozen=True, slots=True)
class Sender:
    """The source an input is of, its definition resolved.

    ``known`` says that it is defined; ``elsewhere`` that a source of these MSH-3 and MSH-4 is, which sends
    from another address, to another port or with another certificate.
    """

    name: str
    definition: SourceDefinition
    known: bool = True
    elsewhere: bool = False

    @property
    def closeness(self) -> int:
        """How many criteria it is known by."""
        match = self.definition.match
        return sum(bool(getattr(match, name)) for name in Match.model_fields)


def parse(name: str, value: Any, *, where: str = "") -> SourceDefinition:
    """Read a definition.

    Raises:
        BadRequest: every fault is an issue, its expression the key (``match.networks[0]``).
    """
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"{where}{name[:70]!r} is not a name of a source: at most 64 letters, digits, dots, dashes and "
            "underscores"
        )
    if not isinstance(value, Mapping):
        raise BadRequest(f"{where}{name}: a source is an object of settings")
    try:
        return SourceDefinition.model_validate(dict(value))
    except ValidationError as error:
        issues = [_issue(name, dict(e), where) for e in error.errors()]
        raise BadRequest(issues[0].text, issues=issues) from None


def dump(definition: SourceDefinition) -> dict[str, Any]:
    """What is set, as plain values; ``parse`` reads it again."""
    dumped: dict[str, Any] = definition.model_dump(mode="json", exclude_defaults=True)
    return dumped


def _issue(name: str, error: dict[str, Any], where: str) -> Issue:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    text = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = Match.model_fields if path.startswith("match.") else SourceDefinition.model_fields
        text = f"it is not a setting of a source; there are {', '.join(known)}"
    return Issue("error", "value", f"{where}{name}: {path or 'it'}: {text}", path)


assert set(SNAPSHOTS) == {"AL1", "IAM", "NK1", "PID-3"}, "the Literal of snapshots repeats SNAPSHOTS"
