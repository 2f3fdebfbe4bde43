"""From an input's bytes to the Bundle of what it says, by the library ``mappings``."""

import asyncio
from typing import Final

from fhirserver.settings import Settings
from mappings import cda, hl7v2, mail, xds
from mappings.core import translation
from mappings.core.result import Issue, Mapped, Unreadable
from mappings.core.source import Source
from mappings.hl7v2.premapping import premap

MAX_BYTES: Final = 32 * 1024 * 1024
BOUNDED: Final = ("xds",)
"""Kinds whose size their channel bounds, and whose files are beside what is parsed."""
IN_THREAD: Final = 256 * 1024
"""Input beyond this many bytes is mapped in a thread: others are served meanwhile."""


def source_of(name: str, settings: Settings) -> Source:
    """The settings of a sender of which nothing is defined."""
    return Source(
        name=name,
        timezone=settings.timezone,
        xds_timezone=settings.xds_timezone,
        charset=settings.hl7v2_charset,
        authorities=settings.authorities,
    )


async def map_input(kind: str, raw: bytes, source: Source, content_type: str = "") -> Mapped:
    """Map an input; ``content_type`` is what it came with.

    Raises:
        MappingError: it cannot become a Bundle: Unreadable, Held, NoMapping.
    """
    if len(raw) > IN_THREAD:
        return await asyncio.to_thread(map_now, kind, raw, source, content_type)
    return map_now(kind, raw, source, content_type)


def map_now(kind: str, raw: bytes, source: Source, content_type: str = "") -> Mapped:
    """Raises MappingError."""
    if len(raw) > MAX_BYTES and kind not in BOUNDED:
        text = f"The input has {len(raw)} bytes; at most {MAX_BYTES} are mapped"
        raise Unreadable(text, Issue("error", "too-long", text))
    mapped = _mapped(kind, raw, source, content_type)
    translation.translate(mapped, source)
    return mapped


def _mapped(kind: str, raw: bytes, source: Source, content_type: str) -> Mapped:
    match kind:
        case "hl7v2":
            message = premap(hl7v2.read(raw, source), source)
            mapped = hl7v2.to_bundle(message, source)
            mapped.issues[:0] = [issue for issue in message.issues if issue not in mapped.issues]
            return mapped
        case "cda":
            return cda.to_bundle(raw, source)
        case "xdm":
            return xds.to_bundle(xds.read_xdm(raw), source)
        case "xds":
            return xds.to_bundle(xds.read_request(raw, content_type), source)
        case "mail":
            return mail.to_bundle(mail.read(raw), source)
        case _:
            raise Unreadable(f"There is no mapping of {kind}")
