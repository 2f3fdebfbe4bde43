"""The part of ECL that is understood, and what is said of the rest."""

import pytest

from fhirserver.errors import FHIRError, NotSupported, Unprocessable
from fhirserver.terminology.ecl import parse
from fhirserver.terminology.selections import ALL, Every, Except, Is, Some, Where


def is_a(code: str) -> Is:
    return Is("is-a", "concept", (code,))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("*", ALL),
        ("73211009", Is("in", "code", ("73211009",))),
        ("73211009 |Diabetes mellitus|", Is("in", "code", ("73211009",))),
        ("<<73211009", is_a("73211009")),
        ("< 73211009 |x < y|", Is("descendent-of", "concept", ("73211009",))),
        ("<! 73211009", Is("child-of", "concept", ("73211009",))),
        ("> 73211009", Is("ancestor-of", "concept", ("73211009",))),
        (">> 73211009", Is("generalizes", "concept", ("73211009",))),
        (">! 73211009", Is("parent-of", "concept", ("73211009",))),
        ("^ 700043003", Is("in", "refset", ("700043003",))),
        ("<<1000001 or <<1000002", Some((is_a("1000001"), is_a("1000002")))),
        ("<<1000001, <<1000002 AND <<1000003", Every((is_a("1000001"), is_a("1000002"), is_a("1000003")))),
        ("<<1000001 MINUS <<1000002", Every((is_a("1000001"), Except(is_a("1000002"))))),
        (
            "(<<1000001 OR <<1000002) AND <<1000003",
            Every((Some((is_a("1000001"), is_a("1000002"))), is_a("1000003"))),
        ),
    ],
)
def test_understood(text: str, where: Where) -> None:
    assert parse(text) == where


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", Unprocessable),
        ("dog", Unprocessable),
        ("<", NotSupported),
        ("<<*", NotSupported),
        ("<<(1000001)", NotSupported),
        ("(1000001", Unprocessable),
        ("1000001)", Unprocessable),
        ("1000001 1000002", Unprocessable),
        ("1000001 AND", Unprocessable),
        ("1000001 AND 1000002 OR 1000003", Unprocessable),
        ("1000001 MINUS 1000002 MINUS 1000003", Unprocessable),
        ("<<1000001 : 363698007 = <<1000002", NotSupported),
        ("<<1000001 {{ term = 'x' }}", NotSupported),
        ("<<! 1000001", NotSupported),
        ("123", Unprocessable),
        ("(" * 30 + "1000001" + ")" * 30, Unprocessable),
        ("1000001 OR " * 1000, Unprocessable),
    ],
)
def test_refused(text: str, error: type[FHIRError]) -> None:
    with pytest.raises(error):
        parse(text)
