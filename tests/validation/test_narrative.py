import pytest

from fhirserver.validation.narrative import problem

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>text</div>",
        f'<div {XHTML} lang="fr" xml:lang="fr"><p class="a" style="top: 1">é &amp; &lt; &#160;x</p></div>',
        f'<div {XHTML}><table><tbody><tr><td colspan="2">1</td></tr></tbody></table><br/><hr/></div>',
        f'<div {XHTML}><a href="https://example.org">x</a><a name="b">y</a></div>',
        f'<div {XHTML}><img src="#photo" alt=""/></div>',
        f'<div {XHTML}><pre xml:space="preserve">a  b</pre></div>',
        f"<div {XHTML}><!-- a comment -->x</div>",
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p>x</h:p></h:div>',
        f"  <div\n {XHTML}>x</div>\n",
    ],
)
def test_accepted(div: str) -> None:
    assert problem(div) is None


@pytest.mark.parametrize(
    ("div", "expected"),
    [
        ("<div>x</div>", "namespace"),
        (f"<p {XHTML}>x</p>", "<div>"),
        (f"<div {XHTML}>x", "not well-formed"),
        (f"<div {XHTML}>x</div><div {XHTML}>y</div>", "not well-formed"),
        ("text", "not well-formed"),
        (f"<div {XHTML}>a &nbsp; b</div>", "undefined entity"),
        (f"<div {XHTML}>\udc00</div>", "surrogate"),
        (f"<div {XHTML}></div>", "txt-2"),
        (f"<div {XHTML}> <p>\n</p> </div>", "txt-2"),
        (f"<div {XHTML}>x<script>1</script></div>", "<script>"),
        (f"<div {XHTML}>x<form/></div>", "<form>"),
        (f"<div {XHTML}>x<object/></div>", "<object>"),
        (f"<div {XHTML}>x<iframe/></div>", "<iframe>"),
        (f'<div {XHTML}><p onclick="x()">x</p></div>', "'onclick'"),
        (f'<div {XHTML}><a href=" java&#115;cript:x()">x</a></div>', "scripts"),
        (f'<div {XHTML}>x<svg xmlns="http://www.w3.org/2000/svg"/></div>', "namespace"),
        (f'<!DOCTYPE div [<!ENTITY a "x">]><div {XHTML}>&a;</div>', "DOCTYPE"),
    ],
)  # fmt: skip
def test_refused(div: str, expected: str) -> None:
    found = problem(div)
    assert found is not None
    assert expected in found[0]
    assert found[1]
