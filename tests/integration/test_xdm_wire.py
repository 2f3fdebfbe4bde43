"""Documents out as XDM, and in again: over the wire and by the command line."""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from fhirserver.cli import app
from fhirserver.settings import Settings
from mappings import xds
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
INS = {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "280026938800165"}
RPPS = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899900012345"}
FINESS = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": "1350000099"}


def put(client: httpx2.Client, resource: dict[str, Any]) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = client.put(path, json=resource, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text


def document(id: str, patient: str, **elements: Any) -> dict[str, Any]:
    attachment = {"contentType": "text/plain", "data": base64.b64encode(id.encode()).decode(), "title": id}
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.3.{len(id)}"},
        "subject": {"reference": f"Patient/{patient}"},
        "author": [{"reference": "PractitionerRole/r"}],
        "content": [{"attachment": attachment}],
        **elements,
    }


@pytest.fixture(scope="module")
def live(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    with (
        serve(make_settings(http_port=free_port())) as live,
        httpx2.Client(base_url=live.base_url, timeout=30) as client,
    ):
        for id in ("p", "q", "empty"):
            put(
                client,
                {"resourceType": "Patient", "id": id, "identifier": [INS], "name": [{"family": "Durand"}]},
            )
        put(client, {"resourceType": "Organization", "id": "o", "identifier": [FINESS], "name": "CHU"})
        put(
            client,
            {"resourceType": "Practitioner", "id": "d", "identifier": [RPPS], "name": [{"family": "Dupont"}]},
        )
        role = {
            "practitioner": {"reference": "Practitioner/d"},
            "organization": {"reference": "Organization/o"},
        }
        put(client, {"resourceType": "PractitionerRole", "id": "r", **role})
        put(client, document("one", "p", status="superseded"))
        replaces = [{"code": "replaces", "target": {"reference": "DocumentReference/one"}}]
        put(client, document("three", "p", relatesTo=replaces))
        put(client, document("of-q", "q"))
        elsewhere = [{"attachment": {"url": "https://elsewhere.test/1", "contentType": "text/plain"}}]
        put(client, document("elsewhere", "q", content=elsewhere, status="superseded"))
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


def titles(body: bytes) -> list[str]:
    return [d.entry.title for subset in xds.read_xdm(body).subsets for d in subset.documents]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/DocumentReference/three/$xdm", ["three"]),
        ("/DocumentReference/$xdm?patient=Patient/p", ["three"]),
        ("/DocumentReference/$xdm?patient=p", ["three"]),
        ("/DocumentReference/$xdm?document=three&document=one", ["three", "one"]),
        ("/DocumentReference/$xdm?document=DocumentReference/one", ["one"]),
    ],
)
def test_what_is_asked_for_is_in_the_zip(client: httpx2.Client, path: str, expected: list[str]) -> None:
    answer = client.get(path)
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="IHE_XDM.zip"' in answer.headers["content-disposition"]
    assert titles(answer.content) == expected


def test_the_metadata_name_who_and_what(client: httpx2.Client) -> None:
    [subset] = xds.read_xdm(client.get("/DocumentReference/three/$xdm").content).subsets
    [described] = subset.documents
    assert described.data == b"three"
    assert described.entry.patient_id == f"{INS['value']}^^^&1.2.250.1.213.1.4.10&ISO^NH"
    [author] = described.entry.authors
    assert author["authorPerson"][0].startswith(f"{RPPS['value']}^Dupont")
    assert author["authorInstitution"][0].startswith("CHU^")
    assert [a.type for a in subset.associations] == ["HasMember", "RPLC"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/DocumentReference/$xdm", 400, "patient"),
        ("/DocumentReference/$xdm?document=three&document=of-q", 400, "several patients"),
        ("/DocumentReference/$xdm?patient=empty", 404, "no document"),
        ("/DocumentReference/none/$xdm", 404, "no DocumentReference/none"),
        ("/DocumentReference/$xdm?document=a%20b", 400, "logical id"),
        ("/DocumentReference/elsewhere/$xdm", 422, "not kept here"),
        ("/DocumentReference/$xdm?patient=p&x=1", 400, "x"),
    ],
)
def test_what_cannot_be_exported(client: httpx2.Client, path: str, status: int, said: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert said in answer.json()["issue"][0]["details"]["text"]


def test_another_server_takes_it_in(client: httpx2.Client, make_settings: Callable[..., Settings]) -> None:
    body = client.get("/DocumentReference/$xdm?document=three").content
    with serve(make_settings(http_port=free_port())) as other:
        taken = httpx2.post(
            f"{other.origin}/feeds/xdm", content=body, headers={"Content-Type": "application/zip"}
        )
        # What it replaces is not there: it waits for that.
        assert taken.status_code == 202, taken.text


def test_the_command_line(live: Live, tmp_path: Path) -> None:
    environment = {"FHIRSERVER_DATABASE": live.settings.database}
    uri = ["--mongodb-uri", live.settings.mongodb_uri]
    file = tmp_path / "out.zip"
    done = CliRunner().invoke(
        app, ["export", "xdm", str(file), "--patient", "Patient/p", *uri], env=environment
    )
    assert done.exit_code == 0, done.output
    assert titles(file.read_bytes()) == ["three"]
    assert zipfile.ZipFile(io.BytesIO(file.read_bytes())).testzip() is None
    refused = CliRunner().invoke(app, ["export", "xdm", str(file), *uri], env=environment)
    assert refused.exit_code == 1
