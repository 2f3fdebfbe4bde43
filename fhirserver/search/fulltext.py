"""``_text`` and ``_content``: the words of the narrative, and of everything that a resource says.

Each word is a key, ``_text|metastase``, folded as strings are; ``_content`` has the words of all other
strings (texts, displays, names, codes; not ids, addresses, dates and attachments) and is asked together with
those of the narrative. A resource with more than ``WORDS`` different ones has the key ``_text|+`` instead of
the rest. Its text is the interval ``_text:said``, for phrases and for the words beyond.

What is asked: words, all of which are there; ``or``, ``not``, parentheses; ``"a phrase"``.
https://hl7.org/fhir/R4/search.html#text
"""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from fhirserver.errors import BadRequest, TooCostly
from fhirserver.model.json import Resource
from fhirserver.search.query import And, Condition, Index, Interval, Keys, Not, Or
from fhirserver.search.text import fold_all
from fhirserver.search.values import shown, unescape

Scope = Literal["off", "narrative", "content"]
"""What is indexed: nothing, the narrative, or all."""

NARRATIVE, CONTENT = "_text", "_content"
WORDS = 128
"""So many different words of a resource are keys, of each of the two."""
LENGTH = 32_768
"""Of a text so many characters are kept: what is beyond is not found."""
LONGEST = 40
"""Longer words are no words: they are compared by their first so many characters."""
MOST = 32
"""So many words may be asked at once, so deep may parentheses be."""

SHORT = 64
"""Strings of so many characters are folded once for many resources."""

MORE = "+"
_SAID = ":said"
_APART = " . "
"""Between strings that stand apart and are no phrase; no word is a point."""
_tags = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_token = re.compile(r'\s*(?:([()])|"([^"]*)"|([^\s()"]+))')
_silent = frozenset(
    {"id", "resourceType", "meta", "system", "url", "reference", "data", "hash", "div", "implicitRules"}
    | {"contentType", "fullUrl"}
)
_no_text = re.compile(
    r"[a-z][a-z0-9+.\-]*:\S+|\d{4}(-\d\d(-\d\d(T[\d:.]+(Z|[+\-]\d\d:\d\d))?)?)?|\S{65,}"
).fullmatch


# --- what is indexed


def entries(index: Index, resource: Resource, scope: Scope) -> None:
    """Add the words of a resource to its index."""
    if scope == "off":
        return
    narrative = fold_all(_narrative(resource)[:LENGTH])
    _write(index, NARRATIVE, narrative, ())
    if scope == "content":
        said: list[str] = []
        _collect(resource, said)
        texts = _APART.join(filter(None, map(_folded, said)))
        _write(index, CONTENT, texts[:LENGTH], narrative.split(" "))


def _narrative(resource: Resource) -> str:
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return html.unescape(_tags.sub(" ", div)) if isinstance(div, str) else ""


def _write(index: Index, code: str, folded: str, known: Iterable[str]) -> None:
    words = dict.fromkeys(word[:LONGEST] for word in folded.split(" ") if len(word) > 1)
    for word in known:
        words.pop(word[:LONGEST], None)
    index.keys += [f"{code}|{word}" for word in list(words)[:WORDS]]
    if len(words) > WORDS:
        index.keys.append(f"{code}|{MORE}")
    if folded:
        index.intervals.append((f"{code}{_SAID}", folded, ""))


def _collect(element: Resource, found: list[str]) -> None:
    """The strings of an element, of all names but the silent ones; some of them say nothing to people."""
    for name, value in element.items():
        if name in _silent:
            continue
        kind = value.__class__
        if kind is str:
            found.append(value)
        elif kind is dict:
            _collect(value, found)
        elif kind is list:
            for item in value:
                if item.__class__ is dict:
                    _collect(item, found)
                elif item.__class__ is str:
                    found.append(item)


def _folded(text: str) -> str:
    return _folded_short(text) if len(text) <= SHORT else _folded_short.__wrapped__(text)


