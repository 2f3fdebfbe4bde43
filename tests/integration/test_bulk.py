"""$export, $import and $reindex over the wire: https://hl7.org/fhir/R4/async.html"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from fhirserver.served_types import SERVED_TYPES
from fhirserver.settings import Settings
from fhirserver.storage.database import Database
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("import")


@pytest.fixture(scope="module")
def bulk(
    make_settings: Callable[..., Settings], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server with a few resources, which may read files of one folder."""
    settings = make_settings(
        http_port=free_port(),
        export_dir=tmp_path_factory.mktemp("export"),
        import_sources=f"file://{folder},http://127.0.0.1:*",
        resource_types=",".join((*SERVED_TYPES, "Group")),
    )
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        for id in ("a", "b", "c"):
            put(client, {"resourceType": "Patient", "id": id, "gender": "female" if id == "a" else "male"})
            put(client, observation(id, f"Patient/{id}"))
        put(client, observation("nobody", "Device/x"))
        put(client, {"resourceType": "Organization", "id": "o", "name": "Org"})
        members = [{"entity": {"reference": f"Patient/{id}"}} for id in ("a", "b")]
        group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}
        put(client, group)
        yield live


@pytest.fixture
def api(bulk: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=bulk.base_url, timeout=30) as client:
        yield client


def observation(id: str, subject: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        "valueQuantity": {"value": 1.0},
    }


