"""``_explain``: how a search is run, for administrators only."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve


@pytest.fixture(scope="module")
def admin(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    settings = make_settings(http_port=free_port(), admin_operations=True)
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


def test_it_is_for_administrators(client: httpx2.Client) -> None:
    answer = client.get("/Patient?_explain=true")
    assert answer.status_code == 403
    assert "admin_operations" in answer.json()["issue"][0]["details"]["text"]
    assert client.get("/Patient?_explain=false&_count=1").json()["resourceType"] == "Bundle"
    assert client.get("/Patient?_explain=peut-etre").status_code == 400


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        ("Patient?identifier=urn:ins|1", {"keys_seq"}),
        ("Patient?family=durand", {"keys_seq"}),
        ("Patient?_id=1", {"_id_"}),
        ("Patient?family=durand,dupont&gender=male", {"keys_seq"}),
        ("Patient?birthdate=1979-03-14", {"sorted"}),
        ("Observation?patient.identifier=1", {"keys_seq"}),
        ("Patient/1/Observation?code=8480-6", {"keys_seq"}),
    ],
)
def test_each_step_names_its_index(admin: httpx2.Client, query: str, indexes: set[str]) -> None:
    patient = {"resourceType": "Patient", "id": "1", "identifier": [{"value": "1"}], "gender": "male"}
    assert admin.put("/Patient/1", json=patient).status_code in (200, 201)
    answer = admin.get(f"/{query}{'&' if '?' in query else '?'}_explain=true")
    assert answer.status_code == 200, answer.text
    parameters = answer.json()["parameter"]
    assert parameters[0]["name"] == "query"
    steps = [{p["name"]: p for p in parameter["part"]} for parameter in parameters if "part" in parameter]
    assert {step["index"]["valueString"] for step in steps} == indexes
    assert all(step["keysExamined"]["valueInteger"] <= 1 for step in steps)
