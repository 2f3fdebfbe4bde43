import re
from collections.abc import Callable
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]


def patient(family: str, *given: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": family, "given": list(given)}]}


@pytest.mark.parametrize(
    "alike",
    [
        ("Dupont", "Dupond", "DUPON", "duponts"),
        ("Lefebvre", "Lefèvre", "LEFEVRE"),
        ("Moreau", "Maureau", "Morot", "Morault"),
        ("Renault", "Renaud", "RENAULD"),
        ("Gauthier", "Gautier", "Gotier"),
        ("Durand", "Durant", "Durent"),
        ("Bernard", "Bernart"),
        ("Philippe", "Filip"),
        ("Françoise", "FRANCOISE", "Francoise"),
        ("Éric", "Erik", "ERIC"),
        ("Le Goff", "LEGOFF", "le-goff"),
        ("Jean-Pierre", "Jean Pierre", "JEANPIERRE"),
        ("Catherine", "Katherine"),
        ("Thomas", "Toma"),
        ("王", "王"),
    ],
)
def test_what_sounds_alike(finds: Finds, alike: tuple[str, ...]) -> None:
    for name in alike:
        for asked in alike:
            assert finds(patient(name), f"phonetic={asked}"), (name, asked)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("phonetic=durant", True),
        ("phonetic=zoe", True),
        ("phonetic=durant zoé", True),
        ("phonetic=zohé durant", True),
        ("phonetic=durant marie", False),
        ("phonetic=martin", False),
        ("phonetic=martin,durant", True),
        ("phonetic:missing=false", True),
        ("phonetic:missing=true", False),
    ],
)
def test_every_word_that_is_asked_is_heard(finds: Finds, asked: str, found: bool) -> None:
    assert finds(patient("Durand", "Zoé"), asked) is found


def test_organizations_have_a_sound(finds: Finds) -> None:
    assert finds({"resourceType": "Organization", "name": "CHU de Rennes"}, "phonetic=Rène")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("phonetic=--", "no letter"),
        ("phonetic:exact=x", "has no modifier ':exact'; known are :missing"),
        ("_filter=phonetic co x", "co is not for phonetic"),
    ],
)
def test_refused(indexer: search.Indexer, asked: str, reason: str) -> None:
    name, _, value = asked.partition("=")
    with pytest.raises(BadRequest, match=re.escape(reason)):
        search.compile("Patient", [(name, value)], indexer=indexer)
