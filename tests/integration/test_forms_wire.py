"""Forms of a CDA document over the wire: files attached to sections, and what Accept asks of a Binary."""

import base64
import re
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest

PDF = b"%PDF-1.4 synthetic"
DOCUMENT = """<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.250.1.999.77.{number}"/>
<title>Bilan</title><effectiveTime value="20260102"/><languageCode code="fr-FR"/>
<recordTarget><patientRole><id root="1.2.3" extension="9"/></patientRole></recordTarget><component>{body}
</component></ClinicalDocument>"""
SECTION = """<structuredBody><component><section><title>Documents</title>
<text>Voir <renderMultiMedia referencedObject="DOC-1"><caption>la copie</caption></renderMultiMedia></text>
<entry><organizer classCode="CLUSTER" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.18"/>
<code code="X" displayName="Copie du &lt;compte rendu&gt;"/><statusCode code="completed"/><component>
<observationMedia classCode="OBS" moodCode="EVN" ID="DOC-1">
<value mediaType="application/pdf" representation="B64">{pdf}</value></observationMedia></component>
</organizer></entry><entry><observationMedia classCode="OBS" moodCode="EVN">
<value mediaType="text/html" representation="B64">{html}</value></observationMedia></entry>
<entry><observationMedia classCode="OBS" moodCode="EVN" ID="BAD">
<value mediaType="application/pdf" representation="B64">no base64!</value></observationMedia></entry>
</section></component></structuredBody>"""
EMBEDDED = '<nonXMLBody><text mediaType="application/pdf" representation="B64">{pdf}</text></nonXMLBody>'


def document(number: int, body: str) -> bytes:
    encoded = base64.b64encode(PDF).decode()
    html = base64.b64encode(b"<script>alert(1)</script>").decode()
    return DOCUMENT.format(number=number, body=body.format(pdf=encoded, html=html)).encode()


def stored(client: httpx2.Client, raw: bytes) -> tuple[str, str]:
    """The DocumentReference and the Binary of a document."""
    headers = {"Content-Type": "text/xml"}
    binary = client.post("/Binary", content=raw, headers=headers).headers["location"]
    address = "/".join(binary.split("/")[-4:-2])
    attachment = {"contentType": "text/xml", "url": address}
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": attachment}],
    }
    return (
        f"/DocumentReference/{client.post('/DocumentReference', json=resource).json()['id']}",
        f"/{address}",
    )


@pytest.fixture(scope="module")
def structured() -> bytes:
    return document(3, SECTION)


@pytest.fixture(scope="module")
def embedding() -> bytes:
    return document(1, EMBEDDED)


def test_files_of_a_structured_document_are_linked(client: httpx2.Client, structured: bytes) -> None:
    address, _ = stored(client, structured)
    page = client.get(f"{address}/$content", headers={"Accept": "text/html"})
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', page.text)
    assert [text for _, text in links] == [
        "la copie (PDF, 1 Ko)",
        "Copie du &lt;compte rendu&gt; (PDF, 1 Ko)",
        "file-2 (HTML, 1 Ko)",
    ]
    file = client.get(urljoin(str(page.url), links[0][0]))
    assert (file.content, file.headers["content-type"]) == (PDF, "application/pdf")
    page_of_others = client.get(urljoin(str(page.url), links[2][0]))
    assert "sandbox" in page_of_others.headers["content-security-policy"]
    assert "default-src 'none'" in page_of_others.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["BAD", "DOC-2", "../DOC-1"])
def test_files_that_are_not_there(client: httpx2.Client, structured: bytes, name: str) -> None:
    address, _ = stored(client, structured)
    answer = client.get(f"{address}/$content", params={"attachment": name})
    assert answer.status_code == 404
    assert "DOC-1, file-2" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("kind", "accept", "media_type"),
    [
        ("embedding", "application/pdf", "application/pdf"),
        ("embedding", "text/html;q=0.5, application/pdf", "application/pdf"),
        ("embedding", "text/xml", "text/xml"),
        ("embedding", "application/pdf, */*;q=0.1", "text/xml"),
        ("embedding", "*/*", "text/xml"),
        ("embedding", "text/html", "text/xml"),
        ("structured", "text/html", "text/html; charset=utf-8"),
        ("structured", "application/pdf", "text/xml"),
    ],
)
def test_a_binary_is_shown_as_accept_asks(
    client: httpx2.Client, request: pytest.FixtureRequest, kind: str, accept: str, media_type: str
) -> None:
    raw: bytes = request.getfixturevalue(kind)
    _, address = stored(client, raw)
    answer = client.get(address, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    if media_type == "text/xml":
        assert answer.content == raw
    elif media_type == "application/pdf":
        assert answer.content == PDF
