"""The narrative comes out as HTML that can only be read, whatever a sender writes into it."""

import base64
import hashlib
import re

import pytest
from lxml import html

from mappings import cda
from mappings.cda.narrative import media_of, to_html
from mappings.cda.xml import parse

DOCUMENT = """<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<id root="1.2.250.1.999.35.9.1"/><title>Compte &lt;rendu&gt;</title>
<effectiveTime value="20240312101500+0100"/><languageCode code="fr-FR"/><versionNumber value="2"/>
<recordTarget><patientRole><id root="1.2.250.1.213.1.4.10" extension="285077505601284"/><patient>
<name><given qualifier="BR">CAMILLE</given><family qualifier="BR">LEROUX</family>
<family qualifier="CL">MOREL</family></name>
<administrativeGenderCode code="F"/><birthTime value="198507"/></patient></patientRole></recordTarget>
<author><time value="2024"/><assignedAuthor><id root="1.2.3"/><assignedPerson><name><given>Yann</given>
<family>KERGOAT</family></name></assignedPerson><representedOrganization><name>Cabinet</name>
</representedOrganization></assignedAuthor></author>
<component><structuredBody><component><section><title>Un</title><text>%s</text>%s
<component><section><title>Un un</title><text>x</text></section></component></section></component>
</structuredBody></component></ClinicalDocument>"""

PIXEL = "R0lGODlhAQABAAAAACwAAAAAAQABAAA="


def shown(text: str) -> str:
    node = parse(f"<text>{text}</text>".encode())
    return to_html(node, media_of(node))


