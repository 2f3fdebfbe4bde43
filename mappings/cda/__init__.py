"""CDA R2 documents (French CI-SIS) to FHIR."""

from mappings.cda.attachments import Attached, attachments
from mappings.cda.document import ClinicalDocument, Content, read
from mappings.cda.mapping import cleared, clinical_entries, to_bundle
from mappings.cda.page import STYLE_HASH, to_page

__all__ = [
    "STYLE_HASH",
    "Attached",
    "ClinicalDocument",
    "Content",
    "attachments",
    "cleared",
    "clinical_entries",
    "read",
    "to_bundle",
    "to_page",
]
