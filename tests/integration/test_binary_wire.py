"""Binaries over the wire: raw and as resources, ranges, streams. https://hl7.org/fhir/R4/binary.html#rest"""

import base64
import gzip
import hashlib
import resource as process
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest

MIB = 1024 * 1024
SMALL = b"%PDF-1.4 small"
MIDDLE = bytes(range(256)) * 1000
LARGE = hashlib.sha512(b"seed").digest() * (5 * MIB // 64) + b"tail"
FHIR_JSON = {"Accept": "application/fhir+json"}


def create(client: httpx2.Client, content: Any, content_type: str = "application/pdf", **headers: str) -> str:
    answer = client.post("/Binary", content=content, headers={"Content-Type": content_type, **headers})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].split("/")[-3]


def pieces(content: bytes) -> Iterator[bytes]:
    """Sent without a Content-Length."""
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("content", [SMALL, MIDDLE, LARGE], ids=["small", "middle", "large"])
@pytest.mark.parametrize("sent", [bytes, pieces], ids=["length", "chunked"])
def test_content_comes_back_as_it_was_sent(client: httpx2.Client, content: bytes, sent: Any) -> None:
    id = create(client, sent(content))
    raw = client.get(f"/Binary/{id}", headers={"Accept": "*/*"})
    assert raw.content == content
    assert raw.headers["content-type"] == "application/pdf"
    assert raw.headers["content-length"] == str(len(content))
    assert raw.headers["etag"] == 'W/"1"'
    assert "sandbox" in raw.headers["content-security-policy"]
    body = client.get(f"/Binary/{id}", headers=FHIR_JSON).json()
    assert base64.b64decode(body["data"]) == content
    xml = client.get(f"/Binary/{id}", headers={"Accept": "application/fhir+xml"})
    data = ElementTree.fromstring(xml.content).find("{http://hl7.org/fhir}data")
    assert data is not None
    assert base64.b64decode(data.attrib["value"]) == content
    for accept in ("*/*", "application/fhir+json", "application/fhir+xml"):
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        head, got = (client.request(method, f"/Binary/{id}", headers=headers) for method in ("HEAD", "GET"))
        assert (head.content, head.headers["content-length"]) == (b"", got.headers["content-length"])


@pytest.mark.parametrize("content", [SMALL * 10, LARGE], ids=["inline", "blob"])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, None),
        ("bytes=-4", -4, None),
        ("bytes=100-99999999", 100, None),
        ("bytes=0-", 0, None),
    ],
)
def test_ranges(client: httpx2.Client, content: bytes, asked: str, start: int, end: int | None) -> None:
    id = create(client, content)
    answer = client.get(f"/Binary/{id}", headers={"Range": asked})
    expected = content[start:end]
    assert (answer.status_code, answer.content) == (206, expected)
    begin = start if start >= 0 else len(content) + start
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(content)}"
    assert answer.headers["content-length"] == str(len(expected))


