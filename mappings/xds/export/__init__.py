"""FHIR to XDS: a DocumentReference's metadata as ebRIM, documents as an XDM zip."""

from mappings.xds.export.document_entry import Resolve
from mappings.xds.export.submission import Document, submission, xdm

__all__ = ["Document", "Resolve", "submission", "xdm"]
