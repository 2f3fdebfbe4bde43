"""The text of a search value: separators, escapes and prefixes.

https://hl7.org/fhir/R4/search.html#escaping, https://hl7.org/fhir/R4/search.html#prefix
"""

import re
from typing import Literal, get_args

from fhirserver.errors import BadRequest

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: tuple[Prefix, ...] = get_args(Prefix)

_escape = re.compile(r"\\(.?)", re.DOTALL)
_prefix = re.compile(r"([A-Za-z]*)(.*)", re.DOTALL)


def split(text: str, separator: Literal[",", "|", "$"]) -> list[str]:
    r"""The parts between separators that are not escaped; the parts keep their escapes (``a\,b,c`` -> 2
    parts)."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    r"""The literal text of ``\,``, ``\$``, ``\|`` and ``\\``.

    Raises:
        BadRequest: another character is escaped.
    """
    if "\\" not in text:
        return text

    def literal(found: re.Match[str]) -> str:
        if found[1] not in (",", "$", "|", "\\"):
            raise BadRequest(
                f"In {shown(text)} a \\ must be followed by one of , $ | \\ (write \\\\ for itself)"
            )
        return found[1]

    return _escape.sub(literal, text)


def escape(text: str) -> str:
    r"""The text as a part of an index key: ``|``, ``$`` and ``\`` get a backslash, so that parts stay
    apart."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "|" in text:
        text = text.replace("|", "\\|")
    return text.replace("$", "\\$") if "$" in text else text


def prefixed(text: str) -> tuple[Prefix, str]:
    """The prefix of an ordered value (``eq`` when there is none) and the rest, without escapes.

    Raises:
        BadRequest: it starts with letters that are no prefix.
    """
    found = _prefix.fullmatch(unescape(text))
    assert found is not None
    if not found[1]:
        return "eq", found[2]
    for prefix in PREFIXES:
        if prefix == found[1]:
            return prefix, found[2]
    raise BadRequest(
        f"{shown(text)} has an unknown prefix {shown(found[1])}; known are {', '.join(PREFIXES)}"
    )


def shown(text: str) -> str:
    """A value as an error text quotes it: cut short."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
