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
from fhirserver.search.text import LENGTH, fold
from fhirserver.search.types import sorting, string
from fhirserver.search.values import escape, shown, unescape

_word = re.compile(r"[^\W_]+")
_SILENT = (("ebvre", "evre"), ("ault", "aud"), ("auld", "aud"))
"""What is silent in names and not in other words: Lefebvre, Renault, Arnauld."""


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index one value: a string, or the string parts of a HumanName."""
    for text in string.texts(type, value):
        words = _words(text)
        if not words:
            continue
        # The whole name of a person is not one that is written in one word or in several.
        joined = (
            ["".join(words)]
            if len(words) > 1 and not (type == "HumanName" and _is_whole(value, text))
            else []
        )
        index.keys += [f"{code}|{escape(sound)}" for word in (*words, *joined) for sound in _sounds(word)]
        sorting.note(index, code, fold(text))


def _is_whole(name: dict[str, Any], text: str) -> bool:
    return text == name.get("text")


def _words(text: str) -> list[str]:
    return _word.findall(unicodedata.normalize("NFC", text[:LENGTH]).casefold())


@lru_cache(maxsize=32_768)
def _sounds(word: str) -> tuple[str, ...]:
    """How a word sounds, and how it does without accents; one code where that is the same."""
    for silent, heard in _SILENT:
        word = word.replace(silent, heard)
    plain = fold(word)
    # What has no sound in French (one letter, a number, another script) is compared as it is written.
    codes = [phonetic_fr.phonetic(form) or plain for form in dict.fromkeys((word, plain))]
    return tuple(dict.fromkeys(code for code in codes if code))


def sounds_like(parameter: Parameter, value: str, site: Site) -> Condition:
    words = _words(unescape(value))
    asked = [_heard(parameter, word) for word in words]
    if not asked:
        raise BadRequest(f"{shown(value)} has no letter and no digit to search for")
    if len(asked) == 1:
        return asked[0]
    return Or((And(tuple(asked)), _heard(parameter, "".join(words))))


def _heard(parameter: Parameter, word: str) -> Keys:
    return Keys(tuple(f"{parameter.code}|{escape(sound)}" for sound in _sounds(word)))


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": sounds_like}
