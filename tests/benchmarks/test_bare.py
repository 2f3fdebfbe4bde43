import pytest
from bson import Binary
from pymongo import MongoClient
from starlette.testclient import TestClient

from benchmarks import bare
from fhirserver.storage.embedded import EmbeddedEngine


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/fhir/Patient/bare-1", 200, b'{"id":"bare-1"}'), ("/fhir/Patient/bare-2", 404, b"")],
)
def test_the_stored_bytes_are_answered(
    path: str, status: int, body: bytes, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bare.URI, engine.uri)
    monkeypatch.setattr(bare, "DATABASE", "bare")
    with MongoClient[dict[str, object]](engine.uri) as client:
        stored = client["bare"]["Patient"]
        stored.replace_one({"_id": "bare-1"}, {"body": Binary(b'{"id":"bare-1"}')}, upsert=True)
    with TestClient(bare.app) as browser:
        answer = browser.get(path)
    assert (answer.status_code, answer.content) == (status, body)
