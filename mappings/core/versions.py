"""How versions of one document are told: the identifier they share, and the number of each.

CDA has setId and versionNumber; FHIR R4 has no place for them. HL7 CDA R2, ClinicalDocument
"""

from typing import Final

from mappings.core.result import Element

SET_ID_TYPE: Final[Element] = {
    "coding": [{"system": "urn:x-fhirserver:identifier-type", "code": "set-id"}],
    "text": "set-id",
}
"""Type of the secondary identifier of a DocumentReference that all versions of the document have."""

VERSION_NUMBER: Final = "urn:x-fhirserver:version-number"
"""Extension (valueInteger) of that identifier: which version this is."""
