"""A mail as it was received -> what it says. https://www.rfc-editor.org/rfc/rfc5322, .../rfc2045"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from html.parser import HTMLParser
from typing import Final

from mappings.core.result import Issue, Unreadable

ZIPS: Final = ("application/zip", "application/x-zip-compressed", "application/octet-stream")
XDM_SUBJECT: Final = "XDM/1.0/"
"""What the subject of a mail with an XDM zip begins with: IHE ITI TF-2 3.32.4.1.2.2"""
MAX_PARTS: Final = 500
REPORTS: Final = {"message/delivery-status": "delivery", "message/disposition-notification": "disposition"}
"""Media type of a receipt -> its kind: https://www.rfc-editor.org/rfc/rfc3464, .../rfc8098"""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_MALFORMED = (ValueError, IndexError, KeyError, AttributeError, TypeError, LookupError)
"""What the standard library raises for headers and contents that are not as their RFC has them."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: ``address`` in lower case, ``name`` as it is shown."""

    address: str
    name: str = ""

    @property
    def local(self) -> str:
        return self.address.partition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.partition("@")[2]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is no text of the mail."""

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @property
    def may_be_xdm(self) -> bool:
        return self.content.startswith(b"PK") and (
            self.name.lower().endswith(".zip") or self.media_type in ZIPS
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says of one recipient of the mail ``about`` (its Message-ID): an action of RFC 3464
    (``delivered``, ``failed`` ...) or a disposition of RFC 8098 (``displayed`` ...)."""

    kind: str
    about: str
    recipient: str
    action: str
    reason: str = ""


@dataclass(slots=True)
class Mail:
    """One mail.

    ``id`` is its Message-ID without brackets; ``recipients`` those it names and those it was
    delivered to; times are FHIR dateTimes, "" where there is none.
    """

    id: str
    sender: Address | None
    recipients: tuple[Address, ...]
    sent: str = ""
    received: str = ""
    subject: str = ""
    text: str = ""
    in_reply_to: str = ""
    may_be_answered: bool = True
    urgent: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def read(raw: bytes) -> Mail:
    """Read a mail.

    Raises:
        Unreadable: there is no sender, or it is nested beyond all sense.
    """
    issues: list[Issue] = []
    try:
        message = message_from_bytes(raw, policy=policy.default)
        parts = list(_leaves(message))
    except RecursionError:
        raise Unreadable("The mail is nested too deeply") from None
    headers = _Headers(message, issues)
    senders = headers.addresses("From")
    if not senders and not any(part.get_content_type() in REPORTS for part in parts):
        raise Unreadable("The mail has no sender", Issue("error", "required", "There is no From", "From"))
    mail = Mail(
        id=headers.id("Message-ID") or f"{hashlib.sha256(raw).hexdigest()}@unnamed.invalid",
        sender=senders[0] if senders else None,
        recipients=headers.addresses("To", "Cc", "Delivered-To"),
        sent=headers.time("Date"),
        received=headers.time("Received"),
        subject=headers.text("Subject"),
        in_reply_to=headers.id("In-Reply-To"),
        may_be_answered="FIN" not in headers.text("X-MSS-MES").upper().split(),
        urgent=headers.text("Importance").lower() == "high"
        or headers.text("X-Priority").startswith(("1", "2")),
        issues=issues,
    )
    for part in parts:
        _add(part, parts, mail)
    mail.text = clean(mail.text).strip()
    return mail


def clean(text: str) -> str:
    """Text as a FHIR string may be: without control characters, lines ended by LF."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that have content; those of a mail inside the mail as well."""
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            raise Unreadable(f"The mail has more than {MAX_PARTS} parts")
        if not part.is_multipart() or part.get_content_type() in REPORTS:
            yield part


def _add(part: EmailMessage, parts: list[EmailMessage], mail: Mail) -> None:
    media_type = part.get_content_type()
    if media_type in REPORTS:
        mail.receipts += _receipts(part, parts)
        return
    name = _file_name(part)
    if (
        media_type in ("text/plain", "text/html")
        and not name
        and part.get_content_disposition() != "attachment"
    ):
        text = _text(part, mail.issues)
        if media_type == "text/html":
            text = _plain(text)
            if mail.text:  # it says the same as the plain text before it
                return
        mail.text = f"{mail.text}\n\n{text}" if mail.text else text
        return
    if media_type == "text/rfc822-headers":
        return
    content = part.get_payload(decode=True)
    if isinstance(content, bytes) and content:
        mail.attachments.append(Attachment(clean(name), media_type, content))


