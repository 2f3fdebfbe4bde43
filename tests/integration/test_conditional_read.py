"""If-None-Match and If-Modified-Since. https://hl7.org/fhir/R4/http.html#cread"""

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def patient(client: httpx2.Client) -> httpx2.Response:
    body = {"resourceType": "Patient", "active": True}
    return client.get("/Patient/" + client.post("/Patient", json=body, headers=FHIR).json()["id"])


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('W/"1"', 304),
        ('"1"', 304),
        ('W/"7", W/"1"', 304),
        ("*", 304),
        ('W/"2"', 200),
        ('W/"11"', 200),
        ("nonsense", 200),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/_history/1"])
def test_if_none_match(
    client: httpx2.Client, patient: httpx2.Response, condition: str, status: int, suffix: str
) -> None:
    answer = client.get(f"/Patient/{patient.json()['id']}{suffix}", headers={"If-None-Match": condition})
    assert (answer.status_code, answer.headers["etag"]) == (status, 'W/"1"')
    assert bool(answer.content) is (status == 200)
    assert answer.headers["last-modified"] == patient.headers["last-modified"]


@pytest.mark.parametrize(("seconds", "status"), [(0, 304), (60, 304), (-60, 200)])
def test_if_modified_since(
    client: httpx2.Client, patient: httpx2.Response, seconds: int, status: int
) -> None:
    stamp = parsedate_to_datetime(patient.headers["last-modified"]) + timedelta(seconds=seconds)
    headers = {"If-Modified-Since": format_datetime(stamp, usegmt=True)}
    answer = client.get(f"/Patient/{patient.json()['id']}", headers=headers)
    assert (answer.status_code, bool(answer.content)) == (status, status == 200)


@pytest.mark.parametrize("text", ["yesterday", "", "Mon, 99 Foo 2026 00:00:00 GMT", "0"])
def test_a_date_that_is_none_is_no_condition(
    client: httpx2.Client, patient: httpx2.Response, text: str
) -> None:
    answer = client.get(f"/Patient/{patient.json()['id']}", headers={"If-Modified-Since": text})
    assert answer.status_code == 200


def test_if_none_match_counts_before_if_modified_since(
    client: httpx2.Client, patient: httpx2.Response
) -> None:
    headers = {"If-None-Match": 'W/"9"', "If-Modified-Since": patient.headers["last-modified"]}
    assert client.get(f"/Patient/{patient.json()['id']}", headers=headers).status_code == 200


@pytest.mark.parametrize("condition", [{"ifNoneMatch": 'W/"1"'}, {"ifModifiedSince": "2999-01-01T00:00:00Z"}])
def test_in_a_batch(client: httpx2.Client, patient: httpx2.Response, condition: dict[str, str]) -> None:
    request = {"method": "GET", "url": f"Patient/{patient.json()['id']}", **condition}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]}
    entry = client.post("/", json=bundle, headers=FHIR).json()["entry"][0]
    assert entry["response"]["status"].startswith("304")
    assert "resource" not in entry


def test_a_deleted_resource_is_gone_whatever_the_condition(
    client: httpx2.Client, patient: httpx2.Response
) -> None:
    url = f"/Patient/{patient.json()['id']}"
    client.delete(url)
    assert client.get(url, headers={"If-None-Match": 'W/"2"'}).status_code == 410
