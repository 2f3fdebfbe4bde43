"""Strings by how they sound in French: ``phonetic=Dupon`` finds Dupont, Dupond and DUPONT.

Each word of a value is a key, ``phonetic|DUPON``, and so is a value of several words written as one (``Le
Goff`` is found by ``legoff``). Records are often in capitals without accents: a word with accents is indexed
as it is pronounced with and without them, and so is what is asked. Every word that is asked must sound like
one of the resource's. The codes are Edouard Bergé's, made for French (the library phonetic-fr).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

import phonetic_fr

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import And, Condition, Index, KeyRange, Keys, Or
from fhirserver.search.text import fold
from fhirserver.search.types import sorting, string
from fhirserver.search.values import escape, shown, unescape

_words = re.compile(r"[^\W_]+")
_SILENT = (("ebvre", "evre"), ("ault", "aud"), ("auld", "aud"))
"""What is silent in names and not in other words: Lefebvre, Renault, Arnauld."""


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index one value: a string, or the string parts of a HumanName."""
    for text in string.texts(type, value):
        found = sounds(text)
        index.keys += [f"{code}|{escape(sound)}" for word in found for sound in word]
        if found:
            sorting.note(index, code, fold(text))


@lru_cache(maxsize=8192)
def sounds(text: str) -> tuple[tuple[str, ...], ...]:
    """How each word of a text sounds, and, of several words, all together as one: one or two codes each."""
    words = _words.findall(unicodedata.normalize("NFC", text[:200]).casefold())
    joined = ["".join(words)] if len(words) > 1 else []
    return tuple(_sounds(word) for word in (*words, *joined))


def _sounds(word: str) -> tuple[str, ...]:
    for silent, heard in _SILENT:
        word = word.replace(silent, heard)
    # What has no sound in French (one letter, a number, another script) is compared as it is written.
    plain = fold(word)
    codes = [phonetic_fr.phonetic(form) or plain for form in (word, plain)]
    return tuple(dict.fromkeys(code for code in codes if code))


def sounds_like(parameter: Parameter, value: str, site: Site) -> Condition:
    words = sounds(unescape(value))
    if not words or not all(words):
        raise BadRequest(f"{shown(value)} has no letter and no digit to search for")
    asked = [Keys(tuple(f"{parameter.code}|{escape(sound)}" for sound in word)) for word in words]
    if len(asked) == 1:
        return asked[0]
    return Or((And(tuple(asked[:-1])), asked[-1]))


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": sounds_like}
