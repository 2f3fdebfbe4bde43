"""entryUUIDs of resources that came without one, and back."""

import re

import pytest

from mappings.core.result import Element
from mappings.xds import export

SENT = "urn:uuid:0B000000-0000-4000-8000-00000000000A"
LOGICAL = "urn:uuid:0c000000-0000-4000-8000-00000000000a"
URI = "urn:ietf:rfc:3986"


@pytest.mark.parametrize("type", ["DocumentReference", "List"])
@pytest.mark.parametrize(
    "id", ["1", "A", "-", ".", "a.b-C", "AAAA", "zzzzzzzzzzzzzzzzzzzz", "....................", "0123456789"]
)
def test_a_logical_id_is_found_again(type: str, id: str) -> None:
    uuid = export.entry_id({"resourceType": type, "id": id})
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid)
    assert id in export.logical_ids(uuid, type)
    other = "List" if type == "DocumentReference" else "DocumentReference"
    assert id not in export.logical_ids(uuid, other)
    assert export.entry_id({"resourceType": other, "id": id}) != uuid


@pytest.mark.parametrize(
    ("resource", "uuid", "logical", "version"),
    [
        ({"id": "3D188B5D-0446-468B-A750-09246812625D"}, "3d188b5d-0446-468b-a750-09246812625d", "", 1),
        (
            {"id": "x", "identifier": [{"use": "official", "system": URI, "value": SENT}]},
            SENT.lower()[9:],
            "",
            1,
        ),
        (
            {
                "identifier": [
                    {
                        "use": "official",
                        "system": URI,
                        "value": SENT,
                        "extension": [{"url": "urn:x-fhirserver:version-number", "valueInteger": 3}],
                    },
                    {"use": "secondary", "system": URI, "value": SENT, "type": {"text": "set-id"}},
                    {"use": "secondary", "system": URI, "value": LOGICAL},
                ]
            },
            SENT.lower()[9:],
            LOGICAL,
            3,
        ),
    ],
)
def test_what_was_sent_stays(resource: Element, uuid: str, logical: str, version: int) -> None:
    assert export.entry_id(resource) == f"urn:uuid:{uuid}"
    assert export.logical_id(resource) == (logical or f"urn:uuid:{uuid}")
    assert export.version(resource) == version


@pytest.mark.parametrize("uuid", ["", "urn:uuid:x", "00000000-0000-8000-8000-000000000000"])
def test_what_spells_no_id(uuid: str) -> None:
    assert [id for id in export.logical_ids(uuid, "List") if id != uuid] == []
