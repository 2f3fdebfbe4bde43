"""Says whether a resource is what FHIR R4 wants, and exactly what is wrong when it is not."""

from fhirserver.validation.validator import Validator

__all__ = ["Validator"]