def put(client: httpx2.Client, resource: dict[str, Any]) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = client.put(path, json=resource, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text


def begin(client: httpx2.Client, path: str, body: dict[str, Any] | None = None) -> str:
    """The status URL of a job that was accepted."""
    headers = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
    if body is None:
        answer = client.get(path, headers=headers)
    else:
        answer = client.post(path, json=body, headers=headers | FHIR)
    assert answer.status_code == 202, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.headers["content-location"]


def finish(client: httpx2.Client, url: str) -> Any:
    """The manifest, when the job has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = client.get(url, headers={"Accept": "application/json"})
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "application/json"
            return answer.json()
        assert len(answer.headers["x-progress"]) <= 100
        assert answer.headers["retry-after"]
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def run(client: httpx2.Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return finish(client, begin(client, path, body))


def content(client: httpx2.Client, manifest: Any) -> dict[str, dict[str, Any]]:
    """Type -> logical id -> resource of the files; their counts are honest."""
    found = {}
    for file in manifest["output"]:
        answer = client.get(file["url"], headers={"Accept": "application/fhir+ndjson"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        resources = [json.loads(line) for line in answer.text.splitlines()]
        assert len(resources) == file["count"]
        assert {r["resourceType"] for r in resources} == {file["type"]}
        found[file["type"]] = {r["id"]: r for r in resources}
        assert len(found[file["type"]]) == len(resources)
    return found


EXPORTS: dict[str, dict[str, list[str]]] = {
    "/$export?_type=Patient,Observation,Group,Specimen": {
        "Patient": ["a", "b", "c"],
        "Observation": ["a", "b", "c", "nobody"],
        "Group": ["g"],
    },
    "/Patient/$export": {"Patient": ["a", "b", "c"], "Observation": ["a", "b", "c"], "Group": ["g"]},
    "/Group/g/$export": {"Patient": ["a", "b"], "Observation": ["a", "b"], "Group": ["g"]},
    "/Group/g/$export?_type=Observation": {"Observation": ["a", "b"]},
    "/$export?_type=Patient,Organization&_typeFilter=Patient?gender=female,Patient?_id=c": {
        "Patient": ["a", "c"],
        "Organization": ["o"],
    },
    "/$export?_type=Patient&_since=2999-01-01": {},
    "/$export?_type=Patient&_since=2020-01-01T00:00:00Z&_outputFormat=ndjson": {"Patient": ["a", "b", "c"]},
    "/$export?_type=Patient,Observation&_elements=Patient.gender,status": {
        "Patient": ["a", "b", "c"],
        "Observation": ["a", "b", "c", "nobody"],
    },
}


@pytest.fixture(scope="module")
def exported(bulk: Live) -> dict[str, Any]:
    """The manifests of EXPORTS, which are made side by side."""
    with httpx2.Client(base_url=bulk.base_url, timeout=30) as client:
        urls = {path: begin(client, path) for path in EXPORTS}
        return {path: finish(client, url) for path, url in urls.items()}


@pytest.mark.parametrize("path", EXPORTS)
def test_an_export_has_what_was_asked_for(api: httpx2.Client, exported: dict[str, Any], path: str) -> None:
    manifest = exported[path]
    assert manifest["error"] == []
    assert manifest["request"] == f"{str(api.base_url).rstrip('/')}{path}"
    assert datetime.fromisoformat(manifest["transactionTime"]) <= datetime.now(UTC)
    found = {type: sorted(resources) for type, resources in content(api, manifest).items()}
    assert found == EXPORTS[path]


def test_resources_are_exported_as_they_are_stored(api: httpx2.Client, exported: dict[str, Any]) -> None:
    [file] = exported["/Group/g/$export?_type=Observation"]["output"]
    lines = api.get(file["url"]).content.splitlines()
    assert api.get("/Observation/a").content in lines


def test_elements_leave_out_the_rest_and_say_so(api: httpx2.Client, exported: dict[str, Any]) -> None:
    found = content(api, exported["/$export?_type=Patient,Observation&_elements=Patient.gender,status"])
    patient, observed = found["Patient"]["a"], found["Observation"]["a"]
    assert set(patient) == {"resourceType", "id", "meta", "gender"}
    assert set(observed) == {"resourceType", "id", "meta", "status", "code"}  # code is mandatory
    assert patient["meta"]["tag"][0]["code"] == "SUBSETTED"


DELETIONS = {
    "/$export": {"Patient/gone", "Observation/gone", "Observation/left", "Observation/unrelated"},
    "/$export?_type=Patient": {"Patient/gone"},
    "/Patient/$export": {"Patient/gone", "Observation/gone", "Observation/left"},
    "/Group/left/$export": {"Observation/left"},
}


def test_an_export_since_tells_of_deletions(api: httpx2.Client) -> None:
    """Of a group only its patients'; what came back is not among them."""
    for id in ("gone", "left"):
        put(api, {"resourceType": "Patient", "id": id})
        put(api, observation(id, f"Patient/{id}"))
    put(api, observation("unrelated", "Device/x"))
    put(api, observation("back", "Patient/gone"))
    member = [{"entity": {"reference": "Patient/left"}}]
    put(api, {"resourceType": "Group", "id": "left", "type": "person", "actual": True, "member": member})
    since = datetime.now(UTC).isoformat()
    gone = (
        "Observation/gone",
        "Observation/unrelated",
        "Observation/back",
        "Observation/left",
        "Patient/gone",
    )
    for path in gone:
        assert api.delete(f"/{path}").status_code in (200, 204)
    put(api, observation("back", "Patient/left"))
    for path, expected in DELETIONS.items():
        parameters = f"{'&' if '?' in path else '?'}_since={quote(since)}"
        [file] = run(api, path + parameters)["deleted"]
        [line] = api.get(file["url"]).text.splitlines()
        bundle = json.loads(line)
        assert (file["type"], file["count"], bundle["type"]) == ("Bundle", 1, "transaction")
        assert {entry["request"]["method"] for entry in bundle["entry"]} == {"DELETE"}
        assert {entry["request"]["url"] for entry in bundle["entry"]} == expected, path
    assert run(api, "/$export?_type=Patient")["deleted"] == []


def test_an_export_shows_one_instant(api: httpx2.Client) -> None:
    """Versions written after the kick-off are not in it; those before them are."""
    ids = [f"moving-{n}" for n in range(5)]
    for id in ids:
        put(api, {"resourceType": "Practitioner", "id": id, "active": True})
    url = begin(api, "/$export?_type=Practitioner")
    time.sleep(0.01)
    put(api, {"resourceType": "Practitioner", "id": "late"})
    put(api, {"resourceType": "Practitioner", "id": ids[0], "active": False})
    api.delete(f"/Practitioner/{ids[1]}")
    found = content(api, finish(api, url))["Practitioner"]
    assert set(found) == set(ids)
    assert all(found[id]["active"] for id in ids)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/$export?_type=Nonsense", "Nonsense"),
        ("/Patient/$export?_type=Organization", "compartment"),
        ("/$export?_types=Patient", "_types"),
        ("/$export?_typeFilter=Patient?nmae=x", "nmae"),
        ("/$export?_type=Patient&_typeFilter=Observation?code=x", "_typeFilter"),
        ("/$export?_since=yesterday", "yesterday"),
        ("/$export?_outputFormat=text/csv", "text/csv"),
        ("/$export?_type=Patient&_elements=nmae", "nmae"),
    ],
)
def test_what_cannot_be_exported_is_refused(api: httpx2.Client, path: str, said: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 400
    assert said in answer.json()["issue"][0]["details"]["text"]


def test_unknown_places_are_not_found(api: httpx2.Client) -> None:
    for path in ("/Group/none/$export", "/Observation/$export", f"/_jobs/{uuid.uuid4()}"):
        assert api.get(path).status_code == 404


def test_a_job_can_be_removed_while_it_runs_and_after(api: httpx2.Client, bulk: Live) -> None:
    for path in ("/$export?_type=Patient", "/$export"):
        url = begin(api, path)
        if path == "/$export":
            assert api.delete(url).status_code == 202  # before it has ended
        else:
            file = finish(api, url)["output"][0]["url"]
            assert api.delete(url).status_code == 202
            assert api.get(file).status_code == 404
        assert api.get(url).status_code == 404
        assert api.delete(url).status_code == 404
    job = url.rpartition("/")[2]
    deadline = time.monotonic() + 15
    while (bulk.settings.files_dir / job).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not (bulk.settings.files_dir / job).exists()


def parameters(*inputs: tuple[str, str], **more: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [{"name": name, "valueString": value} for name, value in more.items()]
    for type, url in inputs:
        part = [{"name": "type", "valueCode": type}, {"name": "url", "valueUri": url}]
        listed.append({"name": "input", "part": part})
    return {"resourceType": "Parameters", "parameter": listed}


def test_an_import_stores_lines_and_tells_of_each_that_is_refused(api: httpx2.Client, folder: Path) -> None:
    lines = [
        '{"resourceType":"Location","id":"l1","name":"one"}',
        '{"resourceType":"Location","id":"l2","name":1}',
        "",
        '{"resourceType":"Location","name":"without an id"}',
        '{"resourceType":"Patient","id":"l4"}',
        "not json",
        '{"resourceType":"Location","id":"l1","name":"one again"}',
        '{"resourceType":"Location","id":"l3","name":"no line break after it"}',
    ]
    file = folder / "Location.ndjson"
    file.write_text("\n".join(lines))
    inputs = ("Location", file.as_uri())
    manifest = run(
        api, "/$import", parameters(inputs, inputFormat="application/fhir+ndjson", inputSource="x")
    )
    assert manifest["output"] == [{"type": "Location", "inputUrl": file.as_uri(), "count": 4}]
    [error] = manifest["error"]
    assert (error["type"], error["inputUrl"], error["count"]) == ("OperationOutcome", file.as_uri(), 3)
    told = [json.loads(line) for line in api.get(error["url"]).text.splitlines()]
    said = sorted(o["issue"][0]["details"]["text"].partition(":")[0] for o in told)
    assert said == ["Line 2", "Line 5", "Line 6"]
    assert api.get("/Location/l1").json()["name"] == "one again"
    assert api.get("/Location?_summary=count").json()["total"] == 3


def test_what_was_exported_can_be_imported_by_http(api: httpx2.Client, bulk: Live) -> None:
    manifest = run(api, "/$export?_type=Patient")
    again = run(api, "/$import", parameters(("Patient", manifest["output"][0]["url"])))
    assert again["output"][0]["count"] == manifest["output"][0]["count"]
    assert again["error"] == []
    assert api.get("/Patient/a").headers["etag"] == 'W/"1"'  # the same content is no new version


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (parameters(), 400),
        (parameters(("Patient", "file:///etc/passwd")), 403),
        (parameters(("Patient", "http://10.0.0.1/x.ndjson")), 403),
        (parameters(("Nonsense", "http://127.0.0.1/x.ndjson")), 404),
        (parameters(("Patient", "http://127.0.0.1/x.ndjson"), inputFormat="text/csv"), 400),
        (parameters(("Patient", "http://127.0.0.1/x.ndjson"), mode="x"), 400),
        ({"resourceType": "Patient"}, 400),
    ],
)
def test_what_cannot_be_imported_is_refused(api: httpx2.Client, body: dict[str, Any], status: int) -> None:
    answer = api.post("/$import", json=body, headers=FHIR)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_link_out_of_the_folder_is_refused(api: httpx2.Client, folder: Path) -> None:
    (folder / "link.ndjson").symlink_to("/etc/hostname")
    body = parameters(("Patient", (folder / "link.ndjson").as_uri()))
    assert api.post("/$import", json=body, headers=FHIR).status_code == 403
    body = parameters(("Patient", f"{folder.as_uri()}/../x.ndjson"))
    assert api.post("/$import", json=body, headers=FHIR).status_code == 403


