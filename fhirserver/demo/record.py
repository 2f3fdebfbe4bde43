"""The record of the fictional person, as the FHIR API shows it."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from fhirserver.demo.client import Client, DemoFailed
from fhirserver.demo.samples import INS, INS_SYSTEM

Resource = dict[str, Any]

TYPES = (
    "DocumentReference",
    "AllergyIntolerance",
    "Immunization",
    "DiagnosticReport",
    "Observation",
    "Communication",
    "Encounter",
    "List",
)
"""What belongs to a person and is searched by ``patient``."""


@dataclass(slots=True)
class Record:
    """``resources`` by type; ``contents`` says for each document whether its bytes have the size and hash
    that its metadata promise (None: it promises none)."""

    resources: dict[str, list[Resource]] = field(default_factory=dict)
    contents: dict[str, bool | None] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, str]:
        """Version of each resource by ``Type/id``."""
        return {
            f"{type}/{resource['id']}": resource["meta"]["versionId"]
            for type, resources in self.resources.items()
            for resource in resources
        }

    @property
    def intact(self) -> bool:
        return False not in self.contents.values()


def read_record(client: Client) -> Record | None:
    """Read all of it; None while the person is unknown. Raises DemoFailed."""
    patients = client.search("Patient", identifier=f"{INS_SYSTEM}|{INS}")
    if not patients:
        return None
    if len(patients) > 1:
        raise DemoFailed(f"{len(patients)} Patients have the same INS")
    found = {"Patient": patients}
    for type in TYPES:
        found[type] = client.search(type, patient=f"Patient/{patients[0]['id']}")
    documents = found["DocumentReference"]
    return Record(found, {document["id"]: _intact(client, document) for document in documents})


def _intact(client: Client, document: Resource) -> bool | None:
    """Retrieve every content of a document and compare it with its metadata."""
    verdict: bool | None = None
    for content in document["content"]:
        attachment = content["attachment"]
        url = attachment.get("url", "")
        if "Binary/" not in url:
            continue
        path = f"{client.base}/Binary/{url.partition('Binary/')[2]}"
        answer = client.request("GET", path, accept=attachment.get("contentType", "*/*"))
        if answer.status != 200:
            raise DemoFailed(f"GET {path}: status {answer.status}")
        digest = b64encode(hashlib.sha1(answer.body, usedforsecurity=False).digest()).decode()
        agrees = attachment.get("size", len(answer.body)) == len(answer.body)
        agrees = agrees and attachment.get("hash", digest) == digest
        verdict = agrees if verdict is None else verdict and agrees
    return verdict