@lru_cache(maxsize=8192)
def _folded_short(text: str) -> str:
    """The words of a string that says something to people, "" of others. Codes and displays come again."""
    return "" if _no_text(text) else fold_all(text)


# --- what is asked


def condition(code: str, value: str) -> Condition:
    """What has the words of one value.

    Raises:
        BadRequest: it has no word, or its quotes or parentheses are not closed; TooCostly: too many words.
    """
    text = unescape(value)
    if text.count('"') % 2:
        raise BadRequest(f"{code}: a quote is not closed in {shown(text)}")
    reader = _Reader(code, [(found[1], found[2], found[3]) for found in _token.finditer(text)])
    if len(reader.tokens) > 4 * MOST:
        raise TooCostly(f"{code} asks for too many words; {MOST} are the most")
    found = reader.either()
    if reader.tokens:
        raise BadRequest(f"{code}: a ) too many in {shown(text)}")
    return found


@dataclass(slots=True)
class _Reader:
    """Reads from the front: either = all (or all)*, all = one ((and) one)*."""

    code: str
    tokens: list[tuple[str | None, str | None, str | None]]
    depth: int = 0

    def either(self) -> Condition:
        found = [self.all()]
        while self._next("or"):
            found.append(self.all())
        return found[0] if len(found) == 1 else Or(tuple(found))

    def all(self) -> Condition:
        found = [self.one()]
        while self.tokens and self.tokens[0][0] != ")" and not self._is("or"):
            self._next("and")
            found.append(self.one())
        return found[0] if len(found) == 1 else And(tuple(found))

    def one(self) -> Condition:
        if self._next("not"):
            return Not(self.one())
        if not self.tokens:
            raise BadRequest(f"{self.code}: a word is missing at the end")
        bracket, phrase, word = self.tokens.pop(0)
        if bracket == "(":
            self.depth += 1
            if self.depth > MOST:
                raise TooCostly(f"{self.code} has more than {MOST} parentheses in each other")
            found = self.either()
            if not self.tokens or self.tokens.pop(0)[0] != ")":
                raise BadRequest(f"{self.code}: a ) is missing")
            self.depth -= 1
            return found
        text = fold_all(phrase if phrase is not None else word or "")
        words = [w[:LONGEST] for w in text.split(" ") if len(w) > 1]
        if not words:
            raise BadRequest(
                f"{self.code}: {shown(bracket or phrase or word or '')} is no word to search for: "
                "words have two letters or more"
            )
        if len(words) > MOST:
            raise TooCostly(f"{self.code} asks for too many words; {MOST} are the most")
        conditions = [_word(self.code, w) for w in dict.fromkeys(words)]
        if " " in text:
            # A word such as l'infarctus is a phrase, too: its parts stand beside each other.
            conditions.append(_said(self.code, text))
        return conditions[0] if len(conditions) == 1 else And(tuple(conditions))

    def _is(self, operator: str) -> bool:
        return bool(self.tokens) and (self.tokens[0][2] or "").lower() == operator

    def _next(self, operator: str) -> bool:
        if self._is(operator):
            self.tokens.pop(0)
            return True
        return False


def _codes(code: str) -> tuple[str, ...]:
    return (NARRATIVE, CONTENT) if code == CONTENT else (NARRATIVE,)


def _word(code: str, word: str) -> Condition:
    """A word that is a key, or is among those that were too many for keys."""
    keys = tuple(f"{c}|{word}" for c in _codes(code))
    more = tuple(f"{c}|{MORE}" for c in _codes(code))
    return And((Keys((*keys, *more)), Or((Keys(keys), _said(code, word)))))


def _said(code: str, folded: str) -> Condition:
    pattern = rf"(^| ){re.escape(folded)}( |$)" if len(folded) < LONGEST else rf"(^| ){re.escape(folded)}"
    found = tuple(Interval(f"{c}{_SAID}", (("$regex", pattern),)) for c in _codes(code))
    return found[0] if len(found) == 1 else Or(found)
