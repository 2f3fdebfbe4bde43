"""A registry that has something, and a client that asks it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2
from lxml import etree

from tests.xds import described as s
from tests.xds.messages import Answer, envelope, post

QUERY: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
INS: Final = "285077505601284"
OTHER: Final = "223037505603429"
FHIR: Final = {"Content-Type": "application/fhir+json"}
IDS: Final = {
    "FindDocuments": "14d4debf-8f97-4251-9a74-a90016b0af0d",
    "FindDocumentsByReferenceId": "12941a89-e02e-4be5-967c-ce4bfc8fe492",
    "FindSubmissionSets": "f26abbcb-ac74-4422-8a30-edb644bbc1a9",
    "FindFolders": "958f3006-baad-4929-a4de-ff1114824431",
    "GetAll": "10b545ea-725c-446d-9b95-8aeb444eddf3",
    "GetDocuments": "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
    "GetFolders": "5737b14c-8a1a-4539-b659-e03a34a5e1e4",
    "GetAssociations": "a7ae438b-4bc2-4642-93e9-be891f7bb155",
    "GetDocumentsAndAssociations": "bab9529a-4a10-40b3-a01f-f68a615d247a",
    "GetSubmissionSets": "51224314-5390-4169-9b91-b1980040715a",
    "GetSubmissionSetAndContents": "e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
    "GetFolderAndContents": "b909a503-523d-4517-8acf-8e5834dfc4c7",
    "GetFoldersForDocument": "10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
    "GetRelatedDocuments": "d90e5407-b356-4d91-a89f-873917b4b0e6",
}

Parameters = Mapping[str, str | Sequence[str]]


def quoted(*values: str) -> str:
    """Values as a stored query codes them: ``('a','b')``."""
    return "(" + ",".join("'" + value.replace("'", "''") + "'" for value in values) + ")"


def request(query: str, parameters: Parameters, return_type: str = "LeafClass", id: str = "") -> str:
    """An AdhocQueryRequest; a parameter has one Value, or several."""
    listed = {name: [value] if isinstance(value, str) else value for name, value in parameters.items()}
    id = id or f"urn:uuid:{IDS[query]}"
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        'xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
        f'<q:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
        f'<r:AdhocQuery id="{id}">{_slots(listed)}</r:AdhocQuery></q:AdhocQueryRequest>'
    )


def _slots(listed: dict[str, Sequence[str]]) -> str:
    return s.slots(listed).replace("<", "<r:").replace("<r:/", "</r:")


def ask(origin: str, query: str, parameters: Parameters, return_type: str = "LeafClass") -> Answer:
    return post(f"{origin}/xds/registry", envelope(QUERY, request(query, parameters, return_type)))


def status(answer: Answer) -> str:
    return answer.values("AdhocQueryResponse", "status")[0].rpartition(":")[2]


def titles(answer: Answer) -> list[str]:
    """The titles of the documents, in order."""
    return [name_of(node) for node in answer.all("ExtrinsicObject")]


def name_of(node: etree._Element) -> str:
    found = node.find("{*}Name/{*}LocalizedString")
    return "" if found is None else found.get("value", "")


def slot(node: etree._Element, name: str) -> list[str]:
    return [
        value.text or ""
        for found in node.findall("{*}Slot")
        if found.get("name") == name
        for value in found.iter("{*}Value")
    ]


def codes(node: etree._Element, kind: str) -> list[str]:
    found = node.findall("{*}Classification")
    return [
        c.get("nodeRepresentation", "") for c in found if c.get("classificationScheme") == s.SCHEMES[kind]
    ]


def links(answer: Answer) -> set[tuple[str, str, str]]:
    """The associations, as type, source and target."""
    return {
        (
            node.get("associationType", "").rpartition(":")[2],
            node.get("sourceObject", ""),
            node.get("targetObject", ""),
        )
        for node in answer.all("Association")
    }


def send(origin: str, zipped: bytes) -> None:
    """Bring in an XDM zip."""
    answer = httpx2.post(
        f"{origin}/feeds/xdm", content=zipped, headers={"Content-Type": "application/zip"}, timeout=30
    )
    assert answer.status_code in (200, 201), answer.text


def put(client: httpx2.Client, resource: dict[str, Any]) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = client.put(path, json=resource, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text
