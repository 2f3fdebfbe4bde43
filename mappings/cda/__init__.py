"""CDA R2 documents (French CI-SIS) to FHIR."""

from mappings.cda.document import ClinicalDocument, Content, read
from mappings.cda.mapping import cleared, clinical_entries, to_bundle
from mappings.cda.page import STYLE_HASH, to_page

__all__ = [
    "STYLE_HASH",
    "ClinicalDocument",
    "Content",
    "cleared",
    "clinical_entries",
    "read",
    "to_bundle",
    "to_page",
]