def test_a_range_over_a_chunk_of_the_store(client: httpx2.Client) -> None:
    id = create(client, LARGE)
    answer = client.get(f"/Binary/{id}", headers={"Range": f"bytes={MIB - 3}-{2 * MIB + 3}"})
    assert answer.content == LARGE[MIB - 3 : 2 * MIB + 4]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Range": "bytes=14-"}, 416),
        ({"Range": "bytes=-0"}, 416),
        ({"Range": "bytes=0-1,3-4"}, 200),
        ({"Range": "bytes=5-2"}, 200),
        ({"Range": "lines=0-1"}, 200),
        ({"Range": "bytes=-"}, 200),
        ({"Range": "bytes=0-1", "If-Range": 'W/"1"'}, 206),
        ({"Range": "bytes=0-1", "If-Range": 'W/"2"'}, 200),
        ({"Range": "bytes=0-1", "If-None-Match": 'W/"1"'}, 304),
        ({"Range": "bytes=0-1", "Accept": "application/fhir+json"}, 200),
    ],
)
def test_ranges_that_are_none(client: httpx2.Client, headers: dict[str, str], status: int) -> None:
    answer = client.get(f"/Binary/{create(client, SMALL)}", headers=headers)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(SMALL)}"
        assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("content_type", "accept", "query", "raw"),
    [
        ("application/pdf", "", "", True),
        ("application/pdf", "application/pdf", "", True),
        ("application/pdf", "image/png", "", True),
        ("application/pdf", "application/fhir+json", "", False),
        ("application/pdf", "application/json", "", False),
        ("application/pdf", "*/*", "?_format=json", False),
        ("application/pdf", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", True),
        ("application/vnd.xacml+json", "application/json", "", True),
        ("application/xml", "application/xml", "", True),
        ("application/xml", "text/xml", "", True),
        ("text/html", "application/fhir+xml;q=0.5", "", False),
    ],
)
def test_raw_unless_fhir_is_asked_for(
    client: httpx2.Client, content_type: str, accept: str, query: str, raw: bool
) -> None:
    content = b"<x/>" if "xml" in content_type else b'{"a":1}'
    id = create(client, content, content_type)
    answer = client.get(f"/Binary/{id}{query}", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200, answer.text
    assert (answer.content == content) is raw
    assert (answer.headers["content-type"] == content_type) is raw


def test_the_security_context_is_kept(client: httpx2.Client) -> None:
    for content in (SMALL, LARGE):
        id = create(client, content, **{"X-Security-Context": "DocumentReference/1"})
        assert client.get(f"/Binary/{id}").headers["x-security-context"] == "DocumentReference/1"
        body = client.get(f"/Binary/{id}", headers=FHIR_JSON).json()
        assert body["securityContext"] == {"reference": "DocumentReference/1"}


def test_versions_of_content(client: httpx2.Client) -> None:
    id = create(client, LARGE)
    url, headers = f"/Binary/{id}", {"Content-Type": "application/pdf"}
    same = client.put(url, content=LARGE, headers=headers)
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"1"')
    other = client.put(url, content=pieces(LARGE[:-1]), headers=headers)
    assert (other.status_code, other.headers["etag"], other.content) == (200, 'W/"2"', b"")
    assert client.get(url).content == LARGE[:-1]
    assert client.get(f"{url}/_history/1").content == LARGE
    assert client.put(url, content=SMALL, headers=headers).headers["etag"] == 'W/"3"'
    assert client.get(url).content == SMALL


def test_a_binary_resource_is_taken_as_one(client: httpx2.Client) -> None:
    body = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(SMALL).decode()}
    answer = client.post("/Binary", json=body, headers={"Content-Type": "application/fhir+json"})
    id = answer.headers["location"].split("/")[-3]
    raw = client.get(f"/Binary/{id}")
    assert (raw.content, raw.headers["content-type"]) == (SMALL, "text/plain")


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"resourceType":"Patient"}', "application/fhir+json", 201),
        (b"[1]", "application/json", 201),
        (b"<a/>", "application/xml", 201),
        (b"{", "application/fhir+json", 400),
        (b"x", "", 415),
    ],
)
def test_other_content_in_the_formats_of_fhir(
    client: httpx2.Client, content: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.post("/Binary", content=content, headers=headers)
    assert answer.status_code == status
    if status == 201:
        url = "/Binary/" + answer.headers["location"].split("/")[-3]
        assert client.get(url, headers={"Accept": "*/*"}).content == content


def test_packed_content_is_unpacked_as_it_arrives(client: httpx2.Client) -> None:
    packed = gzip.compress(LARGE, 1)
    assert (
        client.get(f"/Binary/{create(client, pieces(packed), **{'Content-Encoding': 'gzip'})}").content
        == LARGE
    )


def test_what_is_refused_is_not_kept(client: httpx2.Client) -> None:
    headers = {"Content-Type": "application/pdf"}
    too_large = client.post("/Binary", content=pieces(b"x" * (65 * MIB)), headers=headers)
    assert too_large.status_code == 413
    broken = client.post(
        "/Binary", content=pieces(gzip.compress(LARGE)[:-9]), headers=headers | {"Content-Encoding": "gzip"}
    )
    assert broken.status_code == 400


def test_large_content_is_never_in_memory_as_a_whole(client: httpx2.Client) -> None:
    """The server runs in this process; so does the client, which keeps one piece."""
    before = process.getrusage(process.RUSAGE_SELF).ru_maxrss
    size = 48 * MIB
    block = bytes(256) * 256

    def sent() -> Iterator[bytes]:
        for _ in range(size // len(block)):
            yield block

    id = create(client, sent())
    for headers in ({}, FHIR_JSON):
        with client.stream("GET", f"/Binary/{id}", headers=headers) as answer:
            received = sum(len(part) for part in answer.iter_bytes())
        assert received >= size
    grown = (process.getrusage(process.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < size // 2, f"{grown / MIB:.0f} MiB more"


def test_large_content_is_not_listed(client: httpx2.Client) -> None:
    id = create(client, LARGE)
    for path in (f"/Binary?_id={id}", f"/Binary/{id}/_history"):
        listed = client.get(path).json()["entry"][0]["resource"]
        assert "data" not in listed
        assert listed["meta"]["tag"][0]["code"] == "SUBSETTED"
    small = create(client, SMALL)
    assert client.get(f"/Binary?_id={small}").json()["entry"][0]["resource"]["data"]


def test_large_content_in_a_batch(client: httpx2.Client) -> None:
    entry = {"request": {"method": "GET", "url": f"Binary/{create(client, LARGE)}"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = client.post("/", json=bundle, headers={"Content-Type": "application/fhir+json"}).json()
    assert base64.b64decode(answer["entry"][0]["resource"]["data"]) == LARGE
