"""zeep, a SOAP client of others, finds and updates by what the WSDL says."""

from collections.abc import Iterator
from typing import Any

import pytest
import zeep

from tests.live import Live
from tests.xds import described as s
from tests.xds.published import AVAILABILITY, Published
from tests.xds.registry import IDS, INS, quoted

NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"


@pytest.fixture
def registry(writable: Live) -> Iterator[Any]:
    with zeep.Client(f"{writable.origin}/xds/registry?wsdl") as client:  # type: ignore[no-untyped-call]  # zeep is half typed
        yield client.service


def slots(**values: str) -> list[dict[str, Any]]:
    return [{"name": name, "ValueList": {"Value": [value]}} for name, value in values.items()]


def status_of(registry: Any, uuid: str) -> str:
    """The availabilityStatus of a document, as GetDocuments tells it."""
    asked = {
        "id": f"urn:uuid:{IDS['GetDocuments']}",
        "Slot": slots(**{"$XDSDocumentEntryEntryUUID": quoted(uuid)}),
    }
    option = {"returnType": "LeafClass", "returnComposedObjects": True}
    answer = registry["RegistryStoredQuery"](ResponseOption=option, AdhocQuery=asked)
    [found] = answer.RegistryObjectList["_value_1"]
    assert found["ExtrinsicObject"].id == uuid
    return str(found["ExtrinsicObject"].status)


def identifier(scheme: str, value: str) -> dict[str, str]:
    return {
        "id": f"i{scheme[:4]}",
        "identificationScheme": f"urn:uuid:{scheme}",
        "value": value,
        "registryObject": "Set01",
    }


def test_find_and_archive(writable: Live, registry: Any) -> None:
    document = Published(writable)
    assert status_of(registry, document.uuid) == s.APPROVED
    unique_id = f"1.2.250.1.999.97.{int(document.uuid[-12:])}"
    content = {
        "id": "c1",
        "classificationScheme": s.SCHEMES["content"],
        "classifiedObject": "Set01",
        "nodeRepresentation": "07",
        "Slot": slots(codingScheme="1.2.250.1.213.2.2"),
    }
    package = {
        "id": "Set01",
        "Slot": slots(submissionTime="20240312092000"),
        "Classification": [content, {"id": "c2", "classifiedObject": "Set01", "classificationNode": NODE}],
        "ExternalIdentifier": [
            identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", s.cx(INS)),
            identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.3"),
            identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", unique_id),
        ],
    }
    change = {
        "id": "a1",
        "associationType": AVAILABILITY,
        "sourceObject": "Set01",
        "targetObject": document.uuid,
        "Slot": slots(OriginalStatus=s.APPROVED, NewStatus=s.ARCHIVED),
    }
    objects = {"_value_1": [{"RegistryPackage": package}, {"Association": change}]}
    answer = registry["UpdateDocumentSet"](RegistryObjectList=objects)
    assert answer.status.endswith(":Success"), answer
    assert status_of(registry, document.uuid) == s.ARCHIVED
