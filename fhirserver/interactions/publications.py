"""Which requests publish documents as IHE MHD has it, and who does that.

ITI-65 Provide Document Bundle, ITI-105 Simplified Publish, ITI-106 Generate Metadata; docs/api/documents.md
"""

from typing import Protocol

from fhirserver.interactions.claims import BUNDLES, SIMPLIFIED, claimed
from fhirserver.model.json import Resource
from fhirserver.request import Request, Result
from mappings.mhd.submission import list_type


class Publishing(Protocol):
    """Stores what is published as documents of every other channel are: ``feeds.publishing``."""

    async def provide(self, bundle: Resource, request: Request) -> Result:
        """Store a submission; the answer is that of a transaction."""
        ...

    async def publish(self, document: Resource, request: Request) -> Result:
        """Store a DocumentReference that brings its document along."""
        ...

    async def knows_patient(self, document: Resource) -> bool:
        """Whether a document names its patient, by reference or identifier, and the patient is here."""
        ...

    async def describe(self, document: Resource, request: Request) -> Result:
        """Store a structured document (Binary, Bundle) under metadata made of it."""
        ...


def is_submission(bundle: Resource) -> bool:
    """Whether a transaction says that it is a submission, or creates a submission set."""
    if any(url in BUNDLES for url in claimed(bundle)):
        return True
    entries = bundle.get("entry")
    return any(_creates_submission_set(entry) for entry in (entries if isinstance(entries, list) else ()))


async def is_published(resource: Resource, publishing: Publishing) -> bool:
    """Whether a resource that is created is a document for simplified publish: it says so, or has a uniqueId,
    a patient who is here, and one document instead of where to find it."""
    match resource:
        case {
            "resourceType": "DocumentReference",
            "content": [{"attachment": {"data": str()} as attachment}],
        } if "url" not in attachment:
            if not SIMPLIFIED.isdisjoint(claimed(resource)):
                return True
            named = "masterIdentifier" in resource and resource.get("status") == "current"
            return named and await publishing.knows_patient(resource)
        case _:
            return False


def _creates_submission_set(entry: object) -> bool:
    match entry:
        case {"request": {"method": "POST"} as request, "resource": {"resourceType": "List"} as resource}:
            return "ifNoneExist" not in request and list_type(resource) == "submissionset"
        case _:
            return False
