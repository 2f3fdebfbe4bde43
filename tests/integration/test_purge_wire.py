"""Patient/[id]/$purge: nothing of a person is left, nothing of another is lost."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from pymongo import MongoClient

from fhirserver.settings import Settings
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Database
from fhirserver.storage.purge import Purge
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
LARGE = bytes(range(256)) * 1024


@pytest.fixture(scope="module")
def admin(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    """A server whose operator has allowed the operations of administrators."""
    with serve(make_settings(http_port=free_port(), admin_operations=True)) as live:
        yield live


@pytest.fixture
def administrator(admin: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=admin.base_url, timeout=30) as client:
        yield client


def create(client: httpx2.Client, type: str, /, **elements: Any) -> str:
    answer = client.post(f"/{type}", json={"resourceType": type, **elements}, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return f"{type}/{answer.json()['id']}"


def observation(client: httpx2.Client, patient: str, **more: Any) -> str:
    subject = {"reference": patient}
    return create(client, "Observation", status="final", code={"text": "x"}, subject=subject, **more)


def document(client: httpx2.Client, patient: str, binary: str) -> str:
    content = [{"attachment": {"url": binary}}]
    return create(
        client, "DocumentReference", status="current", subject={"reference": patient}, content=content
    )


def binary(client: httpx2.Client, content: bytes) -> str:
    answer = client.post("/Binary", content=content, headers={"Content-Type": "application/pdf"})
    return "Binary/" + answer.headers["location"].split("/")[-3]


def receipt(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = {}
    for parameter in answer.json()["parameter"]:
        parts = parameter.get("part")
        value = {p["name"]: p["valueInteger"] for p in parts} if parts else None
        made[parameter["name"]] = value or parameter.get("valueInteger", parameter.get("valueString"))
    return made


def test_it_is_off_by_default(client: httpx2.Client) -> None:
    patient = create(client, "Patient")
    answer = client.post(f"/{patient}/$purge")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (403, "forbidden")
    assert client.get(f"/{patient}").status_code == 200


def test_all_of_a_patient_goes_and_nothing_else(administrator: httpx2.Client, admin: Live) -> None:
    client = administrator
    mine = create(client, "Patient")
    # Another patient who names this one is another person, though in the compartment.
    other = create(client, "Patient", link=[{"other": {"reference": mine}, "type": "seealso"}])
    doctor = create(client, "Practitioner")
    changed = observation(client, mine)
    client.put(
        f"/{changed}",
        json=client.get(f"/{changed}").json() | {"status": "amended"},
        headers=FHIR,
    )
    deleted = observation(client, mine)
    client.delete(f"/{deleted}")
    kept = observation(client, other)
    both = observation(client, mine, performer=[{"reference": other}])
    content = binary(client, LARGE)
    shared = binary(client, b"of both")
    documents = [document(client, mine, content), document(client, mine, shared)]
    others = document(client, other, shared)
    said = receipt(client.post(f"/{mine}/$purge"))
    assert said == {
        "patient": mine,
        "versions-removed": {"Binary": 1, "DocumentReference": 2, "Observation": 4, "Patient": 1},
        "kept-also-about-another-patient": {"Observation": 1},
        "contents-removed": 0,
        "contents-waiting": 1,
    }
    for reference in (mine, changed, deleted, content, *documents):
        assert client.get(f"/{reference}").status_code == 404
        assert client.get(f"/{reference}/_history").status_code == 404
    for reference in (other, doctor, kept, both, shared, others):
        assert client.get(f"/{reference}").status_code == 200
    # What is left of the content waits for the writes that may be under way; then it goes, too.
    digest = hashlib.sha256(LARGE).hexdigest()
    assert receipt(client.post(f"/{mine}/$purge"))["contents-waiting"] == 1
    assert asyncio.run(_finish(admin.settings, mine)) == (1, 0)
    with _mongo(admin) as mongo:
        database = mongo[admin.settings.database]
        assert database["blobs.files"].count_documents({"filename": digest}) == 0
        assert database["blobs.chunks"].count_documents({}) == 0
        assert database["purges"].count_documents({}) == 0
        assert database["history"].count_documents({"resource": changed}) == 0
    assert client.post(f"/{mine}/$purge").status_code == 404, "there is nothing left"


def _mongo(live: Live) -> MongoClient[dict[str, Any]]:
    return MongoClient(live.settings.mongodb_uri)


async def _finish(settings: Settings, name: str) -> tuple[int, int]:
    database = Database(settings.mongodb_uri, settings.database, embedded=True)
    try:
        return await Purge(database, Blobs(database)).finish(name, grace=timedelta(seconds=-1))
    finally:
        await database.close()


def test_content_that_another_names_stays(administrator: httpx2.Client, admin: Live) -> None:
    client, content = administrator, LARGE + b"2"
    mine, other = create(client, "Patient"), create(client, "Patient")
    document(client, mine, binary(client, content))
    document(client, other, kept := binary(client, content))
    receipt(client.post(f"/{mine}/$purge"))
    assert asyncio.run(_finish(admin.settings, mine)) == (0, 0)
    assert client.get(f"/{kept}", headers={"Accept": "*/*"}).content == content


def test_an_interrupted_purge_is_completed_by_calling_it_again(
    administrator: httpx2.Client, admin: Live
) -> None:
    client = administrator
    mine = create(client, "Patient")
    left = observation(client, mine)
    with _mongo(admin) as mongo:
        database = mongo[admin.settings.database]
        database["Patient"].delete_one({"_id": mine.partition("/")[2]})
    said = receipt(client.post(f"/{mine}/$purge"))
    assert said["versions-removed"] == {"Observation": 1}
    assert client.get(f"/{left}").status_code == 404
    assert client.post("/Patient/none-such/$purge").status_code == 404
