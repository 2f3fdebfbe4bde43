"""The files of ``profiles/`` themselves, the extensions they define, and the tables they repeat."""

from pathlib import Path
from typing import Any

import pytest

from fhirserver.model import json
from fhirserver.validation import Validator
from mappings.cda.formats import CLASS_OF_TYPE
from mappings.core.versions import VERSION_NUMBER
from mappings.hl7v2.tables import VISIBILITY
from mappings.hl7v2.visit import MOVEMENT
from mappings.mail.mapping import REPLY_CLOSED

Element = dict[str, Any]

ROOT = Path(__file__).parents[2]
FILES = sorted(f for f in (ROOT / "profiles").rglob("*.json") if "packages" not in f.parts)
DOCUMENT: Element = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"url": "Binary/1"}}],
}
MESSAGE: Element = {"resourceType": "Communication", "status": "completed"}
NUMBERED = {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.2"}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (DOCUMENT | {"identifier": [NUMBERED | {"extension": [{"url": VERSION_NUMBER, "valueInteger": 2}]}]},
         []),
        (DOCUMENT | {"identifier": [NUMBERED | {"extension": [{"url": VERSION_NUMBER, "valueString": "2"}]}]},
         ["profile-choice"]),
        (DOCUMENT | {"identifier": [NUMBERED | {"extension": [{"url": VERSION_NUMBER}]}]}, ["ext-1"]),
        (DOCUMENT | {"extension": [{"url": VERSION_NUMBER, "valueInteger": 2}]}, ["extension-context"]),
        (MESSAGE | {"extension": [{"url": REPLY_CLOSED, "valueBoolean": False}]}, []),
        ({"resourceType": "Patient", "extension": [{"url": REPLY_CLOSED, "valueBoolean": True}]},
         ["extension-context"]),
        ({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "location": [
            {"location": {"display": "A"}, "extension": [{"url": MOVEMENT, "valueIdentifier": NUMBERED}]}]},
         []),
        ({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"},
          "extension": [{"url": MOVEMENT, "valueIdentifier": NUMBERED}]}, ["extension-context"]),
    ],
)  # fmt: skip
def test_extensions_of_this_server(french: Validator, resource: Element, found: list[str]) -> None:
    issues = french.validate(resource)
    assert [issue.rule for issue in issues if issue.severity == "error"] == found


@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_the_files_themselves(french: Validator, file: Path) -> None:
    resource = json.parse(file.read_bytes())
    assert isinstance(resource, dict)
    assert french.validate(resource, advice=True) == []
    assert resource["id"] == file.stem
    assert resource["url"].endswith(f":{file.stem}")


def mapped(name: str) -> dict[str, str]:
    """Source code -> target code of one of the concept maps."""
    resource = json.parse((ROOT / "profiles" / "terminology" / f"{name}.json").read_bytes())
    elements = [e for group in resource["group"] for e in group["element"]]
    return {element["code"]: target["code"] for element in elements for target in element["target"]}


def test_concept_maps_say_what_the_mappings_do() -> None:
    assert mapped("document-class-of-type") == {type: code for type, (code, _) in CLASS_OF_TYPE.items()}
    assert mapped("visibility-of-mdmpmss") == VISIBILITY
