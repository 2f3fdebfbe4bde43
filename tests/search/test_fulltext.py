"""``_text`` and ``_content``: which words are found, how they are combined, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.errors import BadRequest, FHIRError, TooCostly, UnknownParameter
from fhirserver.model.definitions import Definitions
from fhirserver.search import fulltext
from fhirserver.search.match import satisfies


def resource(narrative: str = "", **elements: Any) -> dict[str, Any]:
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{narrative}</div>'}
    return {"resourceType": "Condition", "id": "c", **({"text": text} if narrative else {}), **elements}


NARRATIVE = resource(
    "<p>Métastase <b>osseuse</b> de l'épaule<br/>droite</p><!-- caché --><p title='bulle'>Œdème &amp; "
    "douleurs &#233;tendues</p>",
    code={"text": "Cancer du sein", "coding": [{"system": "http://sys.example", "code": "C50.9"}]},
    subject={"reference": "Patient/soixante", "display": "DURAND Zoé"},
    recordedDate="2024-05-01",
    note=[{"text": "Traitée en 2019, hormonothérapie."}],
    contained=[{"resourceType": "Practitioner", "id": "abc", "name": [{"family": "Lefèvre"}]}],
)


def finds(indexer: search.Indexer, name: str, value: str, found: dict[str, Any] = NARRATIVE) -> bool:
    condition = search.compile("Condition", [(name, value)], indexer=indexer).condition
    return satisfies(indexer.index(found), "c", 0, condition)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("metastase", True),
        ("MÉTASTASE", True),
        ("métastases", False),
        ("oedeme", True),
        ("étendues", True),
        ("metastase droite", True),
        ("metastase gauche", False),
        ("gauche or metastase", True),
        ("gauche OR (métastase AND droite)", True),
        ("(gauche or metastase) and douleurs", True),
        ("(gauche or metastase) and genou", False),
        ("metastase not gauche", True),
        ("metastase and not (gauche or droite)", False),
        ("gauche,metastase", True),
        ('"metastase osseuse"', True),
        ('"osseuse metastase"', False),
        ('"épaule droite"', True),
        ("l'épaule", True),
        ("l’epaule", True),
        ("d'épaule", False),
        ("caché", False),
        ("bulle", False),
        ("sein", False),
        ("div", False),
    ],
)
def test_text(indexer: search.Indexer, value: str, expected: bool) -> None:
    assert finds(indexer, "_text", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sein", True),
        ("metastase sein", True),
        ("durand", True),
        ("hormonothérapie", True),
        ("2019", True),
        ("lefevre", True),
        ("c50.9", True),
        ('"cancer du sein"', True),
        # These are texts of two elements.
        ('"sein c50"', False),
        ('"zoe traitee"', False),
        ("soixante", False),
        ("example", False),
        ("2024", False),
        ("abc", False),
        ("practitioner", False),
    ],
)
def test_content(indexer: search.Indexer, value: str, expected: bool) -> None:
    assert finds(indexer, "_content", value) is expected


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        ("!", BadRequest, "no word"),
        ("a", BadRequest, "no word"),
        ('""', BadRequest, "no word"),
        ('"a b', BadRequest, "a quote is not closed"),
        ("(metastase", BadRequest, r"a \) is missing"),
        ("metastase)", BadRequest, r"a \) too many"),
        ("metastase or", BadRequest, "a word is missing"),
        ("not", BadRequest, "a word is missing"),
        ("()", BadRequest, "no word"),
        (" ", BadRequest, "a word is missing"),
        (r"a\b", BadRequest, r"must be followed by"),
        ("mot " * 200, TooCostly, "too many words"),
        ("-".join(["mot"] * 50), TooCostly, "too many words"),
        ("(" * 50 + "mot" + ")" * 50, TooCostly, "parentheses"),
        (",".join(["mot"] * 50), TooCostly, "values"),
    ],
)
def test_refused(indexer: search.Indexer, value: str, error: type[FHIRError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        finds(indexer, "_text", value)


def test_there_are_no_modifiers(indexer: search.Indexer) -> None:
    with pytest.raises(UnknownParameter, match="it has no modifiers"):
        finds(indexer, "_text:exact", "x")


def test_what_is_off_is_refused(definitions: Definitions) -> None:
    off, narrative = (search.Indexer(definitions, words=scope) for scope in ("off", "narrative"))
    assert not [key for key in off.index(NARRATIVE).keys if key.startswith(("_text|", "_content|"))]
    assert finds(narrative, "_text", "metastase")
    for indexer, name in ((off, "_text"), (off, "_content"), (narrative, "_content")):
        with pytest.raises(UnknownParameter, match="see the setting text_search"):
            finds(indexer, name, "metastase")


def test_the_index_of_a_long_text_is_bounded(indexer: search.Indexer) -> None:
    words = [f"mot{n}" for n in range(3 * fulltext.WORDS)]
    long = resource(" ".join(words))
    index = indexer.index(long)
    assert len([key for key in index.keys if key.startswith("_text|")]) == fulltext.WORDS + 1
    for word in (words[0], words[-1], f"{words[0]} {words[-1]}", f'"{words[-2]} {words[-1]}"'):
        assert finds(indexer, "_text", word, long), word
    assert not finds(indexer, "_text", "mot", long)
    assert not finds(indexer, "_text", f"mot{3 * fulltext.WORDS}", long)


texts = st.lists(st.sampled_from(["Éva", "coeur", "cœur", "or", "os", "L'os", "et", "12"]), max_size=6).map(
    " ".join
)


@given(texts, st.sampled_from(["eva", "coeur", "os", "12", "et"]))
def test_a_word_is_found_where_it_stands(indexer: search.Indexer, narrative: str, word: str) -> None:
    folded = narrative.replace("œ", "oe").replace("É", "e").replace("L'", "").split()
    assert finds(indexer, "_text", word, resource(narrative)) is (word in folded)
