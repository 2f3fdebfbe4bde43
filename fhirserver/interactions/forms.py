"""What a CDA document can be shown as: the file it embeds, a page of its narrative, files attached to it."""

import re
from dataclasses import dataclass
from typing import Final

from fhirserver.interactions.inert import INERT
from fhirserver.model.media_types import WILDCARDS, MediaRange
from fhirserver.storage.documents import Stored
from mappings import cda
from mappings.core.result import Unreadable

HTML: Final = "text/html"
XML: Final = ("text/xml", "application/xml", "application/xslt+xml", "application/hl7-cda+xml")
PAGE: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{cda.STYLE_HASH}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; sandbox allow-popups"
    ),
    "Referrer-Policy": "no-referrer",
}
"""Sent with a page: even if something slipped into it, it could do nothing and load nothing."""
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """One way to show a document: its media type, and what is behind it (a Binary, or bytes made here)."""

    media_type: str
    stored: Stored | None = None
    made: bytes = b""

    @property
    def served_as(self) -> str:
        """Content-Type of what is made here."""
        text = self.media_type.startswith("text/") and _is_utf8(self.made)
        return f"{self.media_type}; charset=utf-8" if text else self.media_type

    @property
    def headers(self) -> dict[str, str]:
        """What keeps it from doing anything."""
        kept = dict(PAGE if self.media_type == HTML else INERT)
        kept.pop("Accept-Ranges", None)
        return kept


def made_of(raw: bytes) -> list[Form]:
    """What can be made of a CDA document: its file, else its page; nothing of other XML."""
    try:
        document = cda.read(raw)
        inside = document.content
    except Unreadable:
        return []
    if inside is not None:
        media_type = inside.media_type.lower()
        return [Form(media_type, made=inside.data)] if _MEDIA_TYPE.fullmatch(media_type) else []
    return [Form(HTML, made=cda.to_page(document))] if document.level > 1 else []


def attached_to(raw: bytes) -> dict[str, Form]:
    """The files attached to a CDA document, by the names its page links to."""
    try:
        files = cda.attachments(cda.read(raw))
    except Unreadable:
        return {}
    return {
        name: Form(media_type, made=file.data)
        for name, file in files.items()
        if _MEDIA_TYPE.fullmatch(media_type := file.media_type.lower())
    }


def matches(wanted: MediaRange, media_type: str) -> bool:
    """Browsers accept any XML at a lower quality: that is no wish to see the original."""
    if wanted.name in WILDCARDS:
        return wanted.name == "*/*" or media_type.startswith(wanted.name[:-1])
    if wanted.name.endswith("/*"):
        return media_type.startswith(wanted.name[:-1])
    return wanted.name == media_type or (wanted.quality >= 1 and wanted.name in XML and media_type in XML)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
