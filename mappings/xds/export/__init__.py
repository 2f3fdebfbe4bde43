"""FHIR to XDS: DocumentReferences and Lists as ebRIM metadata, documents as an XDM zip."""

from mappings.xds.export.datatypes import dtm, hexadecimal
from mappings.xds.export.document_entry import (
    File,
    Register,
    Resolve,
    author_slots,
    reference_ids,
    reference_to_entry,
    status,
    within,
)
from mappings.xds.export.ebrim import Registry, association_id, association_type
from mappings.xds.export.identity import entry_id, logical_id, logical_ids, unique_id, version, version_id
from mappings.xds.export.packages import kind_of, list_to_package, package_authors, source_id
from mappings.xds.export.submission import Document, relation_type, submission, xdm

__all__ = [
    "Document",
    "File",
    "Register",
    "Registry",
    "Resolve",
    "association_id",
    "association_type",
    "author_slots",
    "dtm",
    "entry_id",
    "hexadecimal",
    "kind_of",
    "list_to_package",
    "logical_id",
    "logical_ids",
    "package_authors",
    "reference_ids",
    "reference_to_entry",
    "relation_type",
    "source_id",
    "status",
    "submission",
    "unique_id",
    "version",
    "version_id",
    "within",
    "xdm",
]
