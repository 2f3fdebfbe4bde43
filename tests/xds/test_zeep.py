"""zeep, a SOAP client of others, drives the services from their WSDL alone."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import zeep
from lxml import etree

from tests.live import Live
from tests.xds.submissions import APPROVED, PDF, number

Element = dict[str, Any]
_UUID = "urn:uuid:"
_CODES = {
    "41a5887f-8865-4c09-adf7-e362475b143a": ("10", "1.2.250.1.213.1.1.4.1"),
    "f0306f51-975f-434e-a61c-c59651d33983": ("11488-4", "2.16.840.1.113883.6.1"),
    "f4f85eac-e6cb-4883-b524-f2705394840f": ("N", "2.16.840.1.113883.5.25"),
    "a09d5840-386c-46f2-b5ad-9c3699a4309d": ("urn:x:text", "1.3.6.1.4.1.19376.1.2.3"),
    "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1": ("SA07", "1.2.250.1.71.4.2.4"),
    "cccf5598-8b07-4b77-a05e-ae952c785ead": ("AMBULATOIRE", "1.2.250.1.213.1.1.4.9"),
}


def service(url: str) -> Iterator[Any]:
    """What a WSDL offers."""
    with zeep.Client(url) as client:  # type: ignore[no-untyped-call]  # zeep is half typed
        yield client.service


@pytest.fixture
def repository(live: Live) -> Iterator[Any]:
    yield from service(f"{live.origin}/xds/repository?wsdl")


@pytest.fixture
def registry(live: Live) -> Iterator[Any]:
    yield from service(f"{live.origin}/xds/registry?wsdl")


def slots(**values: str) -> list[Element]:
    return [{"name": name, "ValueList": {"Value": [value]}} for name, value in values.items()]


def identifier(scheme: str, value: str, of: str) -> Element:
    return {
        "id": f"i{number()}",
        "identificationScheme": _UUID + scheme,
        "value": value,
        "registryObject": of,
        "Name": {"LocalizedString": [{"value": "x"}]},
    }


def code(scheme: str, value: str, system: str, of: str) -> Element:
    return {
        "id": f"c{number()}",
        "classificationScheme": _UUID + scheme,
        "classifiedObject": of,
        "nodeRepresentation": value,
        "Slot": slots(codingScheme=system),
        "Name": {"LocalizedString": [{"value": value}]},
    }


def submission(unique_id: str, patient: str, **more: str) -> Element:
    """A RegistryObjectList: one document, its submission set, and that it is a member."""
    entry = {
        "id": "Document01",
        "mimeType": "application/pdf",
        "status": APPROVED,
        "Slot": slots(
            creationTime="20240312091500",
            languageCode="fr-FR",
            sourcePatientId=patient,
            hash=hashlib.sha1(PDF, usedforsecurity=False).hexdigest(),
            size=str(len(PDF)),
            **more,
        ),
        "Classification": [code(scheme, *value, "Document01") for scheme, value in _CODES.items()],
        "ExternalIdentifier": [
            identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", patient, "Document01"),
            identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", unique_id, "Document01"),
        ],
    }
    package = {
        "id": "Set01",
        "Slot": slots(submissionTime="20240312092000"),
        "Classification": [
            code("aa543740-bdda-424e-8c96-df4873be8500", "07", "1.2.250.1.213.2.2", "Set01"),
            {
                "id": "node",
                "classifiedObject": "Set01",
                "classificationNode": f"{_UUID}a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
            },
        ],
        "ExternalIdentifier": [
            identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", patient, "Set01"),
            identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.250.1.999.41", "Set01"),
            identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", f"1.2.250.1.999.41.4.{number()}", "Set01"),
        ],
    }
    member = {
        "id": "as1",
        "associationType": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
        "sourceObject": "Set01",
        "targetObject": "Document01",
        "Slot": slots(SubmissionSetStatus="Original"),
    }
    return {"_value_1": [{"ExtrinsicObject": entry}, {"RegistryPackage": package}, {"Association": member}]}


def test_publish_and_retrieve(repository: Any, live: Live) -> None:
    unique_id, patient = f"1.2.250.1.999.41.5.{number()}", f"Z{number()}^^^&1.2.250.1.999.41.1&ISO^PI"
    published = repository["ProvideAndRegisterDocumentSet-b"](
        SubmitObjectsRequest={"RegistryObjectList": submission(unique_id, patient)},
        Document=[{"id": "Document01", "_value_1": PDF}],
    )
    assert published.RegistryErrorList is None
    assert published.status.endswith(":Success")
    asked = {"RepositoryUniqueId": live.settings.xds_repository_id, "DocumentUniqueId": unique_id}
    found = repository.RetrieveDocumentSet(DocumentRequest=[asked])
    assert found.RegistryResponse.status.endswith(":Success")
    assert [(d.mimeType, d.Document) for d in found.DocumentResponse] == [("application/pdf", PDF)]


def test_register(registry: Any) -> None:
    patient = f"Z{number()}^^^&1.2.250.1.999.41.1&ISO^PI"
    listed = submission(f"1.2.250.1.999.41.5.{number()}", patient, repositoryUniqueId="1.2.3")
    assert registry["RegisterDocumentSet-b"](RegistryObjectList=listed).status.endswith(":Success")
    query = {
        "id": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "Slot": slots(
            **{
                "$XDSDocumentEntryPatientId": f"'{patient}'",
                "$XDSDocumentEntryStatus": f"('{APPROVED}')",
            }
        ),
    }
    option = {"returnType": "LeafClass", "returnComposedObjects": True}
    found = registry.RegistryStoredQuery(ResponseOption=option, AdhocQuery=query)
    objects = (each["ExtrinsicObject"] for each in found.RegistryObjectList._value_1)
    (entry,) = [each for each in objects if each]
    assert entry.mimeType == "application/pdf"
    values = {slot.name: slot.ValueList.Value for slot in entry.Slot}
    assert values["repositoryUniqueId"] == ["1.2.3"]


def test_a_fault(repository: Any) -> None:
    with pytest.raises(zeep.exceptions.Fault, match="wsa:ReplyTo is another address"):
        repository.RetrieveDocumentSet(
            DocumentRequest=[{"RepositoryUniqueId": "1", "DocumentUniqueId": "2"}],
            _soapheaders=[_reply_to("http://example.org/")],
        )


def _reply_to(address: str) -> Any:
    space = "http://www.w3.org/2005/08/addressing"
    return etree.fromstring(f'<a:ReplyTo xmlns:a="{space}"><a:Address>{address}</a:Address></a:ReplyTo>')


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("?wsdl", 200, "DocumentSharingSoap12"),
        ("?WSDL", 200, "RegistryStoredQuery"),
        ("?xsd=rim", 200, "ExtrinsicObjectType"),
        ("?xsd=../../settings", 404, "There is no schema"),
        ("", 404, "?wsdl"),
    ],
)
def test_descriptions(live: Live, query: str, status: int, text: str) -> None:
    answer = httpx2.get(f"{live.origin}/xds/registry{query}")
    assert (answer.status_code, text in answer.text) == (status, True)
