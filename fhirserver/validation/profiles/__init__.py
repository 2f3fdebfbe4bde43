"""Profiles: StructureDefinitions that constrain a type. https://hl7.org/fhir/R4/profiling.html"""

from fhirserver.validation.profiles.building import UnusableProfile
from fhirserver.validation.profiles.registry import Profile, Profiles

__all__ = ["Profile", "Profiles", "UnusableProfile"]