def test_a_source_that_cannot_be_read_is_told(api: httpx2.Client, folder: Path) -> None:
    manifest = run(api, "/$import", parameters(("Patient", (folder / "missing.ndjson").as_uri())))
    assert manifest["output"][0]["count"] == 0
    assert "cannot be read" in api.get(manifest["error"][0]["url"]).text


def test_a_reindex_repairs_the_index_and_makes_no_version(api: httpx2.Client, bulk: Live) -> None:
    for n in range(3):
        put(api, {"resourceType": "Device", "id": f"d{n}", "manufacturer": "Acme"})
    _spoil(bulk.settings, "Device", "d1")
    assert api.get("/Device?manufacturer=acme&_summary=count").json()["total"] == 2
    manifest = run(api, "/Device/$reindex", {"resourceType": "Parameters"})
    assert manifest["output"] == [
        {"type": "Device", "read": 3, "changed": 1, "unchanged": 2, "overtaken": 0, "failed": 0}
    ]
    assert api.get("/Device?manufacturer=acme&_summary=count").json()["total"] == 3
    assert api.get("/Device/d1").headers["etag"] == 'W/"1"'
    everything = run(api, "/$reindex", {"resourceType": "Parameters"})["output"]
    assert {row["type"] for row in everything} == set(SERVED_TYPES) | {"Group"}
    assert sum(row["changed"] for row in everything) == 0
    assert api.get("/$reindex").status_code == 405


