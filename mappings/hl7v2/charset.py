"""Bytes to text without ever losing a character. HL7 table 0211; v2.9 chapter 2.14.9.18 (MSH-18)"""

import codecs
from typing import Final

from mappings.core.result import Issue

CODEC_OF_CHARSET: Final = {
    "ASCII": "ascii",
    # What senders call Latin-1 is Windows-1252 in practice: the same, with a few characters more.
    "8859/1": "cp1252",
    "8859/2": "iso8859_2",
    "8859/3": "iso8859_3",
    "8859/4": "iso8859_4",
    "8859/5": "iso8859_5",
    "8859/6": "iso8859_6",
    "8859/7": "iso8859_7",
    "8859/8": "iso8859_8",
    "8859/9": "iso8859_9",
    "8859/15": "iso8859_15",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
"""HL7 table 0211 (and the spellings that occur), upper case -> Python codec."""

_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    ("MSH".encode("utf-16-le"), "utf-16-le"),
    ("MSH".encode("utf-16-be"), "utf-16-be"),
)
"""How bytes start that are no ASCII superset, so that nothing declared inside can be read before decoding."""
# FHIR strings may hold no control characters but tab, CR and LF; neither may HL7's.
_CONTROLS: Final = bytes(c for c in range(32) if c not in b"\t\r\n") + b"\x7f"
_CONTROLS_MAP: Final = dict.fromkeys(_CONTROLS)
_ESCAPING_CODECS: Final = frozenset({"iso2022_jp_2"})
"""Codecs that switch character sets by control characters: these go after decoding, not before."""


def decode(raw: bytes, charset_of_source: str = "") -> tuple[str, str, list[Issue]]:
    """Decode a message, or as much of it as starts with its MSH segment.

    The order is: byte order mark (or the zero bytes of UTF-16), what MSH-18 declares (or the source's setting
    when it declares nothing), UTF-8, Windows-1252, Latin-1; each strictly, so no character is ever replaced.
    Whatever is not as declared is an issue.

    Returns:
        the text without control characters, the codec it was read with, and the issues.
    """
    if (wide := wide_codec(raw)) is not None:
        try:
            text = raw.decode(wide).removeprefix("\ufeff").translate(_CONTROLS_MAP)
        except UnicodeDecodeError:
            pass
        else:
            return text, wide, [Issue("information", "value", f"Read as {wide}", "MSH-18")]
    raw = raw.removeprefix(codecs.BOM_UTF8)
    candidates, issues = _candidates(raw, charset_of_source)
    clean = raw.translate(None, _CONTROLS)
    for codec in candidates:
        escaping = codec in _ESCAPING_CODECS
        try:
            text = (raw if escaping else clean).decode(codec)
        except UnicodeDecodeError:
            continue
        if codec != candidates[0]:
            issues.append(
                Issue("warning", "value", f"Not {candidates[0]} as expected: read as {codec}", "MSH-18")
            )
        if escaping:
            text = text.translate(_CONTROLS_MAP)
        elif _has_inner_controls(raw):
            issues.append(Issue("warning", "value", "Control characters were removed"))
        return text, codec, issues
    raise AssertionError("Latin-1 decodes all bytes")


def wide_codec(raw: bytes) -> str | None:
    """The codec of UTF-16 and UTF-32, which show by their first bytes; None for all others."""
    return next((codec for start, codec in _WIDE if raw.startswith(start)), None)


def declared(raw: bytes) -> list[str]:
    """The repetitions of MSH-18, from bytes that start with ``MSH``."""
    end = min((i for i in (raw.find(b"\r"), raw.find(b"\n")) if i >= 0), default=len(raw))
    fields = raw[:end].split(raw[3:4]) if len(raw) > 3 else []
    if len(fields) < 18:
        return []
    repetition = fields[1][1:2] or b"~"
    names = (name.decode("latin-1").strip() for name in fields[17].split(repetition))
    return [name for name in names if name and name != '""']


def _candidates(raw: bytes, charset_of_source: str) -> tuple[list[str], list[Issue]]:
    names = declared(raw.lstrip(b"\x0b\x1c\r\n \t"))
    known = [CODEC_OF_CHARSET[n] for name in names if (n := name.upper()) in CODEC_OF_CHARSET]
    issues = [
        Issue("warning", "value", f"Unknown character set {name[:40]!r}", "MSH-18")
        for name in names
        if name.upper() not in CODEC_OF_CHARSET
    ]
    # The first repetition is the default; others announce switching, which only ISO 2022 codecs can read.
    first = [c for c in known if c in _ESCAPING_CODECS][:1] or known[:1]
    if not names and charset_of_source:
        try:
            first = [codecs.lookup(charset_of_source).name]
        except LookupError:
            issues.append(Issue("warning", "not-supported", "The source's charset setting is unknown"))
    return list(dict.fromkeys((*first, "utf-8", "cp1252", "latin-1"))), issues


def _has_inner_controls(raw: bytes) -> bool:
    inner = raw.strip(b"\x0b\x1c\r\n \t")
    return len(inner.translate(None, _CONTROLS)) != len(inner)
