"""Recipients of CDA documents over the wire: in the patient's inbox, once, of the newest version."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.live import Live

CASE = Path(__file__).parents[1] / "cases" / "cda" / "recipients" / "document.xml"
XML = {"Content-Type": "application/xml"}
MASK = '<confidentialityCode code="{}" codeSystem="1.2.250.1.213.1.1.4.13"/><languageCode'


class Letters:
    """Versions of one document about a patient of their own."""

    def __init__(self, live: "Live", number: str) -> None:
        self._origin = live.origin
        self._root = f"2.25.{uuid.uuid4().int}"
        text = CASE.read_text().replace("1.2.250.1.999.1.1.3001", self._root)
        self._text = text.replace("280026938800165", number)

    def send(self, version: int, **replaced: str) -> dict[str, Any]:
        text = self._text.replace(f'"{self._root}.2"', f'"{self._root}.{version}"')
        text = text.replace('versionNumber value="2"', f'versionNumber value="{version}"')
        if version == 1:
            start, end = text.index("<relatedDocument"), text.index("</relatedDocument>")
            text = text[:start] + text[end + len("</relatedDocument>") :]
        for old, new in replaced.items():
            text = text.replace(old, new)
        answer = httpx2.post(f"{self._origin}/feeds/cda", content=text.encode(), headers=XML)
        assert answer.status_code in (200, 201), answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome


@pytest.fixture
def patient(client: httpx2.Client) -> tuple[str, str]:
    """A number, and the address of the patient who has it."""
    from tests.feeds.submissions import Person

    person = Person(client)
    return person.ins, person.reference


def inbox(client: httpx2.Client, patient: str, **criteria: str) -> list[dict[str, Any]]:
    found = client.get("/Communication", params={"subject": patient, **criteria}).json()
    return [entry["resource"] for entry in found.get("entry", [])]


def test_the_patients_message_is_that_of_the_newest_version(
    live: "Live", client: httpx2.Client, patient: tuple[str, str]
) -> None:
    number, reference = patient
    letters = Letters(live, number)
    letters.send(1)
    [first] = inbox(client, reference, recipient=reference)
    assert (first["status"], first["sent"]) == ("completed", "2026-01-05T09:30:00+01:00")
    letters.send(1)
    letters.send(2, title="titre")
    [second] = inbox(client, reference, recipient=reference)
    assert second["id"] == first["id"]
    assert second["about"] != first["about"]
    document = client.get("/" + second["payload"][0]["contentReference"]["reference"]).json()
    assert document["status"] == "current"
    assert len(inbox(client, reference)) == 3


def test_a_late_version_does_not_come_back(
    live: "Live", client: httpx2.Client, patient: tuple[str, str]
) -> None:
    number, reference = patient
    letters = Letters(live, number)
    letters.send(3, **{"<relatedDocument": "<!--", "</relatedDocument>": "-->"})
    [newest] = inbox(client, reference, recipient=reference)
    letters.send(1)
    assert inbox(client, reference, recipient=reference) == [newest]


@pytest.mark.parametrize(
    ("label", "left"), [("INVISIBLE_PATIENT", ["unknown", "unknown"]), ("MASQUE_PS", ["completed"])]
)
def test_what_is_hidden_is_not_sent(
    live: "Live", client: httpx2.Client, patient: tuple[str, str], label: str, left: list[str]
) -> None:
    number, reference = patient
    outcome = Letters(live, number).send(1, **{"<languageCode": MASK.format(label)})
    assert "not sent to them" in str(outcome)
    assert [each["status"] for each in inbox(client, reference)] == left


def test_a_withdrawn_document_takes_its_message_back(
    live: "Live", client: httpx2.Client, patient: tuple[str, str]
) -> None:
    number, reference = patient
    Letters(live, number).send(1)
    [message] = inbox(client, reference, recipient=reference)
    author = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "801111111111"}
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "reason", "valueString": "test"},
            {"name": "author", "valueIdentifier": author},
        ],
    }
    withdrawn = client.post(f"/{message['about'][0]['reference']}/$withdraw", json=asked)
    assert withdrawn.status_code == 200, withdrawn.text
    assert client.get(f"/Communication/{message['id']}").json()["status"] == "entered-in-error"