def _spoil(settings: Settings, type: str, id: str) -> None:
    """Take a resource's index away, as if a search parameter had been added since."""

    async def spoil() -> None:
        database = Database(settings.mongodb_uri, settings.database, embedded=True)
        await database.collection(type).update_one({"_id": id}, {"$set": {"sorted": [], "keys": []}})
        await database.close()

    asyncio.run(spoil())


def test_an_import_goes_on_after_a_restart(
    make_settings: Callable[..., Settings], folder: Path, tmp_path: Path
) -> None:
    count = 1500
    file = folder / "Device.ndjson"
    lines = [json.dumps({"resourceType": "Device", "lotNumber": str(n)}) for n in range(count)]
    file.write_text("\n".join(lines))
    settings = make_settings(
        http_port=free_port(), export_dir=tmp_path, import_sources=f"file://{folder}", page_max=2000
    )
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        url = begin(client, "/$import", parameters(("Device", file.as_uri())))
        while (answer := client.get(url)).headers["x-progress"].startswith(("waiting", "0 ")):
            time.sleep(0.02)
        assert answer.status_code == 202  # it had begun, and had not ended
    settings = settings.model_copy(update={"http_port": free_port()})
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        manifest = finish(client, f"/_jobs/{url.rpartition('/')[2]}")
        assert [manifest["output"][0]["count"], manifest["error"]] == [count, []]
        assert client.get("/Device?_summary=count").json()["total"] == count
