"""Says whether a resource is what FHIR R4 wants, and exactly what is wrong when it is not."""

from fhirserver.validation.messages import Language, language_of
from fhirserver.validation.policy import Policy
from fhirserver.validation.positions import located
from fhirserver.validation.profiles import UnusableProfile
from fhirserver.validation.validator import Validator

__all__ = ["Language", "Policy", "UnusableProfile", "Validator", "language_of", "located"]
