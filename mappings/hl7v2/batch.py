"""Files and frames that hold several messages. HL7 v2.9 chapter 2.10.3 (batch protocol)"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mappings.core.result import Issue
from mappings.hl7v2.charset import wide_codec

_NAMES: Final = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")
_NO_SEPARATOR: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n")
"""What follows these letters where they are part of a word or of base64, not the name of a segment."""
_TRAILERS: Final = frozenset({b"BTS", b"FTS"})
_FRAMING: Final = b"\x0b\x1c\r\n \t"


@dataclass(slots=True)
class Batch:
    """The messages of a file or frame in order, each from its MSH on, and what is wrong around them."""

    messages: list[bytes] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def split(raw: bytes) -> Batch:
    """Cut a file or frame into its messages; batch headers and trailers (FHS, BHS, BTS, FTS) are checked.

    Never raises: without any message the issues say so.
    """
    wide = wide_codec(raw)
    if wide is not None:
        try:
            text = raw.decode(wide).removeprefix("\ufeff")
        except UnicodeDecodeError:
            return Batch(issues=[Issue("error", "structure", f"Not {wide} as its first bytes say")])
        batch = _split(text.encode())
        batch.messages = [f"\ufeff{message.decode()}".encode(wide) for message in batch.messages]
        return batch
    return _split(raw.removeprefix(b"\xef\xbb\xbf"))


def _split(raw: bytes) -> Batch:
    batch = Batch()
    starts = sorted(start for name in _NAMES for start in _starts(raw, name))
    if not starts:
        text = "No MSH segment" if raw.strip(_FRAMING) else "Empty input"
        batch.issues.append(Issue("error", "structure", text, "MSH"))
        return batch
    if raw[: starts[0]].strip(_FRAMING):
        batch.issues.append(
            Issue("warning", "structure", f"{starts[0]} bytes before the first segment", "MSH")
        )
    open_batch = False
    in_batch = batches = 0
    for start, end in zip(starts, [*starts[1:], len(raw)], strict=True):
        line = raw[start:end].strip(_FRAMING)
        match line[:3]:
            case b"MSH":
                batch.messages.append(line)
                in_batch += 1
            case b"BHS":
                open_batch, in_batch = True, 0
                batches += 1
            case b"BTS":
                _check(batch, line, "BTS", in_batch, "messages")
                open_batch = False
            case b"FTS":
                _check(batch, line, "FTS", batches, "batches")
    batch.messages = _joined(batch.messages)
    if open_batch:
        batch.issues.append(
            Issue("warning", "structure", "The batch has no trailer: it may be cut off", "BTS")
        )
    if not batch.messages:
        batch.issues.append(Issue("error", "structure", "No MSH segment", "MSH"))
    return batch


def _joined(messages: list[bytes]) -> list[bytes]:
    """Messages sent in fragments, as one: the DSC-1 of one is the MSH-14 of the next (chapter 2.10.2)."""
    joined: list[bytes] = []
    for message in messages:
        before = _fragment(joined[-1]) if joined else None
        if before is not None:
            lines = re.split(rb"[\r\n]+", message)
            fields = lines[0].split(message[3:4])
            if len(fields) > 13 and fields[13] == before[1]:
                joined[-1] = b"\r".join([before[0], *lines[1:]])
                continue
        joined.append(message)
    return joined


def _fragment(message: bytes) -> tuple[bytes, bytes] | None:
    """A message without its DSC, and what that says how it goes on; None when the message is whole."""
    start = max(message.rfind(b"\rDSC"), message.rfind(b"\nDSC"))
    if start < 0 or message[start + 4 : start + 5] != message[3:4]:
        return None
    pointer, *kind = message[start + 5 :].strip(_FRAMING).split(message[3:4])
    if not pointer or kind[:1] == [b"I"] or any(c in pointer for c in b"\r\n"):
        return None
    return message[:start].rstrip(b"\r\n"), pointer


def _starts(raw: bytes, name: bytes) -> Iterator[int]:
    """Where a line starts with this segment's name and a separator."""
    at = raw.find(name)
    while at >= 0:
        line = at
        while line and raw[line - 1] in b" \t":
            line -= 1
        at_start = not line or raw[line - 1] in b"\r\n\x0b\x1c"
        follows = raw[at + 3 : at + 4]
        bare = name in _TRAILERS and follows in {b"", b"\r", b"\n"}
        if at_start and (bare or (follows and follows[0] not in _NO_SEPARATOR)):
            yield at
        at = raw.find(name, at + 3)


def _check(batch: Batch, line: bytes, name: str, count: int, what: str) -> None:
    first = re.split(rb"[\r\n]", line)[0]
    declared = first[4:].split(first[3:4])[0].strip().decode("latin-1") if len(first) > 4 else ""
    if declared and declared != str(count):
        text = f"{name}-1 declares {declared[:20]} {what}, there are {count}"
        batch.issues.append(Issue("warning", "structure", text, f"{name}-1"))
