"""A FHIR R4 health data server on MongoDB."""

__version__ = "0.1.0"
RELEASED = "2026-11-22"
