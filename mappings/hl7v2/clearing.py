"""What a PUT must remove from the stored resource it is merged into, so that the result is valid and true."""

from typing import Final

from mappings.core.result import Element

_VALUES: Final = (
    "valueQuantity",
    "valueCodeableConcept",
    "valueString",
    "valueRange",
    "valueRatio",
    "valueTime",
    "valueDateTime",
    "valuePeriod",
    "valueSampledData",
    "component",
    "dataAbsentReason",
)

_EXCLUSIVE: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "AllergyIntolerance": (("onsetDateTime", "onsetString"), ("criticality", "reaction")),
    "Condition": (("onsetDateTime", "onsetString"),),
    "DiagnosticReport": (("effectiveDateTime", "effectivePeriod"),),
    "Immunization": (("occurrenceDateTime", "_occurrenceDateTime"),),
    "MedicationRequest": (("medicationCodeableConcept", "medicationReference", "contained"),),
    "Observation": (_VALUES, ("effectiveDateTime", "effectivePeriod")),
    "ServiceRequest": (("occurrenceDateTime", "occurrencePeriod"),),
    "Procedure": (("performedDateTime", "performedPeriod"),),
    "Patient": (
        ("deceasedBoolean", "deceasedDateTime"),
        ("multipleBirthBoolean", "multipleBirthInteger"),
        ("gender", "_gender"),
    ),
}
"""Elements of which a resource has one: stating one ends the others."""

_WITH: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "AllergyIntolerance": {"code": ("clinicalStatus", "verificationStatus")},
    "Condition": {"code": ("clinicalStatus", "verificationStatus", "abatementDateTime")},
    "Appointment": {"status": ("_status", "cancelationReason")},
    "DiagnosticReport": {"status": ("_status",)},
    "DocumentReference": {"status": ("_status", "docStatus", "_docStatus")},
    "Immunization": {"status": ("_status", "statusReason", "isSubpotent")},
    "Observation": {"status": ("_status", *_VALUES, "interpretation", "referenceRange", "note")},
    "MedicationRequest": {"status": ("_status",), "priority": ("_priority",)},
    "Patient": {"birthDate": ("_birthDate",)},
    "ServiceRequest": {"status": ("_status",), "priority": ("_priority",)},
}
"""Elements that qualify another: stating that one without them ends them."""


def cleared(resource: Element) -> set[str]:
    """Name the elements that this resource, as a new statement, ends in what is stored."""
    kind = resource["resourceType"]
    names: set[str] = set()
    for group in _EXCLUSIVE.get(kind, ()):
        if any(name in resource for name in group):
            names.update(group)
    for element, others in _WITH.get(kind, {}).items():
        if element in resource:
            names.update(others)
    return names - resource.keys()