def _text(part: EmailMessage, issues: list[Issue]) -> str:
    try:
        return str(part.get_content())
    except _MALFORMED:
        content = part.get_payload(decode=True)
        issues.append(Issue("warning", "value", "A text is not in the charset it names", "Content-Type"))
        return content.decode("windows-1252", "ignore") if isinstance(content, bytes) else ""


def _file_name(part: EmailMessage) -> str:
    try:
        return part.get_filename() or ""
    except _MALFORMED:
        return ""


def _receipts(part: EmailMessage, parts: list[EmailMessage]) -> Iterator[Receipt]:
    """A receipt's fields stand in blocks; a block with a recipient or a disposition says something."""
    content = part.get_payload()
    nested = (
        content if isinstance(content, list) else [message_from_bytes(_bytes(part), policy=policy.default)]
    )
    blocks = [block for block in nested if isinstance(block, EmailMessage)]
    fields = [{k.lower(): str(v) for k, v in block.items()} for block in blocks]
    about = next((f["original-message-id"] for f in fields if "original-message-id" in f), "")
    about = about or next((found for other in parts if (found := _original_id(other))), "")
    for block in fields:
        recipient = block.get("final-recipient", block.get("original-recipient", "")).rpartition(";")[2]
        action = block.get("action") or block.get("disposition", "").rpartition(";")[2].partition("/")[0]
        if action:
            reason = block.get("diagnostic-code") or block.get("status", "")
            kind = REPORTS[part.get_content_type()]
            yield Receipt(
                kind, _bare(about), recipient.strip().lower(), action.strip().lower(), clean(reason)
            )


def _original_id(part: EmailMessage) -> str:
    """The Message-ID in the headers of the mail that a delivery receipt is about."""
    if part.get_content_type() != "text/rfc822-headers":
        return ""
    return str(message_from_bytes(_bytes(part), policy=policy.default).get("Message-ID", ""))


def _bytes(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _bare(id: str) -> str:
    """A Message-ID without its brackets."""
    return clean(id).strip().removeprefix("<").removesuffix(">").strip()


@dataclass(frozen=True, slots=True)
class _Headers:
    """The headers; one that cannot be read is an issue and as if it were not there."""

    message: EmailMessage
    issues: list[Issue]

    def _all(self, name: str) -> list[str]:
        try:
            return [str(value) for value in self.message.get_all(name, [])]
        except _MALFORMED:
            self.issues.append(Issue("warning", "value", f"The header {name} cannot be read", name))
            return []

    def text(self, name: str) -> str:
        return " ".join(clean(next(iter(self._all(name)), "")).split())

    def id(self, name: str) -> str:
        return _bare(self.text(name).partition(" ")[0])

    def addresses(self, *names: str) -> tuple[Address, ...]:
        found = getaddresses([value for name in names for value in self._all(name)])
        boxes = {
            box.lower(): Address(box.lower(), clean(name)) for name, box in reversed(found) if "@" in box
        }
        return tuple(reversed(boxes.values()))

    def time(self, name: str) -> str:
        """The time of the first such header; of ``Received`` what stands after its last semicolon."""
        value = self.text(name).rpartition(";")[2].strip()
        try:
            time = parsedate_to_datetime(value) if value else None
        except _MALFORMED:
            self.issues.append(Issue("warning", "value", f"The time in {name} cannot be read", name))
            return ""
        if time is None:
            return ""
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat(timespec="seconds")


class _Words(HTMLParser):
    """The text of HTML, a line for each block; what is not shown is left out."""

    BLOCKS = frozenset(("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol"))
    HIDDEN = frozenset(("script", "style", "head", "title", "template"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self.HIDDEN
        if tag in self.BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self.HIDDEN and self._hidden > 0
        if tag in self.BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(" ".join(data.split()) + " ")


def _plain(html: str) -> str:
    parser = _Words()
    parser.feed(html)
    parser.close()
    lines = (line.strip() for line in "".join(parser.words).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
