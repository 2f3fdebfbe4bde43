r"""Escape sequences: ``\F\ \S\ \T\ \R\ \E\ \P\ \Xhh\ \.br\ \H\``. HL7 v2.9 chapter 2.7"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

MAX_REPEAT: Final = 80
"""Most blank lines or spaces one formatting command may ask for: a sender may not fill our memory."""

_CONTROLS: Final = {c: None for c in (*range(32), 127) if chr(c) not in "\t\r\n"}
_COMMAND = re.compile(r"\.(br|sp|fi|nf|in|ti|sk|ce)\s*([+-]?[0-9]*)", re.IGNORECASE)


class Delimiters(NamedTuple):
    """The separators a message declares in MSH-1 and MSH-2; an empty one is not in use."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding_characters(self) -> str:
        """MSH-2, as this message writes it."""
        return "".join(self[1:])


@lru_cache(maxsize=64)
def _sequence(escape: str) -> re.Pattern[str]:
    e = re.escape(escape)
    # Hexadecimal sequences in a row are one run of bytes: a character may be spread over several.
    return re.compile(rf"(?:{e}X[0-9A-Fa-f]+{e})+|{e}([^{e}]{{1,200}}){e}")


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    """Replace escape sequences; what is not one is kept as it is.

    Highlighting is dropped, formatting commands become line breaks and spaces, hexadecimal bytes are read in
    the message's own character set.
    """
    escape = delimiters.escape
    if not escape or escape not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        content = match[1]
        if content is None:
            return _from_hexadecimal(match[0], escape, codec)
        return _replacement(content, match[0], delimiters)

    return _sequence(escape).sub(replace, text)


def escape(text: str, delimiters: Delimiters) -> str:
    r"""Write text as the content of a field: delimiters are escaped, line breaks become ``\.br\``."""
    if not delimiters.escape:
        return "".join(" " if c in "\r\n" or c in delimiters else c for c in text)
    letters = dict(zip(delimiters, "FSRET", strict=True))
    return "".join(
        f"{delimiters.escape}{letters[c]}{delimiters.escape}"
        if c in letters
        else f"{delimiters.escape}.br{delimiters.escape}"
        if c == "\n"
        else ""
        if c == "\r"
        else c
        for c in text
    )


def _replacement(content: str, sequence: str, delimiters: Delimiters) -> str:
    match content[0]:
        case "F" | "S" | "R" | "E" | "T" if len(content) == 1:
            return delimiters["FSRET".index(content)]
        case "P" if len(content) == 1:
            return "#"
        case "H" | "N" if len(content) == 1:
            return ""
        case "C" | "M" if re.fullmatch(r"[CM][0-9A-Fa-f]{2,6}", content):
            return ""  # ISO 2022 switching outside the declared character set
        case "." if (command := _COMMAND.fullmatch(content)) is not None:
            return _formatted(command[1].lower(), command[2])
        case _:
            return sequence


def _formatted(name: str, number: str) -> str:
    count = min(abs(int(number[:6])) if number.strip("+-") else 1, MAX_REPEAT)
    match name:
        case "br" | "ce":
            return "\n"
        case "sp":
            return "\n" * max(count, 1)
        case "sk":
            return " " * count
        case _:
            return ""


def _from_hexadecimal(run: str, escape: str, codec: str) -> str:
    digits = run.replace(f"{escape}X", "").replace(escape, "")
    if len(digits) % 2:
        return run
    raw = bytes.fromhex(digits)
    for candidate in (codec, "utf-8", "cp1252", "latin-1"):
        if candidate.startswith(("utf-16", "utf-32")):
            continue
        try:
            return raw.decode(candidate).translate(_CONTROLS)
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes all bytes")
