"""A FHIR R4 health data server on MongoDB."""
