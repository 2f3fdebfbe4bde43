"""Every official example of the types we serve: valid, and the same after JSON → XML → JSON."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx2
import pytest

from fhirserver.model import json, xml
from fhirserver.settings import Settings
from tests.live import free_port, serve
from tests.official.examples import WRONG, examples

if TYPE_CHECKING:
    from fhirserver.model.definitions import Definitions
    from fhirserver.validation import Validator

TYPES = frozenset(Settings.model_fields["resource_types"].default)
ALONE = frozenset({"Bundle", "OperationOutcome", "Parameters"})
DEFINING = frozenset({"CodeSystem", "ConceptMap", "SearchParameter", "ValueSet"})
"""The examples of these are FHIR's own definitions, thousands, which the server has already."""
JSON, XML = "application/fhir+json", "application/fhir+xml"


@pytest.fixture(scope="module")
def official() -> dict[str, bytes]:
    return dict(examples(TYPES | ALONE))


def test_they_are_all_there(official: dict[str, bytes]) -> None:
    assert len(official) > 4000
    assert set(WRONG) <= set(official)


def test_json_to_xml_to_json_is_the_identity(official: dict[str, bytes], definitions: "Definitions") -> None:
    changed = []
    for name, body in official.items():
        resource = json.parse_resource(body)
        back = xml.parse(xml.format(resource, definitions), definitions)
        if json.format_sorted(back) != json.format_sorted(resource):
            changed.append(name)
    assert changed == []


def test_they_are_valid_or_known_to_be_wrong(official: dict[str, bytes], validator: "Validator") -> None:
    refused = {
        name: issues
        for name, body in official.items()
        if (
            issues := [
                i.text
                for i in validator.validate(json.parse_resource(body))
                if i.severity in ("error", "fatal")
            ]
        )
    }
    assert refused.keys() == WRONG.keys(), refused


@pytest.fixture(scope="module")
def wire(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    """A server of their own: they are many, and what they say is not what other tests expect to find."""
    with (
        serve(make_settings(http_port=free_port())) as live,
        httpx2.Client(base_url=live.base_url, timeout=60) as client,
    ):
        yield client


def test_they_are_stored_as_json_and_read_as_xml_and_back(
    official: dict[str, bytes], definitions: "Definitions", wire: httpx2.Client
) -> None:
    """PUT JSON, GET XML, PUT that XML: no new version, because nothing changed."""
    for name, body in official.items():
        resource = json.parse_resource(body)
        if resource["resourceType"] in ALONE | DEFINING or name in WRONG:
            continue
        path = f"/{resource['resourceType']}/{resource['id']}"
        stored = wire.put(path, content=body, headers={"Content-Type": JSON})
        assert stored.status_code in (200, 201), (name, stored.text)
        read = wire.get(path, headers={"Accept": XML})
        again = wire.put(
            path, content=read.content, headers={"Content-Type": XML, "If-Match": read.headers["ETag"]}
        )
        assert (again.status_code, again.headers["ETag"]) == (200, read.headers["ETag"]), name
