import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.search.text import LENGTH, exactly, fold, tails


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("DURAND", "durand"),
        ("Éva", "eva"),
        ("E\u0301va", "eva"),
        ("François", "francois"),
        ("Lætitia", "laetitia"),
        ("CŒUR", "coeur"),
        ("Straße", "strasse"),
        ("Øyvind", "oyvind"),
        ("Łukasz", "lukasz"),
        ("İbrahim", "ibrahim"),
        ("L'Haÿ-les-Roses", "l hay les roses"),
        ("L’Haÿ–les–Roses", "l hay les roses"),
        ("Marie-Louise", "marie louise"),
        ("  Marie \t\n Louise  ", "marie louise"),
        ("12, rue de l'Église", "12 rue de l eglise"),
        ("N'Guyễn", "n guyen"),
        ("O_Connor", "o connor"),
        ("ﬁn ½", "fin 1 2"),
        ("Αθήνα", "αθηνα"),
        ("Пётр", "петр"),
        ("王小明", "王小明"),
        ("-!?", ""),
        ("", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=50))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=50))
def test_case_does_not_matter(text: str) -> None:
    assert fold(text.upper().lower()) == fold(text.lower().upper().lower())


def test_long_texts_are_cut() -> None:
    assert len(fold("é " * 1000)) <= LENGTH
    assert len(exactly("a" * 1000)) < LENGTH
    assert exactly("a" * 1000) != exactly("a" * 1001)
    assert exactly("a" * LENGTH) == "a" * LENGTH


@pytest.mark.parametrize(
    ("folded", "words", "expected"),
    [
        ("marie", 8, []),
        ("dominique marie louise", 8, ["marie louise", "louise"]),
        ("a b c d", 8, []),
        ("rue de l eglise", 8, ["de l eglise", "eglise"]),
        ("un deux trois quatre", 2, ["deux trois quatre"]),
        ("un deux trois quatre", 1, []),
    ],
)
def test_tails(folded: str, words: int, expected: list[str]) -> None:
    assert tails(folded, words) == expected
