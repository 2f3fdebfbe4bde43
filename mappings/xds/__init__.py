"""XDS submissions, as XDM zips and over SOAP, to FHIR."""

from mappings.xds.archive import Limits
from mappings.xds.mapping import to_bundle
from mappings.xds.provide import read_request
from mappings.xds.submission import Document, Submission, Subset, read_xdm

__all__ = ["Document", "Limits", "Submission", "Subset", "read_request", "read_xdm", "to_bundle"]
