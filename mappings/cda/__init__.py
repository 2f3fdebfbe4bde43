"""CDA R2 documents (French CI-SIS) to FHIR."""

from mappings.cda.document import ClinicalDocument, Content, read
from mappings.cda.mapping import cleared, clinical_entries, to_bundle

__all__ = ["ClinicalDocument", "Content", "cleared", "clinical_entries", "read", "to_bundle"]
