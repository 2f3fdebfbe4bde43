"""Patches of a resource: JSON Patch, FHIRPath Patch, XML Patch. Pure: resource and patch in, resource out.

https://hl7.org/fhir/R4/http.html#patch. Whether the outcome is valid is not decided here.
"""

from fhirserver.patch.failure import PatchFailed
from fhirserver.patch.fhirpath_patch import apply_fhirpath_patch
from fhirserver.patch.json_patch import apply_json_patch
from fhirserver.patch.xml_patch import apply_xml_patch

__all__ = ["PatchFailed", "apply_fhirpath_patch", "apply_json_patch", "apply_xml_patch"]
