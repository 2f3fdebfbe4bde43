"""What HTTP adds: formats, compression, origins, request ids, methods, proxies."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
APP = "https://app.example.org"


@pytest.fixture(scope="module")
def proxied(make_settings: Callable[..., Settings], definitions: Any) -> Iterator[httpx2.Client]:
    """A server with a public base under a prefix that trusts a proxy and one origin."""
    settings = make_settings(
        http_port=free_port(),
        base_url="https://public.example/dmp/fhir",
        trusted_proxies="127.0.0.1",
        cors_origins=APP,
        max_body=100_000,
    )
    with serve(settings) as live, httpx2.Client(base_url=live.origin, timeout=30) as client:
        yield client


@pytest.fixture
def patient(client: httpx2.Client) -> dict[str, Any]:
    body = {"resourceType": "Patient", "name": [{"family": "Lefèvre", "given": ["Zoé"] * 300}]}
    made: dict[str, Any] = client.post("/Patient", json=body, headers=FHIR).json()
    return made


# --- formats


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "application/fhir+xml", "application/fhir+xml; charset=utf-8"),
        ("?_format=xml", "application/json", "application/fhir+xml; charset=utf-8"),
        ("?_format=application/fhir+xml", "", "application/fhir+xml; charset=utf-8"),
        ("?_format=application%2Ffhir%2Bxml", "", "application/fhir+xml; charset=utf-8"),
        ("?_format=json", "application/xml", "application/fhir+json; charset=utf-8"),
        ("", "application/fhir+json; fhirVersion=4.0", "application/fhir+json; charset=utf-8"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/Patient/{id}", "/Patient/{id}/_history/1", "/Patient/{id}/_history", "/Patient", "/metadata"]
)
def test_every_interaction_in_every_format(
    client: httpx2.Client, patient: dict[str, Any], path: str, query: str, accept: str, expected: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = client.get(path.format(id=patient["id"]) + query, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected), answer.text
    if "xml" in expected:
        assert ElementTree.fromstring(answer.content).tag.startswith("{http://hl7.org/fhir}")
    else:
        assert answer.json()["resourceType"]


def test_refusals_have_the_format_too(client: httpx2.Client) -> None:
    for path in ("/Patient/none-such", "/Patient?unknown=1", "/Nonsense/1", "/Patient/x/y/z"):
        answer = client.get(path, headers={"Accept": "application/fhir+xml"})
        assert ElementTree.fromstring(answer.content).tag == "{http://hl7.org/fhir}OperationOutcome"


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Accept": "image/png"}, "/Patient"),
        ({"Accept": "application/fhir+json; fhirVersion=3.0"}, "/Patient"),
        ({"Accept": "application/fhir+ndjson"}, "/metadata"),
        ({"Accept": "application/fhir+ndjson"}, "/Patient/{id}"),
        ({}, "/Patient/{id}?_format=ttl"),
    ],
)
def test_406_is_an_outcome(
    client: httpx2.Client, patient: dict[str, Any], headers: dict[str, str], path: str
) -> None:
    answer = client.get(path.format(id=patient["id"]), headers=headers)
    assert (answer.status_code, answer.json()["resourceType"]) == (406, "OperationOutcome")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json; charset=utf-8", 201),
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/fhir+json; charset=iso-8859-1", 415),
    ],
)
def test_versions_and_charsets_of_bodies(client: httpx2.Client, content_type: str, status: int) -> None:
    answer = client.post(
        "/Patient", content=b'{"resourceType":"Patient"}', headers={"Content-Type": content_type}
    )
    assert answer.status_code == status


@pytest.mark.parametrize(("value", "status"), [("true", 200), ("false", 200), ("yes", 400)])
def test_pretty(client: httpx2.Client, patient: dict[str, Any], value: str, status: int) -> None:
    answer = client.get(f"/Patient/{patient['id']}?_pretty={value}")
    assert answer.status_code == status
    if status == 200:
        assert ("\n  " in answer.text) is (value == "true")


def test_the_form_of_a_search_names_the_format_too(client: httpx2.Client, patient: dict[str, Any]) -> None:
    answer = client.post("/Patient/_search", data={"_id": patient["id"], "_format": "xml"})
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert patient["id"] in answer.text


# --- compression


def test_gzip_answers(client: httpx2.Client, patient: dict[str, Any]) -> None:
    url = f"/Patient/{patient['id']}"
    with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert int(answer.headers["content-length"]) == len(raw) < len(plain.content)
    assert "content-encoding" not in plain.headers
    head = client.head(url, headers={"Accept-Encoding": "gzip"})
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("encoding", ["gzip;q=0", "br", ""])
def test_gzip_only_where_accepted(client: httpx2.Client, patient: dict[str, Any], encoding: str) -> None:
    answer = client.get(f"/Patient/{patient['id']}", headers={"Accept-Encoding": encoding})
    assert "content-encoding" not in answer.headers


def test_small_answers_are_not_packed(client: httpx2.Client) -> None:
    answer = client.get("/Patient/none-such", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b'{"resourceType":"Patient"}'), "gzip", 201),
        (gzip.compress(b'{"resourceType":') + gzip.compress(b'"Patient"}'), "gzip", 201),
        (b'{"resourceType":"Patient"}', "identity", 201),
        (b'{"resourceType":"Patient"}', "gzip", 400),
        (gzip.compress(b'{"resourceType":"Patient"}')[:-6], "gzip", 400),
        (b'{"resourceType":"Patient"}', "br", 415),
        (gzip.compress(b" " * 50_000_000), "gzip", 413),
    ],
)
def test_gzip_requests(proxied: httpx2.Client, body: bytes, encoding: str, status: int) -> None:
    answer = proxied.post("/fhir/Patient", content=body, headers=FHIR | {"Content-Encoding": encoding})
    assert answer.status_code == status, answer.text


# --- origins, methods, request ids


def test_no_origin_is_allowed_by_default(client: httpx2.Client) -> None:
    answer = client.get("/metadata", headers={"Origin": APP})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_allowed_origin_reads_the_headers_of_fhir(proxied: httpx2.Client) -> None:
    answer = proxied.get("/fhir/metadata", headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    exposed = answer.headers["access-control-expose-headers"]
    assert {"ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id"} <= set(
        exposed.split(", ")
    )
    assert "Origin" in answer.headers["vary"]
    other = proxied.get("/fhir/metadata", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_preflight(proxied: httpx2.Client) -> None:
    headers = {"Origin": APP, "Access-Control-Request-Method": "PUT"}
    answer = proxied.options("/fhir/Patient/1", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "PUT" in answer.headers["access-control-allow-methods"].split(", ")
    assert "If-Match" in answer.headers["access-control-allow-headers"].split(", ")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/Patient/1", {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
        ("/Patient", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/metadata", {"GET", "HEAD", "OPTIONS"}),
        ("/Patient/1/_history", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options(client: httpx2.Client, path: str, expected: set[str]) -> None:
    answer = client.options(path)
    assert answer.status_code == 204
    assert expected <= set(answer.headers["allow"].split(", "))


def test_options_of_nothing(client: httpx2.Client) -> None:
    assert client.options("/a/b/c/d/e").status_code == 404


@pytest.mark.parametrize(
    "path", ["/metadata", "/Patient", "/Patient/{id}", "/Patient/{id}/_history", "/Patient/{id}/_history/1"]
)
def test_head_wherever_get_works(client: httpx2.Client, patient: dict[str, Any], path: str) -> None:
    url = path.format(id=patient["id"])
    head, got = client.head(url), client.get(url)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_request_ids_are_echoed_or_made(client: httpx2.Client) -> None:
    assert (
        client.get("/metadata", headers={"X-Request-Id": "abc.1:2_3"}).headers["x-request-id"] == "abc.1:2_3"
    )
    for bad in ("", "a b", "x" * 65, "a/b"):
        headers = {"X-Request-Id": bad} if bad else {}
        made = client.get("/Patient/none-such", headers=headers).headers["x-request-id"]
        assert UUID(made).version == 4
    assert client.get("/nothing/here/at/all/x").headers["x-request-id"]


# --- links behind proxies and under a prefix


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "https://public.example/dmp/fhir"),
        ({"X-Forwarded-Host": "h.example", "X-Forwarded-Proto": "https"}, "https://h.example/dmp/fhir"),
        ({"Forwarded": "host=f.example;proto=http"}, "http://f.example/dmp/fhir"),
        ({"X-Forwarded-Host": "h.example", "X-Forwarded-Prefix": "/p"}, "https://h.example/p/fhir"),
    ],
)
@pytest.mark.parametrize("path", ["/fhir", "/dmp/fhir"])
def test_every_link_is_at_the_base_of_the_request(
    proxied: httpx2.Client, headers: dict[str, str], expected: str, path: str
) -> None:
    body = {
        "resourceType": "Patient",
        "link": [{"type": "seealso", "other": {"reference": f"{expected}/Patient/1"}}],
    }
    made = proxied.post(f"{path}/Patient", json=body, headers=FHIR | headers)
    id = made.json()["id"]
    assert made.headers["location"] == f"{expected}/Patient/{id}/_history/1"
    texts = [
        proxied.get(f"{path}{url}", headers=headers).text
        for url in (f"/Patient?_id={id}", "/Patient?_count=1", f"/Patient/{id}/_history", "/metadata")
    ]
    for text in texts:
        urls = re.findall(r'"(?:url|fullUrl)":"([^"]*)"', text.partition('"rest"')[0])
        assert urls
        assert all(url.startswith(expected) for url in urls if "://" in url and "hl7.org" not in url), urls


def test_without_trust_the_headers_are_nothing(client: httpx2.Client) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    assert "evil.example" not in client.get("/Patient?_count=1", headers=headers).text


def test_references_are_indexed_on_the_configured_base(proxied: httpx2.Client) -> None:
    """What the proxies say today must not decide what is found tomorrow."""
    url = "https://public.example/dmp/fhir/Patient/indexed"
    body = {
        "resourceType": "Patient",
        "id": "referring",
        "link": [{"type": "seealso", "other": {"reference": url}}],
    }
    headers = FHIR | {"X-Forwarded-Host": "h.example"}
    assert proxied.put("/fhir/Patient/referring", json=body, headers=headers).status_code == 201
    found = json.loads(proxied.get("/fhir/Patient?link=Patient/indexed").text)
    assert [e["resource"]["id"] for e in found["entry"]] == ["referring"]