def page(text: str, more: str = "") -> str:
    return cda.to_page(cda.read((DOCUMENT % (text, more)).encode())).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a &lt; b &amp; c", "a &lt; b &amp; c"),
        ("<paragraph ID='p'>x</paragraph>", '<p id="n-p">x</p>'),
        ("<content styleCode='Bold xRre Italics'>x</content>y", '<span class="b i">x</span>y'),
        ("<content revised='delete'>x</content>", "<del>x</del>"),
        ("a<br/>b<sub>2</sub><sup>3</sup>", "a<br>b<sub>2</sub><sup>3</sup>"),
        (
            "<list listType='ordered' styleCode='LittleRoman'><caption>c</caption><item>i</item></list>",
            '<p class="b">c</p><ol class="li"><li>i</li></ol>',
        ),
        ("<list><item>i</item></list>", "<ul><li>i</li></ul>"),
        (
            "<table><colgroup><col span='2'/></colgroup><thead><tr><th align='center'>h</th></tr></thead>"
            "<tbody><tr><td colspan='2' rowspan='0' styleCode='Lrule'>d</td></tr></tbody></table>",
            '<table><colgroup><col span="2"></colgroup><thead><tr><th class="ac">h</th></tr></thead>'
            '<tbody><tr><td colspan="2" class="rl">d</td></tr></tbody></table>',
        ),
        ("<linkHtml href='#p'>x</linkHtml>", '<a href="#n-p">x</a>'),
        (
            "<linkHtml href='https://example.org/a?b=1&amp;c=\"'>x</linkHtml>",
            '<a href="https://example.org/a?b=1&amp;c=&quot;" rel="noopener noreferrer nofollow">x</a>',
        ),
        ("<footnoteRef IDREF='f'/>", '<sup><a href="#n-f">*</a></sup>'),
        ("<footnote ID='f'>x</footnote>", '<small id="n-f">x</small>'),
        ("<renderMultiMedia referencedObject='m'/>", '<span class="m">[m]</span>'),
        ("<unknown>x<content>y</content></unknown>z", "x<span>y</span>z"),
    ],
)
def test_element_by_element(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<content onclick='alert(1)' style='background:url(http://x)'>x</content>",
        "<linkHtml href='javascript:alert(1)'>x</linkHtml>",
        "<linkHtml href=' JavaScript:alert(1)'>x</linkHtml>",
        "<linkHtml href='data:text/html,x'>x</linkHtml>",
        "<linkHtml href='vbscript:x'>x</linkHtml>",
        "<iframe src='http://x'>y</iframe>",
        "<img src='http://x/y.png' onerror='alert(1)'/>",
        "<renderMultiMedia referencedObject='&quot;&gt;&lt;script&gt;'/>",
        "<content ID='&quot;&gt;&lt;script&gt;alert(1)'>x</content>",
        "<content styleCode='&quot;onload='>x</content>",
        "<td colspan='2&quot; onload=&quot;x'>y</td>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<style>@import 'http://x'</style>",
        "<object data='http://x'/><embed src='http://x'/>",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(text: str) -> None:
    tree = html.fromstring(page(text))
    assert not tree.xpath("//script | //iframe | //object | //embed | //link | //form | //base")
    assert len(tree.findall(".//style")) == 1
    for node in tree.iter():
        names = set(map(str, node.attrib))
        assert names <= {
            "id",
            "class",
            "href",
            "rel",
            "colspan",
            "rowspan",
            "span",
            "lang",
            "charset",
            "name",
        } | {"content", "alt", "src"}
        assert re.match(r"#|https?:|mailto:|tel:|$", str(node.get("href", "")))
        assert str(node.get("src", "data:image/")).startswith("data:image/")


def media(media_type: str, encoded: str) -> str:
    value = f'<value xsi:type="ED" mediaType="{media_type}" representation="B64">{encoded}</value>'
    return (
        f'<entry><observationMedia classCode="OBS" moodCode="EVN" ID="m">{value}</observationMedia></entry>'
    )


@pytest.mark.parametrize(
    ("media_type", "encoded", "is_shown"),
    [
        ("image/gif", PIXEL, True),
        ("image/gif", f"\n {PIXEL[:10]}\n{PIXEL[10:].rstrip('=')} ", True),
        ("image/png", PIXEL, False),
        ("image/gif", "%%%", False),
    ],
)
def test_pictures_are_shown_when_they_are_pictures(media_type: str, encoded: str, is_shown: bool) -> None:
    text = "<renderMultiMedia referencedObject='m'><caption>Schéma</caption></renderMultiMedia>"
    made = page(text, media(media_type, encoded))
    assert (f'<img alt="Schéma" src="data:{media_type};base64,{PIXEL}">' in made) is is_shown
    assert is_shown or f"[Schéma {media_type}]" in made


@pytest.mark.parametrize(
    ("media_type", "encoded", "expected"),
    [
        ("application/pdf", PIXEL, '<a href="?attachment=m">Schéma (PDF, 1 Ko)</a>'),
        ("image/svg+xml", PIXEL, '<a href="?attachment=m">Schéma (SVG+XML, 1 Ko)</a>'),
        ("application/pdf", "%%%", '<span class="m">[Schéma application/pdf]</span>'),
    ],
)
def test_other_files_are_linked(media_type: str, encoded: str, expected: str) -> None:
    text = "<renderMultiMedia referencedObject='m'><caption>Schéma</caption></renderMultiMedia>"
    assert expected in page(text, media(media_type, encoded))


@pytest.mark.parametrize(
    "expected",
    [
        "<h1>Compte &lt;rendu&gt;</h1>",
        "<dt>Patient</dt><dd>CAMILLE MOREL (nom de naissance : LEROUX)</dd>",
        "<dt>Né(e) le</dt><dd>07/1985</dd>",
        "<dt>INS</dt><dd>285077505601284</dd>",
        "<dt>Date</dt><dd>12/03/2024 à 10:15</dd>",
        "<dt>Auteur</dt><dd>Yann KERGOAT, Cabinet</dd>",
        "<dt>Version</dt><dd>2</dd>",
        '<html lang="fr-FR">',
        "<h2>Un</h2>",
        "<h3>Un un</h3>",
    ],
)
def test_who_when_and_the_sections(expected: str) -> None:
    assert expected in page("x")


def test_the_page_is_as_the_policy_says() -> None:
    tree = html.fromstring(page("x"))
    style = tree.findtext(".//style") or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" == cda.STYLE_HASH
