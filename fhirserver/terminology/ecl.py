"""The part of SNOMED CT's Expression Constraint Language that names hierarchies and sets.

Understood are ``<``, ``<<``, ``<!``, ``>``, ``>>``, ``>!``, ``^`` (a reference set), ``*``, a concept, its
``|term|``, parentheses, and AND (or a comma), OR, MINUS. Attributes (``: 363698007 = ...``) are not.
https://confluence.ihtsdotools.org/display/DOCECL
"""

import re

from fhirserver.errors import NotSupported, Unprocessable
from fhirserver.terminology.selections import ALL, Every, Except, Is, Some, Where

LONGEST = 4000
DEEPEST = 20
_tokens = re.compile(
    r"\s*(?:(<<!|>>!|<<|<!|<|>>|>!|>|\^|\*|\(|\)|,)|(\d{6,18})(?:\s*\|[^|]*\|)?|([A-Za-z]+)|(\S))"
)
_OPERATORS = {
    "<": "descendent-of",
    "<<": "is-a",
    "<!": "child-of",
    ">": "ancestor-of",
    ">>": "generalizes",
    ">!": "parent-of",
}
_JOINED = ("AND", ",", "OR", "MINUS")


def parse(text: str) -> Where:
    """An expression as a condition on concepts.

    Raises:
        Unprocessable: it is not ECL.
        NotSupported: it has parts that are not understood here.
    """
    if len(text) > LONGEST:
        raise Unprocessable(f"An ECL expression of {len(text)} characters; {LONGEST} are the most")
    tokens = []
    for operator, concept, word, other in _tokens.findall(text):
        if other in (":", "=", "{", "}", "[", "]", ".", "!") or operator in ("<<!", ">>!"):
            raise NotSupported(f"ECL with {other or operator!r} (attributes, filters) is not supported here")
        if other or (word and word.upper() not in _JOINED):
            raise Unprocessable(f"{text[:80]!r} is not an ECL expression: {(other or word)[:20]!r}")
        tokens.append(operator or concept or word.upper())
    where = _expression(tokens, text, 0)
    if tokens:
        raise Unprocessable(f"{text[:80]!r} is not an ECL expression: {tokens[0]!r}")
    return where


def _expression(tokens: list[str], text: str, depth: int) -> Where:
    """Constraints that are joined by one word throughout, as ECL demands."""
    if depth > DEEPEST:
        raise Unprocessable(f"An ECL expression with more than {DEEPEST} parentheses")
    parts, joined = [_constraint(tokens, text, depth)], ""
    while tokens and tokens[0] in _JOINED:
        word = "AND" if tokens[0] == "," else tokens[0]
        if joined and (word != joined or word == "MINUS"):
            raise Unprocessable(f"In {text[:80]!r} {joined} and {word} need parentheses")
        joined = word
        tokens.pop(0)
        parts.append(_constraint(tokens, text, depth))
    match joined:
        case "AND":
            return Every(tuple(parts))
        case "OR":
            return Some(tuple(parts))
        case "MINUS":
            return Every((parts[0], Except(parts[1])))
        case _:
            return parts[0]


def _constraint(tokens: list[str], text: str, depth: int) -> Where:
    if not tokens:
        raise Unprocessable(f"{text[:80]!r} is not an ECL expression: it ends before its time")
    first = tokens.pop(0)
    if first == "(":
        inner = _expression(tokens, text, depth + 1)
        if not tokens or tokens.pop(0) != ")":
            raise Unprocessable(f"{text[:80]!r} is not an ECL expression: a parenthesis is open")
        return inner
    if first == "*":
        return ALL
    if first.isdigit():
        return Is("in", "code", (first,))
    if first in _OPERATORS or first == "^":
        if not tokens or not tokens[0].isdigit():
            raise NotSupported(f"In {text[:80]!r} {first} is before something else than a concept")
        if first == "^":
            return Is("in", "refset", (tokens.pop(0),))
        return Is(_OPERATORS[first], "concept", (tokens.pop(0),))
    raise Unprocessable(f"{text[:80]!r} is not an ECL expression: {first!r}")
