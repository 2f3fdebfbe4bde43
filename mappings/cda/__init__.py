"""CDA R2 documents (French CI-SIS) to FHIR."""

from mappings.cda.document import ClinicalDocument, Content, read

__all__ = ["ClinicalDocument", "Content", "read"]
